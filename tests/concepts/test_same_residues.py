"""Concepts on the same residues against sets of residues."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.annotations import Annotations
from interplm_nb.concepts import same_residues as module
from interplm_nb.concepts.same_residues import same_residues
from interplm_nb.proteins import Proteins
from tests.concepts.some_labels import NAMES, residues, some_labels


def by_hand(annotations: Annotations, concepts: list[str]) -> dict[str, str]:
    """Take concepts by specificity, and compare each with those kept, residue by residue."""
    sets = {c: residues(annotations, c) for c in concepts if residues(annotations, c)}
    category = dict(annotations.table.select("concept", "category").iter_rows())
    kept: list[str] = []
    goes_by = {}
    for c in sorted(sets, key=lambda c: (c == f"{category[c]}_any", len(sets[c]), c)):
        for other in kept:
            if len(sets[c] & sets[other]) / len(sets[c] | sets[other]) > 0.95:
                goes_by[c] = other
                break
        else:
            kept.append(c)
    return goes_by


@given(some_labels(), st.sets(st.sampled_from(NAMES)))
def test_they_are_those_whose_sets_of_residues_agree(
    annotations: Annotations, asked: set[str]
) -> None:
    assert same_residues(annotations, sorted(asked)) == by_hand(annotations, sorted(asked))


def test_blocks_of_residues_add(monkeypatch: pytest.MonkeyPatch) -> None:
    annotations = labels(("Domain_any", 1, 20), ("Domain_SH3", 1, 20))
    monkeypatch.setattr(module, "_ROWS", 7)
    assert same_residues(annotations, ["Domain_any", "Domain_SH3"]) == {"Domain_any": "Domain_SH3"}


def labels(*segments: tuple[str, int, int]) -> Annotations:
    table = pl.DataFrame(segments, schema=["concept", "start", "end"], orient="row")
    return Annotations(
        table.with_row_index("instance").with_columns(
            accession=pl.lit("P"),
            category=pl.col("concept").str.split("_").list.first(),
            level=pl.lit("instance"),
        ),
        Proteins.from_sequences({"P": "M" * 200}),
    )


@pytest.mark.parametrize(
    ("segments", "wanted"),
    [
        # A note before `any`, though it has more residues; then fewer residues; then the alphabet.
        ([("A_any", 1, 99), ("A_note", 1, 100)], {"A_any": "A_note"}),
        ([("A_x", 1, 100), ("B_x", 1, 99)], {"A_x": "B_x"}),
        ([("B_x", 1, 100), ("A_x", 1, 100)], {"B_x": "A_x"}),
        # 95 of 100 residues are not above 0.95, 96 are.
        ([("A_x", 1, 95), ("B_x", 1, 100)], {}),
        ([("A_x", 1, 96), ("B_x", 1, 100)], {"B_x": "A_x"}),
        # C agrees with B alone, which goes by A: C is not A, and stays.
        ([("A_x", 1, 100), ("B_x", 1, 104), ("C_x", 1, 108)], {"B_x": "A_x"}),
    ],
)
def test_the_most_specific_name_stays(
    segments: list[tuple[str, int, int]], wanted: dict[str, str]
) -> None:
    assert same_residues(labels(*segments), [name for name, *_ in segments]) == wanted


def test_of_nothing_there_is_nothing() -> None:
    assert same_residues(labels(("A_x", 1, 9)), []) == {}
