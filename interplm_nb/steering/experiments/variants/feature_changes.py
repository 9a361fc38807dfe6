"""What mutations do to the features of a layer: lost and gained, at the site and elsewhere.

With f the features in units of their maxima, a variant loses of a feature, at its mutated residues
("at the site") or at all others ("elsewhere"),

    lost = max over these residues of f(wild type) - f(variant), at least 0

and gains the same with the sign turned. The maximum over residues, not a difference of maxima over
the protein: a feature that fires at many places and falls silent at one is lost there. A feature
may be lost at one residue and gained at another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack

from interplm_nb.proteins import Proteins
from interplm_nb.readers.variants import Variant, mutated
from interplm_nb.sae.encoded import encoded
from interplm_nb.steering.experiments.variants.variant_rows import Rows, batches, embedded
from interplm_nb.steering.steered_layer import SteeredLayer

PLACES = ("at the site", "elsewhere")


class Entries(NamedTuple):
    """Changes of features that are not 0."""

    variant: np.ndarray
    """int64: place of the variant in its batch."""
    residue: np.ndarray
    """int64, from 0."""
    feature: np.ndarray
    """int64."""
    change: np.ndarray
    """float32: f(variant) - f(wild type), in units of the feature's maximum."""


@dataclass(frozen=True, eq=False)
class FeatureChanges:
    """Changes of all features in some variants; places in the order of `PLACES`."""

    lost: np.ndarray
    """float32 [n_variants, 2, d_sae], 0 or more, in units of each feature's maximum."""
    gained: np.ndarray
    """float32 [n_variants, 2, d_sae], likewise."""
    summed: np.ndarray
    """float32 [n_variants, d_sae]: f(variant) - f(wild type), summed over all residues."""
    absolute: np.ndarray
    """float64 [n_variants]: the absolute changes of all features, summed over all residues."""

    def n_lost(self, least: float) -> np.ndarray:
        """int64 [n_variants, 2]: features lost by at least `least` at each place."""
        return (self.lost >= least).sum(axis=2)

    def n_gained(self, least: float) -> np.ndarray:
        """int64 [n_variants, 2]: features gained by at least `least` at each place."""
        return (self.gained >= least).sum(axis=2)

    def n_changed(self, least: float) -> np.ndarray:
        """int64 [n_variants, 2]: features lost or gained at each place."""
        return (np.maximum(self.lost, self.gained) >= least).sum(axis=2)

    def part(self, index: slice | np.ndarray) -> "FeatureChanges":
        """The changes of some variants."""
        return FeatureChanges(
            self.lost[index], self.gained[index], self.summed[index], self.absolute[index]
        )

    @classmethod
    def joined(cls, parts: Sequence["FeatureChanges"]) -> "FeatureChanges":
        """The changes of several batches, one after another."""
        names = ("lost", "gained", "summed", "absolute")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def anywhere(self) -> "FeatureChanges":
        """Without places: the larger change of the two, [n_variants, 1, d_sae]."""
        lost, gained = (x.max(axis=1, keepdims=True) for x in (self.lost, self.gained))
        return FeatureChanges(lost, gained, self.summed, self.absolute)


class Reader:
    """The features of variants against those of their wild type, by one SAE."""

    def __init__(self, at: SteeredLayer, wild_type: str) -> None:
        self.at = at
        self.wild = features(at, embedded(at.plm, wild_type, [at.layer])[at.layer].cpu().numpy())

    def entries(self, rows: Rows) -> Entries:
        """The changes at some rows of a batch."""
        new = features(self.at, rows.layers[self.at.layer].cpu().numpy())
        change = (new - self.wild[rows.residue]).tocoo()
        row, feature = change.coords
        row = row.astype(np.int64)
        return Entries(rows.variant[row], rows.residue[row], feature.astype(np.int64), change.data)


class Collected:
    """Changes of one batch of variants, added up as their rows come."""

    def __init__(self, variants: Sequence[Variant], d_sae: int, length: int) -> None:
        n = len(variants)
        self._d_sae = d_sae
        self._site = np.zeros((n, length), bool)
        for i, variant in enumerate(variants):
            self._site[i, [mutation.position - 1 for mutation in variant]] = True
        self._lost, self._gained = np.zeros((2, n * 2 * d_sae), np.float32)
        self._summed = np.zeros(n * d_sae)
        self._absolute = np.zeros(n)

    def add(self, entries: Entries) -> None:
        """Add changes; each residue comes once."""
        variant, residue, feature, change = entries
        elsewhere = ~self._site[variant, residue]
        at = (2 * variant + elsewhere) * self._d_sae + feature
        np.maximum.at(self._lost, at, -change)
        np.maximum.at(self._gained, at, change)
        np.add.at(self._summed, variant * self._d_sae + feature, change)
        np.add.at(self._absolute, variant, np.abs(change))

    def changes(self) -> FeatureChanges:
        """The changes of the batch."""
        shape = (len(self._absolute), 2, self._d_sae)
        return FeatureChanges(
            self._lost.reshape(shape),
            self._gained.reshape(shape),
            self._summed.reshape(shape[0], shape[2]).astype(np.float32),
            self._absolute,
        )


def feature_changes(
    at: SteeredLayer, wild_type: str, variants: Sequence[Variant]
) -> Iterator[tuple[np.ndarray, FeatureChanges]]:
    """The changes of each batch of variants, and which variants they are (int64)."""
    reader = Reader(at, wild_type)
    for index, rows in batches(at.plm, wild_type, variants, [at.layer]):
        collected = Collected([variants[i] for i in index], at.sae.d_sae, len(wild_type))
        for part in rows:
            collected.add(reader.entries(part))
        yield index, collected.changes()


def changes_in_proteins(
    at: SteeredLayer, mutations: Sequence[tuple[str, Variant]]
) -> FeatureChanges:
    """The changes of variants of different proteins, each with its own wild type, run together."""
    wild = [sequence for sequence, _ in mutations]
    sequences = [*wild, *(mutated(sequence, variant) for sequence, variant in mutations)]
    proteins = Proteins.from_sequences({str(i): s for i, s in enumerate(sequences)})
    order, parts = [], []
    for rows, values in at.plm.embed(proteins, [at.layer], progress=False):
        order.append(rows)
        parts.append(features(at, values[at.layer].cpu().numpy()))
    f = csr_array(vstack(parts))[np.argsort(np.concatenate(order))]
    found = []
    for i, (sequence, variant) in enumerate(mutations):
        before, after = (
            f[proteins.offsets[k] : proteins.offsets[k + 1]] for k in (i, len(wild) + i)
        )
        collected = Collected([variant], at.sae.d_sae, len(sequence))
        change = (after - before).tocoo()
        residue, feature = (axis.astype(np.int64) for axis in change.coords)
        collected.add(Entries(np.zeros_like(residue), residue, feature, change.data))
        found.append(collected.changes())
    return FeatureChanges.joined(found)


def features(at: SteeredLayer, h: np.ndarray) -> csr_array:
    """float32 [n, d_sae] of representations [n, width], in units of each feature's maximum.

    A dead feature is 0.
    """
    raw = csr_array(vstack([block for _, block in encoded(at.sae, h)]))
    alive = at.maxima > 0
    scale = np.divide(1, at.maxima, out=np.zeros_like(at.maxima), where=alive)
    raw.data *= scale[raw.indices]
    raw.eliminate_zeros()
    return raw
