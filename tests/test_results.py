"""README.md, docs/results.md and docs/interpretation.md show the figures of the run that ships."""

import re
from pathlib import Path

import polars as pl
import pytest

from interplm_nb.pipeline.run import Run
from scripts.build_results import BLOCKS, PAGES, filled

SHIPPED = tuple(name for name in BLOCKS if name != "time")
"""Blocks whose tables ship; the times of the stages are those of the whole run."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_the_shipped_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- run: ") == text.count("<!-- end -->") > 1
    assert filled(text, Run.shipped(), SHIPPED) == text


def test_every_block_is_on_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"<!-- run: (\w+) -->", text)) == set(BLOCKS)


def test_the_table_of_sources_is_the_runs() -> None:
    run = Run.shipped()
    table = run.table("concepts", "comparison").filter(convention="strict")
    mean = table.row(by_predicate=pl.col("source") == "sae", named=True)["mean_f1_per_domain"]
    first = BLOCKS["sources"](run).splitlines()[2]
    assert first.startswith(f"| SAE | {mean:.3f} (")
