"""What many views need travels, and is saved, once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import ipywidgets
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets import lists
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.kit import Kit
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.view_code import ViewCode
from interplm_nb.widgets.workbench import Workbench, compare

LONG = 10_000
"""Bytes or letters: more than any value that two models may both have."""


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No widget is open before and after; those of other tests, which share a process, stay."""
    monkeypatch.setattr(ipywidgets.widgets.widget, "_instances", {})
    monkeypatch.setattr(ViewCode, "_shared", {})
    monkeypatch.setattr(Kit, "_shared", None)
    monkeypatch.setattr(lists, "_KNOWN", WeakValueDictionary())
    yield
    ipywidgets.Widget.close_all()


LISTS = ("features", "pairs")
"""Those that are long in the shipped run."""


def long_values() -> Counter[tuple[str, str]]:
    """Trait and content of each long value in the saved state of all open widgets."""
    found: Counter[tuple[str, str]] = Counter()
    models: dict[str, Any] = ipywidgets.Widget.get_manager_state()["state"]
    for model in models.values():
        values = {**model["state"], **{b["path"][0]: b["data"] for b in model.get("buffers", [])}}
        found.update((name, str(v)) for name, v in values.items() if len(str(v)) > LONG)
    return found


def test_a_comparison_adds_no_list_and_no_code_of_views_that_are_there() -> None:
    run = Run.shipped()
    bench = Workbench(run)
    before = long_values()
    assert {name for name, _ in before} >= {*LISTS, "_esm", "bundle"}
    both = compare(run, Run.shipped(), "sae", "random_sae")
    added = long_values() - before
    # Of the control; and what both sides have of their own: a bundle, a structure, a store's code.
    assert sorted(name for name, _ in added if name in LISTS) == ["features", "pairs"]
    assert bench.data.lists is both.left.data.lists is not both.right.data.lists
    (code,) = {text for name, text in added if name == "_esm"}
    assert "class Store" in code


def test_lists_are_those_of_the_data() -> None:
    data = FeatureData(Run.shipped(), structures={})
    record, arrays = unpack(data.lists.features)
    assert record["columns"] == data.features.columns
    assert arrays["feature"].tolist() == data.features["feature"].to_list()
    record, arrays = unpack(data.lists.pairs)
    assert [record["concept"][i] for i in arrays["concept"]] == data.concept_pairs[
        "concept"
    ].to_list()
    assert unpack(data.lists.proteins)[0]["accession"] == data.pages.proteins.accessions


def test_closed_models_are_made_again() -> None:
    first = ActivationHistogram(FeatureData(Run.shipped(), structures={}))
    ipywidgets.Widget.close_all()
    again = ActivationHistogram(FeatureData(Run.shipped(), structures={}))
    assert again.code is not first.code and again.code.comm is not None
    assert again.data.lists is not first.data.lists and again.data.lists.comm is not None
    assert ActivationHistogram(again.data).code is again.code


def test_a_page_holds_the_code_of_its_views_alone(tmp_path: Path) -> None:
    view = ActivationHistogram(FeatureData(Run.shipped(), structures={}))
    text = view.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "class Histogram" in text and "class Tracks" not in text
