"""`interplm-nb doctor`: what is missing on this machine, one line each, with a way out."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interplm_nb.cli.paths import a_path

_EXAMPLES = """\
examples:
  interplm-nb doctor                     can this machine do all of it, from here?
  interplm-nb doctor --light             only explore finished runs, as in workshops 1 to 4?
  interplm-nb doctor /data/class         look at another folder

Nothing is fetched or changed. The exit status is 1 if something that is needed is missing; a note
is something to know.
"""


def add_doctor_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `doctor` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands, "doctor", "say what is missing on this machine, and the way out", _EXAMPLES
    )
    command.add_argument(
        "folder",
        type=a_path,
        nargs="?",
        default=Path("."),
        metavar="DIR",
        help="where you will work (default: here)",
    )
    command.add_argument(
        "--light",
        action="store_true",
        help="ask only for what a finished run is explored with: no PyTorch, less memory and disk",
    )
    command.set_defaults(do=lambda options: _doctor(options, say))


def _doctor(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    from interplm_nb.cli.machine import findings, this_machine

    folder = options.folder.expanduser().resolve()
    if not folder.is_dir():
        raise FileNotFoundError(2, "no such folder; make it first", str(options.folder))
    found = list(findings(this_machine(folder), options.light))
    for finding in found:
        say(f"{finding.state:<8} {finding.what:<11} {finding.said}")
    missing = [finding.what for finding in found if finding.state == "missing"]
    if missing:
        say(f"Missing: {', '.join(missing)}. The way out is in the line of each.")
        return 1
    say("Nothing that is needed is missing.")
    return 0
