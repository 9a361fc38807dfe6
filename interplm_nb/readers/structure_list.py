"""Structures of many proteins: those available, a folder, or a table of files."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.structure_files import StructureFiles
from interplm_nb.readers.tables import table_rows

if TYPE_CHECKING:
    from interplm_nb.readers.structures import Structure

_NEEDED, _OPTIONAL = ("accession", "file"), ("chain",)


def structures_in(path: Path | None, proteins: Proteins) -> "dict[str, Callable[[], Structure]]":
    """For each protein with a structure in `path`, a function that returns it.

    Residues are aligned to the protein's sequence (`Structure.by_alignment`).

    Parameters
    ----------
    path
        A folder of files that are named by accession (`StructureFiles.own`), or a table (TSV, CSV
        or Parquet) with the columns `accession` and `file`, a path from the table's folder, and if
        the chain matters `chain`. Of several rows of a protein the first is used.
        None: those available (`structures_at_hand`).
    proteins
        The proteins; files of others are ignored.

    Raises
    ------
    InputError
        If there is no such folder or table, or a column is missing.
    """
    from interplm_nb.readers.structures import Structure

    if path is None:
        return structures_at_hand(proteins)
    if path.is_dir():
        files = StructureFiles(path, offline=True)
        here = zip(proteins.accessions, proteins.sequences, strict=True)
        return {a: partial(files.structure, a, s) for a, s in here if files.own_path(a)}
    if not path.exists():
        raise InputError(
            f"there is no folder or table {path}; give a folder of structures that are named by "
            "accession, or a table with the columns accession and file"
        )
    found: dict[str, Callable[[], Structure]] = {}
    for accession, file, chain in listed(path):
        if accession in proteins and accession not in found:
            sequence = proteins.sequence(accession)
            found[accession] = partial(Structure.by_alignment, file, accession, sequence, chain)
    return found


def listed(table: Path) -> Iterator[tuple[str, Path, str | None]]:
    """Accession, file and chain of each row of a table, as `structures_in` takes it."""
    report = ReadReport(table)
    names, rows = table_rows(table, _NEEDED + _OPTIONAL, _NEEDED, report)
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(
            f"{table}: a table of structures needs the columns accession and file (and chain, if "
            f"it matters); {missing[0]!r} is not among {names}"
        )
    folder = table.parent.resolve()
    for line, row in rows:
        file = (folder / row["file"]).resolve()
        if not file.is_relative_to(folder):
            raise InputError(
                f"{table}: line {line} names {row['file'][:80]!r}, which is outside the table's "
                "folder; put the structures next to the table, or below it"
            )
        yield row["accession"], file, row.get("chain") or None


def opened(
    structures: Mapping[str, "Callable[[], Structure]"], proteins: Proteins
) -> "Iterator[tuple[dict[str, Any], Structure | None]]":
    """The structures of these proteins, read one by one, in the order of the axis.

    With each what was read: accession, n_residues, file and chain, or why_not where it cannot be
    read or is of another sequence; there is no structure then.
    """
    given = [a for a in proteins.accessions if a in structures]
    for accession in progress_bar(given, desc="structures", unit=" structures"):
        sequence = proteins.sequence(accession)
        about: dict[str, Any] = {"accession": accession, "n_residues": len(sequence)}
        try:
            structure = structures[accession]()
        except InputError as error:
            yield about | {"why_not": str(error)}, None
            continue
        about |= {"file": structure.name, "chain": structure.chain}
        if structure.is_of(sequence):
            yield about, structure
        else:
            other = f"{structure} is of another sequence than this protein's"
            yield about | {"why_not": f"{other} {len(sequence)} residues"}, None


def structures_at_hand(proteins: Proteins) -> "dict[str, Callable[[], Structure]]":
    """The embedded structures of these proteins, and what was fetched of the others."""
    embedded = {
        a: partial(_embedded, a, proteins.sequence(a)) for a in demo.structures() if a in proteins
    }
    return StructureFiles().loaders(proteins) | embedded


def _embedded(accession: str, sequence: str) -> "Structure":
    """The embedded structure, mapped again by alignment where the sequence is another."""
    from interplm_nb.readers.structures import Structure

    structure = demo.structure(accession)
    if structure.is_of(sequence):
        return structure
    return Structure.by_alignment(
        demo.folder() / "structures" / structure.name, accession, sequence
    )
