"""Structure files by accession: from a folder, the PDB or the AlphaFold database (AlphaFold DB).

Downloads are cached, so that a structure seen once needs no network again. A name becomes part of a
path or URL only if it has the form of an accession or an entry.
"""

import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from interplm_nb.proteins import Proteins
from interplm_nb.readers import opening
from interplm_nb.readers.http import Connection
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structure_names import COMPRESSED, SUFFIXES
from interplm_nb.readers.uniprot_rest import ACCESSION
from interplm_nb.saving import atomic_path, read_json, write_json

if TYPE_CHECKING:
    from interplm_nb.readers.structures import Structure

ALPHAFOLD = "https://alphafold.ebi.ac.uk"
PDB = "https://files.rcsb.org"
PDBE = "https://www.ebi.ac.uk/pdbe"
CACHE = Path("~/.cache/interplm-nb/structures")
PDB_ENTRY = re.compile(r"(?:pdb_0000)?([1-9][a-z0-9]{3})|(pdb_[a-z0-9]{8})")
"""Four characters, or `pdb_` and eight, in lower case.

https://www.wwpdb.org/documentation/pdb-id-extension-faq
"""
_FILE = re.compile(
    rf"(.+)(?:{'|'.join(map(re.escape, SUFFIXES))})(?:{'|'.join(map(re.escape, COMPRESSED))})?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class StructureFiles:
    """Your own structure files, and downloads with a cache.

    Examples
    --------
    >>> files = StructureFiles({"P1": Path("mine.pdb")}, offline=True)
    >>> files.has("P1"), files.has("P2")
    (True, False)
    """

    own: Path | str | Mapping[str, Path] | None = None
    """A folder, or a path for each accession.

    In a folder, a file's name starts with its accession, up to `-`, `_` or `.`, after an optional
    `AF-`: `P69905.pdb`, `AF-P69905-F1-model_v4.cif.gz`. Of several, the shortest name is used, then
    the first.
    """
    cache: Path = CACHE
    """Folder of downloads: `alphafold/<ACCESSION>/<file name>`, `pdb/<entry>.cif.gz` and
    `pdb/of/<ACCESSION>.json`, which names the entry of a protein."""
    offline: bool = False
    """Use only files and the cache."""
    refresh: bool = False
    """Download again what is in the cache."""
    alphafold_address: str = ALPHAFOLD
    pdb_address: str = PDB
    pdbe_address: str = PDBE
    connection: Connection = field(default_factory=Connection)
    """Timeout and retries."""

    def structure(
        self, accession: str, sequence: str, entry: str | None = None, chain: str | None = None
    ) -> "Structure":
        """Find the structure of a protein; residues are mapped to positions of `sequence`.

        From the PDB `entry` if given, else from your own file, the cached entry of `best_entry`, or
        AlphaFold DB; `chain` as in `Structure.by_alignment`. Raises `InputError` if there is no
        file, or none of its chains is this protein.
        """
        from interplm_nb.readers.structures import Structure  # biotite: not before one is wanted

        if entry is not None:
            path = self.entry(entry)
        else:
            path = self.cached(accession) or self.model(accession)
        return Structure.by_alignment(path, accession, sequence, chain)

    def cached(self, accession: str, models: bool = True) -> Path | None:
        """The file of a protein that is on this computer: your own, an entry of the PDB that
        `best_entry` has found, or with `models` a model; None without one."""
        found = self.own_path(accession) or self._cached_entry(accession)
        return found or (self._cached_model(accession) if models else None)

    def loaders(self, proteins: Proteins) -> "dict[str, Callable[[], Structure]]":
        """For each protein with a file, your own or cached, a function that returns its structure.

        What views take as `structures`. Nothing is read or downloaded until a function is called.
        `model(accession)` downloads an AlphaFold model into the cache.
        """
        return {
            a: partial(self.structure, a, s)
            for a, s in zip(proteins.accessions, proteins.sequences, strict=True)
            if self.has(a)
        }

    def own_path(self, accession: str) -> Path | None:
        """Your own file of a protein."""
        return self._own_paths.get(accession)

    def has(self, accession: str) -> bool:
        """Whether a protein has your own file or a cached model."""
        return self.cached(accession) is not None

    def model(self, accession: str) -> Path:
        """The file of AlphaFold DB's current model of a UniProt accession.

        The database's answer names the file, so that no version is assumed.
        """
        _check_accession(accession)
        cached = self._cached_model(accession)
        if cached is not None and (self.offline or not self.refresh):
            return cached
        what = f"AlphaFold DB's model of {accession}"
        self._stop_offline(what)
        url = _model_url(
            self._get(f"{self.alphafold_address}/api/prediction/{accession}", what),
            accession,
            self.alphafold_address,
        )
        path = self._folder("alphafold") / accession / f"{_file_name(url, accession)}.gz"
        _write(self._get(url, what), path, what)
        if cached is not None and cached != path:
            cached.unlink()
        return path

    def entry(self, entry: str) -> Path:
        """The mmCIF file of a PDB entry, such as 1a3n or pdb_00001a3n."""
        match = PDB_ENTRY.fullmatch(entry.lower())
        if match is None:
            raise InputError(
                f"{entry[:40]!r} is not a PDB entry; wanted four characters, as in 1a3n, or "
                "twelve, as in pdb_00001a3n"
            )
        name = match[1] or match[2]
        path = self._folder("pdb") / f"{name}.cif.gz"
        if not path.exists() or (self.refresh and not self.offline):
            what = f"PDB entry {name}"
            self._stop_offline(what)
            _write(self._get(f"{self.pdb_address}/download/{name}.cif", what), path, what)
        return path

    def best_entry(self, accession: str) -> Path:
        """The mmCIF file of the PDB entry that shows most of a UniProt accession, at the best
        resolution.

        The first of the list that PDBe makes from SIFTS:
        https://www.ebi.ac.uk/pdbe/api/doc/sifts.html (best_structures).
        """
        _check_accession(accession)
        path = self._cached_entry(accession)
        if path is not None and (self.offline or not self.refresh):
            return path
        what = f"PDBe's list of PDB entries of {accession}"
        self._stop_offline(what)
        answer = self._get(f"{self.pdbe_address}/api/mappings/best_structures/{accession}", what)
        entry = _first_entry(answer, accession)
        path = self.entry(entry)
        write_json({"type": "EntryOf", "version": 1, "entry": entry}, self._record(accession))
        return path

    def _record(self, accession: str) -> Path:
        return self._folder("pdb") / "of" / f"{accession}.json"

    def _cached_entry(self, accession: str) -> Path | None:
        if ACCESSION.fullmatch(accession) is None or not self._record(accession).is_file():
            return None
        entry = read_json(self._record(accession), "EntryOf", 1)["entry"]
        path = self._folder("pdb") / f"{entry}.cif.gz"
        return path if path.is_file() else None

    @cached_property
    def _own_paths(self) -> dict[str, Path]:
        if self.own is None or isinstance(self.own, Mapping):
            return dict(self.own or {})
        folder = Path(self.own)
        if not folder.is_dir():
            raise InputError(
                f"{self.own} is not a folder; give the folder of the structure files, or a path "
                "for each accession"
            )
        found: dict[str, Path] = {}
        for path in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
            match = _FILE.fullmatch(path.name)
            if match:
                for accession in _beginnings(match[1].removeprefix("AF-")):
                    found.setdefault(accession, path)
        return found

    def _folder(self, kind: str) -> Path:
        return self.cache.expanduser() / kind

    def _cached_model(self, accession: str) -> Path | None:
        if ACCESSION.fullmatch(accession) is None:
            return None
        return min((self._folder("alphafold") / accession).glob("*.cif.gz"), default=None)

    def _stop_offline(self, what: str) -> None:
        if self.offline:
            raise InputError(
                f"{what}: not in the cache {self.cache}, and offline; download it once with a "
                "network (offline=False), or give your own file"
            )

    def _get(self, url: str, what: str) -> str:
        try:
            return self.connection.get(url).text
        except InputError as error:
            raise InputError(f"{what}: {str(error).rstrip('.')}; or give your own file") from error


def _beginnings(name: str) -> list[str]:
    """Possible accessions in a file name: its start up to each separator."""
    return [name[: match.start()] for match in re.finditer(r"[-_.]|$", name) if match.start()]


def _check_accession(accession: str) -> None:
    if ACCESSION.fullmatch(accession) is None:
        raise InputError(
            f"{accession[:40]!r} is not a UniProt accession, such as P69905 or A0A023GRW4; "
            "give your own file of the protein"
        )


def _first_entry(answer: str, accession: str) -> str:
    """The PDB entry that PDBe's list names first."""
    try:
        entry = str(json.loads(answer)[accession][0]["pdb_id"]).lower()
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        entry = ""
    match = PDB_ENTRY.fullmatch(entry)
    if match is None:
        raise InputError(
            f"PDBe's answer about {accession} names no PDB entry: {answer[:80]!r}; give your own "
            "file"
        )
    return match[1] or match[2]


def _model_url(answer: str, accession: str, address: str) -> str:
    """URL of the mmCIF file, from the database's list of models."""
    try:
        url = next(
            model["cifUrl"]
            for model in json.loads(answer)
            if model["uniprotAccession"] == accession
        )
    except (ValueError, KeyError, TypeError, StopIteration, RecursionError):
        raise InputError(
            f"AlphaFold DB's answer about {accession} names no mmCIF file: {answer[:80]!r}; give "
            "your own file"
        ) from None
    if not isinstance(url, str) or not url.startswith(f"{address}/"):
        raise InputError(
            f"AlphaFold DB names {str(url)[:80]} as the model of {accession}, which is another "
            f"server than {address}; not followed"
        )
    return url


def _file_name(url: str, accession: str) -> str:
    """The file name in the URL, with its version; `AF-<accession>.cif` if that is not safe."""
    name = url.rpartition("/")[2]
    return (
        name
        if re.fullmatch(rf"AF-{accession}-[A-Za-z0-9_-]+\.cif", name)
        else f"AF-{accession}.cif"
    )


def _write(text: str, path: Path, what: str) -> None:
    if len(text) > opening.LARGEST_TEXT:
        raise InputError(
            f"{what} has {len(text):,} characters, more than the limit of "
            f"{opening.LARGEST_TEXT:,}; give your own file of one chain"
        )
    if not text.startswith("data_"):
        raise InputError(
            f"{what}: the answer starts with {text[:40]!r}; wanted an mmCIF file, which starts "
            "with 'data_'; try again later"
        )
    with atomic_path(path) as draft:
        draft.write_bytes(gzip.compress(text.encode("utf-8"), 6, mtime=0))
