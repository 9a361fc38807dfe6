"""Which residues are amino acids, and their letters, by the PDB's dictionary of components.

The dictionary takes a third of a second to read. Most files hold the twenty amino acids of the
genetic code and water alone, which are known without it.
"""

from functools import cache
from typing import Any

import biotite.structure as struc
import numpy as np
from biotite.sequence import ProteinSequence
from biotite.structure.info import one_letter_code

_LETTERS = {
    ProteinSequence.convert_letter_1to3(letter): letter for letter in "ACDEFGHIKLMNPQRSTVWY"
}
_KNOWN = frozenset(_LETTERS) | {"HOH"}


def of_amino_acids(atoms: Any) -> np.ndarray:
    """bool [n_atoms]: which atoms of an AtomArray are of amino acids, modified ones included."""
    if _KNOWN.issuperset(atoms.res_name.tolist()):
        return struc.filter_canonical_amino_acids(atoms)
    return struc.filter_amino_acids(atoms)


@cache
def letters_of(name: str) -> str:
    """The letter of a residue's name, of a modified one its parent's: "MSE" is M.

    Several for a residue that replaces several, as a chromophore does; "X" for an unknown one.
    """
    return _LETTERS.get(name) or one_letter_code(name) or "X"
