"""Formats of lists of structures, and of the labels that structures give."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from interplm_nb.cli.describe import labelled_by_structure
from interplm_nb.proteins import Proteins
from interplm_nb.readers.label_files import read_labels
from interplm_nb.readers.structure_labels import structure_labels
from interplm_nb.readers.structure_list import structures_in
from tests.formats.table import Example, Format, Read, Refused, written
from tests.readers.made_structures import SEQUENCE, mmcif, pdb_lines, residues

PROTEINS = Proteins.from_sequences({"P1": SEQUENCE})
TABLE = "accession\tfile\tchain\nP1\tx.pdb\tA\n"
WHOLE = residues(SEQUENCE)


def _pdb(folder: Path, name: str, chain: list[tuple[str, str]] = WHOLE) -> None:
    written(folder, name, "\n".join([*pdb_lines(chain), "END", ""]))


def _found(path: Path) -> list[tuple[str, int]]:
    """Accession and number of residues mapped, of each structure."""
    return [(a, len(load().positions)) for a, load in structures_in(path, PROTEINS).items()]


def _folder(*names: str) -> Example:
    def example(folder: Path) -> list[tuple[str, int]]:
        for name in names:
            _pdb(folder, name)
        return _found(folder)

    return example


def _table(name: str, content: str) -> Example:
    def example(folder: Path) -> list[tuple[str, int]]:
        _pdb(folder, "x.pdb")
        return _found(written(folder, name, content))

    return example


def _parquet(folder: Path) -> list[tuple[str, int]]:
    _pdb(folder, "x.pdb")
    pl.DataFrame({"accession": ["P1"], "file": ["x.pdb"]}).write_parquet(folder / "map.parquet")
    return _found(folder / "map.parquet")


def _written(name: str, content: str) -> Callable[[Path], list[tuple[str, int, int]]]:
    """Runs of a label that the command writes for one structure, read as a table of labels."""

    def example(folder: Path) -> list[tuple[str, int, int]]:
        (folder / "models").mkdir()
        written(folder / "models", name, content)
        proteins = written(folder, "p.fasta", f">P1\n{SEQUENCE}\n")
        labelled_by_structure(proteins, folder / "models", 0.8, folder / "labels.tsv")
        table = read_labels(folder / "labels.tsv", PROTEINS, strict=True).annotations.table
        coil = table.filter(concept="Secondary structure_Coil")
        return coil.select("concept", "start", "end").rows()

    return example


def _left_out(folder: Path) -> list[str]:
    _pdb(folder, "P1.pdb", WHOLE[:20])
    return structure_labels(PROTEINS, structures_in(folder, PROTEINS)).read["why_not"].to_list()


MANY = [
    Format(
        "list of structures",
        "--structures",
        [
            Read(
                "a folder: names start with the accession, up to `-`, `_` or `.`, after `AF-`",
                _folder("P1.pdb"),
                [("P1", 33)],
                (_folder("AF-P1-F1-model_v6.pdb"), _folder("P1_relaxed.pdb", "other.pdb")),
            ),
            Read(
                "a table (TSV, CSV, Parquet) with `accession`, `file` from the table's folder, and "
                "`chain` if it matters",
                _table("map.tsv", TABLE),
                [("P1", 33)],
                (_table("map.csv", "accession,file\nP1,x.pdb\n"), _parquet),
            ),
            Read(
                "the first of several rows of a protein; rows of other proteins are ignored",
                _table("map.tsv", f"{TABLE}P1\tgone.pdb\tA\nQ9\tgone.pdb\tA\n"),
                [("P1", 33)],
            ),
        ],
        [
            Refused(
                "a column missing",
                "a table of structures needs the columns accession and file",
                _table("map.tsv", "accession\tpath\nP1\tx.pdb\n"),
            ),
            Refused(
                "a file outside the table's folder",
                "which is outside the table's folder",
                _table("map.tsv", TABLE.replace("x.pdb", "../x.pdb")),
                (_table("map.tsv", TABLE.replace("x.pdb", "/x.pdb")),),
            ),
        ],
    ),
    Format(
        "labels that structures give",
        "data structure-labels",
        [
            Read(
                "any of the above; written as a table of labels, a row per run of residues",
                _written("P1.cif", mmcif(WHOLE)),
                [("Secondary structure_Coil", 1, 33)],
            ),
            Read(
                "under 80 % of a protein: not labelled, and named with the reason",
                _left_out,
                ["P1.pdb shows 20 of 33 residues, and 80% are wanted"],
            ),
        ],
    ),
]
