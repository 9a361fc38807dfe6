"""What 5 million proteins take, computed from unit costs, as the table of docs/cluster.

    python scripts/build_cluster_sizes.py             write the table into the page
    python scripts/build_cluster_sizes.py --measure   measure the unit costs of one core here

Costs of a core are CPU seconds of one thread: of some layers of each model's shape with random
weights, times the number of its layers, and of an SAE's encoder.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "cluster" / "faults-and-sizes.md"
BEGIN, END = "<!-- table of scripts/build_cluster_sizes.py -->", "<!-- end of the table -->"

PROTEINS, RESIDUES = 5e6, 1.5e9
ACTIVE, D_SAE = 64, 10_240
SHARD_BYTES = 2**26
COUNT_CORE_SECONDS = 2 * 60.2 / 20e6
"""Per residue: docs/benchmarks.md, concepts_scale, 20 M residues in 60.2 s on 2 cores."""
BYTES_PER_ACTIVATION = 5.17 + 4.60
"""Both orders: docs/benchmarks.md, concepts_scale."""
A100_FLOPS = 312e12
"""Peak of dense bfloat16 products."""


class Model(NamedTuple):
    """An ESM-2, and what a residue costs."""

    name: str
    n_layers: int
    width: int
    heads: int
    forward: float
    """Core seconds per residue; measured as `measure` does, on the machine that the page names."""
    encode: float
    """Core seconds per residue, by an SAE of `D_SAE` features at its width; the same."""
    flop: float
    """Operations per residue of the forward pass, from shapes, real lengths."""
    utilisation: float | None
    """Of an A100's peak, in training, as NVIDIA published it; None where nobody did."""


MODELS = (
    Model("ESM-2 8M", 6, 320, 20, 2.322e-4, 1.077e-4, 1.8412e7, None),
    Model("ESM-2 650M", 33, 1280, 20, 1.693e-2, 2.916e-4, 1.3841e9, 0.592),
    Model("ESM-2 3B", 36, 2560, 40, 6.661e-2, 5.337e-4, 5.8678e9, 0.606),
)


def table(models: tuple[Model, ...] = MODELS) -> str:
    """The table in Markdown."""
    rows: list[tuple[str, Callable[[Model], str]]] = [
        ("embed, hours of one core", lambda m: _hours(m.forward * RESIDUES)),
        ("embed, hours of an A100, at least", lambda m: _gpu(m)),
        ("embeddings in float32, TB", lambda m: f"{RESIDUES * m.width * 4 / 1e12:.1f}"),
        ("embeddings in bfloat16, TB", lambda m: f"{RESIDUES * m.width * 2 / 1e12:.1f}"),
        (
            "shards of 64 MiB, float32",
            lambda m: f"{RESIDUES * m.width * 4 / SHARD_BYTES:,.0f}",
        ),
        ("one core writes, float32, MB/s", lambda m: f"{m.width * 4 / m.forward / 1e6:.2f}"),
        ("one A100 writes, float32, MB/s, at most", _gpu_rate),
        ("encode, hours of one core", lambda m: _hours(m.encode * RESIDUES)),
        ("count, hours of one core", lambda _: _hours(COUNT_CORE_SECONDS * RESIDUES)),
        (
            f"activations, {ACTIVE} of {D_SAE:,}, TB",
            lambda _: f"{RESIDUES * ACTIVE * BYTES_PER_ACTIVATION / 1e12:.2f}",
        ),
    ]
    lines = [f"| | {' | '.join(m.name for m in models)} |", "|---" * (1 + len(models)) + "|"]
    lines += [f"| {what} | {' | '.join(of(m) for m in models)} |" for what, of in rows]
    return "\n".join(lines)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.0f}"


def _gpu(model: Model) -> str:
    if model.utilisation is None:
        return "not published"
    return f"{model.flop * RESIDUES / (model.utilisation * A100_FLOPS) / 3600:.1f}"


def _gpu_rate(model: Model) -> str:
    if model.utilisation is None:
        return "not published"
    return f"{model.width * 4 * model.utilisation * A100_FLOPS / model.flop / 1e6:,.0f}"


def measure() -> None:
    """Print each model's unit costs, as `MODELS` has them."""
    import numpy as np
    import torch

    sys.path.insert(0, str(ROOT))
    from benchmarks.gpu_models import esm2_flop, random_esm2, sampled
    from interplm_nb.plm.checkpoints import Architecture
    from interplm_nb.sae.encoded import encoded
    from interplm_nb.sae.random_sae import random_sae

    torch.set_num_threads(1)
    some = {320: (6, 48), 1280: (3, 16), 2560: (1, 12)}
    for model in MODELS:
        layers, n_proteins = some[model.width]
        proteins = sampled(n_proteins)
        plm = random_esm2(
            Architecture(layers, model.width, model.heads), torch.device("cpu"), torch.float32
        )
        whole = Architecture(model.n_layers, model.width, model.heads)

        def forward(plm=plm, proteins=proteins, layers=layers) -> None:
            for _ in plm.embed(proteins, [layers], progress=False):
                pass

        sae = random_sae(
            d_in=model.width, d_sae=D_SAE, k=ACTIVE, b_dec=torch.zeros(model.width), seed=0
        )
        x = np.random.default_rng(0).standard_normal((8192, model.width)).astype(np.float32)
        spent = _cpu_seconds(forward) / layers * model.n_layers / proteins.n_residues
        encode = _cpu_seconds(lambda sae=sae, x=x: list(encoded(sae, x))) / len(x)
        flop = esm2_flop(whole, sampled(10_000)) / sampled(10_000).n_residues
        print(f"{model.name}: forward {spent:.3e}, encode {encode:.3e}, flop {flop:.4e}")


def _cpu_seconds(work: Callable[[], object], turns: int = 3) -> float:
    """The least of some turns."""
    found = []
    for _ in range(turns):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help="measure the unit costs of one core")
    if parser.parse_args().measure:
        measure()
        return
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
