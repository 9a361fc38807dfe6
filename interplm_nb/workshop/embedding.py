"""Lesson 1: vectors of residues, and how alike they are."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from interplm_nb.workshop.exercise import Exercise

FILE = Path(__file__).resolve().parents[1] / "data" / "workshop" / "embeddings.safetensors"
PLM_NAME, LAYER = "unirep-1900", 1
RELATIVES = ("P00044", "P00045")
"""The two cytochromes c of yeast: 109 and 113 residues, aligned without a gap."""
OFFSET = 4
"""Residue i of the first is aligned with residue i + 4 of the second."""
SEQUENCES = (*RELATIVES, "O34594", "P08877")
CHANGED = ("P00044", 50, "P")
"""What `changed` is: this protein with this residue put at this position."""


class Embedded(NamedTuple):
    """Proteins as letters and as vectors, by name."""

    sequences: dict[str, str]
    vectors: dict[str, np.ndarray]
    """float32 [residues, 1900]; under `shuffled/NAME` those of the shuffled model."""


@cache
def embedded() -> Embedded:
    """The vectors that ship: layer 1 of UniRep on a few short proteins.

    Examples
    --------
    >>> embedded().vectors["P00044"].shape
    (109, 1900)
    """
    from safetensors import safe_open

    with safe_open(str(FILE), framework="np") as file:
        about = file.metadata()
        names = list(file.keys())
        vectors = {name: file.get_tensor(name).astype(np.float32) for name in names}
    if (about.get("type"), about.get("version")) != ("WorkshopEmbeddings", "1"):
        raise ValueError(f"{FILE} is not a file of the workshop's embeddings, version 1")
    return Embedded(json.loads(about["sequences"]), vectors)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosine similarity of every row of one with every row of the other.

    Examples
    --------
    >>> cosines(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 3.0]]))
    array([[1., 0.]])
    """
    one, other = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (one, other))
    return one @ other.T


def _of(name: str) -> np.ndarray:
    return embedded().vectors[name]


def _cysteines() -> tuple[np.ndarray, np.ndarray]:
    """The vectors of C20 and C23, which hold the heme."""
    return _of(RELATIVES[0])[19], _of(RELATIVES[0])[22]


def _cosine() -> float:
    one, other = _cysteines()
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def _product() -> float:
    one, other = _cysteines()
    return float(one @ other)


def _aligned(prefix: str = "", offset: int = OFFSET) -> float:
    one, other = (_of(f"{prefix}{name}") for name in RELATIVES)
    nearest = cosines(one, other).argmax(axis=1)
    return float((nearest == np.arange(len(one)) + offset).mean())


def _changes() -> np.ndarray:
    return np.abs(_of(CHANGED[0]) - _of("changed")).max(axis=1) > 0


EXERCISES = {
    "cosine": Exercise(
        _cosine,
        "The product of two vectors is `a @ b`; the length of one is `np.linalg.norm(a)`.",
        "One letter, one protein, three residues apart, and far from the same vector.",
        (
            (
                _product,
                "That is the product of the vectors. Divide it by both lengths.",
            ),
        ),
        share=False,
    ),
    "aligned": Exercise(
        _aligned,
        "`argmax(axis=1)` gives the nearest column of each row; the aligned column is the row plus "
        "the offset. What is the mean of True and False?",
        "The model finds nearly all of the alignment, and nobody aligned anything for it.",
        (
            (
                lambda: _aligned(offset=0),
                "You compared with the same row. The second protein has a few more residues at "
                "its start.",
            ),
            (
                lambda: _aligned("shuffled/"),
                "That is the shuffled model. The question is about the trained one.",
            ),
        ),
    ),
    "first-changed": Exercise(
        lambda: int(_changes().argmax()) + 1,
        "Find the first row in which any number differs, and give its position as biologists "
        "count.",
        "No residue before it has noticed.",
        (
            (
                lambda: int(_changes().argmax()),
                "Python counts rows from 0, positions in a protein count from 1.",
            ),
            (
                lambda: int(_changes().sum()),
                "You counted how many residues changed. The question is where the first one is.",
            ),
        ),
        share=False,
    ),
}
