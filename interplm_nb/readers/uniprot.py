"""UniProt downloads of any format, told by their first line."""

from pathlib import Path
from typing import Unpack

from interplm_nb.readers.concepts import Convention
from interplm_nb.readers.entries import Selection, UniProtRead
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError
from interplm_nb.readers.uniprot_flat import read_uniprot_flat
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv
from interplm_nb.readers.uniprot_xml import read_uniprot_xml


def read_uniprot(
    path: Path | str,
    convention: Convention = "strict",
    strict: bool = False,
    **selection: Unpack[Selection],
) -> UniProtRead:
    """Read a UniProt TSV, flat file or XML, plain or packed, whatever its name; arguments and errors as `read_uniprot_tsv`."""
    with open_text(path) as text:
        # an XML file may be one long line
        first = text.readline(10_000).lstrip()
    if first.startswith("<"):
        return read_uniprot_xml(path, convention, strict, **selection)
    if first.startswith("ID   "):
        return read_uniprot_flat(path, convention, strict, **selection)
    if first.startswith(">"):
        raise InputError(
            f"{path} is FASTA, which holds no annotations; wanted a UniProt TSV, flat file or XML (read_fasta reads the proteins alone)"
        )
    return read_uniprot_tsv(path, convention, strict, **selection)
