"""The picture of the rooms in ARCHITECTURE.md shows the imports as they are."""

from pathlib import Path
from xml.etree import ElementTree

from scripts import build_architecture_picture as picture

ROOT = Path(__file__).parents[1]


def test_the_picture_is_current() -> None:
    again = f"run python {picture.__name__.replace('.', '/')}.py and look at the picture"
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.drawn(), again


def test_the_picture_is_a_drawing_with_every_room_and_is_shown() -> None:
    root = ElementTree.fromstring(picture.drawn())
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    folders = {path.parent.name for path in (ROOT / "interplm_nb").glob("*/__init__.py")}
    assert {f"{name}/" for name in folders} <= words
    assert "docs/images/architecture.svg" in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
