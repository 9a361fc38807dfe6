"""`interplm-nb slurm`: job scripts for a queue, and the file that describes one."""

import argparse
from collections.abc import Callable
from pathlib import Path
from shlex import split
from typing import Any

from interplm_nb.cli.paths import a_path
from interplm_nb.cli.run import add_run_arguments, requested

_EXAMPLES = """\
examples:
  interplm-nb slurm example > slurm.toml        describe your queue: edit this file
  interplm-nb slurm run demo --out runs/demo --queue slurm.toml > demo.sh
  bash demo.sh                                  submit: begin, an array of workers, finish
  interplm-nb slurm train --queue slurm.toml train.py > train.sh
  sbatch train.sh                               torchrun on several nodes

No Dask is needed. With Dask, and for PBS, LSF, SGE, OAR and HTCondor, the same file goes to
interplm-nb run --scheduler slurm.toml.
"""
_STAGE = "embed"


def add_slurm_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `slurm` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(commands, "slurm", "write job scripts for Slurm", _EXAMPLES)
    parts = command.add_subparsers(required=True, metavar="PART")

    example = add(parts, "example", "print the annotated file that describes a queue")
    example.set_defaults(do=lambda _: _example(say))

    run = add(parts, "run", "write the jobs of a run: begin, an array of workers, finish")
    add_run_arguments(run)
    _add_queue(run)
    run.set_defaults(do=lambda options: _run(options, say))

    train = add(parts, "train", "write the job of a training script under torchrun")
    _add_queue(train)
    train.add_argument("script", type=a_path, metavar="SCRIPT", help="it calls interplm_nb.train")
    train.add_argument("arguments", nargs=argparse.REMAINDER, help="all that follows is SCRIPT's")
    train.set_defaults(do=lambda options: _train(options, say))


def _add_queue(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--queue",
        type=a_path,
        required=True,
        metavar="FILE",
        help="what describes the queue; interplm-nb slurm example prints one",
    )


def _example(say: Callable[[str], None]) -> None:
    from interplm_nb.scale.queue_file import EXAMPLE

    say(EXAMPLE.read_text(encoding="utf-8").rstrip())


def _run(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    from interplm_nb.pipeline.runner import asked
    from interplm_nb.scale.queue_file import QueueFile
    from interplm_nb.scale.slurm_jobs import array_jobs

    request = requested(options)
    asked(request)
    say(array_jobs(QueueFile.read(options.queue), split(request.command()), options.out, _STAGE))


def _train(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    from interplm_nb.scale.queue_file import QueueFile
    from interplm_nb.scale.slurm_jobs import training_job

    if not Path(options.script).is_file():
        raise FileNotFoundError(2, "no such script", str(options.script))
    queue = QueueFile.read(options.queue)
    text = training_job(queue, options.script, options.arguments)
    Path(queue.shared).mkdir(parents=True, exist_ok=True)  # without it sbatch loses the log
    say(text)
