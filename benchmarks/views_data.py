"""Synthetic runs for the benchmark of views: one that fills the screen, one with a large store."""

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.concepts_data import annotations_of, blocks_of, proteins_of
from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.own_activations import run_from_parts
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv
from interplm_nb.saving import write_parquet

N_PROTEINS, LENGTH = 50, 600
WITH_STRUCTURE = "P32324"
"""The embedded protein with the largest structure: 825 of its residues are resolved."""
SHARE = 0.3
"""Share of the screenful's residues on which a feature fires, as in the demo run's densest."""
N_LARGE, N_CONCEPTS, DRAWN = 10_240, 60, 67
SEED = 0


def screenful(folder: Path, n_features: int = 8) -> Run:
    """50 proteins of 600 residues, and among them `WITH_STRUCTURE` with its own length.

    Each feature fires on a third of all residues and marks a domain.
    """
    rng = np.random.default_rng(SEED)
    letters = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
    table = read_uniprot_tsv(demo.table_path()).proteins
    sequences = {f"B{i:05d}": "".join(rng.choice(letters, LENGTH)) for i in range(N_PROTEINS - 1)}
    proteins = Proteins.from_sequences(sequences | {WITH_STRUCTURE: table.sequence(WITH_STRUCTURE)})
    starts = rng.integers(1, LENGTH - 80, (N_PROTEINS, 4))
    domains = pl.DataFrame(
        {
            "accession": np.repeat(proteins.accessions, 4),
            "concept": np.tile([f"Domain_{i}" for i in range(4)], N_PROTEINS),
            "category": np.tile(["Domain", "Motif", "Region", "Zinc finger"], N_PROTEINS),
            "level": "instance",
            "start": starts.ravel(),
            "end": starts.ravel() + rng.integers(10, 80, starts.size),
            "instance": np.arange(starts.size),
        }
    )
    fires = rng.random((proteins.n_residues, n_features)) < SHARE
    values = np.where(fires, rng.beta(0.7, 2, fires.shape), 0).astype(np.float32)
    return run_from_parts(folder, proteins, Annotations(domains, proteins), values)


def large(folder: Path, n_residues: int) -> Run:
    """`n_residues` with about 64 of 10,240 features active on each, 60 concepts, and a full map."""
    rng = np.random.default_rng(SEED)
    proteins = proteins_of(rng, n_residues)
    annotations = annotations_of(rng, proteins, N_CONCEPTS, 0.75)
    blocks = blocks_of(rng, n_residues, N_LARGE, DRAWN)
    run = run_from_parts(folder, proteins, annotations, blocks)
    places = rng.normal(0, 0.35, (N_LARGE, 2)).astype(np.float32).clip(-1, 1)
    statistics = pl.read_parquet(run.of_source("sae", "activations") / "features.parquet")
    atlas = pl.DataFrame(
        {
            "feature": np.arange(N_LARGE, dtype=np.uint32),
            "x": places[:, 0],
            "y": places[:, 1],
            "cluster": rng.integers(-1, 40, N_LARGE).astype(np.int32),
            "n_active": statistics["n_residues"].cast(pl.Int64),
            "density": statistics["n_residues"] / n_residues,
            "n_proteins": (statistics["n_residues"] // 4).cast(pl.Int64),
            "maximum": statistics["maximum"],
            "mean_active": statistics["maximum"] / 4,
        }
    )
    write_parquet(atlas, run.of_source("sae", "atlas"), {"type": "FeatureAtlas", "version": 1})
    return run


def many_pairs(features: pl.DataFrame, n: int) -> pl.DataFrame:
    """`n` scored pairs of these features with 300 concepts, as `listing.concept_pairs` has them."""
    rng = np.random.default_rng(SEED)
    kinds = ("Domain", "Zinc finger", "Disulfide bond", "Binding site_ATP", "Metal binding")
    names = [f"{kinds[i % len(kinds)]}_{i}" for i in range(300)]
    categories = [kinds[i % len(kinds)].partition("_")[0] for i in range(300)]
    chosen = rng.choice(features.height * 300, n, replace=False)
    return pl.DataFrame(
        {
            "feature": features["feature"].to_numpy()[chosen // 300],
            "concept": np.array(names)[chosen % 300],
            "category": np.array(categories)[chosen % 300],
            "validation_f1_per_domain": np.sort(rng.random(n))[::-1],
            "f1_per_domain": rng.random(n),
        }
    ).with_columns(rank=pl.int_range(1, pl.len() + 1).over("concept"))


def described(features: pl.DataFrame) -> pl.DataFrame:
    """The list with a description of 24 words and the pattern of a motif for each feature."""
    rng = np.random.default_rng(SEED)
    words = np.array(
        ["fires", "on", "zinc", "helix", "binding", "of", "proteins", "kinase", "motif"]
    )
    letters = np.array(list("ACDEFGHIKLMNPQRSTVWYx"))
    chosen = words[rng.integers(0, len(words), (features.height, 24))]
    motifs = letters[rng.integers(0, len(letters), (features.height, 8))]
    return features.with_columns(
        description=pl.Series([" ".join(row) for row in chosen]),
        motif_pattern=pl.Series(["-".join(row) for row in motifs]),
    )
