"""The exported page: whole in itself, and inert where it holds data."""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.page import page, static_html, write_page
from interplm_nb.widgets.sequence_logo import SequenceLogo
from tests.widgets.small_run import simple_run

HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror='alert(1)'> \" & \u2028"
LOADING = {"src", "href", "srcset", "action", "data", "poster", "background"}


class Parsed(HTMLParser):
    """Elements of a page and the text in each script, as a browser takes them apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data

    def state(self) -> dict[str, Any]:
        return json.loads(
            next(
                text
                for (_, attrs), text in zip(self.elements, self.texts, strict=True)
                if attrs.get("id") == "iplm-state"
            )
        )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FeatureData:
    table = pl.DataFrame(
        {
            "accession": ["A1", "A2", "A3"],
            "sequence": ["MKVLAAGIVG", "MSTNPKPQRK", "MAAAKKKLLL"],
            "protein_name": [HOSTILE] * 3,
        }
    )
    return FeatureData(simple_run(tmp_path_factory.mktemp("page") / "run", table), structures={})


def test_a_page_loads_nothing(data: FeatureData) -> None:
    text = page([ActivationHistogram(data), SequenceLogo(data)], "Views")
    for tag, attrs in Parsed(text).elements:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        assert not LOADING & set(attrs), f"{tag} {attrs}"
    written = re.sub(r'"buffers":\[.*?\]\]', "", text)  # NGL and the run, in base64
    assert set(re.findall(r"\bhttps?://[^\s\"'`<>)]+", written)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\((?!#)|importScripts|XMLHttpRequest", written)


def test_a_page_forbids_itself_the_network_and_every_script_but_its_own(data: FeatureData) -> None:
    text = page([ActivationHistogram(data)], HOSTILE)
    (policy,) = (
        str(attrs["content"])
        for tag, attrs in Parsed(text).elements
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    host = text.rsplit('<script type="module">', 1)[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(host.encode()).digest()).decode()
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"blob: 'sha256-{digest}'"
    assert "connect-src" not in rules and "unsafe-eval" not in policy and "http" not in policy
    assert text.index("Content-Security-Policy") < text.index("<title>")


def test_data_cannot_end_its_script(data: FeatureData) -> None:
    logo = SequenceLogo(data, alignment=["</script><script>x()", "<!--ACDEFGHIKLMNPQRS"])
    parsed = Parsed(page([logo], HOSTILE))
    tags = [tag for tag, _ in parsed.elements]
    assert set(tags) == {"html", "head", "meta", "title", "style", "body", "main", "h1", "script"}
    kinds = [attrs.get("type") for tag, attrs in parsed.elements if tag == "script"]
    assert kinds == ["text/plain"] * 6 + [
        "application/json",
        "module",
    ]  # view, logo, kit, selection, data, lists; the state; the host
    state = parsed.state()
    assert state["models"][logo.model_id]["state"]["alignment"] == logo.alignment
    assert parsed.texts[tags.index("h1")].strip("\n") == HOSTILE


def test_the_state_is_that_of_the_widgets(data: FeatureData) -> None:
    view = ActivationHistogram(data, unit="proteins")
    state = Parsed(page([view], "State")).state()
    models = state["models"]
    assert state["show"] == [view.model_id] and state["selection"] == data.selection.model_id
    parts = (view, view.code, view.kit, data, data.lists, data.selection)
    assert set(models) == {part.model_id for part in parts}
    assert models[view.model_id]["state"]["unit"] == "proteins"
    assert models[view.model_id]["state"]["data"] == f"anywidget:{data.model_id}"
    buffers = {
        tuple(path): base64.b64decode(text) for path, text in models[data.model_id]["buffers"]
    }
    assert (
        buffers["bundle",] == data.bundle
        and unpack(buffers["bundle",])[0]["proteins"][0]["name"] == HOSTILE
    )
    assert models[data.model_id]["state"]["bundle"] is None
    assert not {"_esm", "_css", "layout"} & set(models[view.model_id]["state"])


def test_a_cell_output_is_the_page_in_a_frame_of_its_own(data: FeatureData) -> None:
    view = ActivationHistogram(data)
    frame = Parsed(static_html([view], HOSTILE, height=300)).elements
    assert [tag for tag, _ in frame] == ["iframe"]
    attrs = frame[0][1]
    assert attrs["srcdoc"] == page([view], HOSTILE)
    assert attrs["title"] == HOSTILE
    assert (
        "allow-same-origin" not in str(attrs["sandbox"]).split()
        and "allow-scripts" in str(attrs["sandbox"]).split()
    )
    assert "<script" not in html.escape(str(attrs["srcdoc"]))


def test_a_page_is_written_whole(data: FeatureData, tmp_path: Path) -> None:
    view = ActivationHistogram(data)
    path = write_page([view], tmp_path / "page.html", "Views")
    assert path.read_text(encoding="utf-8") == page([view], "Views")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert view.to_html(tmp_path / "view.html").read_text(encoding="utf-8") == page(
        [view], f"Feature {data.selection.feature}"
    )
