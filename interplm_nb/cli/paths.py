"""Paths as a person gives them."""

import argparse
from pathlib import Path

from interplm_nb.remote.address import is_url


def a_path(text: str) -> Path:
    """A path for argparse; an empty one, as of a variable that is not set, is refused.

    `Path("")` is the current folder. The address of an object store is refused.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty path; give the name of a file or a folder")
    if is_url(text):
        raise argparse.ArgumentTypeError(
            f"{text} is in an object store, and a path of this machine is wanted; bring a run here "
            "with: interplm-nb pull URL DIR"
        )
    return Path(text)


def a_run(text: str) -> Path | str:
    """A run for argparse: a path, or as it is the address of a store, which `Run.open` reads."""
    return text if is_url(text) else a_path(text)
