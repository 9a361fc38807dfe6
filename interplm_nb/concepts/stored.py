"""Concept scores on disk: three Parquet files in a source's folder, each with rows for several
splits and conventions.

    scores.parquet    split, convention, concept, feature (u32), threshold (f64), tp (u32),
                      instance_hits (u32); rows with tp = 0 are left out
    active.parquet    split, convention, feature (u32), threshold (f64), active (u32)
    concepts.parquet  split, convention, concept, category, level, n_residues, n_instances (i64)

Each file's record has type, version, thresholds, number of features, what the caller adds (`about`:
PLM, layer, hashes), and a digest of the counts per split and convention, so that files of two
different saves are never read together.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.saving import read_parquet, write_parquet

VERSION = 1
_KINDS = {
    "scores": "ConceptScores.scores",
    "active": "ConceptScores.active",
    "concepts": "ConceptScores.concepts",
}


class Counts(NamedTuple):
    """The fields of `ConceptScores`."""

    concepts: pl.DataFrame
    thresholds: tuple[float, ...]
    tp: np.ndarray
    instance_hits: np.ndarray
    active: np.ndarray


def save(
    counts: Counts, folder: Path, split: str, convention: str, about: Mapping[str, Any]
) -> None:
    """Write the rows of one split and convention, replacing older ones and keeping the others.

    Files whose record differs (other sequences, PLM or thresholds) are replaced: their other rows
    are of another run.
    """
    folder = Path(folder)
    record = {
        **about,
        "version": VERSION,
        "thresholds": list(counts.thresholds),
        "n_features": int(counts.active.shape[0]),
    }
    for name, table in _tables(counts).items():
        path, whose = folder / f"{name}.parquet", {**record, "type": _KINDS[name]}
        older, digests = _others(path, whose, split, convention)
        labelled = table.select(
            pl.lit(split).alias("split"), pl.lit(convention).alias("convention"), pl.all()
        )
        rows = pl.concat([*older, labelled]).sort("split", "convention", maintain_order=True)
        write_parquet(
            rows, path, {**whose, "digests": {**digests, f"{split}/{convention}": _digest(counts)}}
        )


def load(folder: Path, split: str, convention: str) -> Counts:
    """Read one split and convention; KeyError, with what there is, if they are missing."""
    folder, key = Path(folder), f"{split}/{convention}"
    parts: dict[str, pl.DataFrame] = {}
    records: dict[str, dict[str, Any]] = {}
    for name, kind in _KINDS.items():
        table, records[name] = read_parquet(folder / f"{name}.parquet", kind, VERSION)
        if key not in records[name]["digests"]:
            raise KeyError(
                f"{folder / name}.parquet has no scores for {key}; it has "
                f"{sorted(records[name]['digests'])}"
            )
        parts[name] = table.filter(
            pl.col("split") == split, pl.col("convention") == convention
        ).drop("split", "convention")
    if len({records[name]["digests"][key] for name in parts}) > 1:
        raise ValueError(
            f"{folder}: scores, active and concepts for {key} come from different saves; run stage "
            "'concepts' again"
        )
    record = records["scores"]
    return _counts(parts, tuple(record["thresholds"]), int(record["n_features"]))


def _tables(counts: Counts) -> dict[str, pl.DataFrame]:
    levels = np.asarray(counts.thresholds)
    c, f, t = np.nonzero(counts.tp)
    scores = {
        "concept": counts.concepts["concept"].gather(c),
        "feature": f.astype(np.uint32),
        "threshold": levels[t],
        "tp": counts.tp[c, f, t].astype(np.uint32),
        "instance_hits": counts.instance_hits[c, f, t].astype(np.uint32),
    }
    features, t = (part.ravel() for part in np.indices(counts.active.shape))
    active = {
        "feature": features.astype(np.uint32),
        "threshold": levels[t],
        "active": counts.active.ravel().astype(np.uint32),
    }
    concepts = counts.concepts.select("concept", "category", "level", "n_residues", "n_instances")
    return {"scores": pl.DataFrame(scores), "active": pl.DataFrame(active), "concepts": concepts}


def _counts(
    parts: Mapping[str, pl.DataFrame], thresholds: tuple[float, ...], n_features: int
) -> Counts:
    concepts, scores = parts["concepts"], parts["scores"]
    shape = (concepts.height, n_features, len(thresholds))
    c = (
        scores["concept"].replace_strict(
            concepts["concept"], range(concepts.height), return_dtype=pl.UInt32
        )
        if scores.height
        else []
    )
    place = (
        np.asarray(c, np.int64),
        scores["feature"].to_numpy(),
        np.searchsorted(thresholds, scores["threshold"].to_numpy()),
    )
    tp, hits = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    tp[place], hits[place] = scores["tp"].to_numpy(), scores["instance_hits"].to_numpy()
    active = (
        parts["active"]
        .sort("feature", "threshold")["active"]
        .to_numpy()
        .astype(np.int64)
        .reshape(shape[1:])
    )
    return Counts(concepts, thresholds, tp, hits, active)


def _others(
    path: Path, whose: Mapping[str, Any], split: str, convention: str
) -> tuple[list[pl.DataFrame], dict[str, str]]:
    """The rows of a file to keep, and their digests."""
    if not path.exists():
        return [], {}
    table, found = read_parquet(path, str(whose["type"]), VERSION)
    digests = dict(found.pop("digests"))
    if found != dict(whose):
        return [], {}
    digests.pop(f"{split}/{convention}", None)
    return [
        table.filter(~((pl.col("split") == split) & (pl.col("convention") == convention)))
    ], digests


def _digest(counts: Counts) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in (counts.active, counts.tp, counts.instance_hits):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
