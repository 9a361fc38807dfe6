"""Features that the members of a protein family share, compared with a background."""

import copy
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.by_category import best_of_feature
from interplm_nb.pipeline.model_note import model_note
from interplm_nb.plain_text import plain
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import FIRES, Annotator, above_chance, within_limit
from interplm_nb.questions.background import Background, protein_maxima, stretches
from interplm_nb.readers.alignment import Alignment, FamilyRead
from interplm_nb.readers.report import ReadReport
from interplm_nb.spreadsheet import tsv

COLUMNS: dict[str, Any] = {
    "feature": pl.UInt32,
    "column": pl.Int64,
    "n": pl.Int64,
    "mean": pl.Float64,
}
"""Columns of `Family.columns`."""


@dataclass(frozen=True)
class Family:
    """What the members of a family have in common.

    features: a row per feature that is active in a member or in the background, sorted by q value:
    `concepts.enrich.ENRICHED`, then the concept linked to it best on validation, with its figures
    on test (concept, precision, f1_per_domain; null if no concept is linked).
    columns: columns of `COLUMNS`, for the first features: mean activation over the n members with a
    residue in an alignment column (from 1); gaps and inserts are not counted. Empty if the members
    are not aligned.

    Members are related, not independent samples, so q orders features and is not an error rate
    (`concepts.enrich.enriched`).
    """

    members: Proteins
    alignment: Alignment | None
    activations: FeatureActivations
    features: pl.DataFrame
    columns: pl.DataFrame
    background: Background
    threshold: float
    report: ReadReport
    """Members that were skipped, and why."""
    about: dict[str, Any]

    def __repr__(self) -> str:
        return f"Family({self.caption})"

    @property
    def caption(self) -> str:
        """Sizes, threshold and background, in words."""
        shared = self.features.filter(pl.col("share") >= 0.5).height
        return (
            f"{len(self.members)} members; {shared} features above {self.threshold:g} of their "
            f"maximum in at least half of them; background: {self.background.description}"
        )

    def to_tsv(self) -> str:
        """`features` as TSV: p and q with 4 digits, other numbers with 4 decimals."""
        exact = [
            pl.Series(c, [f"{v:.4g}" for v in self.features[c]], pl.String)
            for c in ("p_count", "q_count", "p_rank", "q_rank")
        ]
        return tsv(self.features.with_columns(exact)).rstrip("\n")

    def to_json(self) -> str:
        """One JSON object.

        Keys: type, version, about, note, name, members, n_columns, left_out, background, features,
        columns.
        """
        name, n_columns = (
            (self.alignment.name, self.alignment.n_columns) if self.alignment else ("", None)
        )
        left_out = [
            {"reason": reason, "n": n, "records": self.report.records(reason)}
            for reason, n in self.report.counts().items()
        ]
        background = {
            "description": self.background.description,
            "n": len(self.background.accessions),
        }
        record = {
            "type": "Family",
            "version": 1,
            "about": self.about,
            "note": model_note(self.about["plm"]),
            "name": name,
        }
        record |= {
            "members": self.members.accessions,
            "n_columns": n_columns,
            "left_out": left_out,
            "background": background,
        }
        record |= {"features": self.features.to_dicts(), "columns": self.columns.to_dicts()}
        return plain(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False))


def family(
    annotator: Annotator,
    members: FamilyRead | Alignment | Proteins,
    background: Background | None = None,
    threshold: float = FIRES,
    top: int = 20,
    progress: bool = False,
) -> Family:
    """Compare a family with a background, by default `stretches` of the run's proteins.

    A feature is active in a protein if its maximum, unit "max", is above `threshold`. `top`: number
    of features whose columns are kept. Members longer than the PLM reads
    (`annotator.max_residues`) are skipped and reported; `InputError` if none is left.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> annotator = ipn.Annotator(ipn.Run.open("runs/demo"))
    >>> members = ipn.Proteins.from_sequences({"a": "MKTAYIAKQRQISFVK", "b": "MKSAYLAKQKQVSFVR"})
    >>> ipn.compare_family(annotator, members).features.columns[:3]
    ['feature', 'members', 'share']
    """
    from interplm_nb.concepts.enrich import enriched

    read = _read(members)
    proteins = within_limit(read.proteins, read.report, annotator.max_residues)
    alignment = read.alignment.select(proteins.accessions) if read.alignment else None
    found = annotator.activations(proteins, progress)
    background = background or stretches(annotator, proteins)
    table = enriched(protein_maxima(found), background.maxima, threshold)
    columns = (
        _columns(found, alignment, table["feature"].head(top).to_list())
        if alignment
        else pl.DataFrame(schema=COLUMNS)
    )
    about = {**annotator.about, "threshold": threshold}
    return Family(
        proteins,
        alignment,
        found,
        _with_names(table, annotator),
        columns,
        background,
        threshold,
        read.report,
        about,
    )


def _read(members: FamilyRead | Alignment | Proteins) -> FamilyRead:
    """The members with a copy of their report, to which more is added."""
    if isinstance(members, FamilyRead):
        return members._replace(report=copy.deepcopy(members.report))
    report = ReadReport("the family")
    return (
        FamilyRead(members, None, report)
        if isinstance(members, Proteins)
        else FamilyRead(members.proteins, members, report)
    )


def _columns(found: FeatureActivations, alignment: Alignment, features: list[int]) -> pl.DataFrame:
    """Mean activation of these features per alignment column; columns of `COLUMNS`."""
    n = alignment.occupancy()
    there = np.flatnonzero(n)
    parts = [pl.DataFrame(schema=COLUMNS)]
    for feature in features:
        rows, values = found.feature(feature)
        sums = np.bincount(
            alignment.columns[rows], weights=values, minlength=alignment.n_columns + 1
        )[1:]
        columns = {
            "feature": feature,
            "column": there + 1,
            "n": n[there],
            "mean": sums[there] / n[there],
        }
        parts.append(
            pl.DataFrame(columns).select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
        )
    return pl.concat(parts)


def _with_names(table: pl.DataFrame, annotator: Annotator) -> pl.DataFrame:
    """The concept of each feature's best pair on validation that is `above_chance`."""
    best = best_of_feature(above_chance(annotator.links.table))
    return table.join(
        best.select("feature", "concept", "precision", "f1_per_domain"),
        on="feature",
        how="left",
        maintain_order="left",
    )
