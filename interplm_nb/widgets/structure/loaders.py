"""Where views take structures from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from interplm_nb.proteins import Proteins
from interplm_nb.readers.structure_files import StructureFiles
from interplm_nb.readers.structure_list import structures_at_hand

if TYPE_CHECKING:
    from interplm_nb.readers.structures import Structure

Structures = Mapping[str, Callable[[], "Structure"]] | StructureFiles | Path | str | None
"""A function per accession that loads a `Structure`; or `StructureFiles`; or a folder of files
named by accession; None: the embedded ones, and cached models of AlphaFold DB."""


def loaders(structures: Structures, proteins: Proteins) -> "dict[str, Callable[[], Structure]]":
    """A function for each protein that has a structure.

    Nothing is read or downloaded before it is called.
    """
    if isinstance(structures, Mapping):
        return dict(structures)
    if isinstance(structures, Path | str):
        structures = StructureFiles(structures)
    if structures is not None:
        return structures.loaders(proteins)
    return structures_at_hand(proteins)
