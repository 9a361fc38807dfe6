"""The embedded proteins are what their README says; mapped residues match the sequence."""

import gzip
import io

import numpy as np
import polars as pl
import pytest
from biotite.structure.info import one_letter_code

from interplm_nb.readers import demo
from interplm_nb.readers.structures import Structure, bfactor_pdb

TABLE = pl.read_csv(
    io.BytesIO(gzip.decompress(demo.table_path().read_bytes())),
    separator="\t",
    quote_char=None,
    infer_schema=False,
)
SEQUENCES = dict(TABLE.select("Entry", "Sequence").iter_rows())


def test_size_and_order() -> None:
    assert 1000 <= TABLE.height <= 1500
    assert TABLE["Entry"].is_sorted()
    assert TABLE["Entry"].n_unique() == TABLE.height
    assert (TABLE["Length"].cast(pl.Int64) == TABLE["Sequence"].str.len_chars()).all()


def test_only_proteins_with_structures_are_too_long() -> None:
    long = TABLE.filter(pl.col("Sequence").str.len_chars() > 1022)["Entry"].to_list()
    assert long == ["P41832", "P59594"]
    assert set(long) <= set(demo.structures())


def test_the_readme_counts_right() -> None:
    text = (demo.folder() / "README.md").read_text(encoding="utf-8")
    assert f"{TABLE.height:,} reviewed UniProtKB proteins" in text
    assert f"structures of {len(demo.structures())} of them" in text
    for licence in ("CC BY 4.0", "CC0", "The UniProt Consortium"):
        assert licence in text


@pytest.mark.parametrize("accession", demo.structures())
def test_mapped_residues_are_the_same_amino_acid(accession: str) -> None:
    structure = demo.structure(accession)
    sequence = SEQUENCES[accession]
    mapped = structure.atom_positions > 0
    for name, position in zip(
        structure.atoms.res_name[mapped], structure.atom_positions[mapped], strict=True
    ):
        assert one_letter_code(name) == sequence[position - 1]
    assert len(set(structure.positions.values())) == len(structure.positions), (
        "no position is shown twice"
    )


@pytest.mark.parametrize("accession", demo.structures())
def test_residues_are_mapped_as_anybodys_are(accession: str) -> None:
    shipped = demo.structure(accession)
    path = demo.folder() / "structures" / shipped.name
    found = Structure.by_alignment(path, accession, SEQUENCES[accession])
    assert shipped.positions == found.positions
    assert found.ambiguous == ()


@pytest.mark.parametrize("accession", sorted({*demo.structures()} - {"P00044"}))
def test_authors_numbers_and_positions_keep_their_distance(accession: str) -> None:
    """Nothing is inserted in these chains. P00044's numbers alone have no 0 between -1 and 1."""
    positions = demo.structure(accession).positions
    assert len({position - int(number) for number, position in positions.items()}) == 1


def test_two_lysines_one_of_them_trimethylated_stand_side_by_side() -> None:
    positions = demo.structure("P00045").positions
    assert (positions["81"], positions["82"]) == (82, 83)


def test_a_structure_is_coloured_at_its_positions() -> None:
    structure = demo.structure(
        "P21691"
    )  # numbered otherwise than UniProt, with residues of the construct unmapped
    text = bfactor_pdb(structure, np.linspace(0, 1, len(SEQUENCES["P21691"])))
    shown = {
        line[22:27].strip(): float(line[60:66])
        for line in text.splitlines()
        if line.startswith("ATOM")
    }
    length = len(SEQUENCES["P21691"])
    for number, position in structure.positions.items():
        assert shown[number] == pytest.approx(100 * (position - 1) / (length - 1), abs=0.006)
    assert structure.unmapped and all(shown[number] == -1 for number in structure.unmapped)


def test_an_unknown_structure_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="no embedded structure of 'P99999'; there are 36"):
        demo.structure("P99999")
