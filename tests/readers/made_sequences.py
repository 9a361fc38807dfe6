"""Random sequences, and relatives of them."""

import numpy as np

LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def sequence(rng: np.random.Generator, length: int) -> str:
    """Letters drawn independently."""
    return "".join(rng.choice(LETTERS, length))


def mutated(rng: np.random.Generator, parent: str, share: float) -> str:
    """Each letter drawn again with this probability."""
    letters = np.array(list(parent))
    places = rng.random(len(parent)) < share
    letters[places] = rng.choice(LETTERS, places.sum())
    return "".join(letters)
