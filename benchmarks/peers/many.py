"""What the two sides of "many SAEs from one pass" share: arguments, pieces of proteins, the report.

It needs only numpy, torch and Linux, so it runs in the peers' environment from the repository's
root. Every piece has `LENGTH` residues, because SAELens takes rows of one length.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.peers.batches import Measured, fvu_of

LENGTH = 256
"""Residues of a piece."""
BUFFER = 4
"""Batches that are shuffled among each other."""
LETTERS = "ACDEFGHIKLMNPQRSTVWY"
N_LAYERS, D_IN, N_HEADS = 6, 320, 20
"""The shape of both models, ESM-2 8M's."""


def arguments(description: str | None) -> argparse.Namespace:
    """What both sides are trained with, from the command line."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("pieces", type=Path, help=f"a text file, {LENGTH} residues a line")
    parser.add_argument("--k", type=int, nargs="+", required=True, help="one SAE a layer for each")
    for name in ("d_sae", "batch_size", "steps"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True, help="Adam's, the same at every step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument("--evaluate", type=int, default=32, help="last pieces, not trained on")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def pieces(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The pieces to train on, and those held out."""
    lines = args.pieces.read_text(encoding="utf-8").split()
    return lines[: -args.evaluate], lines[-args.evaluate :]


Reconstruct = Callable[[Tensor], Tensor]


def report(
    library: str,
    version: str,
    args: argparse.Namespace,
    measured: Measured,
    held_out: Mapping[int, Tensor],
    trained: Mapping[tuple[int, int], Reconstruct],
) -> None:
    """Print the measurement as one line of JSON.

    `held_out` has the model's own activations [n, d_in] of each layer, `trained` what each SAE
    makes of them, by (layer, k).
    """
    tokens = (args.steps - BUFFER) * args.batch_size
    fvus = [
        fvu_of(held_out[layer], trained[layer, k], args.batch_size) for layer, k in sorted(trained)
    ]
    found = {
        "library": library,
        "version": version,
        "n_saes": len(trained),
        "seconds": measured.seconds,
        "tokens_per_second": tokens / measured.seconds,
        "peak_anonymous_bytes": measured.peak_bytes,
        "final_fvu": sum(fvus) / len(fvus),
        "fvus": fvus,
    }
    print(json.dumps(found))
