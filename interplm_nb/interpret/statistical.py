"""A describer without a language model: it states what statistics of the training half support."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import binom, false_discovery_control

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.enrich import count_test
from interplm_nb.features.log_odds import log_odds
from interplm_nb.features.logos import AMINO_ACIDS, composition
from interplm_nb.features.motifs import MIN_SITES, STRONG, motif, sites
from interplm_nb.features.patterns import MIN_ONSETS, PERIODIC, activation_patterns
from interplm_nb.features.statistics import NEAR_END
from interplm_nb.interpret.describe import Description
from interplm_nb.interpret.known import SEES, Known, Sees
from interplm_nb.interpret.sampling import Sample
from interplm_nb.interpret.statements import (
    Concept,
    Letters,
    Pattern,
    Period,
    Position,
    Statement,
    Structure,
    Word,
)

THRESHOLDS = (0.15, 0.5, 0.8)
"""A residue is active strictly above one of these; a concept takes the best."""
MIN_F1, MIN_PROTEINS, MIN_LIFT = 0.1, 3, 2.0
"""What a concept needs on the training half: F1 by residues, proteins with such a residue, and
precision over the share of residues that carry it."""
MOST = 3
"""Concepts, words and labels of structures that are stated at most, each."""
MAX_P = 0.01
"""Largest p-value, or q-value, of a statement on words, the motif, letters, positions and
structures."""
MIN_SHARE = 0.25
"""Least share of maxima on an amino acid, near an end, or on a label of structures."""


class Stated(NamedTuple):
    """What is stated of a feature."""

    feature: int
    statements: tuple[Statement, ...]
    n_strong: int
    """Proteins of the training half in which the feature is strong, one of each cluster."""
    shape: str
    """Its pattern along proteins, as in `features.patterns`."""

    def for_a_judge_who(self, sees: Sees) -> "tuple[Statement, ...]":
        """The statements that somebody can use who sees this of a protein."""
        allowed = SEES[: SEES.index(sees) + 1]
        return tuple(s for s in self.statements if s.needs in allowed)

    @property
    def description(self) -> Description:
        """The statements in words."""
        shape = "" if self.shape in ("too few", "mixed") else f" Shape: {self.shape}."
        where = (
            f"It is above half of its largest value in {self.n_strong} proteins of the training "
            f"half.{shape}"
        )
        if not self.statements:
            nothing = "No concept, name, motif, amino acid, position or period is supported."
            return Description(description=f"{where} {nothing}", summary=nothing)
        said = ", ".join(statement.short for statement in self.statements)
        return Description(
            description=" ".join([where, *(s.long for s in self.statements)]),
            summary=f"Fires {said}."[:400],
        )


def describe_statistically(
    found: Sample,
    activations: FeatureActivations,
    known: Known,
    clusters: np.ndarray | None = None,
    sees: Sees = "annotations",
    seed: int = 0,
) -> Stated:
    """State what the training half supports; the evaluation half is not looked at.

    Parameters
    ----------
    found : Sample
        The feature's halves.
    activations : FeatureActivations
        Those that were sampled, in unit "max".
    known : Known
        Names, annotations and structures of the same proteins.
    clusters : np.ndarray, optional
        int [n_proteins]: homology clusters. Of each, only the protein in which the feature is
        strongest counts for words and maxima: relatives share names and letters whatever the
        feature reads.
    sees : {"sequence", "names", "annotations"}
        With "sequence" it is blind: names, annotations and structures are hidden.
    seed : int
        Random places that a motif is compared to are a function of (seed, feature).

    Returns
    -------
    Stated
        Best supported first, by kind: concepts, words, motif, amino acids, position, structure,
        period.
    """
    half = found.in_training
    strong = _one_per_cluster(
        half & (found.maximum > STRONG * found.maximum[half].max()), found.maximum, clusters
    )
    single = _one_feature(activations, found.feature, half)
    rows, values = single.feature(0)
    statements: list[Statement] = []
    if sees == "annotations":
        statements += _concepts(rows, values, half, known)
    if sees != "sequence":
        silent = _one_per_cluster(half & (found.maximum == 0), found.maximum, clusters)
        statements += _words(strong, silent, known)
    own = None
    if clusters is not None:
        own = dict(zip(known.proteins.accessions, clusters.tolist(), strict=True))
    statements += _at_maxima(found, sites(single, 0, clusters=own), known, sees, seed)
    (pattern,) = activation_patterns(single).iter_rows(named=True)
    if pattern["period_strength"] >= PERIODIC and pattern["onsets"] >= MIN_ONSETS:
        statements.append(
            Period(pattern["period"], pattern["period_strength"], pattern["n_proteins"])
        )
    return Stated(found.feature, tuple(statements), len(strong), pattern["pattern"])


def _one_per_cluster(
    among: np.ndarray, maximum: np.ndarray, clusters: np.ndarray | None
) -> np.ndarray:
    """int64, ascending: of each cluster the strongest of these proteins (bool), the first of
    equals."""
    chosen = np.flatnonzero(among)
    if clusters is None:
        return chosen
    chosen = chosen[np.argsort(-maximum[chosen], kind="stable")]
    return np.sort(chosen[np.unique(clusters[chosen], return_index=True)[1]])


def _one_feature(
    activations: FeatureActivations, feature: int, half: np.ndarray
) -> FeatureActivations:
    """One feature on the proteins of a half: 0 on the others."""
    rows, values = activations.feature(feature)
    offsets = activations.proteins.offsets
    on = half[np.searchsorted(offsets, rows, side="right") - 1]
    column = (values[on], (rows[on], np.zeros(np.count_nonzero(on), np.int64)))
    shape = (activations.n_residues, 1)
    return FeatureActivations.from_csr(csr_array(column, shape=shape), activations.proteins, "max")


def _at_maxima(
    found: Sample, rows: np.ndarray, known: Known, sees: Sees, seed: int
) -> list[Statement]:
    """What is stated of the maxima in these rows, the `sites` of the training half."""
    if len(rows) < MIN_SITES:
        return []
    half = [known.proteins.accessions[i] for i in np.flatnonzero(found.in_training)]
    background = composition(known.proteins.select(half))
    around = motif(known.axis, rows, background, seed=(seed, found.feature, 1))
    odds = log_odds(around.counts, background)
    stated: list[Statement] = [Pattern(around, odds)] if around.p <= MAX_P else []
    stated += _letters(rows, known)
    stated += _positions(rows, odds, known)
    if sees != "sequence":
        stated += _structures(rows, odds, known)
    return stated


def _concepts(
    rows: np.ndarray, values: np.ndarray, half: np.ndarray, known: Known
) -> list[Concept]:
    carried_in_all = np.asarray(known.residues_of[np.flatnonzero(half)].sum(axis=0)).ravel()
    lengths = known.proteins.lengths[half].sum()
    names = known.labels.concepts["concept"].to_list()
    best: dict[int, Concept] = {}
    for threshold in THRESHOLDS:
        on = rows[values > threshold]
        carried = known.labels.carried[on].tocsc()
        right = np.diff(carried.indptr)
        f1 = 2 * right / np.maximum(len(on) + carried_in_all, 1)
        often = carried_in_all / lengths * MIN_LIFT * len(on)
        protein = np.searchsorted(known.proteins.offsets, on, side="right") - 1
        for c in np.flatnonzero((right > 0) & (f1 >= MIN_F1) & (right >= often)):
            places = carried.indices[carried.indptr[c] : carried.indptr[c + 1]]
            counts = (int(right[c]), len(on), int(carried_in_all[c]))
            stated = Concept(names[c], threshold, *counts, len(np.unique(protein[places])))
            if stated.n_proteins >= MIN_PROTEINS and (c not in best or stated.f1 > best[c].f1):
                best[c] = stated
    ranked = sorted(best.values(), key=lambda concept: (-concept.f1, concept.name))
    return ranked[:MOST]


def _words(strong: np.ndarray, silent: np.ndarray, known: Known) -> list[Word]:
    ours, others = (
        np.asarray(known.words_of[places].sum(axis=0)).ravel() for places in (strong, silent)
    )
    # Words are left out by how often they are seen at all, which does not depend on where.
    tested = np.flatnonzero(ours + others >= MIN_PROTEINS)
    if not len(tested) or not len(silent):
        return []
    p = count_test(ours[tested], len(strong), others[tested], len(silent))
    q = false_discovery_control(p)
    order = np.lexsort((tested, q))
    return [
        Word(
            known.vocabulary[tested[i]],
            int(ours[tested[i]]),
            len(strong),
            int(others[tested[i]]),
            len(silent),
            float(q[i]),
        )
        for i in order[:MOST]
        if q[i] <= MAX_P and ours[tested[i]] >= MIN_PROTEINS
    ]


def _letters(rows: np.ndarray, known: Known) -> list[Letters]:
    counts = known.axis.counts(rows)[known.axis.flank]
    own = known.letters_of[known.axis.protein_of[rows]]
    # Of a place drawn at random from the same proteins.
    by_chance = (own / own.sum(axis=1, keepdims=True)).mean(axis=0)
    p = binom.sf(counts - 1, len(rows), by_chance)
    # 20 letters are tested.
    chosen = np.flatnonzero((p * 20 <= MAX_P) & (counts >= MIN_SHARE * len(rows)))
    if not len(chosen):
        return []
    letters = "".join(AMINO_ACIDS[i] for i in chosen)
    return [Letters(letters, int(counts[chosen].sum()), len(rows), float(by_chance[chosen].sum()))]


def _positions(rows: np.ndarray, odds: np.ndarray, known: Known) -> list[Position]:
    protein = known.axis.protein_of[rows]
    lengths, before = known.proteins.lengths[protein], rows - known.proteins.offsets[protein]
    by_chance = float(np.minimum(1, NEAR_END / lengths).mean())
    stated = []
    for at_start, near in ((True, before < NEAR_END), (False, lengths - before <= NEAR_END)):
        n = int(near.sum())
        # Two ends are tested.
        if n >= MIN_SHARE * len(rows) and 2 * binom.sf(n - 1, len(rows), by_chance) <= MAX_P:
            stated.append(Position(at_start, n, len(rows), by_chance, odds))
    return stated


def _structures(rows: np.ndarray, odds: np.ndarray, known: Known) -> list[Structure]:
    rows = rows[known.has_structure[known.axis.protein_of[rows]]]
    if len(rows) < MIN_SITES:
        return []
    protein, offsets = known.axis.protein_of[rows], known.proteins.offsets
    tested = []
    for label, carried in known.on_structures.items():
        n, share = int(carried[rows].sum()), np.add.reduceat(carried, offsets[:-1], dtype=np.int64)
        by_chance = float((share / known.proteins.lengths)[protein].mean())
        p = float(binom.sf(n - 1, len(rows), by_chance))
        tested.append((p * len(known.on_structures), label, n, by_chance))
    return [
        Structure(label, n, len(rows), by_chance, odds)
        for p, label, n, by_chance in sorted(tested)[:MOST]
        if p <= MAX_P and n >= MIN_SHARE * len(rows)
    ]
