"""`09_gallery`, the one notebook that is committed with outputs, agrees with the shipped run."""

import base64
import io
import re
from typing import Any

import nbformat
import numpy as np
import polars as pl
import pytest
from PIL import Image

from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from scripts.build_gallery import EQUALLY_FAR, NEARLY_GREY, cells, on_any_ground

AGAIN = (
    "the shipped run has changed since the gallery was made: run `python scripts/build_gallery.py`"
)


@pytest.fixture(scope="module")
def notebook() -> Any:
    return nbformat.read(lessons() / "09_gallery.ipynb", as_version=4)


def test_every_word_and_the_run_it_was_made_of_are_those_of_today(notebook: Any) -> None:
    assert [(cell.id, cell.source) for cell in notebook.cells] == [
        (cell.id, cell.source) for cell in cells(Run.shipped())
    ], AGAIN


def test_its_figures_are_the_runs_scores(notebook: Any) -> None:
    """Read from the text, looked up in the counts, without the code that wrote it."""
    run = Run.shipped()
    tables = {split: run.scores("sae", split, "strict").table() for split in ("validation", "test")}
    said = re.compile(
        r"## Feature (\d+): (.+)\n\nF1 ([\d.]+) on validation, "
        r"\*\*([\d.]+) on test\*\* \((\d+) instances, threshold ([\d.]+)\)"
    )
    found = [match.groups() for cell in notebook.cells if (match := said.match(cell.source))]
    assert len(found) == 10
    for feature, concept, validation, test, _, threshold in found:
        pair = (pl.col("feature") == int(feature), pl.col("concept") == concept)
        assert f"{tables['validation'].filter(*pair)['f1_per_domain'].max():.2f}" == validation
        at = tables["test"].filter(*pair, pl.col("threshold") == float(threshold))["f1_per_domain"]
        assert f"{(at.item() if len(at) else None) or 0:.2f}" == test


def test_every_feature_has_its_picture_and_nothing_else_is_stored(notebook: Any) -> None:
    sheets = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id != "setup"]
    assert len(sheets) == 14
    for cell in sheets:
        (output,) = cell.outputs
        assert (
            set(output.data) == {"image/png", "text/plain"}
            and len(base64.b64decode(output.data["image/png"])) > 10_000
        )
        assert (
            cell.source.splitlines()[0].removeprefix("bench.selection.feature = ")
            in output.data["text/plain"]
        )
    assert set(notebook.metadata) == {
        "kernelspec",
        "language_info",
    } and notebook.metadata.language_info == {"name": "python"}
    assert (lessons() / "09_gallery.ipynb").stat().st_size < 3e6


def test_its_pictures_are_legible_on_white_and_on_a_dark_page(notebook: Any) -> None:
    """They have no ground of their own: by WCAG, ink stands out from both, and nothing glares."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            stored = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
            pixels = np.frombuffer(stored.convert("RGBA").tobytes(), np.uint32)
            colours, counts = np.unique(pixels, return_counts=True)
            colours = colours.view(np.uint8).reshape(-1, 4)
            share = counts / counts.sum()
            assert share[colours[:, 3] == 0].sum() > 0.5, "most of a sheet is its ground"
            for ground in (255, 0x11):
                alpha = colours[:, 3:] / 255
                seen = luminance((alpha * colours[:, :3] + (1 - alpha) * ground) / 255)
                own = luminance(np.full(3, ground / 255))
                contrast = (np.maximum(seen, own) + 0.05) / (np.minimum(seen, own) + 0.05)
                assert share[contrast > 4].sum() > 0.005, "letters"
            assert share[seen > 0.5].sum() < 0.01, "no light area on a dark page"


def luminance(colours: np.ndarray) -> np.ndarray:
    """WCAG's relative luminance of sRGB colours, 0 to 1."""
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return light @ [0.2126, 0.7152, 0.0722]


def test_on_white_only_what_was_darker_than_a_middle_grey_is_changed() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (2000, 3))
    colours[:3] = [255, 255, 255], [0, 0, 0], [8, 48, 107]
    ink, opacity = on_any_ground(colours)
    alpha = opacity[:, None] / 255
    over_white = alpha * ink + (1 - alpha) * 255
    bright = luminance(colours / 255) >= EQUALLY_FAR
    np.testing.assert_allclose(over_white[bright], colours[bright], atol=255 * NEARLY_GREY)
    tinted = bright & (np.ptp(colours, axis=1) > 255 * NEARLY_GREY)
    np.testing.assert_allclose(over_white[tinted], colours[tinted], atol=2)
    grey, _ = on_any_ground(np.array([[240, 244, 242]]))
    assert np.ptp(grey) == 0
    np.testing.assert_allclose(luminance(over_white[~bright] / 255), EQUALLY_FAR, atol=0.01)
    assert opacity[0] == 0 and over_white[1].round().tolist() == [121] * 3
    assert np.argmax(over_white[2]) == 2, "a hue stays"
    over_dark = luminance((alpha * ink + (1 - alpha) * 0x11) / 255)
    assert (over_dark[opacity == 255] + 0.05).min() / (luminance(np.full(3, 17 / 255)) + 0.05) > 4


def test_it_says_how_weak_the_model_is(notebook: Any) -> None:
    assert "It is not ESM-2" in notebook.cells[0].source
