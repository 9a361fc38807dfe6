"""Encoding and counting by a driver in a process of its own, from what `prepare` has made."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import torch

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.count import Counting
from interplm_nb.concepts.resumed import count_resumed
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.checkpoint import load, save
from interplm_nb.sae.encode import encode_to
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.scale.address import workers_at

ROOT = Path(__file__).resolve().parents[2]
N_PROTEINS, LENGTH, D_IN, D_SAE, K = 900, 700, 16, 2048, 4
COUNTED = 15_000
"""Residues of a shard of the count."""
N_SHARDS = {"encoding": 10, "counting": 41}


def prepare(folder: Path) -> None:
    """Proteins, annotations, embeddings, an SAE and a store of its activations."""
    rng = np.random.default_rng(0)
    proteins = Proteins.from_sequences({f"P{i}": "A" * LENGTH for i in range(N_PROTEINS)})
    proteins.save(folder / "proteins.parquet")
    first = rng.integers(1, LENGTH // 2, N_PROTEINS)
    columns = {
        "accession": proteins.accessions,
        "concept": rng.choice(["Helix", "Loop", "Zinc"], N_PROTEINS),
        "category": "x",
        "level": "instance",
        "start": first,
        "end": first + 100,
        "instance": range(N_PROTEINS),
    }
    Annotations(pl.DataFrame(columns), proteins).save(folder / "annotations.parquet")
    values = rng.normal(size=(N_PROTEINS, LENGTH, D_IN)).astype(np.float32)
    arrays = dict(zip(proteins.accessions, values, strict=True))
    Embeddings.from_arrays(folder / "layer_03", proteins, arrays, "esm2-mini", 3)
    about = SAEAbout("esm2-mini", "unknown", 3, "random")
    save(random_sae(D_IN, D_SAE, K, torch.zeros(D_IN), 0), folder / "sae", about)
    work("encoding", "", folder, folder)


def work(kind: str, address: str, folder: Path, out: Path) -> None:
    """Encode or count what is in `folder`; the result is in `out`."""
    proteins = Proteins.load(folder / "proteins.parquet")
    with workers_at(address) as workers:
        if kind == "encoding":
            sae, embeddings = load(folder / "sae"), Embeddings.open(folder / "layer_03")
            store = out / "activations"
            encode_to(sae, embeddings, proteins, store, progress=False, scale=workers)
            return
        store = FeatureActivations.open(folder / "activations", proteins)
        source = store.relative_to(np.full(D_SAE, 2.0, np.float32))
        counting = Counting(source, Annotations.load(folder / "annotations.parquet", proteins))
        found = count_resumed(counting, out / "counts", workers, COUNTED, progress=False)
    for name in ("tp", "instance_hits", "active"):
        np.save(out / f"{name}.npy", getattr(found, name))


def process_of(kind: str, address: str, folder: Path, out: Path) -> subprocess.Popen[str]:
    """The process that does it."""
    words = [sys.executable, "-m", __name__, kind, address, str(folder), str(out)]
    return subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def made_in(folder: Path) -> int:
    """Shards that are complete."""
    return len(list(folder.rglob("[0-9]" * 5 + ".parquet")))


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
