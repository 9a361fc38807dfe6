"""`interplm-nb verify`: whether a run's files are as its stages left them."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.paths import a_run

_EXAMPLES = """\
examples:
  interplm-nb verify runs/demo               after a copy, a crash or a full disk
  interplm-nb verify s3://lab/runs/demo      the same of a run in a store: all of it is fetched

Every byte of the stages' files is read, regardless of their dates; nothing is written. The exit
status is 1 if a file is missing, changed or unreadable. Notebooks and your own files are not
checked.
"""


def add_verify_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `verify` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands, "verify", "check that a run's files are as its stages left them", _EXAMPLES
    )
    command.add_argument("run", type=a_run, metavar="RUN", help="folder of a run")
    command.set_defaults(do=lambda options: _verify(options, say))


def _verify(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    from interplm_nb.pipeline.run import Run
    from interplm_nb.pipeline.verification import remedy, verify

    folder = options.run
    if isinstance(folder, str):
        from interplm_nb.remote.mirror import opened

        folder = opened(folder, whole=True, progress=sys.stderr.isatty())
    checked = verify(folder)
    faulty = [file for file in checked if file.fault]
    if faulty:
        for file in faulty:
            stage = f"stage {file.stage}" if file.stage else "the run's own record"
            say(f"{file.fault:<15}  {file.name}  ({stage})")
        say(f"{len(faulty)} of {len(checked)} files are not as the stages left them.")
        say(f"To make them again: {remedy(Run(folder), faulty)}")
        return 1
    bare = sum(file.by == "nothing" for file in checked)
    say(f"{options.run}: all {len(checked)} files are as the stages left them.")
    if bare:
        say(f"{bare} of them have no hash and no sum, so that only their form was checked.")
    return 0
