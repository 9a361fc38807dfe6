"""A first visit to the workbench: search "zinc finger", select a feature, see it on a structure.

The film of the README is shot along this path (`build_screenshots.py first_visit`), and a browser
test checks what each step shows. A step is a generator: it gives the place of the pointer whenever
there is something to see.
"""

from collections.abc import Iterator
from typing import Any

SEARCH, THRESHOLD = "zinc finger", "0.2"
PROTEIN = "P08067"
"""The Rieske protein of yeast. No structure of a zinc finger comes with the package; on this one
the feature is strongest on a cysteine that holds the iron-sulfur cluster."""
SCROLLS = 12
TURNS = 12
"""Moments of a turn of the structure."""

Place = tuple[float, float, bool]
"""x and y of the pointer, and whether its button is down."""


def arrive(page: Any) -> Iterator[Place]:
    """The workbench as it opens."""
    page.locator(".iplm-structure .iplm-say").filter(has_text="residues").wait_for()
    yield (*middle(page.locator(".iplm-histogram canvas").first), False)


def search(page: Any) -> Iterator[Place]:
    """Write into the table's search."""
    field = page.get_by_role("searchbox")
    yield (*middle(field), False)
    field.click()
    for letter in SEARCH:
        page.keyboard.type(letter)
        yield (*middle(field), False)


def select(page: Any) -> Iterator[Place]:
    """Click the first feature of the list, and wait for its proteins and its structure."""
    row = page.locator(".iplm-features tbody tr[data-feature]").first
    yield (*middle(row), False)
    row.click()
    feature = row.get_attribute("data-feature")
    for kind in ("histogram", "structure"):
        page.locator(f".iplm-{kind} .iplm-sub").filter(has_text=f"feature {feature}").wait_for()
    page.locator(".iplm-structure .iplm-say").filter(has_text="residues").wait_for()
    yield (*middle(row), True)


def choose(page: Any) -> Iterator[Place]:
    """Scroll the tracks to a protein, and choose the residue of its maximum."""
    box = page.locator(".iplm-tracks canvas").first.bounding_box()
    label = page.locator(".iplm-tracks .iplm-tip")
    x, height = box["x"] + 40, int(box["height"])
    for _ in range(SCROLLS):
        for y in (box["y"] + below for below in range(34, height - 40, 10)):
            page.mouse.move(x, y)
            if label.is_visible() and PROTEIN in label.inner_text():
                yield (x, y, False)
                page.mouse.click(x, y)
                page.keyboard.press("Enter")
                structure = page.locator(".iplm-structure")
                structure.locator(".iplm-sub").filter(has_text=PROTEIN).wait_for()
                structure.locator(".iplm-say").filter(has_text="residues").wait_for()
                yield (x, y, True)
                return
        page.mouse.wheel(0, 60)
        yield (x, box["y"] + height / 2, False)
    raise LookupError(f"{PROTEIN} is not among the tracks")


def lower(page: Any) -> Iterator[Place]:
    """Lower the threshold from which side chains are drawn."""
    field = page.locator(".iplm-structure input").first
    yield (*middle(field), False)
    field.click(click_count=3)
    page.keyboard.type(THRESHOLD)
    page.keyboard.press("Enter")
    page.locator(".iplm-structure .iplm-say").filter(has_text=f"above {THRESHOLD}").wait_for()
    yield (*middle(field), False)


def turn(page: Any) -> Iterator[Place]:
    """Turn the structure, to see where on it the feature is active."""
    x, y = middle(page.locator(".iplm-structure .iplm-stage"))
    yield (x - 60, y, False)
    page.mouse.move(x - 60, y)
    page.mouse.down()
    for i in range(TURNS):
        page.mouse.move(x - 60 + 10 * (i + 1), y)
        yield (x - 60 + 10 * (i + 1), y, True)
    page.mouse.up()
    yield (x - 60 + 10 * TURNS, y, False)


PATH = (arrive, search, select, choose, lower, turn)


def middle(place: Any) -> tuple[float, float]:
    """Of an element, in the page."""
    box = place.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
