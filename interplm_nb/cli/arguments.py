"""Arguments that several commands take in the same way."""

import argparse

from interplm_nb.cli.numbers import share
from interplm_nb.cli.paths import a_path
from interplm_nb.concepts.calibration import MIN_CONFIDENCE


def add_device(command: argparse.ArgumentParser, when: str = "") -> None:
    """Where torch works; `when` says which use of the command it is for."""
    command.add_argument(
        "--device", default="auto", help=f"{when}auto, cpu, cuda, cuda:1 or mps (default: auto)"
    )


def add_scheduler(command: argparse.ArgumentParser) -> None:
    """Who computes the shards."""
    command.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="compute shards on a Dask cluster: local:N for N processes on this machine, "
        "tcp://HOST:PORT, or a .toml file that describes a queue of jobs (default: in one process)",
    )


def add_strict(command: argparse.ArgumentParser) -> None:
    """Whether a bad record ends reading."""
    command.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first bad record instead of skipping and reporting it",
    )


def add_structures(command: argparse.ArgumentParser) -> None:
    """Where structures come from; `readers.structure_list.structures_in` reads it."""
    command.add_argument(
        "--structures",
        type=a_path,
        metavar="PATH",
        help="folder of files named by accession, or a table with the columns accession and file "
        "(default: the available structures)",
    )


def add_concepts(command: argparse.ArgumentParser, flag: str) -> None:
    """Which concepts, by name; none given: all."""
    command.add_argument(
        flag,
        action="append",
        default=[],
        metavar="NAME",
        help="only this concept; can be repeated",
    )


def add_min_confidence(command: argparse.ArgumentParser, of: str) -> None:
    """The least confidence of what the command lists, such as "a name"."""
    command.add_argument(
        "--min-confidence",
        type=share,
        default=MIN_CONFIDENCE,
        metavar="P",
        help=f"minimum confidence of {of} (default: %(default)s)",
    )
