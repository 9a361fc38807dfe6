"""Mutational scans: the measured score of each variant of one protein, from a table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import expanduser, isfile  # unlike Path's, False for a name that is too long
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.proteins import LETTERS
from interplm_nb.readers.delimited import number, spoilt
from interplm_nb.readers.fasta import read_fasta
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.tables import frame_rows, table_rows

AMINO_ACIDS = LETTERS[:20]

_MUTATION = re.compile(r"([A-Z])(-?[0-9]{1,6})([A-Z*])")
_BETWEEN = re.compile(r"[\s,:;/+_]+")
_WILD_TYPE = ("", "WT", "WILDTYPE", "WILD-TYPE", "_WT")


class Mutation(NamedTuple):
    """One residue replaced by another: `Mutation("A", 24, "C")` is A24C.

    >>> str(Mutation("A", 24, "C"))
    'A24C'
    """

    before: str
    position: int
    """From 1, within the wild type's sequence."""
    after: str

    def __str__(self) -> str:
        return f"{self.before}{self.position}{self.after}"


Variant = tuple[Mutation, ...]
"""The mutations of one variant, at different positions, in their order."""


def parse_variant(text: str, wild_type: str, first: int = 1) -> Variant:
    """The mutations in a text such as `A24C` or `A24C,G30V`; () for the wild type.

    Parameters
    ----------
    text
        Mutations with `,` `:` `;` `/` `+` `_` or blanks between them; "WT" or nothing for none.
    wild_type
        The sequence that is mutated.
    first
        The number that the text gives to the first residue of `wild_type`.

    Raises
    ------
    ValueError
        For other text, a position outside the sequence, a letter that is not the wild type's there,
        a new letter that is not one of the 20 amino acids or equals the old one, and two mutations
        at one position.

    Examples
    --------
    >>> parse_variant("K2A:L4V", "MKVL")
    (Mutation(before='K', position=2, after='A'), Mutation(before='L', position=4, after='V'))
    """
    if text.strip().upper() in _WILD_TYPE:
        return ()
    found: dict[int, Mutation] = {}
    for part in _BETWEEN.split(text.strip()):
        match = _MUTATION.fullmatch(part)
        if match is None:
            raise ValueError(
                f"{part!r} is not a substitution; write the old letter, the position and the new "
                "letter, as in A24C"
            )
        wild, position, new = match[1], int(match[2]) - first + 1, match[3]
        if new not in AMINO_ACIDS:
            why = "a stop" if new == "*" else f"the letter {new}"
            raise ValueError(f"{part} has {why}; a variant has the 20 amino acids {AMINO_ACIDS}")
        if not 1 <= position <= len(wild_type):
            raise ValueError(
                f"{part} is outside the wild type, whose residues are {first} to "
                f"{first + len(wild_type) - 1}"
            )
        if wild_type[position - 1] != wild:
            raise ValueError(
                f"{part}: the wild type has {wild_type[position - 1]} at {match[2]}, not {wild}; "
                "is it another sequence, or another number for its first residue?"
            )
        if new == wild:
            raise ValueError(f"{part} changes nothing; leave it out")
        if position in found:
            raise ValueError(f"{text!r} has two mutations at {match[2]}; give a position one")
        found[position] = Mutation(wild, position, new)
    return tuple(found[position] for position in sorted(found))


def mutated(wild_type: str, variant: Sequence[Mutation]) -> str:
    """The variant's sequence.

    >>> mutated("MKVL", parse_variant("K2A", "MKVL"))
    'MAVL'
    """
    letters = list(wild_type)
    for mutation in variant:
        letters[mutation.position - 1] = mutation.after
    return "".join(letters)


@dataclass(frozen=True, eq=False)
class VariantScan:
    """Scores of variants of one protein; a higher score is a fitter protein.

    >>> scan = VariantScan("P1", "MKVL", [parse_variant("K2A", "MKVL")], np.array([-0.5]))
    >>> scan
    VariantScan(P1, 4 residues: 1 variant)
    """

    name: str
    wild_type: str
    variants: Sequence[Variant]
    scores: np.ndarray
    """float64 [n_variants]."""

    def drawn(self, n: int, seed: int = 0) -> "VariantScan":
        """At most `n` of the variants, drawn without replacement, in their order."""
        if n >= len(self.variants):
            return self
        kept = np.sort(np.random.default_rng(seed).choice(len(self.variants), n, replace=False))
        variants = [self.variants[i] for i in kept]
        return VariantScan(self.name, self.wild_type, variants, self.scores[kept])

    def __repr__(self) -> str:
        n = len(self.variants)
        return (
            f"VariantScan({self.name}, {len(self.wild_type):,} residues: {n:,} "
            f"variant{'' if n == 1 else 's'})"
        )


class VariantsRead(NamedTuple):
    """A mutational scan, and what was skipped."""

    scan: VariantScan
    report: ReadReport


def read_variants(
    table: Path | str | pl.DataFrame | Any,
    wild_type: str | Path,
    variant: str = "variant",
    score: str = "score",
    *,
    first: int = 1,
    strict: bool = False,
) -> VariantsRead:
    """Read the variants of one protein and their scores from a table.

    Parameters
    ----------
    table
        TSV, CSV (plain, gzip or zstd) or Parquet, by the file's name; or a polars or pandas
        DataFrame.
    wild_type
        The sequence that is mutated; the path of a FASTA file with it alone; or the name of a
        column that holds it in every row.
    variant
        Column of the variants, each as `parse_variant` reads it. Rows of the wild type itself, of
        stops and of other changes than substitutions are skipped and reported.
    score
        Column of the scores: numbers, higher for a fitter protein. Rows without one are skipped.
    first
        The number that the table gives to the first residue of `wild_type`.
    strict
        Stop at the first invalid row instead of skipping and reporting it.

    Returns
    -------
    VariantsRead
        `scan` and `report`.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or has no valid row.

    Examples
    --------
    >>> table = pl.DataFrame({"variant": ["K2A", "K2*", "V3L,L4A"], "score": [0.1, -3, -1]})
    >>> scan, report = read_variants(table, "MKVL")
    >>> [" ".join(map(str, variant)) for variant in scan.variants], report.counts()
    (['K2A', 'V3L L4A'], {'not a variant of the wild type': 1})
    """
    variant, score, column = (text.strip().lower() for text in (variant, score, str(wild_type)))
    report = ReadReport("the table", strict, what="variants")
    needed = (variant, score)
    if isinstance(table, Path | str):
        report.file = Path(table)
        names, rows = table_rows(Path(table), (*needed, column), needed, report)
    else:
        frame = table if isinstance(table, pl.DataFrame) else pl.DataFrame(table)
        names, rows = frame_rows(frame, (*needed, column), report)
    missing = [one for one in needed if one not in names]
    if missing:
        raise InputError(
            f"{report.file}: wanted a table with the columns {variant} and {score}; {missing} not "
            f"among {names}; name the columns of the variants and of their scores"
        )
    listed = list(rows)
    name, sequence = _wild_type(wild_type, column if column in names else None, listed, report)
    found = _valid(listed, needed, sequence, first, report)
    if not found:
        raise InputError(
            f"{report}\n{report.file}: no row with a variant of the wild type and a score is left"
        )
    report.kept = len(found)
    scores = np.array(list(found.values()), np.float64)
    return VariantsRead(VariantScan(name, sequence, list(found), scores), report)


def _wild_type(
    given: str | Path,
    column: str | None,
    rows: list[tuple[int, dict[str, str]]],
    report: ReadReport,
) -> tuple[str, str]:
    """Name and sequence: from a column, from a FASTA file, or as given."""
    if column is not None:
        held = sorted({row[column] for _, row in rows})
        if len(held) != 1:
            raise InputError(
                f"{report.file}: the column {column} holds {len(held)} wild types; one is needed: "
                "give each protein its own table"
            )
        given = held[0]
    elif isinstance(given, Path) or (set(given) - set(LETTERS) and isfile(expanduser(given))):
        path = Path(given).expanduser()
        proteins, _ = read_fasta(path)
        if len(proteins) != 1:
            raise InputError(
                f"{path}: {len(proteins)} proteins; give a file with the wild type alone"
            )
        return proteins.accessions[0], proteins.sequences[0]
    if not given or set(given) - set(LETTERS):
        raise InputError(
            f"{report.file}: the wild type is {given[:40]!r}, neither a sequence of residues "
            f"({LETTERS}), nor a FASTA file, nor a column of the table; give one of them"
        )
    return "wild type", given


def _valid(
    rows: list[tuple[int, dict[str, str]]],
    columns: tuple[str, str],
    wild_type: str,
    first: int,
    report: ReadReport,
) -> dict[Variant, float]:
    """The score of each variant that can be read."""
    found: dict[Variant, float] = {}
    for line, row in rows:
        text, cell = (row[column] for column in columns)
        value = number(cell)
        damage = spoilt(text) or spoilt(cell)
        try:
            variant = parse_variant(text, wild_type, first)
        except ValueError as error:
            wanted = "a row has substitutions of the wild type"
            report.reject(
                "not a variant of the wild type", text, damage or str(error), wanted, line
            )
            continue
        if not variant:
            report.note("wild type left out", f"line {line}")
        elif np.isnan(value):
            report.reject(
                "score not a number", text, damage or repr(cell), "scores are numbers", line
            )
        elif variant in found:
            detail = f"{found[variant]:g} and {value:g}"
            report.reject("variant with two scores", text, detail, "give a variant one score", line)
        else:
            found[variant] = value
    return found
