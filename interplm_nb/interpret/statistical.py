"""A describer without a language model: it states what statistics of the training half support."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import binom, false_discovery_control

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.enrich import count_test
from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.features.patterns import MIN_ONSETS, PERIODIC, activation_patterns
from interplm_nb.features.statistics import NEAR_END
from interplm_nb.interpret.describe import Description
from interplm_nb.interpret.known import SEES, Known, Sees
from interplm_nb.interpret.motif import Motif, find_motif
from interplm_nb.interpret.sampling import Sample
from interplm_nb.interpret.statements import (
    Concept,
    Letters,
    Pattern,
    Period,
    Position,
    Statement,
    Word,
)

STRONG = 0.5
"""A protein counts as one in which the feature is strong from this maximum on."""
THRESHOLDS = (0.15, 0.5, 0.8)
"""A residue is active strictly above one of these; a concept takes the best."""
MIN_F1, MIN_PROTEINS, MIN_LIFT = 0.1, 3, 2.0
"""What a concept needs on the training half: F1 by residues, proteins with such a residue, and
precision over the share of residues that carry it."""
MOST = 3
"""Concepts and words that are stated at most, each."""
MAX_P = 0.01
"""Largest p-value, or q-value, of a statement on words, letters and positions."""
MIN_SHARE = 0.25
"""Least share of maxima on an amino acid, or near an end."""


class Stated(NamedTuple):
    """What is stated of a feature."""

    feature: int
    statements: tuple[Statement, ...]
    n_strong: int
    """Proteins of the training half in which the feature is strong."""
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
        where = f"In {self.n_strong} proteins of the training half it reaches {STRONG:g}.{shape}"
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
        Names and annotations of the same proteins.
    sees : {"sequence", "names", "annotations"}
        With "sequence" it is blind: names and annotations are hidden.
    seed : int
        Random places that a motif is compared to are a function of (seed, feature).

    Returns
    -------
    Stated
        Best supported first, by kind: concepts, words, motif, amino acids, position, period.
    """
    half = found.in_training
    strong = np.flatnonzero(half & (found.maximum >= STRONG))
    single = _one_feature(activations, found.feature, half)
    rows, values = single.feature(0)
    sites = _sites(rows, values, strong, known)
    statements: list[Statement] = []
    if sees == "annotations":
        statements += _concepts(rows, values, half, known)
    if sees != "sequence":
        statements += _words(found, strong, known)
    random = np.random.default_rng([seed, found.feature])
    background = _background(known, half)
    if len(strong) >= MIN_PROTEINS:
        motif = find_motif(known.proteins, sites, background, random)
        statements += [Pattern(motif)] if motif.significant else []
        statements += _letters(sites, background, known)
        statements += _positions(sites, motif, known)
    (pattern,) = activation_patterns(single).iter_rows(named=True)
    if pattern["period_strength"] >= PERIODIC and pattern["onsets"] >= MIN_ONSETS:
        statements.append(
            Period(pattern["period"], pattern["period_strength"], pattern["n_proteins"])
        )
    return Stated(found.feature, tuple(statements), len(strong), pattern["pattern"])


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


def _sites(
    rows: np.ndarray, values: np.ndarray, strong: np.ndarray, known: Known
) -> list[tuple[str, int]]:
    """Accession and position of the maximum in each of these proteins, the first of equals."""
    offsets = known.proteins.offsets
    first, last = (np.searchsorted(rows, offsets[strong + i]) for i in (0, 1))
    peaks = [a + int(values[a:b].argmax()) for a, b in zip(first, last, strict=True)]
    return [
        (known.proteins.accessions[i], int(rows[peak] - offsets[i]) + 1)
        for i, peak in zip(strong.tolist(), peaks, strict=True)
    ]


def _background(known: Known, half: np.ndarray) -> np.ndarray:
    """float64 [20]: frequencies of the amino acids in a half, one added to each."""
    counts = known.letters_of[half].sum(axis=0) + 1.0
    return counts / counts.sum()


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


def _words(found: Sample, strong: np.ndarray, known: Known) -> list[Word]:
    silent = np.flatnonzero(found.in_training & (found.maximum == 0))
    ours, others = (
        np.asarray(known.words_of[places].sum(axis=0)).ravel() for places in (strong, silent)
    )
    tested = np.flatnonzero(ours >= MIN_PROTEINS)
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
        if q[i] <= MAX_P
    ]


def _letters(sites: list[tuple[str, int]], background: np.ndarray, known: Known) -> list[Letters]:
    at = [known.proteins.sequence(accession)[position - 1] for accession, position in sites]
    counts = np.array([at.count(letter) for letter in AMINO_ACIDS])
    p = binom.sf(counts - 1, len(at), background)
    # 20 letters are tested
    chosen = np.flatnonzero((p * 20 <= MAX_P) & (counts >= MIN_SHARE * len(at)))
    if not len(chosen):
        return []
    letters = "".join(AMINO_ACIDS[i] for i in chosen)
    return [Letters(letters, int(counts[chosen].sum()), len(at), float(background[chosen].sum()))]


def _positions(sites: list[tuple[str, int]], motif: Motif, known: Known) -> list[Position]:
    lengths = np.array([len(known.proteins.sequence(accession)) for accession, _ in sites])
    place = np.array([position for _, position in sites])
    by_chance = float(np.minimum(1, NEAR_END / lengths).mean())
    stated = []
    for at_start, near in ((True, place <= NEAR_END), (False, lengths - place < NEAR_END)):
        n = int(near.sum())
        # Two ends are tested.
        if n >= MIN_SHARE * len(sites) and 2 * binom.sf(n - 1, len(sites), by_chance) <= MAX_P:
            stated.append(Position(at_start, n, len(sites), by_chance, motif))
    return stated
