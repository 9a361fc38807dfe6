"""Views in their own page, with no kernel.

What a person does and sees, and that nothing else happens.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.features.atlas_quality import AtlasQuality
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.page import write_page
from tests.widgets.small_run import make_run, simple_run, write_map

HOSTILE = '<img src=x onerror="window.hurt=1">\' </script><script>window.hurt=1</script>'
RIGHT_TO_LEFT = "\u202eחלבון\u2066 kinase"
LONG = "very long name " * 20


@dataclass
class Shown:
    """Widgets on a page.

    `page` is Playwright's, `select(field=value)` and `selected(field)` reach the selection.
    """

    page: Any

    def _on_selection(self, body: str, argument: Any) -> Any:
        find = "const m = [...window.iplmModels.values()].find(m => 'brush' in m.state);"
        return self.page.evaluate(f"a => {{ {find} {body} }}", argument)

    def selected(self, field: str) -> Any:
        return self._on_selection("return m.get(a);", field)

    def select(self, **fields: Any) -> None:
        self._on_selection("for (const [k, v] of Object.entries(a)) m.set(k, v);", fields)

    def settled(self) -> None:
        """Until two frames have been drawn."""
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => "
            "requestAnimationFrame(() => setTimeout(done, 0))))"
        )


def save(page: Any, name: str) -> None:
    """Choose from the menu of a view, such as "Save Activations as CSV"."""
    page.locator(".iplm-saves").evaluate_all("menus => menus.forEach(m => { m.open = true; })")
    page.get_by_role("button", name=name).first.click()


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    """`show(widget, ..., width=900, height=700, scheme="light")`.

    The widgets on a page; at the end no page error and no request to anywhere.
    """
    pages, wrong = [], []

    def open_page(
        *widgets: Any,
        width: int = 900,
        height: int = 700,
        scheme: str = "light",
        motion: str = "no-preference",
    ) -> Shown:
        path = write_page(widgets, tmp_path / f"page_{len(pages)}.html", "Test")
        page = chromium.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion
        )
        pages.append(page)
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on(
            "console",
            lambda message: (
                wrong.append(f"console: {message.text}") if message.type == "error" else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                wrong.append(f"request: {request.url[:200]}")
                if request.url.startswith(("http", "ws"))
                else None
            ),
        )
        page.goto(path.as_uri())
        page.locator(".iplm-view").first.wait_for()
        return Shown(page)

    yield open_page
    hurt = [page.evaluate("() => window.hurt ?? 0") for page in pages]
    for page in pages:
        page.close()
    assert wrong == []
    assert not any(hurt), "text from data ran as a script"


@pytest.fixture(scope="session")
def demo_data() -> FeatureData:
    """The shipped demo run; tests set its selection to what they need."""
    return FeatureData(Run.shipped())


@pytest.fixture(scope="session")
def hostile_data(tmp_path_factory: pytest.TempPathFactory) -> FeatureData:
    """Names that would break a page that trusts them; sequences of 1 and of 2,000 residues."""
    sequences = [
        "M",
        "MKTAYIAKQR" * 200,
        "MKV",
        "ACDEFGHIKLMNPQRSTVWY" * 5,
        "MSTNPKPQRK",
        "MAAAKKKLLL",
    ]
    names = [HOSTILE, RIGHT_TO_LEFT, LONG, "plain", "plain", "plain"]
    table = pl.DataFrame(
        {"accession": [f"P0000{i}" for i in range(6)], "sequence": sequences, "protein_name": names}
    )
    segments = pl.DataFrame(
        {
            "accession": ["P00001", "P00003", "P00004", "P00005"],
            "concept": [f"Domain_{HOSTILE}"] * 4,
            "category": [HOSTILE] * 4,
            "level": ["instance"] * 4,
            "start": [5, 1, 1, 1],
            "end": [900, 50, 5, 6],
            "instance": [0, 1, 2, 3],
        }
    )  # fmt: skip
    return FeatureData(
        simple_run(tmp_path_factory.mktemp("hostile") / "run", table, segments), structures={}
    )


@pytest.fixture(scope="session")
def ends_data(tmp_path_factory: pytest.TempPathFactory) -> FeatureData:
    """Two features with a map whose clusters recur.

    In 13 of 21 proteins of 40 residues feature 0 has its maximum on residue 1, else on 20, where
    feature 1 always has it.
    """
    proteins = Proteins.from_sequences({f"P000{i:02}": "MKVAC" * 8 for i in range(21)})
    values = np.zeros((21, 40, 2), np.float32)
    values[:13, 0, 0] = values[13:, 19, 0] = values[:, 19, 1] = 1
    segment = {"concept": "Helix", "category": "fold", "level": "instance", "start": 20, "end": 20}
    labels = [{"accession": a, **segment, "instance": i} for i, a in enumerate(proteins.accessions)]
    run = make_run(
        tmp_path_factory.mktemp("ends") / "run",
        proteins,
        Annotations(pl.DataFrame(labels), proteins),
        values.reshape(-1, 2),
    )
    write_map(run, AtlasQuality(recurrence=0.9, kept=0.4, kept_by_chance=0.1))
    return FeatureData(run, structures={})
