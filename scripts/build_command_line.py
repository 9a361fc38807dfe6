"""Make docs/command_line.md from the parser of `interplm-nb`: every command, argument and option.

    python scripts/build_command_line.py

tests/docs_site/test_command_line.py compares the page with the parser.
"""

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from interplm_nb.cli.main import parser
from interplm_nb.saving import atomic_path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "command_line.md"
TITLE = """# Command line

`interplm-nb COMMAND --help` shows the same. A mistake that you can correct is one sentence and exit
code 2; `--debug` adds the traceback. This page is made from the parser by
`python scripts/build_command_line.py`.
"""
ALWAYS = {"--help", "--debug"}
"""Options of every command."""


def main() -> None:
    with atomic_path(PAGE) as draft:
        draft.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page as Markdown, the same on every terminal."""
    with patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1"}):
        return "\n".join([TITLE, *(section(command) for command in commands(parser()))])


def commands(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands without parts, and the parts of the others, in the parser's order."""
    parts = [a for a in of._actions if isinstance(a, argparse._SubParsersAction)]
    if not parts:
        yield of
    for part in parts:
        for command in part.choices.values():
            yield from commands(command)


def section(command: argparse.ArgumentParser) -> str:
    """Heading, what it does, how it is called, its arguments, its examples."""
    usage = command.format_usage().removeprefix("usage: ").rstrip()
    lines = [f"## {command.prog}", "", prose(command.description or ""), ""]
    lines += ["```text", usage, "```", ""]
    rows = [row(action, command) for action in command._actions if shown(action)]
    if rows:
        lines += ["| argument | meaning |", "| --- | --- |", *rows, ""]
    if command.epilog:
        lines += ["```text", command.epilog.strip("\n"), "```", ""]
    return "\n".join(lines)


def shown(action: argparse.Action) -> bool:
    """Whether an argument has a row: not hidden, and not one of every command."""
    return action.help is not argparse.SUPPRESS and not ALWAYS & set(action.option_strings)


def row(action: argparse.Action, command: argparse.ArgumentParser) -> str:
    """One row of the table: how the argument is written, and its help."""
    formatter = command._get_formatter()
    default = (
        formatter._get_default_metavar_for_optional
        if action.option_strings
        else formatter._get_default_metavar_for_positional
    )
    value = formatter._format_args(action, default(action))
    said = formatter._expand_help(action) if action.help else ""
    written = ", ".join(f"`{f'{name} {value}'.strip()}`" for name in action.option_strings or [""])
    return f"| {cell(written)} | {cell(prose(said))} |"


def prose(text: str) -> str:
    """Text of the parser as Markdown: nothing in it is markup."""
    return re.sub(r"([\\`*_\[\]<>#$])", r"\\\1", " ".join(text.split()))


def cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    main()
