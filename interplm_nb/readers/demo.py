"""The embedded proteins: an annotated sample of UniProtKB, with some structures.

See `interplm_nb/data/demo/README.md`.
"""

import gzip
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interplm_nb.readers.structures import Structure


def folder() -> Path:
    """The folder of the embedded data."""
    return Path(str(files("interplm_nb"))) / "data" / "demo"


def table_path() -> Path:
    """The proteins and their annotations, a gzipped TSV with UniProt's columns.

    Examples
    --------
    >>> from interplm_nb.readers.read import read
    >>> len(read(table_path()).proteins)
    1200
    """
    return folder() / "proteins.tsv.gz"


def structures() -> tuple[str, ...]:
    """Accessions of the embedded proteins that have a structure, sorted."""
    return tuple(sorted(_residue_map()))


def structure(accession: str) -> "Structure":
    """The structure of one embedded protein, its residues mapped to UniProt positions."""
    from interplm_nb.readers.structures import Structure

    about = _residue_map().get(accession)
    if about is None:
        raise KeyError(
            f"no embedded structure of {accession!r}; there are {len(structures())}: "
            f"{', '.join(structures())}"
        )
    path = folder() / "structures" / f"{accession}.pdb.gz"
    return Structure.from_map(path, accession, about["chain"], dict(about["residues"]))


@cache
def _residue_map() -> Mapping[str, dict]:
    path = folder() / "structures" / "residue_map.json.gz"
    return MappingProxyType(json.loads(gzip.decompress(path.read_bytes())))
