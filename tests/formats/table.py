"""The shape of the table of formats: what is read, what is refused, an example of each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Example = Callable[[Path], Any]
"""Writes a small file into a folder and reads it; returns what was read."""


@dataclass(frozen=True)
class Read:
    """A variant that is read."""

    says: str
    """For the page."""
    example: Example
    wanted: Any
    """What the example returns."""
    also: tuple[Example, ...] = ()
    """The others that `says` names; they return the same."""


@dataclass(frozen=True)
class Refused:
    """What is refused, with the reason as the message has it."""

    says: str
    why: str
    """Words of the message; the page shows them."""
    example: Example
    also: tuple[Example, ...] = ()
    """The others that `says` names; their message has the same words."""


@dataclass(frozen=True)
class Format:
    """A row of the page."""

    name: str
    function: str
    read: list[Read] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
