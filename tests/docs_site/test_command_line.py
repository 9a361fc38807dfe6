"""docs/command_line.md is what the parser says."""

import argparse

from interplm_nb.cli.main import parser
from scripts import build_command_line as built


def test_the_page_is_current() -> None:
    assert built.PAGE.read_text(encoding="utf-8") == built.page()


def test_every_command_has_its_section_with_every_option() -> None:
    page = built.page()
    found = list(built.commands(parser()))
    assert len(found) > 20
    for command in found:
        section = page.split(f"\n## {command.prog}\n")[1].split("\n## ")[0]
        for action in command._actions:
            if built.shown(action):
                assert all(f"`{option}" in section for option in action.option_strings)


def test_text_of_the_parser_is_no_markup() -> None:
    assert built.prose("a <b> of *c* | [d]\n   e_f") == r"a \<b\> of \*c\* | \[d\] e\_f"
    assert built.cell("a | b") == r"a \| b"


def test_a_value_is_shown_with_its_option() -> None:
    command = argparse.ArgumentParser("it")
    values = command.add_argument("--layer", "-l", metavar="N", help="one of %(choices)s")
    values.choices = ["1", "2"]
    assert built.row(values, command) == "| `--layer N`, `-l N` | one of 1, 2 |"
    place = command.add_argument("place", nargs="?", help="where")
    assert built.row(place, command) == "| `[place]` | where |"
