"""What an exercise of the workshop is, and a question of a quiz."""

from collections.abc import Callable
from dataclasses import dataclass

Number = int | float


@dataclass(frozen=True)
class Exercise:
    """A number to compute, and what to say of wrong ones.

    Parameters
    ----------
    right
        The right number, computed when it is asked for.
    hint
        Said of a wrong number that no slip explains.
    praise
        Said of the right one.
    slips
        Wrong numbers that a known mistake gives, each with its hint.
    share
        Whether the number is a share.
    """

    right: Callable[[], Number]
    hint: str
    praise: str
    slips: tuple[tuple[Callable[[], Number], str], ...] = ()
    share: bool = True


@dataclass(frozen=True)
class Question:
    """The right letter of a question, and where to read again."""

    right: str
    hint: str
