"""Features lost and gained by one mutation, against two nulls.

The nulls ask two things of each feature's change. **All other substitutions at the site**: would
any other letter there do the same? **The same substitution at other sites** with the same letter:
does this exchange of letters do the same anywhere? With n mutations in a null, of which k change
the feature as much or more at the same place,

    p = (1 + k) / (1 + n)

so that p is at least 1/19 at a site, which 18 other letters can take.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.proteins import Proteins
from interplm_nb.readers.variants import AMINO_ACIDS, Mutation, Variant, parse_variant
from interplm_nb.steering.experiments.variants.feature_changes import (
    PLACES,
    Collected,
    Entries,
    FeatureChanges,
    Reader,
    changes_in_proteins,
)
from interplm_nb.steering.experiments.variants.settings import DEFAULTS, VariantsSettings
from interplm_nb.steering.experiments.variants.variant_rows import batches
from interplm_nb.steering.steered_layer import SteeredLayer

FEATURES: dict[str, Any] = {
    "feature": pl.UInt32,
    "place": pl.String,
    "kind": pl.String,
    "change": pl.Float64,
    "position": pl.UInt32,
    "p_site": pl.Float64,
    "p_same": pl.Float64,
}
"""Columns of table `features`. place: see `PLACES`; kind: lost or gained; change: in units of the
feature's maximum; position: the residue, from 1, where it is largest; p_site, p_same: against the
two nulls, null where one is empty."""

ROUNDING = 1e-4
"""Changes that differ by this share are equal: a feature that both silence is lost alike."""

SETS = ("this mutation", "other substitutions at the site", "same substitution at other sites")

COUNTS: dict[str, Any] = {
    "mutations": pl.String,
    "n": pl.UInt32,
    "place": pl.String,
    "lost": pl.Float64,
    "gained": pl.Float64,
    "p": pl.Float64,
}
"""Columns of table `counts`. mutations: one of `SETS`, and n how many; lost, gained: features, the
mean of a null; p: (1 + how many of a null change as many features or more) / (1 + n)."""


@dataclass(frozen=True, eq=False)
class LostAndGained:
    """What one mutation does to the features of a layer."""

    mutation: Mutation
    plm: str
    left_to_right: bool
    features: pl.DataFrame
    """The features changed by at least `least`, the largest change first; columns `FEATURES`."""
    counts: pl.DataFrame
    """Columns `COUNTS`."""

    @property
    def sentence(self) -> str:
        """The result in a sentence, with its nulls."""
        rows = {(m, place): row for m, _, place, *row in self.counts.iter_rows()}
        own = " and ".join(
            f"{round(rows[SETS[0], p][0])} lost and {round(rows[SETS[0], p][1])} gained {p}"
            for p in PLACES
        )
        nulls = []
        for name, words, none in (
            (SETS[1], "the {} other substitutions at the site change", ""),
            (SETS[2], "the same substitution at {} other sites", "no other site has its letter"),
        ):
            n = self.counts.filter(pl.col("mutations") == name)["n"][0]
            mean = sum(sum(rows[name, place][:2]) for place in PLACES if n)
            nulls.append(f"{words.format(n)} {mean:.1f} on average" if n else none)
        order = (
            f" {self.plm} reads from left to right: nothing before the residue can change."
            if self.left_to_right
            else ""
        )
        return f"{self.mutation}: features {own}; {', '.join(nulls)}.{order}"

    def tables(self) -> dict[str, pl.DataFrame]:
        """`features` and `counts`."""
        return {"features": self.features, "counts": self.counts}


def lost_and_gained(
    at: SteeredLayer,
    wild_type: str,
    mutation: Mutation | str,
    settings: VariantsSettings = DEFAULTS,
    others: Proteins | None = None,
) -> LostAndGained:
    """Features that a mutation takes from a protein and gives to it, at the site and elsewhere.

    Parameters
    ----------
    at
        The layer and its SAE.
    wild_type
        Residue letters.
    mutation
        Such as "A24C", counted from 1.
    settings
        Uses `least`, `other_sites` and `seed`.
    others
        Proteins whose sites of the same letter join the second null, where the wild type has fewer
        than `other_sites` of its own.

    Raises
    ------
    ValueError
        For a mutation that does not fit the wild type.

    Examples
    --------
    >>> import torch
    >>> from interplm_nb import plm
    >>> from interplm_nb.sae.about import SAEAbout
    >>> from interplm_nb.sae.random_sae import random_sae
    >>> model = plm.load("esm2-mini", device="cpu")
    >>> sae = random_sae(d_in=192, d_sae=64, k=8, b_dec=torch.zeros(192), seed=0)
    >>> sae.about = SAEAbout(model.name, model.revision, 3, "random")
    >>> at = SteeredLayer(model, sae, np.full(64, 5, np.float32))
    >>> found = lost_and_gained(at, "MKVLAAGKWE", "K2W")
    >>> found.counts["n"].to_list()
    [1, 1, 18, 18, 1, 1]
    """
    one = _one(mutation, wild_type)
    site = [(Mutation(one.before, one.position, new),) for new in AMINO_ACIDS if new != one.before]
    own, elsewhere = _other_sites(one, wild_type, settings, others)
    variants = [(one,), *(v for v in site if v != (one,)), *own]
    found, entries = _changes(at, wild_type, variants)
    same = [found.part(slice(len(site), None))]
    if elsewhere:
        same.append(changes_in_proteins(at, elsewhere))
    nulls = (found.part(slice(1, len(site))), FeatureChanges.joined(same))
    return LostAndGained(
        one,
        at.plm.name,
        at.plm.objective == "next residue",
        _features(found.part(slice(1)), nulls, entries, one, settings.least),
        _counts(found.part(slice(1)), nulls, settings.least),
    )


def _one(mutation: Mutation | str, wild_type: str) -> Mutation:
    variant = parse_variant(str(mutation), wild_type)
    if len(variant) != 1:
        raise ValueError(f"one mutation is needed, such as A24C; got {str(mutation)!r}")
    return variant[0]


def _other_sites(
    one: Mutation, wild_type: str, settings: VariantsSettings, others: Proteins | None
) -> tuple[list[Variant], list[tuple[str, Variant]]]:
    """The same substitution elsewhere in the wild type, then in other proteins."""
    rng = np.random.default_rng(settings.seed)
    places = [p for p in _places(wild_type, one.before) if p != one.position]
    drawn = _drawn(rng, places, settings.other_sites)
    own = [(one._replace(position=position),) for position in drawn]
    wanted = settings.other_sites - len(own)
    if others is None or not wanted:
        return own, []
    there = [
        (i, position)
        for i, sequence in enumerate(others.sequences)
        if sequence != wild_type
        for position in _places(sequence, one.before)
    ]
    return own, [
        (others.sequences[i], (one._replace(position=position),))
        for i, position in _drawn(rng, there, wanted)
    ]


def _places(sequence: str, letter: str) -> list[int]:
    return [i for i, a in enumerate(sequence, 1) if a == letter]


def _drawn(rng: np.random.Generator, places: list[Any], n: int) -> list[Any]:
    kept = rng.choice(len(places), min(n, len(places)), replace=False)
    return [places[i] for i in sorted(kept)]


def _changes(
    at: SteeredLayer, wild_type: str, variants: Sequence[Variant]
) -> tuple[FeatureChanges, list[Entries]]:
    """The changes of all variants, and the first one's residue by residue."""
    reader = Reader(at, wild_type)
    parts, order, first = [], [], []
    for index, rows in batches(at.plm, wild_type, variants, [at.layer]):
        collected = Collected([variants[i] for i in index], at.sae.d_sae, len(wild_type))
        for part in rows:
            entries = reader.entries(part)
            collected.add(entries)
            mine = index[entries.variant] == 0
            first.append(Entries(*(column[mine] for column in entries)))
        parts.append(collected.changes())
        order.append(index)
    return FeatureChanges.joined(parts).part(np.argsort(np.concatenate(order))), first


def _features(
    own: FeatureChanges,
    nulls: tuple[FeatureChanges, FeatureChanges],
    entries: Sequence[Entries],
    one: Mutation,
    least: float,
) -> pl.DataFrame:
    rows = []
    for kind, sign in (("lost", -1), ("gained", 1)):
        values = getattr(own, kind)[0]
        for place, feature in zip(*np.nonzero(values >= least), strict=True):
            change = values[place, feature]
            as_much = change * (1 - ROUNDING)
            p = [_p(getattr(null, kind)[:, place, feature] >= as_much) for null in nulls]
            position = _where(entries, int(feature), sign, place == 0, one.position)
            rows.append((int(feature), PLACES[place], kind, float(change), position, *p))
    return pl.DataFrame(rows, FEATURES, orient="row").sort(
        "change", "feature", descending=[True, False]
    )


def _where(entries: Sequence[Entries], feature: int, sign: int, at_site: bool, site: int) -> int:
    """The residue, from 1, at which a feature changes most at a place."""
    found = [
        (sign * change, -residue)
        for part in entries
        for residue, change in _of_feature(part, feature)
        if (residue == site - 1) == at_site
    ]
    return 1 - max(found)[1]


def _of_feature(entries: Entries, feature: int) -> Iterator[tuple[int, float]]:
    kept = entries.feature == feature
    return zip(entries.residue[kept].tolist(), entries.change[kept].tolist(), strict=True)


def _p(as_much: np.ndarray) -> float | None:
    return (1 + int(as_much.sum())) / (1 + len(as_much)) if len(as_much) else None


def _counts(
    own: FeatureChanges, nulls: tuple[FeatureChanges, FeatureChanges], least: float
) -> pl.DataFrame:
    rows = []
    mine = own.n_changed(least)[0]
    for name, changes in zip(SETS, (own, *nulls), strict=True):
        n = len(changes.absolute)
        for place, called in enumerate(PLACES):
            lost, gained = (
                float(many[:, place].mean()) if n else None
                for many in (changes.n_lost(least), changes.n_gained(least))
            )
            null = changes is not own
            p = _p(changes.n_changed(least)[:, place] >= mine[place]) if null else None
            rows.append((name, n, called, lost, gained, p))
    return pl.DataFrame(rows, COUNTS, orient="row")
