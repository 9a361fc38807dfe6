"""The slides: every guess, answer and picture of a lesson, nothing for the teacher, no network."""

import re
from pathlib import Path

import pytest

from scripts import build_workshop_slides
from scripts.build_workshop import SOURCES, parts

LESSONS = [source for source in SOURCES if source.stem[0] in "1234"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("source", LESSONS, ids=lambda source: source.stem)
def test_slides_have_the_lesson_and_need_no_network(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = build_workshop_slides.page(source)
    shown = re.findall(r'<section(?: class="picture")? id="([\w-]+)"', page)
    known = parts(source)
    assert [n for n in shown if n in {p.name for p in known if p.kind == "prose"}] == [
        p.name for p in known if p.kind == "prose"
    ]
    pictures = [p.name for p in known if p.kind == "code" and "figures." in p.blocks[0]]
    drawn = [p for p in pictures if "import workshop" not in p]
    assert re.findall(r'class="picture" id="([\w-]+)"', page) == [n for n in drawn if n != "setup"]
    assert page.count("Guess before") == sum("**Guess before" in p.text for p in known)
    assert "For the teacher" not in page and "<details" not in page and "Your guess" not in page
    assert not re.search(r'(?:src|<link[^>]*href)="(?!data:)', page)
    assert not re.search(r"@import|url\(", page)
    assert all(re.findall(r'<img alt="([^"]*)"', page)), "pictures are told in words"
