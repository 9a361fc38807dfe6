"""Where views take structures from.

A mapping, a folder, or what is embedded; embedded ones only of proteins that the run has.
"""

import shutil
from pathlib import Path

import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structure_files import StructureFiles
from interplm_nb.widgets.structure.loaders import loaders


@pytest.fixture(scope="module")
def proteins() -> Proteins:
    return Run.shipped().proteins()


def test_by_default_the_embedded_ones(proteins: Proteins) -> None:
    found = loaders(None, proteins)
    assert set(demo.structures()) & set(proteins.accessions) <= set(found)
    accession = demo.structures()[0]
    assert found[accession]().accession == accession
    few = proteins.select(proteins.accessions[:3])
    assert set(loaders(None, few)) <= set(few.accessions)


def test_an_embedded_one_is_mapped_to_the_sequence_of_the_run(proteins: Proteins) -> None:
    accession = next(a for a in demo.structures() if a in proteins)
    sequence = proteins.sequence(accession)
    mapped = demo.structure(accession)
    assert loaders(None, proteins)[accession]().positions == mapped.positions
    shorter = Proteins.from_sequences({accession: sequence[3:]})  # as of a mature chain
    found = loaders(None, shorter)[accession]()
    moved = {number: position - 3 for number, position in mapped.positions.items() if position > 3}
    assert found.positions == moved
    assert found.is_of(sequence[3:]) and not mapped.is_of(sequence[3:]) and mapped.is_of(sequence)
    with pytest.raises(InputError, match=f"no chain is {accession}"):
        loaders(None, Proteins.from_sequences({accession: "W" * 40}))[accession]()


def test_a_mapping_is_taken_as_it_is(proteins: Proteins) -> None:
    assert loaders({}, proteins) == {}


def test_a_folder_of_files_named_by_accession(proteins: Proteins, tmp_path: Path) -> None:
    accession = demo.structures()[0]
    shutil.copyfile(
        demo.folder() / "structures" / f"{accession}.pdb.gz", tmp_path / f"{accession}.pdb.gz"
    )
    for given in (tmp_path, str(tmp_path), StructureFiles(tmp_path, cache=tmp_path / "none")):
        found = loaders(given, proteins)
        assert accession in found
        assert found[accession]().positions


def test_a_folder_that_is_none(proteins: Proteins, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        loaders(tmp_path / "missing", proteins)
