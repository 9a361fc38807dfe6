"""The glossary: one page, read by the package, shown next to every table and figure that uses
it."""

import re
from pathlib import Path

import polars as pl
import pytest

import interplm_nb
from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.glossary import entries, glossary, words_in
from interplm_nb.figures.tables import Table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def test_every_heading_of_the_page_is_an_entry_once():
    headings = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
    assert [entry.term for entry in entries()] == headings
    names = [name.lower() for entry in entries() for name in (entry.term, *entry.also)]
    assert len(set(names)) == len(names)


def test_every_entry_is_short_and_names_its_source_which_is_there():
    for entry in entries():
        text, _, source = entry.text.partition("Source: ")
        assert 5 <= len(text.split()) <= 75, entry.term
        files = re.findall(r"`([a-z0-9_/]+\.py)`", source)
        assert files and all((ROOT / "interplm_nb" / name).is_file() for name in files), entry.term


def test_a_word_is_found_by_any_of_its_names_and_a_slip_gets_the_nearest():
    assert glossary("fvu").entries == glossary("Variance not explained").entries
    assert repr(interplm_nb.glossary("L0")).startswith("L0: How many features are active")
    assert len(glossary().entries) == len(entries())
    assert glossary("FVU", "fvu").entries == glossary("FVU").entries
    with pytest.raises(KeyError, match="no 'AUPCR' in the glossary; the nearest: AUPRC"):
        glossary("AUPCR")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FVU", ["FVU"]),
        ("the fvu", []),
        ("Domain_any", ["_any"]),
        ("company", []),
        ("q", ["q"]),
        ("equal", []),
        ("95 % over test clusters: from", ["cluster"]),
        ("mean best F1 of the random SAE", ["SAE", "F1", "random SAE"]),
    ],
)
def test_words_are_found_as_words(text, found):
    assert [entry.term for entry in words_in(text).entries] == found


def test_a_table_explains_its_headings_caption_and_texts_in_one_click():
    table = Table(pl.DataFrame({"source": ["random_sae"], "fvu": [0.9]}), "caption", {"fvu": "FVU"})
    shown = table.html()
    folded = shown.partition("</table>")[2]
    assert "</div><details" in folded and folded.count("<summary>") == 1
    assert "Fraction of variance unexplained" in folded and "never trained" in folded
    assert "<details" not in Table(pl.DataFrame({"letter": ["K"], "count": [3]})).html()
    assert "<script" not in Table(pl.DataFrame({"x": ["<script>FVU"]})).html()


def test_a_figure_shows_its_words_below_the_picture(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data))
    figure, (axis,) = panels()
    axis.set_ylabel("mean best F1")
    Chart(figure, "a picture")._ipython_display_()
    picture, words = shown
    assert set(picture) == {"image/png", "text/plain"}
    assert "Harmonic mean of precision and recall" in words.data
    shown.clear()
    Chart(panels()[0], "a picture")._ipython_display_()
    picture, below = shown
    assert set(picture) == {"image/png", "text/plain"}
    assert "<details" not in below.data and '[data-jp-theme-light="false"]' in below.data


def test_what_is_shown_is_escaped_and_has_no_link_that_needs_a_network():
    shown = glossary().html()
    assert "&amp;" in shown and "<a " not in shown and "](" not in shown
