"""The logo's windows against a loop over proteins, its settings, its figure for print.

Its colours.
"""

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
import pytest
import traitlets as t
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.features.logos import AMINO_ACIDS, BACKGROUND, UNIFORM, position_weights, windows
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.logo_figure import CHEMISTRY, axis_for, stack
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.sequence_logo import SequenceLogo
from tests.widgets.conftest import HELIX, SILENT

RANDOM = 5
START = {"feature": HELIX, "brush": [], "accessions": [], "accession": ""}


@pytest.fixture(scope="module")
def made(run: Run) -> FeatureData:
    return FeatureData(run, n_proteins=30)


@pytest.fixture
def data(made: FeatureData) -> Iterator[FeatureData]:
    made.selection.update(START)
    yield made
    made.selection.update(START)


def brushed_maxima(data: FeatureData) -> list[tuple[str, int]]:
    """Each protein's first residue with the highest activation within the brush."""
    chosen = data.selection
    low, high = chosen.brush or (0, np.inf)
    found = []
    for protein in unpack(data.bundle)[0]["proteins"]:
        accession = protein["accession"]
        track = data.pages.activations.along(accession, chosen.feature)
        inside = [
            (float(value), -i)
            for i, value in enumerate(track, 1)
            if value > 0 and low <= float(value) <= high
        ]
        if inside and (not chosen.accessions or accession in chosen.accessions):
            found.append((accession, -max(inside)[1]))
    return found


@given(
    st.sampled_from([HELIX, RANDOM, SILENT]),
    st.just([]) | st.tuples(st.floats(0, 1.2), st.floats(0, 1.2)).map(sorted),
    st.integers(0, 50),
)
def test_windows_are_those_around_each_brushed_maximum(
    made: FeatureData, feature: int, brush: list[float], flank: int
) -> None:
    made.selection.update({**START, "feature": feature, "brush": brush})
    logo = SequenceLogo(made, flank=flank)
    assert logo.windows() == windows(made.pages.proteins, brushed_maxima(made), flank)
    assert logo.caption().startswith(f"n = {len(logo.windows()):,} window")


def test_windows_are_of_the_chosen_proteins_alone(data: FeatureData) -> None:
    data.selection.accessions = [
        protein["accession"] for protein in unpack(data.bundle)[0]["proteins"][2:5]
    ]
    logo = SequenceLogo(data)
    assert logo.windows() == windows(data.pages.proteins, brushed_maxima(data), 10)
    assert (
        len(logo.windows()) == 3 and len(unpack(data.bundle)[0]["proteins"]) > 3
    )  # with those that have a structure
    assert logo.caption().startswith(
        "n = 3 windows, one per protein, of 3 shown; aligned on each protein's maximum; "
    )


def test_the_caption_says_what_is_drawn(data: FeatureData) -> None:
    data.selection.update({"feature": RANDOM, "brush": [0.99, 1]})
    n, firing = (
        len(brushed_maxima(data)),
        sum(data.pages.activations.along(a, RANDOM).any() for a in data.pages.proteins.accessions),
    )
    assert SequenceLogo(data, background="uniform").caption() == (
        f"n = {n} windows, one per protein, of 30 shown ({firing} fire); aligned on each "
        "protein's brushed maximum; "
        "background: uniform; small-sample corrected"
    )


def test_an_alignment_in_place_of_windows(data: FeatureData) -> None:
    rows = ["ACD-", "ACE-", "AC-W"]
    logo = SequenceLogo(data, alignment=rows, first=101)
    assert logo.windows() == rows
    assert (
        logo.caption() == "n = 3 aligned sequences; background: Swiss-Prot; small-sample corrected"
    )
    figure = logo.figure()
    assert (
        figure.axes[-1].get_xlim() == (100.5, 104.5)
        and figure.axes[-1].get_xlabel() == "column of the alignment"
    )


def test_a_wide_alignment_takes_several_lines(data: FeatureData) -> None:
    figure = SequenceLogo(data, alignment=["ACDEFGHIKL" * 13] * 30, first=5).figure()
    figure.canvas.draw()
    limits = [axes.get_xlim() for axes in figure.axes]
    assert limits == [(4.5, 48.5), (48.5, 92.5), (92.5, 136.5)]
    assert [len(axes.collections[0].get_paths()) for axes in figure.axes] == [44, 44, 42]


def test_settings_that_are_refused(data: FeatureData) -> None:
    with pytest.raises(
        t.TraitError,
        match=r"aligned rows must have one length, not 2 and 3; pad the shorter ones with '-'",
    ):
        SequenceLogo(data, alignment=["ACD", "AC"])
    with pytest.raises(
        t.TraitError,
        match=r"a logo has 1 to 1,000 columns, not 1,001; pass part of each row, and first= its "
        r"first column",
    ):
        SequenceLogo(data, alignment=["A" * 1001])
    with pytest.raises(t.TraitError, match="a logo has 1 to 1,000 columns, not 0"):
        SequenceLogo(data, alignment=["", ""])
    with pytest.raises(t.TraitError, match="flank"):
        SequenceLogo(data, flank=51)
    with pytest.raises(t.TraitError, match="background"):
        SequenceLogo(data, background="dna")
    with pytest.raises(TypeError, match="SequenceLogo has no setting window"):
        SequenceLogo(data, window=3)


def test_both_halves_share_letters_backgrounds_and_colours(data: FeatureData) -> None:
    tables = SequenceLogo(data).tables
    assert tables["letters"] == AMINO_ACIDS
    assert tables["backgrounds"] == {"swissprot": BACKGROUND.tolist(), "uniform": UNIFORM.tolist()}
    assert sorted("".join(group["letters"] for group in tables["groups"])) == sorted(AMINO_ACIDS)


@pytest.mark.parametrize("enlarged", [False, True])
def test_letters_stand_as_high_as_their_information(data: FeatureData, enlarged: bool) -> None:
    logo = SequenceLogo(data, flank=3, enlarged=enlarged, background="uniform")
    weights = position_weights(logo.windows(), UNIFORM)
    figure = logo.figure()
    figure.canvas.draw()
    axes = figure.axes[0]
    top = axis_for(weights.information, 3 if enlarged else None)
    assert axes.get_ylim() == (0, top) and axes.get_xlim() == (-3.5, 3.5)
    boxes = [path.get_extents() for path in axes.collections[0].get_paths()]
    for column, offset in enumerate(range(-3, 4)):
        heights = [box.height for box in boxes if offset - 0.5 <= box.x0 < offset + 0.5]
        assert len(heights) == (weights.heights[column] > 0).sum()
        assert sum(heights) == pytest.approx(min(weights.information[column], top))
    shortened = weights.information > top
    assert [text.get_text() for text in axes.texts] == [
        f"{bits:.1f} bits" for bits in weights.information[shortened]
    ]


def test_the_axis_has_room_for_all_columns_but_the_one_that_is_cut() -> None:
    assert (
        axis_for(np.array([0.1, 0.2])) == 1
        and axis_for(np.array([2.1, 0])) == 3
        and axis_for(np.array([])) == 1
    )
    assert [axis_for(np.array([x, 5.0]), cut=1) for x in (0.1, 0.3, 0.6, 1.0, 1.2)] == [
        0.25,
        0.5,
        1,
        1,
        2,
    ]


def test_a_stack_has_the_most_frequent_letter_on_top() -> None:
    letters = stack(position_weights(["W"] * 20 + ["D"] * 10 + ["C"] * 10), 0)
    assert [letter for letter, _, _ in letters] == ["D", "C", "W"]
    for (_, base, height), (_, above, _) in pairwise(letters):
        assert above == pytest.approx(base + height)


def test_fewer_than_two_windows_are_said(data: FeatureData) -> None:
    data.selection.feature = SILENT
    figure = SequenceLogo(data).figure()
    figure.canvas.draw()
    assert [text.get_text() for text in figure.axes[0].texts] == ["A logo needs 2 or more windows"]
    assert SequenceLogo(data).caption().startswith("n = 0 windows, one per protein, of 0 shown; ")


# Machado et al. 2009, severity 1.
SEEN = {
    "all colours": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = XYZ @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(("which", "ground"), [(2, "#ffffff"), (3, "#111111")])
def test_colours_differ_for_every_eye_and_from_the_page(which: int, ground: str) -> None:
    colours = [group[which] for group in CHEMISTRY]
    page = XYZ[1] @ linear(ground)
    for colour in colours:
        low, high = sorted([XYZ[1] @ linear(colour), page])
        assert (high + 0.05) / (low + 0.05) >= 3, colour
    for eye, matrix in SEEN.items():
        for one, other in combinations(colours, 2):
            assert np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other))) >= 25, (
                f"{eye}: {one} {other}"
            )
