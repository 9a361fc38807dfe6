from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.proteins import LETTERS, Proteins, Residue

sequences = st.dictionaries(
    st.text("ABC0123", min_size=1, max_size=6),
    st.text(LETTERS, min_size=1, max_size=12),
    min_size=1,
    max_size=6,
)


@given(sequences)
def test_row_and_residue_are_inverse_and_count_every_residue_once(
    sequences: dict[str, str],
) -> None:
    proteins = Proteins.from_sequences(sequences)
    expected = [
        Residue(accession, i + 1)
        for accession, sequence in sequences.items()
        for i in range(len(sequence))
    ]
    assert [proteins.residue(row) for row in range(proteins.n_residues)] == expected
    assert [proteins.row(residue) for residue in expected] == list(range(len(expected)))
    assert bytes(proteins.letters).decode() == "".join(sequences.values())


@given(sequences)
def test_a_protein_s_rows_hold_its_sequence(sequences: dict[str, str]) -> None:
    proteins = Proteins.from_sequences(sequences)
    for accession, sequence in sequences.items():
        assert bytes(proteins.letters[proteins.rows(accession)]).decode() == sequence


@given(sequences)
def test_loading_what_was_saved_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, sequences: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("run") / "proteins.parquet"
    proteins = Proteins.from_sequences(sequences)
    proteins.save(path)
    loaded = Proteins.load(path)
    assert loaded.table.equals(proteins.table)
    assert loaded.sequence_hash == proteins.sequence_hash


def test_selecting_keeps_the_order_of_the_axis() -> None:
    proteins = Proteins.from_sequences({"A": "MK", "B": "GG", "C": "WWW"})
    assert proteins.select(["C", "A"]).accessions == ["A", "C"]
    assert proteins.rows_of(["C", "A"]).tolist() == [0, 1, 4, 5, 6]
    assert proteins.rows_of([]).dtype == np.int64


def test_long_proteins_are_named_when_left_out() -> None:
    kept, left_out = Proteins.from_sequences({"A": "MKT", "B": "MKTA"}).up_to(3)
    assert (kept.accessions, left_out) == (["A"], ["B"])


def test_the_hash_tells_order_and_boundaries_apart() -> None:
    hashes = {
        Proteins.from_sequences(s).sequence_hash
        for s in (
            {"A": "MK", "B": "GG"},
            {"B": "GG", "A": "MK"},
            {"A": "MKG", "B": "G"},
            {"A": "MK", "C": "GG"},
        )
    }
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"accession": ["A"]}, "need the columns 'accession' and 'sequence'"),
        ({"accession": ["A", "A"], "sequence": ["M", "K"]}, "are repeated, such as 'A'"),
        ({"accession": ["A", None], "sequence": ["M", "K"]}, "no accession"),
        ({"accession": ["A"], "sequence": [""]}, "one or more letters"),
        ({"accession": ["A"], "sequence": ["MK-T"]}, "not 'MK-T'"),
        ({"accession": ["A"], "sequence": ["mkt"]}, "not 'mkt'"),
    ],
)
def test_what_is_no_protein_is_refused(table: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Proteins(pl.DataFrame(table))


def test_a_position_outside_is_refused() -> None:
    proteins = Proteins.from_sequences({"P69905": "MVL"})
    with pytest.raises(ValueError, match="P69905 has positions 1 to 3, not 0"):
        proteins.row(Residue("P69905", 0))
    with pytest.raises(ValueError, match="rows are numbered 0 to 2; got 3"):
        proteins.residue(3)
    with pytest.raises(KeyError, match="no protein 'Q1'"):
        proteins.rows("Q1")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "proteins.parquet"
    pl.DataFrame({"accession": ["A"], "sequence": ["M"]}).write_parquet(path)
    with pytest.raises(ValueError, match="expected Proteins version 1, found no type"):
        Proteins.load(path)
    with pytest.raises(FileNotFoundError, match="run the stage that writes it"):
        Proteins.load(tmp_path / "absent.parquet")
