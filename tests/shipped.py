"""The run that ships, and features chosen by what a test needs: no test names one by number."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import polars as pl

from interplm_nb.features.logos import position_weights, windows
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import Interpretation
from interplm_nb.readers import demo
from interplm_nb.widgets.feature_page import FeaturePages

FLANK = 10
"""Residues on either side of a maximum in a logo."""

PAIR = ("P00044", "P00045")
"""Two cytochromes c with structures."""


class OnStructure(NamedTuple):
    """A feature, and the strongest protein with a structure that it fires in."""

    feature: int
    accession: str


@cache
def pages() -> FeaturePages:
    """The features of its trained SAE."""
    return FeaturePages(Run.shipped())


@cache
def ranked() -> list[int]:
    """Features that match a concept, by their best F1 on validation, the best first."""
    return pages().ranked["feature"].unique(maintain_order=True).to_list()


def best(concept: str | None = None) -> int:
    """The feature that is best on validation, of one concept or of all."""
    table = pages().ranked
    return int((table if concept is None else table.filter(concept=concept))["feature"][0])


def second() -> int:
    """The next best feature."""
    return ranked()[1]


def absent() -> int:
    """The third: a page that holds the two best lacks it."""
    return ranked()[2]


def last() -> int:
    """The feature whose best F1 is the lowest."""
    return ranked()[-1]


@cache
def interpretation(table: Interpretation) -> pl.DataFrame:
    """What every describer said of its trained SAE's features."""
    run = Run.shipped()
    return pl.concat(run.interpretation(table, "sae", kept) for kept in run.describers())


@cache
def silent() -> list[int]:
    """Features that fire on no training protein, by number."""
    n = pages().activations.n_features
    return sorted(set(range(n)) - set(pages().alive.tolist()))


@cache
def never_active() -> list[int]:
    """Features that fire on none of the run's own proteins; the silent are among them."""
    return np.flatnonzero(pages().activations.n_active() == 0).tolist()


@cache
def spread() -> int:
    """The best feature whose strengths differ between proteins, all below the training maximum.

    Over 0.5, 0.6 and 0.8 in ten proteins or more, over 0.9 in two or more, and never above 1; no
    end of a sequence lies within `FLANK` of the maxima of the strongest ten.
    """
    return next(filter(_is_spread, ranked()))


def _is_spread(feature: int) -> bool:
    top = pages().top(feature, len(pages().proteins))
    strength = top["maximum"].to_numpy()
    between = (strength >= 0.5) & (strength <= 0.8)
    if strength.max(initial=0) >= 1 or min(between.sum(), (strength >= 0.6).sum()) < 10:
        return False
    inside = (top["position"] > FLANK) & (top["position"] <= top["length"] - FLANK)
    return bool((strength >= 0.9).sum() >= 2 and inside.head(10).all())


@cache
def motif() -> int:
    """The best of those like `spread` whose logo is by far the highest at the maximum itself."""
    return next(feature for feature in ranked() if _is_spread(feature) and _is_motif(feature))


def _is_motif(feature: int) -> bool:
    top = pages().top(feature, len(pages().proteins))
    centres = top.select("accession", "position").iter_rows()
    bits = position_weights(windows(pages().proteins, centres, FLANK)).information
    return bool(bits[FLANK] > 2 * np.delete(bits, FLANK).max())


@cache
def on_structure() -> OnStructure:
    """The best feature that can be seen well on a structure, whose numbers are not positions.

    Of the strongest protein with a structure: not one of `PAIR`, active on 20 residues or more,
    over 0.6 on two or more, below the training maximum, which the structure shows; one of the 50
    strongest has no structure.
    It fires in both of `PAIR`.
    """
    return next(found for feature in ranked() for found in _on_structure(feature))


_structure = cache(demo.structure)


def _on_structure(feature: int) -> Iterator[OnStructure]:
    top = pages().top(feature, 50)["accession"].to_list()
    having = [accession for accession in top if accession in demo.structures()]
    everywhere = set(pages().top(feature, len(pages().proteins))["accession"])
    if (
        not having
        or having[0] in PAIR
        or len(having) == len(top)
        or not everywhere.issuperset(PAIR)
    ):
        return
    structure = _structure(having[0])
    values = pages().activations.along(having[0], feature)
    seen = values[np.array(list(structure.positions.values())) - 1]
    shifted = any(number != str(position) for number, position in structure.positions.items())
    strong = (seen >= 0.2).sum() >= 20 and (seen >= 0.6).sum() >= 2
    whole = int(values.argmax()) + 1 in structure.positions.values()
    if shifted and strong and whole and values.max() < 0.999:
        yield OnStructure(feature, having[0])
