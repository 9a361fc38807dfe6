"""Every row of the table of formats: its examples are read, or refused with its words."""

import re
from importlib import import_module

import pytest

from interplm_nb.pipeline.errors import PipelineError
from tests.formats.pages import KINDS, PAGE, page

FORMATS = [f for formats in KINDS.values() for f in formats]
READ = {f"{f.name}: {r.says}": r for f in FORMATS for r in f.read}
REFUSED = {f"{f.name}: {r.says}": r for f in FORMATS for r in f.refused}


@pytest.mark.parametrize("name", READ)
def test_what_the_page_says_is_read(tmp_path, name):
    for i, example in enumerate((READ[name].example, *READ[name].also)):
        (tmp_path / str(i)).mkdir()
        assert example(tmp_path / str(i)) == READ[name].wanted


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_page_says_is_refused_with_its_words(tmp_path, name):
    for i, example in enumerate((REFUSED[name].example, *REFUSED[name].also)):
        (tmp_path / str(i)).mkdir()
        with pytest.raises((ValueError, PipelineError), match=re.escape(REFUSED[name].why)):
            example(tmp_path / str(i))


def test_every_row_reads_or_refuses_and_names_differ():
    assert all(f.read or f.refused for f in FORMATS)
    assert len(READ) + len(REFUSED) == sum(len(f.read) + len(f.refused) for f in FORMATS)


def test_the_page_is_that_of_the_table():
    """`python scripts/build_formats.py` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()
    assert "docs/formats.md" in (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")


def test_functions_of_the_front_door_are_there():
    front = import_module("interplm_nb")
    names = [f.function.removeprefix("ipn.") for f in FORMATS if f.function.startswith("ipn.")]
    assert names and all(hasattr(front, name) for name in names)
