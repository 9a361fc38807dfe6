import re
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from interplm_nb.annotations import SCHEMA
from interplm_nb.widgets import assets
from interplm_nb.widgets.colours import BEYOND, PALETTE, SCALE, category_colours, colour, text_on
from interplm_nb.widgets.sequence import sequence_html


def luminance(code: str) -> float:
    """Relative luminance (WCAG 2.2) of an sRGB colour."""
    channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def segments(*rows: tuple[str, str, int, int]) -> pl.DataFrame:
    table = [
        ("P1", concept, category, "instance", start, end, i)
        for i, (concept, category, start, end) in enumerate(rows)
    ]
    return pl.DataFrame(table, schema=SCHEMA, orient="row")


def test_the_scale_darkens_steadily_from_grey_and_ends_where_it_says() -> None:
    steps = [luminance(colour(v)) for v in np.linspace(0, 1, 101)]
    assert all(a > b for a, b in pairwise(steps))
    assert (colour(0.0), colour(1.0), colour(-1.0), colour(7.0)) == (
        SCALE[0],
        SCALE[-1],
        SCALE[0],
        SCALE[-1],
    )


@pytest.mark.parametrize("value", np.linspace(0, 1, 21).tolist())
def test_letters_are_legible_on_every_colour(value: float) -> None:
    light, dark = sorted((luminance(colour(value)), luminance(text_on(value))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3.0  # WCAG AA for large or bold text and graphics


def test_every_residue_is_there_with_its_position_and_value() -> None:
    html = sequence_html("P1", "MKTA" * 40, np.linspace(0, 1, 160), segments())
    titles = re.findall(r'title="P1 ([A-Z])(\d+): ([\d.]+) of maximum"', html)
    assert "".join(t[0] for t in titles) == "MKTA" * 40
    assert [int(t[1]) for t in titles] == list(range(1, 161))
    assert titles[-1][2] == "1.00"


def test_a_window_keeps_the_protein_s_own_positions() -> None:
    html = sequence_html("P1", "MKTAYIAK", np.zeros(8), segments(), window=(-3, 5))
    assert re.findall(r"P1 [A-Z](\d+)", html) == ["1", "2", "3", "4", "5"]


def test_annotations_are_named_and_a_general_concept_yields_to_an_exact_one() -> None:
    html = sequence_html(
        "P1",
        "MKTA",
        np.zeros(4),
        segments(
            ("Domain_any", "Domain", 1, 4), ("Domain_SH3", "Domain", 1, 4), ("Helix", "Helix", 2, 2)
        ),
    )
    assert "P1 M1: 0.00 of maximum · Domain_SH3&quot;" not in html
    assert 'title="P1 M1: 0.00 of maximum · Domain_SH3"' in html
    assert 'title="P1 K2: 0.00 of maximum · Helix; Domain_SH3"' in html


def test_text_from_files_cannot_become_markup() -> None:
    evil = '"><script>alert(1)</script>'
    html = sequence_html(evil, "M", np.zeros(1), segments((f"Domain_{evil}", evil, 1, 1)))
    assert "<script>" not in html and html.count("&lt;script&gt;") >= 2


def test_values_of_another_protein_are_refused() -> None:
    with pytest.raises(ValueError, match="P1: 3 values for 4 residues"):
        sequence_html("P1", "MKTA", np.zeros(3), segments())


def test_categories_get_distinct_colours() -> None:
    found = list(category_colours([f"category {i:02}" for i in range(40)]).values())
    assert found[:30] == list(dict.fromkeys(PALETTE)) == list(PALETTE)
    assert set(found[30:]) == {BEYOND} and BEYOND not in PALETTE
    assert f'"{BEYOND}"' in (assets.sources() / "kit" / "colours.js").read_text(encoding="utf-8")
