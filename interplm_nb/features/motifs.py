"""Motifs: the letters around a feature's maxima, whether they beat chance, and their pattern."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.logos import AMINO_ACIDS, amino_acid_of, composition, information
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins

FLANK = 7
"""Residues on each side of a maximum."""
STRONG = 0.5
"""A maximum is a site if it is above this fraction of the feature's own."""
MIN_SITES = 10
"""Fewer sites make no motif."""
MOST_SITES = 100
"""Sites of a feature at most, the strongest."""
SHUFFLES = 1000
"""Draws of shuffled maxima."""
SIGNIFICANT = 0.05
"""Largest q value of a motif that gets a pattern."""
MIN_BITS = 0.5
"""Least information of a position that a pattern states."""
COVERED = 0.8
"""Share of the sites that the letters of a stated position cover at least."""
MOST_LETTERS = 4
"""Most letters of a stated position."""

_IN_CACHE = 2**13
"""Letters that are counted at a time."""

MOTIFS: dict[str, Any] = {
    "feature": pl.UInt32,
    "n_sites": pl.Int64,
    "information": pl.Float64,
    "information_by_chance": pl.Float64,
    "p_motif": pl.Float64,
    "q_motif": pl.Float64,
    "consensus": pl.String,
    "pattern": pl.String,
    "pattern_offset": pl.Int64,
    "held_out_sites": pl.Int64,
    "pattern_recall": pl.Float64,
    "held_out_matches": pl.Int64,
    "pattern_precision": pl.Float64,
    "precision_by_chance": pl.Float64,
}
"""Columns of `feature_motifs`."""


class Motif(NamedTuple):
    """The letters around the maxima of a feature: L = 2 flank + 1 columns, the maximum amid."""

    n_sites: int
    """Maxima."""
    counts: np.ndarray
    """int64 [L, 20]: sites with each amino acid, in the order of `AMINO_ACIDS`."""
    frequencies: np.ndarray
    """float64 [L, 20]"""
    information: np.ndarray
    """float64 [L], bits, as in `logos.position_weights`."""
    by_chance: float
    """Mean, over shuffled maxima, of the sum of the information."""
    p: float
    """(1 + c) / (1 + draws), with c draws of shuffled maxima that have at least the sum of the
    information of the true ones."""


class LetterAxis:
    """The letters of proteins, with room between them, so that windows need no bounds.

    A protein's residue in `row` is at `place(row)`; between two proteins are `flank` blanks.
    """

    def __init__(self, proteins: Proteins, flank: int) -> None:
        if flank < 0:
            raise ValueError(f"flank must be 0 or more, not {flank}")
        self.proteins, self.flank = proteins, flank
        self.protein_of = np.repeat(np.arange(len(proteins)), proteins.lengths)
        size = proteins.n_residues + flank * (len(proteins) + 1)
        self.codes = np.full(size, 20, np.uint8)
        """uint8: place in `AMINO_ACIDS`; 20 for a blank, and for X, B, U, Z, O."""
        kind = amino_acid_of(proteins.letters)
        self.codes[self.place(np.arange(proteins.n_residues))] = np.where(kind < 0, 20, kind)

    def place(self, rows: np.ndarray) -> np.ndarray:
        """int64: the places of these rows in `codes`."""
        return rows + self.flank * (self.protein_of[rows] + 1)

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """int64 [..., L, 20]: amino acids at each offset from rows [..., n], over the n."""
        shape, n, width = rows.shape[:-1], rows.shape[-1], 2 * self.flank + 1
        draws = self.place(rows).reshape(-1, n)
        found = np.empty((len(draws), width, 20), np.int64)
        step = max(1, _IN_CACHE // max(1, n))
        for first in range(0, len(draws), step):
            some = draws[first : first + step]
            base = 21 * np.arange(len(some))[:, None]
            for column in range(width):
                letters = (base + self.codes[some + (column - self.flank)]).ravel()
                counts = np.bincount(letters, minlength=21 * len(some)).reshape(-1, 21)
                found[first : first + step, column] = counts[:, :20]
        return found.reshape(*shape, width, 20)


def sites(
    activations: FeatureActivations,
    feature: int,
    accessions: Iterable[str] | None = None,
    clusters: Mapping[str, int] | None = None,
) -> np.ndarray:
    """The rows of a feature's maxima, one per protein in which it is strong, the strongest first.

    A protein counts if the feature's maximum on it is above `STRONG` times the largest over these
    proteins. With `clusters`, homology clusters by accession, only the strongest protein of each
    cluster counts: relatives would show what the family conserves, not what the feature reads. At
    most `MOST_SITES`.
    """
    rows, values = activations.feature(feature)
    offsets, names = activations.proteins.offsets, activations.proteins.accessions
    protein = np.searchsorted(offsets, rows, side="right") - 1
    if accessions is not None:
        chosen = np.zeros(len(names), bool)
        chosen[[activations.proteins.index(a) for a in accessions]] = True
        on = chosen[protein]
        rows, values, protein = rows[on], values[on], protein[on]
    order = np.lexsort((rows, -values))
    rows, values, protein = rows[order], values[order], protein[order]
    _, first = np.unique(protein, return_index=True)
    first = np.sort(first)
    first = first[values[first] > STRONG * values[0]] if len(first) else first
    if clusters is not None:
        own = np.array([clusters[names[i]] for i in protein[first].tolist()], np.int64)
        first = first[np.sort(np.unique(own, return_index=True)[1])]
    return rows[first[:MOST_SITES]]


def motif(
    axis: LetterAxis,
    rows: np.ndarray,
    background: np.ndarray,
    shuffles: int = SHUFFLES,
    seed: int | tuple[int, ...] = 0,
) -> Motif:
    """The motif of these maxima, and whether shuffled maxima have one.

    Shuffled maxima lie anywhere in the same proteins, with equal chance: what proteins have in
    common everywhere, their composition, is not a motif.

    Parameters
    ----------
    axis : LetterAxis
        The proteins, and how far windows reach.
    rows : np.ndarray
        int64 [n]: the maxima, such as `sites`.
    background : np.ndarray
        float64 [20]: `logos.composition` of the proteins, or `logos.BACKGROUND`; above 0 for each
        amino acid that occurs.
    shuffles : int
        Draws behind p.
    seed : int or tuple of int
        Equal seeds give equal draws.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({f"P{i}": "ADEGKSTVLI" * i + "WCHW" for i in range(30)})
    >>> axis = LetterAxis(proteins, 2)
    >>> found = motif(axis, proteins.offsets[1:] - 3, composition(proteins))
    >>> "".join(AMINO_ACIDS[i] for i in found.frequencies.argmax(axis=1)), found.p
    ('IWCHW', 0.000999000999000999)
    """
    counts = axis.counts(rows)
    frequencies, bits = counts / max(1, len(rows)), information(counts, background)
    if not shuffles or not len(rows):
        return Motif(len(rows), counts, frequencies, bits, 0.0, 1.0)
    protein = axis.protein_of[rows]
    starts, lengths = axis.proteins.offsets[protein], axis.proteins.lengths[protein]
    drawn = np.random.default_rng(seed).random((shuffles, len(rows)))
    shuffled = axis.counts(starts + (drawn * lengths).astype(np.int64))
    null = information(shuffled, background).sum(axis=1)
    above = int((null >= bits.sum() - 1e-9).sum())
    p = (1 + above) / (1 + shuffles)
    return Motif(len(rows), counts, frequencies, bits, float(null.mean()), p)


class Pattern(NamedTuple):
    """Letters that positions around a maximum may have."""

    text: str
    """In PROSITE's syntax, such as `G-x(2)-[KR]`; "" where no position is stated."""
    offset: int
    """Of its first position from the maximum."""
    allowed: np.ndarray
    """bool [width, 20]: which amino acids each position may have; all where it is `x`."""


def pattern(found: Motif) -> Pattern:
    """The positions of a motif that can be stated, as a pattern.

    A position is stated if it has at least `MIN_BITS` of information and the fewest letters, by
    frequency, that cover at least `COVERED` of the sites are at most `MOST_LETTERS`. Blanks and
    unknown letters cover nothing.

    Examples
    --------
    >>> counts = np.zeros((3, 20), int)
    >>> counts[0, [8, 14]], counts[1], counts[2, 5] = (30, 20), 2, 50  # K or R, any, G
    >>> bits = np.array([3.0, 0.0, 4.0])
    >>> pattern(Motif(50, counts, counts / 50, bits, 0.0, 0.01)).text
    '[KR]-x-G'
    """
    width, n = len(found.counts), found.n_sites
    allowed = np.ones((width, 20), bool)
    for column in np.flatnonzero(found.information >= MIN_BITS).tolist():
        order = np.argsort(-found.counts[column], kind="stable")
        covered = np.cumsum(found.counts[column][order])
        n_letters = int(np.searchsorted(covered, COVERED * n)) + 1
        if n_letters <= MOST_LETTERS:
            allowed[column] = False
            allowed[column, order[:n_letters]] = True
    stated = np.flatnonzero(~allowed.all(axis=1))
    if not len(stated):
        return Pattern("", 0, allowed[:0])
    first, last = int(stated[0]), int(stated[-1])
    part = allowed[first : last + 1]
    return Pattern(_prosite(part), first - (width - 1) // 2, part)


def _prosite(allowed: np.ndarray) -> str:
    words: list[tuple[str, int]] = []
    for position in allowed:
        letters = "".join(a for a, may in zip(AMINO_ACIDS, position, strict=True) if may)
        word = "x" if position.all() else letters if len(letters) == 1 else f"[{letters}]"
        if words and words[-1][0] == word:
            words[-1] = (word, words[-1][1] + 1)
        else:
            words.append((word, 1))
    return "-".join(word if n == 1 else f"{word}({n})" for word, n in words)


class Held(NamedTuple):
    """How a pattern does on proteins that had no part in making it."""

    sites: int
    """Strong maxima there."""
    recall: float
    """Share of these at which the pattern matches."""
    matches: int
    """Places where it matches, anywhere in these proteins."""
    precision: float
    """Share of these on which the feature is active."""
    by_chance: float
    """Share of all places of this width on which the feature is active."""


def held_out(
    axis: LetterAxis, found: Pattern, rows: np.ndarray, active: np.ndarray, within: np.ndarray
) -> Held:
    """Look for a pattern in other proteins.

    A match covers the pattern's positions; the feature is active on it if it is active on any of
    them. `rows` int64, the strong maxima of these proteins; `active` int64, the rows on which the
    feature is active; `within` bool [n_proteins].
    """
    width = len(found.allowed)
    if not width:
        return Held(len(rows), 0.0, 0, 0.0, 0.0)
    codes, may = axis.codes, np.column_stack([found.allowed, np.zeros(width, bool)])
    may[found.allowed.all(axis=1), 20] = True  # x takes an unknown letter, but see `inside`
    n = len(codes) - width + 1
    fits = np.ones(max(n, 0), bool)
    for i, position in enumerate(may):
        fits &= position[codes[i : i + n]]
    lengths, starts = axis.proteins.lengths, axis.place(axis.proteins.offsets[:-1])
    inside = np.zeros(len(codes) + 1, np.int64)
    places = within & (lengths >= width)
    np.add.at(inside, starts[places], 1)
    np.add.at(inside, starts[places] + lengths[places] - width + 1, -1)
    inside = np.cumsum(inside)[: max(n, 0)].astype(bool)
    on = np.zeros(len(codes) + 1, np.int64)
    on[axis.place(active) + 1] = 1
    on = np.cumsum(on)
    touched = (on[width : width + n] - on[:n])[inside] > 0
    hits = fits[inside]
    at = axis.place(rows) + found.offset
    matched = np.zeros(len(codes), bool)
    matched[: len(fits)] = fits & inside
    recall = matched[np.clip(at, 0, len(codes) - 1)] & (at >= 0)
    return Held(
        len(rows),
        float(recall.mean()) if len(rows) else 0.0,
        int(hits.sum()),
        float(touched[hits].mean()) if hits.any() else 0.0,
        float(touched.mean()) if len(touched) else 0.0,
    )


class MotifSearch(NamedTuple):
    """Where motifs are looked for, and how."""

    train: list[str]
    """Proteins that motifs are made from."""
    test: list[str]
    """Proteins on which their patterns are tested."""
    clusters: Mapping[str, int] | None = None
    """Homology clusters by accession; None: every protein counts."""
    flank: int = FLANK
    shuffles: int = SHUFFLES
    seed: int = 0


def feature_motifs(
    activations: FeatureActivations, search: MotifSearch, features: Iterable[int] | None = None
) -> tuple[pl.DataFrame, dict[int, Motif]]:
    """The motif of each feature that has sites enough, and how its pattern does elsewhere.

    Parameters
    ----------
    activations : FeatureActivations
        In either unit.
    search : MotifSearch
        The proteins, flank, draws and seed. A feature's draws depend on the seed and on its
        number alone.
    features : iterable of int, optional
        Features to look at (None: all).

    Returns
    -------
    pl.DataFrame
        Columns of `MOTIFS`, a row per feature with at least `MIN_SITES` sites, in order. n_sites,
        information (the sum over columns, bits), information_by_chance and p_motif are of
        `motif`, against the composition of train; q_motif is Benjamini and Hochberg's over the
        table. consensus: the commonest letter of each column, in lower case below `MIN_BITS` (of
        equals the first in the alphabet, "-" where no letter was counted). pattern ("" where
        q_motif is above `SIGNIFICANT`, or nothing can be stated) and pattern_offset: see
        `pattern`; the rest: see `Held`.
    dict
        The motifs, by feature.
    """
    numbers = range(activations.n_features) if features is None else features
    proteins = activations.proteins
    axis = LetterAxis(proteins, search.flank)
    background = composition(proteins.select(search.train))
    motifs: dict[int, Motif] = {}
    for feature in progress_bar(numbers, desc="motifs", unit="feature", leave=False):
        rows = sites(activations, feature, search.train, search.clusters)
        if len(rows) >= MIN_SITES:
            seed = (search.seed, feature)
            motifs[feature] = motif(axis, rows, background, search.shuffles, seed)
    return _table(activations, search, axis, motifs), motifs


def _table(
    activations: FeatureActivations,
    search: MotifSearch,
    axis: LetterAxis,
    motifs: Mapping[int, Motif],
) -> pl.DataFrame:
    from scipy.stats import false_discovery_control

    p = np.array([found.p for found in motifs.values()])
    q = false_discovery_control(p) if len(p) else p
    within = np.zeros(len(activations.proteins), bool)
    within[[activations.proteins.index(a) for a in search.test]] = True
    rows = []
    for (feature, found), q_motif in zip(motifs.items(), q.tolist(), strict=True):
        stated = (
            pattern(found) if q_motif <= SIGNIFICANT else Pattern("", 0, np.ones((0, 20), bool))
        )
        strong = sites(activations, feature, search.test) if search.test else np.empty(0, np.int64)
        held = held_out(axis, stated, strong, activations.feature(feature)[0], within)
        rows.append(
            {
                "feature": feature,
                "n_sites": found.n_sites,
                "information": float(found.information.sum()),
                "information_by_chance": found.by_chance,
                "p_motif": found.p,
                "q_motif": q_motif,
                "consensus": consensus(found),
                "pattern": stated.text,
                "pattern_offset": stated.offset,
                "held_out_sites": held.sites,
                "pattern_recall": held.recall,
                "held_out_matches": held.matches,
                "pattern_precision": held.precision,
                "precision_by_chance": held.by_chance,
            }
        )
    return pl.DataFrame(rows, schema=MOTIFS)


def consensus(found: Motif) -> str:
    """The commonest letter of each column, in lower case where it has less than `MIN_BITS`."""
    letters = []
    for counts, bits in zip(found.counts, found.information, strict=True):
        letter = AMINO_ACIDS[counts.argmax()] if counts.any() else "-"
        letters.append(letter if bits >= MIN_BITS else letter.lower())
    return "".join(letters)
