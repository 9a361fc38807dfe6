"""Your own labels of whole proteins: a class or a number each, from a table."""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins
from interplm_nb.readers.delimited import number, spoilt
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.tables import Rows, frame_rows, table_rows

Kind = Literal["class", "number"]

_MISSING = ("na", "n/a", "nan", "null")
"""How programs write a number that is not known, in lower case."""

_WITH_COMMAS = re.compile(r"[-+]?[0-9][0-9.,]*(?:[eE][-+]?[0-9]+)?")

REST = "none"
"""The class of proteins that were examined and carry none of the others: a negative of each."""


@dataclass(frozen=True, eq=False)
class ProteinLabels:
    """Concepts of the third level, `protein`: statements about a protein as a whole.

    A protein without a row was not examined and counts for nothing. One that was examined and
    carries none of the classes has the class `REST`.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> table = pl.DataFrame({"accession": ["P1", "P2"], "label": ["membrane", "none"]})
    >>> labels = ipn.read_protein_labels(table).labels
    >>> labels
    ProteinLabels('label': 1 class on 2 proteins)
    >>> labels.carries("membrane", ["P2", "P1"]).tolist()
    [False, True]
    """

    name: str
    """Of the column that they came from."""
    kind: Kind
    table: pl.DataFrame
    """accession, label: a string per class (a protein may have several), or a float64."""

    @property
    def accessions(self) -> list[str]:
        """The proteins that were examined, each once, in the order of the table."""
        return self.table["accession"].unique(maintain_order=True).to_list()

    @property
    def classes(self) -> list[str]:
        """The classes but `REST`, the most frequent first; empty for numbers."""
        if self.kind == "number":
            return []
        counts = self.table.filter(pl.col("label") != REST).group_by("label").len()
        return counts.sort("len", "label", descending=[True, False])["label"].to_list()

    def carries(self, label: str, accessions: Collection[str]) -> np.ndarray:
        """bool [n]: whether each protein has the class. KeyError for a class that none has."""
        if label not in self.classes:
            raise KeyError(f"no class {label!r} in {self!r}; it has {', '.join(self.classes[:9])}")
        having = set(self.table.filter(pl.col("label") == label)["accession"])
        return np.array([accession in having for accession in accessions], bool)

    def numbers(self, accessions: Collection[str]) -> np.ndarray:
        """float64 [n]: the number of each protein. KeyError for one without."""
        by_accession = dict(self.table.iter_rows())
        return np.array([by_accession[accession] for accession in accessions], np.float64)

    def __repr__(self) -> str:
        n = len(self.accessions)
        many = len(self.classes)
        what = "numbers" if self.kind == "number" else f"{many} class{'' if many == 1 else 'es'}"
        return f"ProteinLabels({self.name!r}: {what} on {n:,} proteins)"

    @classmethod
    def carrying(
        cls,
        annotations: Annotations,
        concepts: Collection[str],
        among: Collection[str] | None = None,
    ) -> "ProteinLabels":
        """Classes from annotations: the concepts that a protein carries anywhere, else `REST`.

        `among`: the proteins that were examined for them; None: all. KeyError for a concept that
        the annotations lack.

        Examples
        --------
        >>> from interplm_nb.pipeline.run import Run
        >>> annotations = Run.shipped().annotations()
        >>> labels = ProteinLabels.carrying(annotations, ["Signal peptide"])
        >>> labels.classes
        ['Signal peptide']
        """
        missing = [concept for concept in concepts if concept not in annotations.concepts]
        if missing:
            raise KeyError(f"no concept {missing[0]!r} among {len(annotations.concepts)} concepts")
        names = annotations.proteins.accessions if among is None else list(among)
        found = annotations.table.filter(
            pl.col("concept").is_in(list(concepts)), pl.col("accession").is_in(names)
        ).select("accession", pl.col("concept").alias("label"))
        rest = sorted(set(names) - set(found["accession"]), key=names.index)
        others = pl.DataFrame({"accession": rest, "label": [REST] * len(rest)}, found.schema)
        return cls(
            " or ".join(concepts), "class", pl.concat([found.unique(maintain_order=True), others])
        )


class ProteinLabelsRead(NamedTuple):
    """Labels, and what was skipped."""

    labels: ProteinLabels
    report: ReadReport


def read_protein_labels(
    table: Path | str | pl.DataFrame | Any,
    column: str = "label",
    kind: Kind | Literal["auto"] = "auto",
    proteins: Proteins | None = None,
    strict: bool = False,
) -> ProteinLabelsRead:
    """Read one label per row of a table: a class or a number of a whole protein.

    Parameters
    ----------
    table
        TSV, CSV (plain, gzip or zstd) or Parquet, by the file's name; or a polars or pandas
        DataFrame. The column `accession` and the one named `column`; others are ignored and
        reported. Proteins may have several classes, one a row, but only one number.
    column
        Column of the labels.
    kind
        "class", "number", or "auto": numbers, where every label but `NA` and `NaN` is a finite
        number and more than two differ.
    proteins
        Report and skip proteins that are not among these.
    strict
        Stop at the first invalid row instead of skipping and reporting it.

    Returns
    -------
    ProteinLabelsRead
        `labels` and `report`.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or has no valid row.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> table = pl.DataFrame({"accession": ["P1", "P2", "P3", "P3"], "tm": [61.5, 48.0, 55.2, 1]})
    >>> labels, report = ipn.read_protein_labels(table, column="tm")
    >>> labels.kind, report.counts()
    ('number', {'protein with two numbers': 1})
    """
    column = column.strip().lower()
    needed = ("accession", column)
    report = ReadReport("the table", strict)
    if isinstance(table, Path | str):
        report.file = Path(table)
        names, rows = table_rows(Path(table), needed, needed, report)
    else:
        frame = table if isinstance(table, pl.DataFrame) else pl.DataFrame(table)
        names, rows = frame_rows(frame, needed, report)
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(
            f"{report.file}: wanted a table with the columns accession and {column}; {missing} not "
            f"among {names}; rename them, or name the column of the labels"
        )
    for name in names:
        if name and name not in needed:
            report.note("column ignored", name)
    found = _valid(rows, column, proteins, report)
    if not found:
        raise InputError(f"{report}\n{report.file}: no row with an accession and a label is left")
    if kind == "auto":
        _refuse_commas(found, report)
    numeric = _are_numbers(found) if kind == "auto" else kind == "number"
    labels = _numbers(found, report) if numeric else _classes(found, report)
    report.kept = labels["accession"].n_unique()
    return ProteinLabelsRead(
        ProteinLabels(column, "number" if numeric else "class", labels), report
    )


def _valid(
    rows: Rows, column: str, proteins: Proteins | None, report: ReadReport
) -> list[tuple[int, str, str]]:
    """Line, accession and label of each row that has both."""
    found = []
    for line, row in rows:
        accession, label = row["accession"], row[column]
        damage = spoilt(accession) or spoilt(label)
        if not accession or not label:
            empty = "accession" if not accession else column
            report.reject(
                "empty cell",
                accession or f"line {line}",
                f"no {empty}",
                f"give every row an accession and a label ({REST!r} for none of the classes)",
                line,
            )
        elif damage:
            report.reject(
                "spoilt by a spreadsheet",
                accession,
                f"{label!r}: {damage}",
                "take the row from the table as it was before, and format its cells as text",
                line,
            )
        elif proteins is not None and accession not in proteins:
            report.reject(
                "unknown protein",
                accession,
                "not among the proteins",
                "use the accessions of the given proteins",
                line,
            )
        else:
            found.append((line, accession, label))
    return found


def _are_numbers(rows: list[tuple[int, str, str]]) -> bool:
    values = {number(label) for _, _, label in rows if label.lower() not in _MISSING}
    return not any(math.isnan(value) for value in values) and len(values) > 2


def _refuse_commas(rows: list[tuple[int, str, str]], report: ReadReport) -> None:
    """`InputError` if some numbers have a comma: they would become classes."""
    commas = [(line, label) for line, _, label in rows if "," in label]
    if commas and all(
        _WITH_COMMAS.fullmatch(label) or label.lower() in _MISSING for _, _, label in rows
    ):
        line, label = commas[0]
        raise InputError(
            f"{report.file} (line {line}): is {label!r} a number? Write it with a decimal point "
            "and without thousands separators, or say that the labels are classes (kind: class)"
        )


def _numbers(rows: list[tuple[int, str, str]], report: ReadReport) -> pl.DataFrame:
    values: dict[str, float] = {}
    for line, accession, label in rows:
        value = number(label)
        if math.isnan(value):
            report.reject("not a number", accession, f"{label!r}", "labels are numbers", line)
        elif accession in values:
            detail = f"{values[accession]:g} and {value:g}"
            wanted = "give a protein one number"
            report.reject("protein with two numbers", accession, detail, wanted, line)
        else:
            values[accession] = value
    if not values:
        raise InputError(f"{report.file}: no label is a number; read them as classes")
    return pl.DataFrame(
        {"accession": list(values), "label": list(values.values())},
        {"accession": pl.String, "label": pl.Float64},
    )


def _classes(rows: list[tuple[int, str, str]], report: ReadReport) -> pl.DataFrame:
    seen: dict[tuple[str, str], None] = {}
    examined = {accession for _, accession, label in rows if label == REST}
    for line, accession, label in rows:
        if (accession, label) in seen:
            report.note("repeated row", accession, label)
        elif label != REST and accession in examined:
            detail = f"{label} and {REST}"
            wanted = f"{REST} is for proteins without a class"
            report.reject("class and none", accession, detail, wanted, line)
        else:
            seen[accession, label] = None
    return pl.DataFrame(list(seen), {"accession": pl.String, "label": pl.String}, orient="row")
