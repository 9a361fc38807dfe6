"""The selection: what it refuses, and that it survives as a dict and as a link."""

from typing import Any
from unittest.mock import Mock

import pytest
import traitlets as t
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.widgets.selection import FIELDS, Selection

ACCESSIONS = st.text(
    st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1, max_size=12
)
LEVELS = st.floats(0, 10, allow_nan=False)
SELECTIONS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["sae", "random_sae", "neurons"]),
        "feature": st.integers(0, 20_000),
        "accession": ACCESSIONS | st.just(""),
        "position": st.none() | st.integers(1, 40_000),
        "brush": st.just([]) | st.tuples(LEVELS, LEVELS).map(sorted),
        "accessions": st.lists(ACCESSIONS, max_size=4),
        "pinned": st.lists(st.integers(0, 20_000), max_size=4),
        "listed": st.fixed_dictionaries(
            {},
            optional={
                "search": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
                "category": st.sampled_from(["Zinc finger", "Domain"]),
                "least_f1": st.floats(0.01, 1),
                "silent": st.just(True),
                "among": st.lists(st.integers(0, 20_000), min_size=1, max_size=4),
                "why": st.sampled_from(["lasso on the map", "Zinc finger"]),
            },
        ),
    }
)


@given(SELECTIONS)
def test_a_dict_and_a_link_restore_a_selection(fields: dict[str, Any]) -> None:
    selection = Selection.from_dict(fields)
    assert selection.to_dict() == fields
    assert set(fields) == set(FIELDS)
    fragment = selection.fragment()
    assert fragment.isascii() and "#" not in fragment and " " not in fragment
    for text in (fragment, f"#{fragment}"):
        assert Selection.from_fragment(text).to_dict() == fields


def test_a_link_that_the_browser_wrote() -> None:
    written = "#source=sae&feature=12&accession=P0A7B8&brush=0.5,1&accessions=P0A7B8,Q9&position=3"
    found = Selection.from_fragment(written)
    assert (found.feature, found.accession, found.position, found.brush, found.accessions) == (
        12,
        "P0A7B8",
        3,
        [0.5, 1.0],
        ["P0A7B8", "Q9"],
    )
    assert Selection.from_fragment("").to_dict() == Selection().to_dict()


@pytest.mark.parametrize("position", [0, -3])
def test_positions_count_from_one(position: int) -> None:
    with pytest.raises(t.TraitError, match=f"positions start at 1, as in UniProt; got {position}"):
        Selection(position=position)


@pytest.mark.parametrize(
    "brush", [[0.5], [0.8, 0.2], [-0.1, 1], [0, float("inf")], [0, float("nan")], [0, 0.1, 0.2]]
)
def test_a_brush_is_a_range(brush: list[float]) -> None:
    selection = Selection(brush=[0.1, 0.2])
    with pytest.raises(
        t.TraitError, match=r"a brush is \[lo, hi\] with 0 <= lo <= hi, .* or \[\] for all; got \["
    ):
        selection.brush = brush
    assert selection.brush == [0.1, 0.2]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ({"size": 3}, "features are listed by search, category, least_f1, .*, not by size"),
        ({"least_f1": 2}, "least_f1 of listed features is a number from 0 to 1; got 2"),
        ({"search": 7}, "search of listed features is text; got 7"),
        ({"silent": "yes"}, "silent of listed features is True or False; got 'yes'"),
        ({"among": [-1]}, r"among of listed features is a list of features' numbers; got \[-1\]"),
    ],
)
def test_a_list_by_what_cannot_be_is_refused(listed: dict[str, Any], said: str) -> None:
    selection = Selection(listed={"search": "zinc"})
    with pytest.raises(t.TraitError, match=said):
        selection.listed = listed
    assert selection.listed == {"search": "zinc"}


def test_what_says_nothing_is_left_out_of_a_list() -> None:
    listed = {"search": "", "least_f1": 0, "among": [], "silent": False, "category": "Domain"}
    assert Selection(listed=listed).listed == {"category": "Domain"}


def test_a_field_that_there_is_not() -> None:
    with pytest.raises(
        ValueError, match=r"a selection has the fields source, feature, .*, not residue, zoom"
    ):
        Selection.from_dict({"zoom": 3, "residue": 1, "feature": 2})
    with pytest.raises(ValueError, match="not zoom"):
        Selection.from_fragment("feature=2&zoom=3")


def test_a_refused_update_changes_nothing() -> None:
    selection = Selection(feature=3, accession="P1", position=7)
    with pytest.raises(t.TraitError, match="positions start at 1"):
        selection.update({"feature": 5, "accession": "P2", "position": 0})
    assert (selection.feature, selection.accession, selection.position) == (3, "P1", 7)


def test_an_update_is_told_once() -> None:
    selection = Selection()
    seen = []
    selection.observe(
        lambda change: seen.append((selection.accession, selection.position)),
        ["accession", "position"],
    )
    selection.update({"accession": "P1", "position": 4})
    assert seen == [("P1", 4), ("P1", 4)]  # no one sees the new protein with the old position


def test_features_are_those_of_its_data() -> None:
    selection = Selection(feature=900)
    selection.data = Mock(check=Mock(side_effect=t.TraitError("sae has features 0 to 9, not 12")))
    for fields in ({"feature": 12}, {"pinned": [12]}):
        with pytest.raises(t.TraitError, match="sae has features 0 to 9, not 12"):
            selection.update(fields)
    assert (selection.feature, selection.pinned) == (900, [])


def test_the_source_is_that_of_its_data() -> None:
    selection = Selection()
    selection.source = "random_sae"
    selection.data = Mock(pages=Mock(source="random_sae"))
    selection.update({"source": "random_sae", "brush": [0, 1]})
    with pytest.raises(
        t.TraitError,
        match="this selection is of source 'random_sae', not 'sae'; open that one with Workbench",
    ):
        selection.source = "sae"
    assert selection.source == "random_sae"


def test_residues_need_data() -> None:
    with pytest.raises(
        RuntimeError,
        match="this selection has no data; use the selection of a FeatureData or a Workbench",
    ):
        Selection().residues()
