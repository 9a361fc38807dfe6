"""Paths as a person gives them."""

import argparse
from pathlib import Path


def a_path(text: str) -> Path:
    """A path for argparse; an empty one, as of a variable that is not set, is refused.

    `Path("")` is the current folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty path; give the name of a file or a folder")
    return Path(text)
