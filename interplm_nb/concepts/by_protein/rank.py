"""Features ranked by how well they predict labels of proteins, with controls.

Signs come from train, the choice of features and thresholds from validation, and figures from
test, in splits that share no homology cluster.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import polars as pl

from interplm_nb.concepts.by_protein import controls as own_controls
from interplm_nb.concepts.by_protein import resampling
from interplm_nb.concepts.by_protein.classifier import LabelClassifier, best_probe, labelled
from interplm_nb.concepts.by_protein.columns import as_scores, rank_correlations
from interplm_nb.concepts.by_protein.pool import PooledFeatures
from interplm_nb.concepts.intervals import draws_of_clusters, middle
from interplm_nb.concepts.probes.examples import Examples
from interplm_nb.concepts.probes.fitting import Probe, association
from interplm_nb.concepts.source import Matrix
from interplm_nb.proteins import Proteins
from interplm_nb.readers.protein_labels import ProteinLabels

By = Literal["f1", "auprc"]
"""By what classes are ranked; numbers are ranked by Spearman's correlation."""

RELATIVE = "nearest relative"
LETTERS = "letters"
LENGTH = "length"

NAMES = {"f1": "F1", "auprc": "AUPRC", "rho": "rank correlation"}
"""Of the figures, for people."""

Relative = tuple[str, float]
"""Accession and E-value."""

RANKED: dict[str, Any] = {
    "label": pl.String,
    "source": pl.String,
    "model": pl.String,
    "rank": pl.Int64,
    "features": pl.List(pl.Int64),
    "direction": pl.Int8,
    "threshold": pl.Float64,
    "validation": pl.Float64,
    "n": pl.Int64,
    "n_positive": pl.Int64,
} | {
    f"{figure}{end}": pl.Float64
    for figure in ("f1", "auprc", "rho")
    for end in ("", "_low", "_high")
}
RANKED |= {"chance": pl.Float64, "p_value": pl.Float64, "q_value": pl.Float64}
"""Columns of `Ranked.table`. model is "feature", "classifier" (a logistic regression on several) or
"search". direction is 1 where high values say the label, -1 where low ones do. validation is the
figure that chose the row; n, n_positive and the rest are of test, with 95 % intervals over its
clusters. chance is the mean figure with exchanged labels, p_value how often those reach the row's
own, and q_value its false discovery rate (Benjamini and Hochberg) among the rows of its source."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """Features and controls that predict the labels, best on validation first."""

    labels: ProteinLabels
    by: str
    """The figure that chose, and that chance is of: f1, auprc or rho."""
    table: pl.DataFrame
    """Columns of `RANKED`."""
    classifier: LabelClassifier | None
    """Of the features; None for numbers."""
    left_out: Mapping[str, str]
    """Class or control -> why it is left out."""
    n_clusters: int
    """Homology clusters of the test proteins."""
    source: str = "sae"
    """What the table calls the ranked features; the others are controls."""

    def best(self) -> pl.DataFrame:
        """A row per label, source and model: what was best on validation."""
        return self.table.filter(pl.col("rank") == 1)

    def verdict(self) -> str:
        """For each label, the best feature on test, with the best control."""
        return "\n".join(
            _verdict(str(label), part, self.by, self.source)
            for (label,), part in self.best().group_by("label", maintain_order=True)
        )

    def __repr__(self) -> str:
        return f"Ranked({self.labels!r} by {self.by} on {self.n_clusters} test clusters)"


def rank(
    pooled: PooledFeatures,
    labels: ProteinLabels,
    splits: pl.DataFrame,
    controls: Mapping[str, PooledFeatures] | None = None,
    by: By = "f1",
    top: int = 20,
    n_resamples: int = 1000,
    seed: int = 0,
    source: str = "sae",
) -> Ranked:
    """Rank features by how well one alone tells a class or a number of proteins.

    The controls are: the share of each letter, the length, MMseqs2's nearest
    labelled relative among the proteins that are not tested, and `controls`. Every source with
    more than one feature has a classifier too (`LabelClassifier`), for classes.

    Parameters
    ----------
    pooled
        Features of the labelled proteins, from `pool`.
    labels
        From `read_protein_labels` or `ProteinLabels.carrying`.
    splits
        accession, cluster and split (train, validation, test), such as `Run.splits`; no cluster
        may be in two.
    controls
        Other sources, such as the model's neurons, pooled on the same proteins.
    by
        For classes: "f1" at the best threshold, or "auprc".
    top
        Features listed per label; all of them are read on test.
    n_resamples
        Resamples of the test clusters for intervals, and exchanges of labels for chance.
    seed
        Of both.
    source
        What the table calls the features.

    Returns
    -------
    Ranked
        Its `table` holds every figure, `best()` the first of each source, `verdict()` the words.

    Raises
    ------
    ValueError
        Where a split has no labelled protein, or every class lacks examples.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> run = ipn.Run.open("runs/demo")
    >>> lengths = pl.DataFrame({"accession": run.proteins().accessions})
    >>> lengths = lengths.with_columns(label=pl.Series(run.proteins().lengths))
    >>> ranked = ipn.rank(
    ...     ipn.pool(run.scored("sae", "strict")),
    ...     ipn.read_protein_labels(lengths).labels,
    ...     run.splits(),
    ...     n_resamples=20,
    ... )
    >>> row = ranked.best().filter(source="length")
    >>> round(row["rho"].item(), 3)
    1.0
    """
    if by not in get_args(By):
        raise ValueError(f"classes are ranked by f1 or auprc, not {by!r}")
    pooled, known = labelled(pooled, labels, splits)
    proteins = pooled.proteins
    others = {name: other.select(proteins.accessions) for name, other in (controls or {}).items()}
    sources = {source: pooled} | others
    sources |= {LETTERS: own_controls.letters(proteins), LENGTH: own_controls.length(proteins)}
    asked = _Asked(
        source,
        labels,
        sources,
        {name: Examples.proteins(features, known) for name, features in sources.items()},
        by,
        top,
    )
    left_out: dict[str, str] = {}
    relatives = _relatives(pooled, known, left_out)
    probes: dict[str, Probe] = {}
    candidates = asked.candidates(relatives, probes, left_out)
    if not candidates:
        raise ValueError(f"cannot rank {labels!r}: {next(iter(left_out.values()))}")
    test = _Test.of(asked.examples[source].places["test"], proteins, known, n_resamples, seed)
    figure = "rho" if labels.kind == "number" else by
    table = _with_q(pl.DataFrame([test.row(c, figure) for c in candidates], schema=RANKED))
    unfitted = {label: why for label, why in left_out.items() if label != RELATIVE}
    classifier = LabelClassifier.of_probes(pooled, probes, unfitted) if probes else None
    return Ranked(labels, figure, table, classifier, left_out, test.n_clusters, source)


class _Candidate(NamedTuple):
    """Something that scores the test proteins: higher for the label, or for higher numbers."""

    label: str
    source: str
    model: str
    rank: int
    features: list[int]
    direction: int
    threshold: float | None
    validation: float
    scores: np.ndarray
    """float64 [n_test]."""
    truth: np.ndarray
    """bool or float64 [n_test]."""


@dataclass(frozen=True)
class _Asked:
    own: str
    """The source of the ranked features."""
    labels: ProteinLabels
    sources: Mapping[str, PooledFeatures]
    examples: Mapping[str, Examples]
    """The same proteins in each."""
    by: By
    top: int

    def candidates(
        self,
        relatives: Mapping[str, Relative] | None,
        probes: dict[str, Probe],
        left_out: dict[str, str],
    ) -> list[_Candidate]:
        """Candidates of all classes, or of the numbers.

        Probes of the own source are put into `probes`, and why a label has none into `left_out`.
        """
        found: list[_Candidate] = []
        for label in self.labels.classes or [self.labels.name]:
            try:
                found += (
                    self.of_class(label, relatives, probes)
                    if self.labels.kind == "class"
                    else self.of_numbers(relatives)
                )
            except ValueError as error:
                left_out[label] = str(error)
        return found

    def of_class(
        self, label: str, relatives: Mapping[str, Relative] | None, probes: dict[str, Probe]
    ) -> list[_Candidate]:
        """Candidates of one class; the probe of the own source is put into `probes`."""
        accessions = self.sources[self.own].accessions
        carried = self.labels.carries(label, accessions)
        found: list[_Candidate] = []
        for source, examples in self.examples.items():
            truth = examples.labels(carried)
            direction = np.sign(association(examples, carried)).astype(np.int64)
            alive = np.flatnonzero(direction)
            columns = as_scores(
                examples.values["validation"][:, alive], direction[alive], truth["validation"]
            )
            worth = getattr(columns, self.by)
            for place, j in enumerate(self._first(source, worth)):
                feature, sign = int(alive[j]), int(direction[alive[j]])
                found.append(
                    _Candidate(
                        label,
                        source,
                        "feature",
                        place + 1,
                        [int(self.sources[source].features[feature])],
                        sign,
                        # Of the value itself: direction 1 calls what is above it, -1 what is below.
                        sign * float(columns.threshold[j]),
                        float(worth[j]),
                        sign * _column(examples.values["test"], feature),
                        truth["test"],
                    )
                )
            if examples.n_features > 1:
                probe = best_probe(examples, carried)
                found.append(self._classifier(label, source, probe, truth["test"]))
                if source == self.own:
                    probes[label] = probe
        if relatives is not None:
            carriers = {a for a, has in zip(accessions, carried, strict=True) if has}
            scores = own_controls.by_class(accessions, relatives, carriers)
            places = self.examples[self.own].places
            truth = self.examples[self.own].labels(carried)
            one = as_scores(
                scores[places["validation"], None], np.ones(1, np.int64), truth["validation"]
            )
            chosen = float(one.threshold[0]), float(getattr(one, self.by)[0])
            at = scores[places["test"]]
            found.append(
                _Candidate(label, RELATIVE, "search", 1, [], 1, *chosen, at, truth["test"])
            )
        return found

    def of_numbers(self, relatives: Mapping[str, Relative] | None) -> list[_Candidate]:
        """Candidates of the numbers."""
        name, accessions = self.labels.name, self.sources[self.own].accessions
        numbers = self.labels.numbers(accessions)
        found: list[_Candidate] = []
        for source, examples in self.examples.items():
            truth = {split: numbers[places] for split, places in examples.places.items()}
            direction = np.sign(rank_correlations(examples.values["train"], truth["train"])).astype(
                np.int64
            )
            alive = np.flatnonzero(direction)
            worth = direction[alive] * rank_correlations(
                examples.values["validation"][:, alive], truth["validation"]
            )
            for place, j in enumerate(self._first(source, worth)):
                feature, sign = int(alive[j]), int(direction[alive[j]])
                ids = [int(self.sources[source].features[feature])]
                at = sign * _column(examples.values["test"], feature)
                about = (name, source, "feature", place + 1, ids, sign, None, float(worth[j]))
                found.append(_Candidate(*about, at, truth["test"]))
        if relatives is not None:
            places = self.examples[self.own].places
            otherwise = float(np.median(numbers[places["train"]]))
            known = dict(zip(accessions, numbers.tolist(), strict=True))
            scores = own_controls.by_number(accessions, relatives, known, otherwise)
            at, truths = (
                {split: values[places[split]] for split in ("validation", "test")}
                for values in (scores, numbers)
            )
            worth = rank_correlations(at["validation"][:, None], truths["validation"])
            about = (name, RELATIVE, "search", 1, [], 1, None, float(worth[0]))
            found.append(_Candidate(*about, at["test"], truths["test"]))
        return found

    def _first(self, source: str, worth: np.ndarray) -> list[int]:
        """The best columns; of a control only the best."""
        return np.argsort(-worth, kind="stable")[: self.top if source == self.own else 1].tolist()

    def _classifier(self, label: str, source: str, probe: Probe, truth: np.ndarray) -> _Candidate:
        ids = self.sources[source].features[probe.features].tolist()
        validation = getattr(probe.validation, self.by)
        at = probe.log_odds(self.examples[source].values["test"])
        about = (label, source, "classifier", 1, ids, 1, probe.threshold, validation)
        return _Candidate(*about, at, truth)


@dataclass(frozen=True)
class _Test:
    """The test proteins, their resamples and exchanges."""

    weights: np.ndarray
    """int64 [n_draws, n]: how often each protein counts, where clusters are drawn."""
    places: np.ndarray
    """int64 [n_draws, n], of `exchanges`."""
    n_clusters: int

    @classmethod
    def of(
        cls, places: np.ndarray, proteins: Proteins, splits: pl.DataFrame, n_draws: int, seed: int
    ) -> "_Test":
        """Draws of the clusters of `proteins` at int64 `places`, which are the test proteins."""
        cluster_of = dict(splits.select("accession", "cluster").iter_rows())
        own = [cluster_of[proteins.accessions[place]] for place in places.tolist()]
        names, cluster = np.unique(own, return_inverse=True)
        weights = draws_of_clusters(len(names), n_draws, seed)[:, cluster]
        return cls(weights, resampling.exchanges(cluster, n_draws, seed), len(names))

    def row(self, c: _Candidate, figure: str) -> dict[str, Any]:
        """A row of `RANKED` but its q value; `figure` is the one that chance is of."""
        n = len(c.truth)
        once = np.ones((1, n), np.int64)
        found: dict[str, Any] = {}
        for name, of in self._figures(c).items():
            low, high = middle(of(c.truth[None], self.weights))
            found |= {name: float(of(c.truth[None], once)[0])}
            found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
        chance = self._figures(c)[figure](c.truth[self.places], once)
        reached = int((chance >= found[figure] - 1e-12).sum())
        about = {k: v for k, v in c._asdict().items() if k not in ("scores", "truth")}
        n_positive = int(c.truth.sum()) if c.truth.dtype == bool else None
        return {
            **about,
            "n": n,
            "n_positive": n_positive,
            **found,
            "chance": float(chance.mean()),
            "p_value": (1 + reached) / (1 + len(chance)),
            "q_value": None,
        }

    @staticmethod
    def _figures(c: _Candidate) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        """Name -> figure of truths [n_draws or 1, n] under weights [n_draws or 1, n]."""
        if c.threshold is None:
            return {"rho": lambda truth, weights: resampling.spearman(c.scores, truth, weights)}
        called = c.scores > (c.direction * c.threshold)
        return {
            "f1": lambda truth, weights: resampling.f1(called, truth, weights),
            "auprc": lambda truth, weights: resampling.auprc(c.scores, truth, weights),
        }


def _relatives(
    pooled: PooledFeatures, splits: pl.DataFrame, left_out: dict[str, str]
) -> Mapping[str, Relative] | None:
    """None, and why, without MMseqs2."""
    try:
        return own_controls.nearest(pooled.proteins, splits)
    except FileNotFoundError as error:
        left_out[RELATIVE] = str(error)
        return None


def _with_q(table: pl.DataFrame) -> pl.DataFrame:
    def q(p: pl.Series) -> pl.Series:
        """Benjamini-Hochberg q-values of the tests of one source and model."""
        from scipy.stats import false_discovery_control

        return pl.Series(false_discovery_control(p.to_numpy(), method="bh"))

    return table.with_columns(
        pl.col("p_value")
        .map_batches(q, return_dtype=pl.Float64)
        .over("source", "model")
        .alias("q_value")
    )


def _column(values: Matrix, j: int) -> np.ndarray:
    column = values[:, [j]]
    return (column if isinstance(column, np.ndarray) else column.toarray())[:, 0].astype(float)


def _verdict(label: str, best: pl.DataFrame, by: str, source: str) -> str:
    """The best feature and the classifier of the features, each with the controls' best."""
    parts = []
    for own_model in ("feature", "classifier"):
        rows = best.filter((pl.col("model") == "classifier") == (own_model == "classifier"))
        own = rows.filter(pl.col("source") == source)
        others = rows.filter(pl.col("source") != source).sort(by, descending=True)
        if own.is_empty():
            continue
        row = own.row(0, named=True)
        n = len(row["features"])
        what = f"feature {row['features'][0]}" if own_model == "feature" else f"{n} features"
        text = f"{what} {_interval(row, by)}, chance {row['chance']:.2f}, q {row['q_value']:.3f}"
        if others.height:
            control = others.row(0, named=True)
            text += f"; best control: {control['source']} {_interval(control, by)}"
            if control[by] >= row[by]:
                text += ", which does at least as well"
            elif control[by] >= row[f"{by}_low"]:
                text += ", which lies within the interval"
        parts.append(text)
    first = best.row(0, named=True)
    of = "" if first["n_positive"] is None else f"{first['n_positive']} of "
    return (
        f"{label} ({NAMES[by]} on {of}{first['n']} test proteins): {'. Classifier: '.join(parts)}."
    )


def _interval(row: Mapping[str, Any], by: str) -> str:
    return f"{row[by]:.2f} [{row[f'{by}_low']:.2f}, {row[f'{by}_high']:.2f}]"
