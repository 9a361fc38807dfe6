"""A linear probe per concept: how well one direction, fitted to labels, predicts it.

Probes are fitted on train, thresholds chosen on validation, figures read on test. A probe is a
reference for features that were found without labels, and no bound: it minimises a log loss, not
F1, and several features together, or a nonlinear one, may do better. The same rule fits probes on
embeddings and on `Letters`, which need no model.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from scipy.sparse import csc_array, csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import (
    CANDIDATES,
    FOUND,
    MEASURED,
    PAIRS,
    BestPairs,
    best_thresholds,
)
from interplm_nb.concepts.controls.dense import Inputs
from interplm_nb.concepts.controls.projection import Projection
from interplm_nb.concepts.labels import Labels
from interplm_nb.concepts.measures import Measures, measures
from interplm_nb.concepts.scored_concepts import ScoredConcepts
from interplm_nb.concepts.source import Source, check_source, joined

_BLOCK = 8192
_MEMORY = 10
_TRIES = 20
_ROOM = 2**29
_CURVED = 2**16
_log = logging.getLogger(__name__)

_Objective: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Maps coefficients [k, d] and the objectives' numbers, int64 [k], to values [k] and gradients
[k, d]."""


@dataclass(frozen=True)
class ProbeFit:
    """How `linear_probes` draws its sample and fits.

    Attributes
    ----------
    l2 : float
        Penalty; 1 is scikit-learn's C = 1.
    positives, background : int
        Expected sample sizes per concept and overall. For wide embeddings `background` is lowered
        to what is `affordable`, as the settings record. Probes of the same seed and background
        share their sample, regardless of the data they are fitted on.
    max_iter, tolerance : int, float
        A probe stops when a step promises less than `tolerance` of its sum, or after `max_iter`.
    seed : int
        Of the sample.
    """

    l2: float = 1.0
    positives: int = 2_000
    background: int = 200_000
    max_iter: int = 50
    tolerance: float = 1e-3
    seed: int = 0


_DEFAULT = ProbeFit()


def linear_probes(
    embeddings: Inputs,
    annotations: Annotations,
    accessions: Collection[str],
    concepts: Collection[str] | None = None,
    fit: ProbeFit = _DEFAULT,
) -> Projection:
    """Fit one logistic regression per concept: which residues carry it.

        minimise over w, w_0:   sum_r  s_r (log(1 + exp(z_r)) - y_r z_r)  +  l2 / 2 |w|^2,
        z = x . w + w_0

    x: standardised values; y: 1 where residue r carries the concept. All probes share one
    sample of residues: each is drawn independently with probability p_r = min(1, max(background /
    n, positives / n_c over the concepts c it carries)), where n_c of the n residues carry c, and
    has weight s_r = 1 / p_r. So the sum is an unbiased estimate of that over all residues
    (Horvitz-Thompson), and all residues of a rare concept are used. Mean and deviation are the
    weighted ones of the sample. L-BFGS fits all probes at once.

    Parameters
    ----------
    embeddings : Embeddings or Letters
        Of the annotations' proteins.
    annotations : Annotations
        The labels.
    accessions : collection of str
        Proteins to fit on: the train proteins.
    concepts : collection of str, optional
        Concepts to probe (None: all). One without a residue here gets no probe.
    fit : ProbeFit
        Penalty, sample and stopping rule.

    Returns
    -------
    Projection
        One feature per concept, named by it.

    Raises
    ------
    ValueError
        If no concept is left.
    """
    background = min(fit.background, affordable(embeddings.d_in))
    embeddings.check(annotations.proteins)
    names, y = _occurring(
        annotations if concepts is None else annotations.only(concepts), accessions
    )
    rows = annotations.proteins.rows_of(accessions)
    sample, weights = _sampled(y, rows, fit.positives, background, fit.seed)
    x, mean, deviation = _standardised(embeddings, sample, weights)
    _log.info("%d linear probes on %d of %d residues", len(names), len(sample), len(rows))
    w = _fitted(
        x,
        csc_array(csr_array(y)[sample]),
        weights,
        np.diff(y.indptr) / len(rows),
        fit,
    )
    W = (w[:, :-1] / deviation).T
    settings = {
        "l2": fit.l2,
        "positives": fit.positives,
        "background": background,
        "n_sampled": len(sample),
        "n_residues": len(rows),
        "seed": fit.seed,
    }
    return Projection.fit("linear_probe", embeddings, rows, W, w[:, -1] - mean @ W, names, settings)


def affordable(width: int) -> int:
    """How many residues of `width` values fit in 512 MiB.

    >>> affordable(1900)
    70603
    """
    return _ROOM // (4 * (width + 1))


def _occurring(
    annotations: Annotations, accessions: Collection[str]
) -> tuple[tuple[str, ...], csc_array]:
    """Names of the n concepts on these proteins, and who carries them: int8 [n_residues, n]."""
    labels = Labels.of(annotations, accessions, "keep")
    there = np.flatnonzero((labels.concepts["n_residues"] > 0).to_numpy())
    if not len(there):
        raise ValueError(
            f"none of the {labels.n_concepts} concepts occurs on the {len(accessions)} proteins to "
            "fit probes on; pass other proteins or concepts"
        )
    return tuple(labels.concepts["concept"].gather(there)), csc_array(labels.carried[:, there])


def _sampled(
    y: csc_array, rows: np.ndarray, positives: int, background: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Drawn rows, int64, and 1 / probability of each, float32."""
    carried = y.tocoo()
    probability = np.full(int(rows[-1]) + 1, background / len(rows))
    np.maximum.at(probability, carried.row, positives / np.bincount(carried.col)[carried.col])
    probability = np.minimum(probability[rows], 1)
    drawn = np.random.default_rng(seed).random(len(rows)) < probability
    return rows[drawn], (1 / probability[drawn]).astype(np.float32)


def _standardised(
    embeddings: Inputs, rows: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised values, float32 [n, d_in + 1], with 1 in the last column; mean and deviation.

    Those are float64 [d_in]; the deviation of a constant dimension is 1.
    """
    x = np.ones((len(rows), embeddings.d_in + 1), np.float32)
    inner, blocks = x[:, :-1], _blocks(len(rows))
    share = weights.astype(np.float64) / weights.sum(dtype=np.float64)
    mean, variance = np.zeros(embeddings.d_in), np.zeros(embeddings.d_in)
    for at in blocks:
        inner[at] = embeddings[rows[at]]
        mean += share[at] @ inner[at]
    for at in blocks:
        inner[at] -= mean.astype(np.float32)
        variance += share[at] @ np.square(inner[at])
    deviation = np.sqrt(variance)
    deviation[deviation == 0] = 1
    for at in blocks:
        inner[at] /= deviation.astype(np.float32)
    return x, mean, deviation


def _fitted(
    x: np.ndarray,
    y: csc_array,
    weights: np.ndarray,
    shares: np.ndarray,
    fit: ProbeFit,
) -> np.ndarray:
    """float64 [n_concepts, d_in + 1]: coefficients, the intercept last.

    Intercepts start from the shares of residues that carry each concept.
    """
    start = np.zeros((len(shares), x.shape[1]))
    inside = np.clip(shares, 1e-9, 1 - 1e-9)
    start[:, -1] = np.log(inside / (1 - inside))
    penalty = np.full(x.shape[1], float(fit.l2))
    penalty[-1] = 0
    # At the start, the Hessian of a concept is share (1 - share) x^T s x + l2, so one
    # eigendecomposition inverts all of them.
    scales, axes = np.linalg.eigh(_products(x, weights))
    hessians = np.maximum((inside * (1 - inside))[:, None] * scales, 0) + max(fit.l2, 1e-6)

    def objective(w: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The penalised loss of these probes, and its gradient."""
        value, gradient = _log_loss(x, csr_array(y[:, which]), weights, w)
        return value + (penalty * w**2).sum(axis=1) / 2, gradient + penalty * w

    return _minimised(
        objective,
        start,
        lambda g: ((g @ axes) / hessians) @ axes.T,
        fit.max_iter,
        fit.tolerance,
    )


def _products(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [d, d]: x^T s x, estimated from at most 65,536 residues.

    It sets only the first step of L-BFGS; later steps use all residues.
    """
    every = -(-len(x) // _CURVED)
    roots = np.sqrt(every * weights[::every])[:, None]
    products = np.zeros((x.shape[1], x.shape[1]))
    for at in _blocks(len(roots)):
        scaled = x[::every][at] * roots[at]
        products += scaled.T @ scaled  # one array twice: numpy computes one half and mirrors it
    return products


def _log_loss(
    x: np.ndarray, y: csr_array, weights: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted losses of k probes with coefficients w [k, d]: float64 [k], and gradients [k, d]."""
    value, gradient, directions = (
        np.zeros(len(w)),
        np.zeros(w.T.shape),
        np.ascontiguousarray(w.T, np.float32),
    )
    for at in _blocks(len(x)):
        z, carried, s = x[at] @ directions, y[at].toarray(), weights[at, None]
        small = np.exp(-np.abs(z))  # log(1 + exp(z)) and 1 / (1 + exp(-z)) without overflow
        value += (s * (np.log1p(small) + np.maximum(z, 0) - carried * z)).sum(
            axis=0, dtype=np.float64
        )
        residual = s * (np.where(z >= 0, 1, small) / (1 + small) - carried)
        gradient += x[at].T @ residual  # in this order, BLAS is 1.5 times as fast
    return value, gradient.T


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]


def _minimised(
    objective: _Objective,
    w: np.ndarray,
    inverse: Callable[[np.ndarray], np.ndarray],
    max_iter: int,
    tolerance: float,
) -> np.ndarray:
    """Minimise many objectives at once by L-BFGS (Nocedal & Wright, algorithm 7.4).

    `inverse` applies their initial inverse Hessians to [k, d].
    """
    past: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    value, gradient = objective(w, np.arange(len(w)))
    stuck = np.zeros(len(w), bool)
    for _ in range(max_iter):
        step = -_two_loops(gradient, past, inverse)
        slope = (step * gradient).sum(axis=1)
        moving = np.flatnonzero((-slope > tolerance * value) & ~stuck)
        if not len(moving):
            break
        new, new_value, new_gradient = w.copy(), value.copy(), gradient.copy()
        length = np.ones(len(w))
        for _ in range(_TRIES):
            new[moving] = w[moving] + length[moving, None] * step[moving]
            new_value[moving], new_gradient[moving] = objective(new[moving], moving)
            rise, fall = new_value - value, length * slope
            moving = moving[rise[moving] > 1e-4 * fall[moving]]
            if not len(moving):
                break
            # The minimum of the interpolating parabola (Nocedal & Wright, eq. 3.58).
            shorter = -fall[moving] / (2 * (rise - fall)[moving])
            length[moving] *= np.clip(shorter, 0.1, 0.5)
        # A step that cannot decrease the loss has reached float32's precision.
        stuck[moving] = True
        new[moving], new_value[moving], new_gradient[moving] = (
            w[moving],
            value[moving],
            gradient[moving],
        )
        moved, bent = new - w, new_gradient - gradient
        curvature = (moved * bent).sum(axis=1)
        past = [
            *past,
            (
                moved,
                bent,
                np.divide(1, curvature, out=np.zeros_like(curvature), where=curvature > 1e-12),
            ),
        ][-_MEMORY:]
        w, value, gradient = new, new_value, new_gradient
    return w


def _two_loops(
    gradient: np.ndarray,
    past: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    inverse: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    q, alphas = gradient.copy(), []
    for moved, bent, rho in reversed(past):
        alphas.append(rho * (moved * q).sum(axis=1))
        q -= alphas[-1][:, None] * bent
    q = inverse(q)
    for (moved, bent, rho), alpha in zip(past, reversed(alphas), strict=True):
        q += (alpha - rho * (bent * q).sum(axis=1))[:, None] * moved
    return q


def probe_pairs(
    probes: Projection,
    embeddings: Inputs,
    annotations: Annotations,
    validation: Collection[str],
    test: Collection[str],
    scored: ScoredConcepts,
    n_levels: int = 50,
) -> BestPairs:
    """Pair each concept with its own probe: `best_pairs.strict` for probes.

    Thresholds are chosen on validation (`best_thresholds`) and read on test. The same concepts are
    scored as by `best_pairs.strict`; one without a probe counts 0. `feature` is the probe's index
    in `probes.names`. `n_levels` thresholds are tried per concept, just below quantiles of the
    values of the residues that carry it on validation. For instance-level concepts half of them
    are at quantiles of the instances' maxima, where an instance is won or lost. ValueError for
    embeddings that the probes were not fitted on, or other proteins than the annotations'.
    """
    source = probes.on(embeddings, annotations.proteins)
    check_source(source, annotations)
    own = {name: i for i, name in enumerate(probes.names)}
    probed = [concept for concept in scored.names if concept in own]
    features = np.array([own[concept] for concept in probed], np.int64)
    on_validation, on_test = (
        _Own.of(source, annotations.only(probed), accessions, features)
        for accessions in (validation, test)
    )
    levels = on_validation.levels(n_levels)
    tried = on_validation.measures(levels, source, validation, features)
    best = best_thresholds(tried)[:, None]
    thresholds = np.take_along_axis(levels, best, axis=1)
    read = on_test.measures(thresholds, source, test, features)
    columns: dict[str, Any] = {
        "concept": probed,
        "feature": features,
        "threshold": thresholds[:, 0],
        "test_threshold": thresholds[:, 0],
    }
    columns |= {
        f"validation_{name}": np.take_along_axis(getattr(tried, name), best, axis=1)[:, 0]
        for name in ("f1_per_domain", "f1")
    }
    columns |= {name: values[:, 0] for name, values in read._asdict().items()}
    return _selected(
        Labels.of(annotations.only(scored.names), test, "keep").concepts,
        pl.DataFrame(columns),
        scored.words,
    )


def _selected(concepts: pl.DataFrame, chosen: pl.DataFrame, words: str) -> BestPairs:
    chosen = chosen.select(pl.col(name).cast(PAIRS[name]) for name in chosen.columns)
    pairs = (
        concepts.join(chosen, on="concept", how="left")
        .sort("concept")
        .with_columns(pl.col(MEASURED).fill_null(0.0))
        .select(list(PAIRS))
    )
    both = pairs.filter(pl.col("validation_f1_per_domain") > FOUND, pl.col("f1_per_domain") > FOUND)
    return BestPairs("strict", words, pairs, both.select(list(CANDIDATES)), 0)


class _Own(NamedTuple):
    """Concepts of some proteins, and the values of each one's own feature on it.

    Its counts need nothing else except the active residues.
    """

    concepts: pl.DataFrame
    carried: list[np.ndarray]
    """float32, per concept: values of the residues that carry it."""
    tops: list[np.ndarray]
    """float32, per concept: the maximum of each instance; empty for residue-level concepts."""

    @classmethod
    def of(
        cls,
        source: Source,
        annotations: Annotations,
        accessions: Collection[str],
        features: np.ndarray,
    ) -> "_Own":
        """One pass; features: int64 [n_concepts], the own feature of each concept, in order."""
        labels = Labels.of(annotations, accessions, "keep")
        carried: list[np.ndarray] = [np.empty((2, 0))]
        tops: list[np.ndarray] = [np.empty((2, 0))]
        for rows, values in joined(source, accessions):
            here, members, concept_of = labels.on(rows)
            concept = np.repeat(np.arange(labels.n_concepts), np.diff(here.indptr))
            carried.append(np.stack([concept, values[here.indices, features[concept]]]))
            if len(concept_of):
                feature = np.repeat(features[concept_of], np.diff(members.indptr))
                tops.append(
                    np.stack(
                        [
                            concept_of,
                            np.maximum.reduceat(
                                values[members.indices, feature], members.indptr[:-1]
                            ),
                        ]
                    )
                )
        return cls(
            labels.concepts,
            _by_concept(carried, labels.n_concepts),
            _by_concept(tops, labels.n_concepts),
        )

    def levels(self, n: int) -> np.ndarray:
        """float32 [n_concepts, n], ascending: thresholds to try, see `probe_pairs`."""
        levels = np.empty((len(self.carried), n), np.float32)
        for c, (carried, tops) in enumerate(zip(self.carried, self.tops, strict=True)):
            parts = [carried, tops] if len(tops) else [carried]
            sizes = [len(part) for part in np.array_split(np.empty(n), len(parts))]
            levels[c] = np.concatenate(
                [
                    np.quantile(p, np.linspace(0, 1, k), method="lower")
                    for p, k in zip(parts, sizes, strict=True)
                ]
            )
        # Just below the quantile, since active means strictly above. A threshold is at least 0.
        return np.sort(np.maximum(np.nextafter(levels, np.float32(-np.inf)), 0), axis=1)

    def measures(
        self, levels: np.ndarray, source: Source, accessions: Collection[str], features: np.ndarray
    ) -> Measures:
        """Measures at the levels of each concept: float64 [n_concepts, n].

        `levels` float32 of that shape, ascending. One pass for the active residues.
        """
        tp, hits = (
            np.array(
                [
                    (values[:, None] > own).sum(axis=0)
                    for values, own in zip(part, levels, strict=True)
                ],
                np.int64,
            ).reshape(levels.shape)
            for part in (self.carried, self.tops)
        )
        n_residues, n_instances = (
            self.concepts[name].to_numpy()[:, None] for name in ("n_residues", "n_instances")
        )
        residue_level = (self.concepts["level"] == "residue").to_numpy()[:, None]
        return measures(
            tp,
            _active(source, accessions, features, levels),
            hits,
            n_residues,
            n_instances,
            residue_level,
        )


def _active(
    source: Source, accessions: Collection[str], features: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """int64 [n_concepts, n]: residues where each concept's feature is above each of its levels."""
    at = np.zeros((len(levels), levels.shape[1] + 1), np.int64)
    for _, values in joined(source, accessions):
        for c, feature in enumerate(features):
            # The number of levels that a value is strictly above.
            at[c] += np.bincount(
                np.searchsorted(levels[c], values[:, feature], side="left"), minlength=at.shape[1]
            )
    return at[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]


def _by_concept(parts: list[np.ndarray], n_concepts: int) -> list[np.ndarray]:
    """Values of [2, n] arrays (concept, value), split by concept, float32."""
    concept, values = np.concatenate(parts, axis=1)
    order = np.argsort(concept, kind="stable")
    return np.split(
        values[order].astype(np.float32), np.searchsorted(concept[order], np.arange(1, n_concepts))
    )[:n_concepts]
