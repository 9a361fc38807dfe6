"""Motifs of features compared with known ones: patterns by where they occur, matrices by their
columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from interplm_nb.activations_writer import shape_of
from interplm_nb.features.motifs import Motif
from interplm_nb.proteins import Proteins
from interplm_nb.readers.motif_files import KnownMotif, pattern_regex

LEAST_OVERLAP = 4
"""Columns that two matrices must share, or all of the shorter one."""
PERMUTATIONS = 999
"""Orders of a motif's columns behind the p value of a matrix."""
BEST = 3
"""Known motifs that are listed for a feature."""

KNOWN: dict[str, Any] = {
    "feature": pl.UInt32,
    "known": pl.String,
    "kind": pl.String,
    "similarity": pl.Float64,
    "by_chance": pl.Float64,
    "p_known": pl.Float64,
    "e_value": pl.Float64,
}
"""Columns of `compared_with_known`."""


def occurrences(proteins: Proteins, patterns: Sequence[str]) -> sparse.csr_array:
    """bool [n_residues, n_patterns]: the residues that are in a match of each pattern.

    Matches may overlap; of those that start at one residue the longest gaps are taken.

    >>> occurrences(Proteins.from_sequences({"P1": "MNGSA"}), ["N-x-[ST]"]).toarray()[:, 0].tolist()
    [False, True, True, True, False]
    """
    text = "\n".join(proteins.sequences)
    rows: list[np.ndarray] = [np.empty(0, np.int64)]
    columns: list[np.ndarray] = [np.empty(0, np.int64)]
    for column, pattern in enumerate(patterns):
        regex = pattern_regex(pattern)
        change = np.zeros(len(text) + 1, np.int64)
        found = regex.search(text)
        while found is not None:
            change[found.start()] += 1
            change[found.end()] -= 1
            found = regex.search(text, found.start() + 1)
        covered = np.cumsum(change)[:-1] > 0
        own = np.flatnonzero(covered[np.frombuffer(text.encode(), np.uint8) != ord("\n")])
        rows.append(own)
        columns.append(np.full(len(own), column))
    row, column = np.concatenate(rows), np.concatenate(columns)
    shape = proteins.n_residues, len(patterns)
    return sparse.csr_array((np.ones(len(row), bool), (row, column)), shape=shape)


def compared_with_known(
    motifs: Mapping[int, Motif],
    sites: Mapping[int, np.ndarray],
    proteins: Proteins,
    known: Sequence[KnownMotif],
    seed: int = 0,
) -> pl.DataFrame:
    """The known motifs that are most like the motif of each feature.

    A pattern: similarity is the share of the feature's sites that are in a match of it, by_chance
    the mean share of these sites' proteins that is in one, and p_known the chance that as many
    of the sites would be in one if each were drawn from its protein (exact, Poisson-binomial).

    A matrix: similarity is the mean correlation of paired columns, at the offset without gaps
    where their sum is highest and at least `LEAST_OVERLAP` columns pair. by_chance is the mean
    over `PERMUTATIONS` orders of the feature's columns, and p_known (1 + c) / (1 + PERMUTATIONS),
    with c orders whose best sum is at least as high.

    Parameters
    ----------
    motifs, sites : mapping
        By feature: the motif, and int64 rows of its maxima (`motifs.sites`).
    proteins : Proteins
        The residue axis.
    known : sequence of KnownMotif
        From `read_motifs`.
    seed : int
        Of the orders.

    Returns
    -------
    pl.DataFrame
        Columns of `KNOWN`: for each feature the `BEST` patterns by p_known and the `BEST` matrices
        by similarity, by feature. e_value is p_known times the number of known motifs of the kind:
        how many as good would be expected by chance.
    """
    patterns = [one for one in known if one.frequencies is None]
    matrices = [one for one in known if one.frequencies is not None]
    within = occurrences(proteins, [one.pattern for one in patterns])
    coverage = _coverage(within, proteins)
    protein_of = np.repeat(np.arange(len(proteins)), proteins.lengths)
    rows: list[dict[str, Any]] = []
    for feature, motif in motifs.items():
        own = sites[feature]
        hits = np.asarray(within[own].sum(axis=0)).ravel()
        chances = coverage[protein_of[own]]
        found = [
            (one.name, "pattern", hits[i] / len(own), chances[:, i].mean(), p)
            for i, one in enumerate(patterns)
            if hits[i] and (p := _as_many(int(hits[i]), chances[:, i])) <= 1
        ]
        found.sort(key=lambda row: (row[4], -row[2], row[0]))
        aligned = _aligned(motif, matrices, np.random.default_rng((seed, feature)))
        for kind, best in ((len(patterns), found[:BEST]), (len(matrices), aligned)):
            rows += [
                dict(zip(KNOWN, (feature, *values, values[-1] * kind), strict=True))
                for values in best
            ]
    return pl.DataFrame(rows, schema=KNOWN, orient="row").sort("feature", maintain_order=True)


def _coverage(within: sparse.csr_array, proteins: Proteins) -> np.ndarray:
    """float64 [n_proteins, n_patterns]: share of each protein that is in a match."""
    protein_of = np.repeat(np.arange(len(proteins)), proteins.lengths)
    covered = np.zeros((len(proteins), shape_of(within)[1]))
    entries = within.tocoo()
    np.add.at(covered, (protein_of[entries.row], entries.col), 1)
    return covered / proteins.lengths[:, None]


def _as_many(hits: int, chances: np.ndarray) -> float:
    """P(at least `hits` of independent events with these chances)."""
    counts = np.zeros(len(chances) + 1)
    counts[0] = 1.0
    for chance in chances.tolist():
        counts[1:] = counts[1:] * (1 - chance) + counts[:-1] * chance
        counts[0] *= 1 - chance
    return float(min(1.0, counts[hits:].sum()))


def _aligned(
    motif: Motif, matrices: Sequence[KnownMotif], rng: np.random.Generator
) -> list[tuple[str, str, float, float, float]]:
    """Name, kind, similarity, by chance and p of the most similar matrices."""
    own = motif.frequencies
    scored = []
    for one in matrices:
        assert one.frequencies is not None
        alike = _correlations(own, one.frequencies)
        score, columns = _best(alike[None])
        scored.append((score[0] / columns[0], one.name, alike, score[0]))
    scored.sort(key=lambda row: (-row[0], row[1]))
    orders = np.array([rng.permutation(len(own)) for _ in range(PERMUTATIONS)])
    found = []
    for similarity, name, alike, score in scored[:BEST]:
        null, columns = _best(alike[orders])
        p = (1 + int((null >= score - 1e-9).sum())) / (1 + PERMUTATIONS)
        found.append((name, "matrix", float(similarity), float((null / columns).mean()), p))
    return found


def _correlations(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float64 [L, M]: Pearson correlation of all pairs of columns; 0 for a flat one."""

    def standard(matrix: np.ndarray) -> np.ndarray:
        """Each row less its mean, of length 1; zeros for a flat row."""
        centred = matrix - matrix.mean(axis=1, keepdims=True)
        size = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.divide(centred, size, out=np.zeros_like(centred), where=size > 1e-9)

    return standard(own) @ standard(other).T


def _best(alike: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over all offsets without gaps: the highest sum [n] and its number of columns [n]."""
    _, width, other = alike.shape
    least = min(LEAST_OVERLAP, width, other)
    sums, columns = [], []
    for offset in range(least - width, other - least + 1):
        n = min(width, other - offset) - max(0, -offset)
        sums.append(np.trace(alike, offset, axis1=1, axis2=2))
        columns.append(n)
    best = np.argmax(sums, axis=0)
    return np.max(sums, axis=0), np.asarray(columns)[best]
