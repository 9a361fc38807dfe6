"""docs/interpretation.md shows the prompts as they are, and names tests and settings that exist."""

import re
from pathlib import Path

import pytest

from interplm_nb.interpret.asking import PROMPTS, Prompt
from interplm_nb.interpret.sampling import Sizes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/interpretation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_is_shown_word_for_word(name: str) -> None:
    text = (ROOT / f"interplm_nb/interpret/prompts/{name}.md").read_text(encoding="utf-8").rstrip()
    shown = "\n".join(f"    {line}" if line else "" for line in text.splitlines())
    assert f"### {name}\n\n{shown}\n" in PAGE


def test_every_prompt_file_is_one_that_is_asked_and_has_a_version() -> None:
    files = (ROOT / "interplm_nb/interpret/prompts").glob("*.md")
    assert sorted(path.stem for path in files) == sorted(PROMPTS)
    for name in PROMPTS:
        prompt = Prompt.load(name)
        assert prompt.version >= 1
        assert prompt.data.get_identifiers()


def test_the_tests_that_it_names_exist() -> None:
    named = re.findall(r"`(test_\w+)`", PAGE)
    written = "\n".join(p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("*.py"))
    assert len(named) == 8
    assert [name for name in named if f"def {name}(" not in written] == []


def test_the_sizes_that_it_states() -> None:
    sizes = Sizes()
    assert f"| up to {sizes.top} |" in PAGE
    assert f"{sizes.top + sizes.per_bin} of both bins, {2 * (sizes.top + sizes.per_bin)}" in PAGE
    assert f"| 0: silent | {sizes.silent} |" in PAGE
    assert f"fewer than {sizes.least} proteins in bins 8 to 10" in PAGE
    assert f"or fewer than {sizes.least // 4} of them in one of the halves" in PAGE
