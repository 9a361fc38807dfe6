"""Integer counts of concepts against features, and the scores derived from them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from interplm_nb.concepts import stored
from interplm_nb.concepts.measures import Measures, measures

_COUNTED = ("n_residues", "n_instances")
_LIMIT = np.iinfo(np.int32).max


@dataclass(frozen=True)
class ConceptScores:
    """Counts for C concepts, F features and T thresholds on some proteins.

    `count.count` makes them and says what each counts. Counts of disjoint proteins add (`+`), over
    the union of their concepts.

    Parameters
    ----------
    concepts : pl.DataFrame
        concept, category, level, n_residues, n_instances (i64), sorted by concept; row c belongs
        to index c of the arrays.
    thresholds : tuple of float
        Fractions of each feature's maximum.
    tp, instance_hits : np.ndarray
        int32 [C, F, T].
    active : np.ndarray
        int64 [F, T]. False positives are active - tp.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> about = {"concept": "Helix", "category": "Helix", "level": "residue"}
    >>> concepts = pl.DataFrame([about | {"n_residues": 4, "n_instances": 4}])
    >>> tp, active = np.array([[[1], [3]]], np.int32), np.array([[4], [4]])
    >>> scores = ConceptScores(concepts, (0.5,), tp, np.zeros_like(tp), active)
    >>> scores
    ConceptScores(1 concepts, 2 features, thresholds (0.5,))
    >>> (scores + scores).measures(0).f1[:, 0].tolist()
    [0.25, 0.75]
    """

    concepts: pl.DataFrame
    thresholds: tuple[float, ...]
    tp: np.ndarray
    instance_hits: np.ndarray
    active: np.ndarray

    def __post_init__(self) -> None:
        shape = (self.concepts.height, self.n_features, len(self.thresholds))
        for name, array, wanted in (
            ("tp", self.tp, shape),
            ("instance_hits", self.instance_hits, shape),
            ("active", self.active, shape[1:]),
        ):
            if array.shape != wanted:
                raise ValueError(
                    f"{name} has shape {array.shape}; {shape[0]} concepts, {shape[1]} features and "
                    f"{shape[2]} thresholds need {wanted}"
                )

    @property
    def n_concepts(self) -> int:
        """C, the number of concepts."""
        return self.concepts.height

    @property
    def n_features(self) -> int:
        """F, the number of features."""
        return self.active.shape[0]

    @property
    def residue_level(self) -> np.ndarray:
        """bool [C]: recall counts residues."""
        return (self.concepts["level"] == "residue").to_numpy()

    def __repr__(self) -> str:
        what = f"{self.n_concepts:,} concepts, {self.n_features:,} features"
        return f"ConceptScores({what}, thresholds {self.thresholds})"

    def __add__(self, other: "ConceptScores") -> "ConceptScores":
        """The counts over both sets of proteins, which must not share a protein."""
        if (self.thresholds, self.n_features) != (other.thresholds, other.n_features):
            raise ValueError(
                f"cannot add {self} and {other}: features and thresholds must be the same"
            )
        concepts = _union(self.concepts, other.concepts)
        active = self.active + other.active
        if max(active.max(initial=0), concepts["n_instances"].to_numpy().max(initial=0)) > _LIMIT:
            raise OverflowError(
                f"counts are int32, up to {_LIMIT:,}; these proteins have more residues"
            )
        tp, hits = (
            _spread(mine, self.concepts, concepts) + _spread(theirs, other.concepts, concepts)
            for mine, theirs in ((self.tp, other.tp), (self.instance_hits, other.instance_hits))
        )
        return ConceptScores(concepts, self.thresholds, tp, hits, active)

    def only(self, concepts: Collection[str]) -> "ConceptScores":
        """The scores of these concepts."""
        keep = self.concepts["concept"].is_in(list(concepts)).to_numpy()
        return ConceptScores(
            self.concepts.filter(keep),
            self.thresholds,
            self.tp[keep],
            self.instance_hits[keep],
            self.active,
        )

    def measures(self, c: int) -> Measures:
        """Precision, recall and F1 of concept number c: float64 arrays [F, T]."""
        n = self.concepts.row(c, named=True)
        level = np.array(n["level"] == "residue")
        return measures(
            self.tp[c],
            self.active,
            self.instance_hits[c],
            np.array(n["n_residues"]),
            np.array(n["n_instances"]),
            level,
        )

    def table(
        self, concepts: Collection[str] | None = None, features: Collection[int] | None = None
    ) -> pl.DataFrame:
        """One row per concept, feature and threshold with a true positive, sorted by these.

        Columns as in InterPLM's `concept_f1_scores.csv` (concept, feature, threshold,
        precision, recall, recall_per_domain, f1, f1_per_domain, tp, fp, tp_per_domain,
        is_aa_level_concept), then category, level, n_instances, n_residues.
        """
        wanted = (
            np.ones(self.n_concepts, bool)
            if concepts is None
            else self.concepts["concept"].is_in(list(concepts)).to_numpy()
        )
        places = np.flatnonzero(wanted)
        columns = (
            np.arange(self.n_features)
            if features is None
            else np.unique(np.fromiter(features, np.int64))
        )
        i, j, t = np.nonzero(
            self.tp[np.ix_(places, columns)] if features is not None else self.tp[places]
        )
        return self._rows(places[i], columns[j], t)

    def _rows(self, c: np.ndarray, f: np.ndarray, t: np.ndarray) -> pl.DataFrame:
        about = self.concepts[c]
        tp, active, hits = (
            self.tp[c, f, t].astype(np.int64),
            self.active[f, t],
            self.instance_hits[c, f, t].astype(np.int64),
        )
        residue_level = self.residue_level[c]
        m = measures(
            tp,
            active,
            hits,
            about["n_residues"].to_numpy(),
            about["n_instances"].to_numpy(),
            residue_level,
        )
        columns = {
            "concept": about["concept"],
            "feature": f.astype(np.uint32),
            "threshold": np.asarray(self.thresholds)[t],
        }
        columns |= m._asdict() | {
            "tp": tp,
            "fp": active - tp,
            "tp_per_domain": hits,
            "is_aa_level_concept": residue_level,
        }
        return pl.DataFrame(columns).with_columns(
            about.select("category", "level", "n_instances", "n_residues")
        )

    def save(
        self, folder: Path, split: str, convention: str, about: Mapping[str, Any] | None = None
    ) -> None:
        """Write to a source's folder, next to other splits and conventions (see `stored`).

        `about` (PLM, layer, hashes) is added to the files' record; files with another record are
        replaced.
        """
        stored.save(self._counts, folder, split, convention, about or {})

    @classmethod
    def load(cls, folder: Path, split: str, convention: str) -> Self:
        """Read what `save` wrote for one split and convention."""
        return cls(*stored.load(folder, split, convention))

    @property
    def _counts(self) -> stored.Counts:
        return stored.Counts(
            self.concepts, self.thresholds, self.tp, self.instance_hits, self.active
        )


def _union(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    both = pl.concat([a, b])
    several = (
        both.select("concept", "category", "level")
        .unique()
        .filter(pl.col("concept").is_duplicated())
    )
    if several.height:
        raise ValueError(
            f"concept {several['concept'].sort()[0]!r} has another category or level in the other "
            "scores; they cannot be added"
        )
    return both.group_by("concept", "category", "level").agg(pl.col(_COUNTED).sum()).sort("concept")


def _spread(counts: np.ndarray, concepts: pl.DataFrame, onto: pl.DataFrame) -> np.ndarray:
    """Counts at the indices of their concepts in a longer list; 0 elsewhere."""
    if concepts.height == onto.height:
        return counts
    spread = np.zeros((onto.height, *counts.shape[1:]), counts.dtype)
    spread[np.flatnonzero(onto["concept"].is_in(concepts["concept"].to_list()).to_numpy())] = counts
    return spread
