"""Steering: strengths and features on a shared prefix, a slider's answer, a steered generation."""

import numpy as np
import torch

from benchmarks.harness import Figure, seconds
from benchmarks.random_plm import random_plm
from benchmarks.threads import two_threads
from benchmarks.unirep_embedding import unirep_1900
from interplm_nb.plm import load
from interplm_nb.plm.protocol import PLM
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.steering.generate import Lane, Sampling, sample
from interplm_nb.steering.intervene import Change, Intervention, steered_logits
from interplm_nb.steering.steered_layer import SteeredLayer

N_RESIDUES, LAYER, WIDER, K = 350, 4, 32, 32
N_STRENGTHS, N_FEATURES = 32, 8
TURNS = 3
SLIDER, GENERATION = 0.3, 60.0
"""Most seconds."""
N_SEQUENCES, LENGTH, D_SAE, K_UNIREP = 64, 200, 1024, 16


def run() -> list[Figure]:
    """The three figures."""
    with two_threads():
        return [_strengths(), _slider(), _generation()]


def _strengths() -> Figure:
    """Strengths of some features, with the layers below run once, beside full passes."""
    at = _layer(random_plm(), LAYER, 320 * WIDER, K)
    sequence = _sequence()
    parts = [
        [[Change(f, "clamp", s)] for s in np.linspace(0, 2.5, N_STRENGTHS)]
        for f in range(N_FEATURES)
    ]

    def shared() -> list[torch.Tensor]:
        return [steered_logits([Intervention(at, rows)], sequence) for rows in parts]

    @torch.no_grad()
    def full() -> list[torch.Tensor]:
        tokens = at.plm.tokens([sequence]).expand(N_STRENGTHS, -1)
        lengths = [N_RESIDUES] * N_STRENGTHS
        found = []
        for rows in parts:
            edit = {LAYER: Intervention(at, rows).edit(lengths)}
            logits = at.plm.forward(tokens, edit=edit, logits=True).logits
            assert logits is not None
            found.append(logits[:, 1 : 1 + N_RESIDUES])
        return found

    for ours, theirs in zip(shared(), full(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    turns = [(seconds(shared), seconds(full)) for _ in range(TURNS)]
    ours, theirs = (min(turn[i] for turn in turns) for i in (0, 1))
    note = (
        f"{N_STRENGTHS} strengths x {N_FEATURES} features, {N_RESIDUES} residues, random weights "
        f"at the ESM-2 8M shape, layer {LAYER}; equal logits; least of {TURNS} turns"
    )
    return Figure.compare(
        "steer: strengths and features beside full passes",
        ours,
        theirs,
        "s",
        2,
        of="other / ours",
        note=note,
    )


def _slider() -> Figure:
    """One feature, a matched one and the unsteered protein, from a strength to probabilities."""
    plm = load("esm2-mini", "cpu")
    at = _layer(plm, plm.n_layers, 2 * plm.widths[-1], K)
    sequence, strengths = _sequence(), iter(np.linspace(0, 2.5, 2 + TURNS))

    def answer() -> torch.Tensor:
        strength = float(next(strengths))
        rows = [[Change(3, "clamp", strength)], [Change(5, "clamp", strength)], []]
        return steered_logits([Intervention(at, rows)], sequence).softmax(-1)

    answer()
    took = min(seconds(answer) for _ in range(TURNS))
    note = f"esm2-mini, {N_RESIDUES} residues, the part in Python; least of {TURNS} turns"
    return Figure.within("steer: slider to probabilities", took, SLIDER, "s", note)


def _generation() -> Figure:
    """Steered sequences of unirep-1900, the feature clamped inside the recurrence."""
    at = _layer(unirep_1900(), 1, D_SAE, K_UNIREP)
    lanes = [Lane((Change(3, "clamp", 1.0),), "recurrence")]
    took = seconds(lambda: sample(at, lanes, N_SEQUENCES, Sampling(LENGTH, 0.9)))
    note = f"{at.plm!r}, {N_SEQUENCES} sequences of {LENGTH} residues, once"
    return Figure.within("steer: steered generation", took, GENERATION, "s", note)


def _layer(plm: PLM, layer: int, d_sae: int, k: int) -> SteeredLayer:
    width = plm.widths[layer]
    sae = random_sae(d_in=width, d_sae=d_sae, k=k, b_dec=torch.zeros(width), seed=0)
    sae.about = SAEAbout(plm.name, plm.revision, layer, "random")
    return SteeredLayer(plm, sae, np.ones(d_sae, np.float32))


def _sequence() -> str:
    letters = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), N_RESIDUES)
    return "".join(letters)
