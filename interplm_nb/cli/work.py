"""`interplm-nb work`: shards of a stage, next to other processes."""

import argparse
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.paths import a_path

_EXAMPLES = """\
examples:
  interplm-nb run demo --out runs/demo --begin embed      the stages before; list the shards
  interplm-nb work runs/demo embed                        as often, and on as many machines, as you
                                                          like; all must see runs/demo
  interplm-nb run demo --out runs/demo                    the rest

The command takes one shard after another that nobody computes, and ends when none is missing. A
process may be stopped or killed at any time, and started again: its shard is taken over.
interplm-nb slurm run writes all of this as jobs.
"""


def add_work_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `work` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(commands, "work", "compute shards of a stage, next to other processes", _EXAMPLES)
    command.add_argument("run", type=a_path, metavar="RUN", help="folder of a run")
    command.add_argument("stage", metavar="STAGE", help="a stage that `run --begin` has begun")
    command.set_defaults(do=lambda options: _work(options, say))


def _work(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    from interplm_nb.pipeline.run import Run
    from interplm_nb.pipeline.shard_work import work

    work(Run.open(options.run), options.stage, say)
