"""Many SAEs from one pass over the PLM, compared with one at a time and SAELens' multi-SAE runner.

SAELens runs in its own environment (`make peers`), each side in its own process, alternating.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import PEERS_PYTHON, Figure, in_own_process, in_turn, medians, seconds
from benchmarks.peers import many
from benchmarks.random_plm import SHAPE, random_plm
from benchmarks.sae import PAIRS, proteins_of, untrained
from benchmarks.threads import two_threads
from interplm_nb.plm import esm2
from interplm_nb.plm.esm2 import ESM2
from interplm_nb.proteins import Proteins
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training.stream import StreamedBatches

KS = (8, 16, 32, 64)
STEPS, BATCH = 16, 2_048
PEER_STEPS, HELD_OUT, LR = 24, 32, 4e-4


def run() -> list[Figure]:
    """All figures; those against SAELens only after `make peers`."""
    if not PEERS_PYTHON.exists():
        print("sae_one_pass: sae-lens is left out; make peers installs it")
    mini = esm2.load("esm2-mini", "cpu")
    with two_threads():
        return [
            *(_beside_saelens() if PEERS_PYTHON.exists() else []),
            _passed("8M shape", random_plm(), SHAPE.n_layers, 512),
            _passed("embedded model", mini, mini.n_layers, 512),
        ]


def _beside_saelens() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        pieces = Path(folder) / "pieces.txt"
        pieces.write_text("\n".join(_pieces()), encoding="utf-8")
        return [figure for d_sae in (512, 2_048) for figure in _pairs(pieces, d_sae)]


def _pieces() -> list[str]:
    """Pieces of one length from the embedded proteins, enough for one epoch."""
    n = (PEER_STEPS + many.BUFFER) * BATCH // many.LENGTH + HELD_OUT
    found = [
        sequence[first : first + many.LENGTH]
        for sequence in proteins_of(10**9).sequences
        if not set(sequence) - set(many.LETTERS)
        for first in range(0, len(sequence) - many.LENGTH + 1, many.LENGTH)
    ]
    return found[:n]


def _pairs(pieces: Path, d_sae: int) -> list[Figure]:
    """Medians of alternating pairs."""
    pairs = [
        (_trained("ours", pieces, d_sae), _trained("saelens", pieces, d_sae)) for _ in range(PAIRS)
    ]
    speed, memory, fvu = (
        medians(pairs, measure)
        for measure in ("tokens_per_second", "peak_anonymous_bytes", "final_fvu")
    )
    note = (
        f"{pairs[0][0]['n_saes']} TopK SAEs ({many.N_LAYERS} layers x k = "
        f"{', '.join(map(str, KS))}), batches of {BATCH}, {PEER_STEPS - many.BUFFER} timed steps, "
        f"the model's pass included; {in_turn(pairs, 'tokens_per_second')}. Stand-ins "
        "of one shape, random weights, the same pieces of proteins: ESM-2 ours; other: sae-lens "
        f"{pairs[0][1]['version']}, MultiSAETrainingRunner on a causal HookedTransformer. Mean "
        f"held-out FVU, each on its model's own activations: {fvu[0]:.4f} ours, {fvu[1]:.4f} theirs"
    )
    name = f"{pairs[0][0]['n_saes']} SAEs of {d_sae:,} in one pass, saelens"
    gib = [n / 2**30 for n in memory]
    return [
        Figure.compare(f"sae: {name}", speed[0], speed[1], "tokens/s", 1.5, note=note),
        Figure.compare(f"sae: {name}, FVU", fvu[0], fvu[1], "share", 1, "at most", note="same"),
        Figure.compare(f"sae: {name}, memory", gib[0], gib[1], "GiB", 1, "at most", note="same"),
    ]


def _trained(side: str, pieces: Path, d_sae: int) -> dict[str, Any]:
    sizes = {
        "d-sae": d_sae,
        "batch-size": BATCH,
        "steps": PEER_STEPS,
        "lr": LR,
        "evaluate": HELD_OUT,
    }
    python = sys.executable if side == "ours" else PEERS_PYTHON
    return in_own_process(python, f"benchmarks.peers.many_{side}", sizes, pieces, "--k", *KS)


def _passed(name: str, plm: ESM2, n_layers: int, d_sae: int) -> Figure:
    """Seconds for some steps of all SAEs from one pass, and one by one, up to each SAE's layer."""
    proteins = proteins_of(STEPS * BATCH + 4_000)
    configs = [
        SAEConfig.recipe("topk", d_sae, k=k, layer=layer)
        for layer in range(1, n_layers + 1)
        for k in KS
    ]
    together = seconds(_training(plm, proteins, configs))
    alone = sum(4 * seconds(_training(plm, proteins, [config])) for config in configs[::4])
    note = (
        f"{len(configs)} TopK SAEs ({n_layers} layers x k = 8, 16, 32, 64; {d_sae} features), "
        f"{STEPS} steps of {BATCH} residues; "
    )
    note += "other: one by one, one of each layer timed and taken 4 times"
    return Figure.compare(f"sae: one pass, {name}", together, alone, "s", 0.4, "at most", note=note)


def _training(plm: ESM2, proteins: Proteins, configs: list[SAEConfig]) -> Callable[[], None]:
    def steps() -> None:
        layers = [config.layer or 0 for config in configs]
        batches = StreamedBatches(plm, proteins, layers, BATCH, 0, buffer_residues=BATCH * 4)
        trainees = [
            (untrained(config, batches.batch(0)[config.layer or 0]), config.layer or 0)
            for config in configs
        ]
        for step in range(STEPS):
            x = batches.batch(step)
            for trainee, layer in trainees:
                trainee.take_step(x[layer])

    return steps
