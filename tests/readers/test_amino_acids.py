"""Amino acids known without the dictionary of components are those that it says."""

import subprocess
import sys

import biotite.structure as struc
import pytest
from biotite.structure.info import amino_acid_names, one_letter_code

from interplm_nb.readers.amino_acids import letters_of, of_amino_acids

CANONICAL = (
    *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE"),
    *("LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL"),
)


def atoms_of(*names: str) -> struc.AtomArray:
    atoms = struc.AtomArray(len(names))
    atoms.res_name[:] = names
    return atoms


@pytest.mark.parametrize(
    "names",
    [
        CANONICAL,
        (*CANONICAL, "HOH"),
        ("HOH",),
        (),
        (*CANONICAL, "MSE"),
        ("MSE", "HEM", "SEP", "HOH", "DA", "UNK", "SEC", "PYL", "ZN", ""),
    ],
)
def test_amino_acids_are_those_of_the_dictionary(names: tuple[str, ...]) -> None:
    wanted = [name in set(amino_acid_names()) for name in names]
    assert of_amino_acids(atoms_of(*names)).tolist() == wanted


def test_letters_are_those_of_the_dictionary() -> None:
    for name in (*CANONICAL, "MSE", "SEP", "CRO", "SEC", "HEM", "QQQQ"):
        assert letters_of(name) == (one_letter_code(name) or "X"), name
    assert letters_of("MSE") == "M" and len(letters_of("CRO")) == 3


READ = """
from biotite.structure.info.ccd import get_ccd
from interplm_nb.readers import demo
for accession in ("O07621", "P00044"):
    print(len(demo.structure(accession).unmapped), get_ccd.cache_info().currsize)
"""


def test_a_plain_file_does_not_read_the_dictionary() -> None:
    """In its own process, since biotite keeps what it has read; the second file has a haem."""
    done = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["0", "1"]
