"""Which features are described: by concept, at random, or by number."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from interplm_nb.activations import FeatureActivations
from interplm_nb.interpret.sampling import Sizes, enough_examples

_PART = re.compile(r"(f1|random|ids):([^,]+)|all")
HOW = (
    "features are chosen by f1:0.5 (an F1 of a concept), random:200, ids:12;40 or all, several "
    "with commas, such as f1:0.5,random:200"
)


class Chosen(NamedTuple):
    """Features to describe, and how many there were to choose from."""

    features: tuple[int, ...]
    """Those chosen that have enough examples, in the order of the text, none twice."""
    left_out: tuple[int, ...]
    """Those chosen by F1 or by number that have too few."""
    n_alive: int
    """Features that fire at all."""
    n_enough: int
    """Of these, those with enough examples, from which `random` and `all` draw."""


def choose(
    text: str,
    activations: FeatureActivations,
    best_f1: Mapping[int, float],
    sizes: Sizes | None = None,
    seed: int = 0,
) -> Chosen:
    """The features that a text asks for.

    Parameters
    ----------
    text : str
        Parts with commas: "f1:0.5", features whose best concept has this F1 or more; "random:200",
        that many drawn from those with enough examples; "ids:12;40", by number; "all" with enough.
    activations : FeatureActivations
        In unit "max".
    best_f1 : mapping
        F1 of each feature's best concept; features without one are left out.
    sizes : Sizes, optional
        What "enough examples" means.
    seed : int
        Of the random draw.

    Raises
    ------
    ValueError
        For a text of another form, or a number that no feature has.

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({f"P{i}": "MKV" for i in range(20)})
    >>> activations = FeatureActivations.from_dense(np.ones((60, 3)), proteins, "max")
    >>> choose("f1:0.5,ids:0;2", activations, {1: 0.9, 2: 0.3}).features
    (1, 0, 2)
    """
    enough = enough_examples(activations, sizes)
    eligible = np.flatnonzero(enough)
    asked: list[int] = []
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"{part.strip()!r} chooses no features; {HOW}")
        if found[1] is None:
            asked += eligible.tolist()
        elif found[1] == "f1":
            least = _share(found[2])
            asked += [f for f, f1 in sorted(best_f1.items()) if f1 >= least]
        elif found[1] == "random":
            n = min(_number(found[2]), len(eligible))
            asked += np.random.default_rng(seed).permutation(eligible)[:n].tolist()
        else:
            asked += [_number(number) for number in found[2].split(";")]
    strange = [f for f in asked if not 0 <= f < activations.n_features]
    if strange:
        raise ValueError(
            f"there is no feature {strange[0]}; they are numbered 0 to {activations.n_features - 1}"
        )
    once = list(dict.fromkeys(asked))
    return Chosen(
        tuple(f for f in once if enough[f]),
        tuple(f for f in once if not enough[f]),
        int(np.count_nonzero(activations.n_active())),
        len(eligible),
    )


def _number(text: str) -> int:
    if not text.strip().isdecimal():
        raise ValueError(f"{text!r} is not a whole number; {HOW}")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is not a number from 0 to 1; {HOW}")
    return value
