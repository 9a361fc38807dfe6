"""A table that is wider than its place shows that it goes on; one that fits shows nothing."""

from typing import Any

import polars as pl
import pytest

from interplm_nb.figures.tables import Table

pytestmark = pytest.mark.browser

SHADED = """() => {
  const [, shade, cover] = document.querySelector("body > div").children;
  const [a, b] = [shade, cover].map(part => part.getBoundingClientRect());
  const place = document.querySelector("body > div").getBoundingClientRect();
  return { width: a.width, atEdge: Math.abs(a.right - place.right) < 1,
    covered: Math.abs(a.left - b.left) < 1 };
}"""


def shaded(page: Any, columns: int) -> dict[str, Any]:
    table = Table(pl.DataFrame({f"column {i}": [1.5] for i in range(columns)}), "a caption")
    page.set_content(f'<body style="width:500px">{table.html()}')
    return page.evaluate(SHADED)


def test_a_shade_lies_at_the_edge_until_the_last_column_is_seen(chromium: Any) -> None:
    page = chromium.new_page()
    try:
        assert shaded(page, 20) == {"width": 20, "atEdge": True, "covered": False}
        page.evaluate("document.querySelector('body > div').scrollLeft = 1e6")
        assert page.evaluate(SHADED) == {"width": 20, "atEdge": True, "covered": True}
        assert shaded(page, 2)["covered"]
    finally:
        page.close()
