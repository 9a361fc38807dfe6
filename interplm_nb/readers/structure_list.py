"""Structures of proteins: a folder, or a table that says which file shows which protein."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from interplm_nb.proteins import Proteins
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.structure_files import StructureFiles
from interplm_nb.readers.structures import Structure
from interplm_nb.readers.tables import table_rows

_NEEDED, _OPTIONAL = ("accession", "file"), ("chain",)


def structures_in(path: Path, proteins: Proteins) -> dict[str, Callable[[], Structure]]:
    """For each protein with a structure in `path`, a function that returns it.

    Residues are aligned to the protein's sequence (`Structure.by_alignment`).

    Parameters
    ----------
    path
        A folder of files that are named by accession (`StructureFiles.own`), or a table (TSV, CSV
        or Parquet) with the columns `accession` and `file`, a path from the table's folder, and if
        the chain matters `chain`. Of several rows of a protein the first is used.
    proteins
        The proteins; files of others are ignored.

    Raises
    ------
    InputError
        If there is no such folder or table, or a column is missing.
    """
    if path.is_dir():
        files = StructureFiles(path, offline=True)
        here = zip(proteins.accessions, proteins.sequences, strict=True)
        return {a: partial(files.structure, a, s) for a, s in here if files.own_path(a)}
    report = ReadReport(path)
    names, rows = table_rows(path, _NEEDED + _OPTIONAL, _NEEDED, report)
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(
            f"{path}: a table of structures needs the columns accession and file (and chain, if it "
            f"matters); {missing[0]!r} is not among {names}"
        )
    found: dict[str, Callable[[], Structure]] = {}
    for _, row in rows:
        accession = row["accession"]
        if accession in proteins and accession not in found:
            found[accession] = partial(
                Structure.by_alignment,
                path.parent / row["file"],
                accession,
                proteins.sequence(accession),
                row.get("chain") or None,
            )
    return found
