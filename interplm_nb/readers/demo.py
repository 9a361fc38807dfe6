"""The embedded proteins: a sample of UniProtKB with annotations, and structures of some of them (`interplm_nb/data/demo/README.md`)."""

import gzip
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from interplm_nb.readers.structures import Structure


def folder() -> Path:
    """The folder of the embedded data. The package is installed unpacked, so that this is a real folder."""
    return Path(str(files("interplm_nb"))) / "data" / "demo"


def table_path() -> Path:
    """The proteins and their annotations, a gzipped TSV in UniProt's column names: `uniprot.read_tsv(demo.table_path())`."""
    return folder() / "proteins.tsv.gz"


def structures() -> tuple[str, ...]:
    """Accessions of the embedded proteins that have a structure, sorted."""
    return tuple(sorted(_residue_map()))


def structure(accession: str) -> Structure:
    """The structure of one embedded protein, its residues mapped to UniProt positions."""
    about = _residue_map().get(accession)
    if about is None:
        raise KeyError(
            f"no embedded structure of {accession!r}; there are {len(structures())}: {', '.join(structures())}"
        )
    path = folder() / "structures" / f"{accession}.pdb.gz"
    return Structure.from_map(path, accession, about["chain"], dict(about["residues"]))


@cache
def _residue_map() -> Mapping[str, dict]:
    path = folder() / "structures" / "residue_map.json.gz"
    return MappingProxyType(json.loads(gzip.decompress(path.read_bytes())))
