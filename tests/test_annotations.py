from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({"B": "MKTAYIAK", "A": "GGSW", "C": "WW"})


def segments(rows: list[tuple[str, str, int, int, int]]) -> pl.DataFrame:
    """(accession, concept, start, end, instance) rows as a table of segments."""
    columns = [list(c) for c in zip(*rows, strict=True)] if rows else [[], [], [], [], []]
    table = pl.DataFrame(
        dict(zip(["accession", "concept", "start", "end", "instance"], columns, strict=True))
    )
    return table.with_columns(category=pl.lit("Domain"), level=pl.lit("instance"))


@st.composite
def some_segments(draw: st.DrawFn) -> list[tuple[str, str, int, int, int]]:
    rows = []
    for instance in range(draw(st.integers(1, 6))):
        accession = draw(st.sampled_from(PROTEINS.accessions))
        start = draw(st.integers(1, len(PROTEINS.sequence(accession))))
        end = draw(st.integers(start, len(PROTEINS.sequence(accession))))
        rows.append((accession, draw(st.sampled_from(["SH3", "Kinase"])), start, end, instance))
    return rows


@given(some_segments())
def test_residues_mask_and_summary_equal_a_loop(rows: list[tuple[str, str, int, int, int]]) -> None:
    annotations = Annotations(segments(rows), PROTEINS)
    expected = {
        (PROTEINS.rows(accession).start + position - 1, concept, instance)
        for accession, concept, start, end, instance in rows
        for position in range(start, end + 1)
    }
    assert set(annotations.residues().rows()) == expected
    for concept, n_residues, n_instances in (
        annotations.summary().select("concept", "n_residues", "n_instances").rows()
    ):
        on = {row for row, c, _ in expected if c == concept}
        assert set(annotations.mask(concept).nonzero()[0]) == on
        assert (n_residues, n_instances) == (
            len(on),
            len({i for _, c, i in expected if c == concept}),
        )


@given(some_segments())
def test_loading_what_was_saved_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "annotations.parquet"
    annotations = Annotations(segments(rows), PROTEINS)
    annotations.save(path)
    assert Annotations.load(path, PROTEINS).table.equals(annotations.table)


def test_a_disulfide_bond_is_one_instance_of_two_residues() -> None:
    annotations = Annotations(
        segments([("B", "Disulfide bond", 2, 2, 1), ("B", "Disulfide bond", 7, 7, 1)]), PROTEINS
    )
    assert annotations.summary().select("n_instances", "n_residues").row(0) == (1, 2)


def test_a_part_of_the_proteins_has_rows_of_its_own() -> None:
    annotations = Annotations(segments([("A", "SH3", 2, 3, 1), ("B", "SH3", 1, 1, 2)]), PROTEINS)
    assert annotations.of(PROTEINS.select(["A", "C"])).residues()["row"].to_list() == [1, 2]
    assert annotations.only(["Kinase"]).concepts == []


def test_the_fingerprint_is_of_the_segments_in_the_order_of_the_axis() -> None:
    rows = [("A", "SH3", 2, 3, 1), ("B", "SH3", 1, 1, 2)]
    one, other, fewer = (
        Annotations(segments(part), PROTEINS) for part in (rows, rows[::-1], rows[:1])
    )
    assert one.fingerprint == other.fingerprint != fewer.fingerprint
    assert one.fingerprint.startswith("sha256:")


def test_no_annotation_is_no_error() -> None:
    empty = Annotations.empty(PROTEINS)
    assert len(empty) == 0 and empty.residues().is_empty() and empty.summary().is_empty()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("A", "SH3", 3, 5, 1), r"A: segment 3..5 of 'SH3' does not fit in 1..4"),
        (("A", "SH3", 0, 2, 1), r"segment 0..2"),
        (("A", "SH3", 3, 2, 1), r"segment 3..2"),
        (("Z", "SH3", 1, 2, 1), "on unknown proteins, such as 'Z'"),
    ],
)
def test_a_segment_that_does_not_fit_is_refused(
    row: tuple[str, str, int, int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Annotations(segments([row]), PROTEINS)


def test_an_unknown_level_and_a_missing_column_are_refused() -> None:
    table = segments([("A", "SH3", 1, 2, 1)])
    with pytest.raises(ValueError, match="level is one of"):
        Annotations(table.with_columns(level=pl.lit("domain")), PROTEINS)
    with pytest.raises(ValueError, match=r"\['level'\] not among"):
        Annotations(table.drop("level"), PROTEINS)
    with pytest.raises(ValueError, match="more than one category or level"):
        Annotations(pl.concat([table, table.with_columns(level=pl.lit("residue"))]), PROTEINS)


def test_segments_of_other_proteins_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "annotations.parquet"
    Annotations(segments([("A", "SH3", 1, 2, 1)]), PROTEINS).save(path)
    with pytest.raises(ValueError, match="annotates other proteins"):
        Annotations.load(path, PROTEINS.select(["A"]))
