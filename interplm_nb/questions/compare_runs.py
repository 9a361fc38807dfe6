"""Runs compared concept by concept: gained, lost, and the differences with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplm_nb.concepts.intervals import COVERS
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.text import text_table
from interplm_nb.questions.export import counted_pairs, grounds

if TYPE_CHECKING:
    from interplm_nb.concepts.intervals import ClusterCounts

CONCEPTS: dict[str, Any] = {
    "first": pl.String,
    "second": pl.String,
    "concept": pl.String,
    "category": pl.String,
    "n_instances": pl.Int64,
    "first_f1": pl.Float64,
    "second_f1": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "change": pl.String,
}
"""Columns of `RunsCompared.concepts`.

difference: second minus first, of f1_per_domain on test; low, high: its 95 % interval over test
clusters, for one seed of each. change: "gained" if only the second run finds the concept, with
support (`concepts.support`), "lost" if only the first does, else "both" or "neither". Null, like
the differences, if one run does not score the concept.
"""

RUNS: dict[str, Any] = {
    "run": pl.String,
    "model": pl.String,
    "layer": pl.Int64,
    "n_concepts": pl.Int64,
    "mean_f1_per_domain": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "gained": pl.Int64,
    "lost": pl.Int64,
}
"""Columns of `RunsCompared.runs`.

Means are over the concepts that all runs score; difference, gained and lost are relative to the
first run.
"""


@dataclass(frozen=True)
class RunsCompared:
    """What `compare_runs` finds.

    concepts: a row per concept and run after the first. runs: a row per run. words: a sentence per
    run after the first.
    """

    concepts: pl.DataFrame
    runs: pl.DataFrame
    words: str

    def __str__(self) -> str:
        changed = self.concepts.filter(pl.col("change").is_in(["gained", "lost"])).sort(
            "second", "change", "concept"
        )
        most = (
            self.concepts.filter(pl.col("difference") != 0)
            .sort(pl.col("difference").abs(), descending=True)
            .head(20)
        )
        columns = [
            "second",
            "concept",
            "first_f1",
            "second_f1",
            "difference",
            "low",
            "high",
            "change",
        ]
        parts = [self.words, text_table(self.runs)]
        parts += (
            [f"concepts gained and lost:\n{text_table(changed.select(columns))}"]
            if changed.height
            else []
        )
        parts += (
            [
                f"largest differences ({most.height} of {self.concepts.height}):\n"
                f"{text_table(most.select(columns))}"
            ]
            if most.height
            else []
        )
        return "\n\n".join(parts)


@dataclass(frozen=True)
class _Side:
    """One run and what is compared."""

    run: Run
    label: str
    model: str
    layer: int
    pairs: pl.DataFrame
    found: frozenset[str]


def compare_runs(
    *runs: Run,
    source: str = "sae",
    convention: str = "strict",
    across_models: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> RunsCompared:
    """Compare one source of the first run with the same source of each other run, on test.

    Each run's features are chosen on its own validation proteins.

    Parameters
    ----------
    runs
        Two or more runs on the same proteins, splits and annotations.
    source
        What is compared: "sae" or a control.
    convention
        "strict" or "published".
    across_models
        Allow runs of different PLMs; the tables then name them.
    resamples
        Resamples of the homology clusters behind the intervals; 0: none. Intervals need `strict`
        and the activations of both runs, else they are null.
    seed
        Seed of the resamples.

    Returns
    -------
    RunsCompared
        Tables of concepts and runs, and the result in words; print it for all of them.

    Raises
    ------
    PipelineError
        For runs of different PLMs without `across_models`, or runs on different proteins, splits
        or annotations.

    Examples
    --------
    >>> run = Run.shipped()
    >>> compared = compare_runs(run, run, resamples=0)
    >>> compared.runs["difference"].to_list()
    [None, 0.0]
    >>> set(compared.concepts["change"]) <= {"both", "neither"}
    True
    """
    if len(runs) < 2:
        raise PipelineError(f"a comparison needs two or more runs; got {len(runs)}")
    sides = [
        _side(run, label, source, convention)
        for run, label in zip(runs, labels_of(runs), strict=True)
    ]
    _check_grounds(runs, source, convention)
    _check_models(sides, across_models)
    common = set.intersection(*(set(side.pairs["concept"]) for side in sides))
    counts = [
        _counts(side, source, common) if convention == "strict" and resamples else None
        for side in sides
    ]
    tables, rows = [], [_row(sides[0], common)]
    for side, counted in zip(sides[1:], counts[1:], strict=True):
        drawn = (
            _Drawn(counts[0], counted, resamples, seed)
            if counts[0] is not None and counted is not None
            else None
        )
        table, row = _compared(sides[0], side, common, drawn)
        rows.append(row)
        tables.append(
            table.with_columns(first_model=pl.lit(sides[0].model), second_model=pl.lit(side.model))
            if across_models
            else table
        )
    words = " ".join(
        _words(rows[0], row, len(common)) + _alone(sides[0], side)
        for row, side in zip(rows[1:], sides[1:], strict=True)
    )
    return RunsCompared(pl.concat(tables), pl.DataFrame(rows, schema=RUNS), words)


def _side(run: Run, label: str, source: str, convention: str) -> _Side:
    own = (pl.col("source") == source, pl.col("convention") == convention)
    pairs = counted_pairs(run, source, convention)
    about = run.about(source)
    found = frozenset(run.table("concepts", "found").filter(*own)["concept"])
    return _Side(
        run,
        label,
        f"{about['plm']} ({about['plm_revision'].removeprefix('sha256:')[:8]})",
        int(about["layer"]),
        pairs,
        found,
    )


def labels_of(runs: Sequence[Run]) -> list[str]:
    """Folder names; whole paths if two folders have the same name."""
    names = [run.folder.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def _check_grounds(runs: Sequence[Run], source: str, convention: str) -> None:
    first, *others = [(run, grounds(run, source, convention)) for run in runs]
    for run, ground in others:
        for name, what in (("sequences", "proteins"), ("annotations", "annotations")):
            mine, theirs = first[1][name], ground[name]
            if None not in (mine, theirs) and mine != theirs:
                raise PipelineError(
                    f"{first[0].folder} and {run.folder} are on different {what} "
                    f"({str(mine)[:15]}, {str(theirs)[:15]}), so their F1 cannot be compared; "
                    "run both on the same file with the same settings of stage 'proteins'"
                )
        if not first[0].splits().equals(run.splits()):
            raise PipelineError(
                f"{first[0].folder} and {run.folder} are split differently; "
                "run both with the same settings of stage 'proteins'"
            )


def _check_models(sides: Sequence[_Side], across_models: bool) -> None:
    other = next((side for side in sides if side.model != sides[0].model), None)
    if other and not across_models:
        raise PipelineError(
            f"{sides[0].label} is of {sides[0].model}, {other.label} of {other.model}; "
            "to compare runs of different PLMs, set across_models=True (--across-models)"
        )


def _counts(side: _Side, source: str, concepts: set[str]) -> "ClusterCounts | None":
    """Counts by cluster of test; None if the run lacks the activations to count again."""
    from interplm_nb.concepts.intervals import by_cluster

    try:
        values = side.run.scored(source, "strict")
        annotations = side.run.annotations()
    except (PipelineError, FileNotFoundError):
        return None
    if values.proteins.sequence_hash != grounds(side.run, source, "strict")["sequences"]:
        return None
    clusters = side.run.splits().filter(pl.col("split") == "test")
    return by_cluster(
        values, annotations, side.pairs.filter(pl.col("concept").is_in(list(concepts))), clusters
    )


class _Drawn:
    """Two sources on the same resamples of the clusters."""

    def __init__(
        self, first: "ClusterCounts", second: "ClusterCounts", resamples: int, seed: int
    ) -> None:
        self._first, self._second, self._resamples, self._seed = first, second, resamples, seed

    def mean(self) -> dict[str, float]:
        """The difference of the means and its interval."""
        from interplm_nb.concepts.intervals import difference

        found = difference(self._second, self._first, self._resamples, self._seed)
        return {"difference": found.estimate, "low": found.low, "high": found.high}

    def concepts(self) -> pl.DataFrame:
        """concept, low, high: percentiles over the resamples that contain the concept."""
        n = len(self._first.clusters)
        weights = np.random.default_rng(self._seed).multinomial(
            n, np.full(n, 1 / n), size=self._resamples
        )
        (one, there), (other, _) = self._first.resampled(weights), self._second.resampled(weights)
        drawn = other.f1_per_domain - one.f1_per_domain
        bounds = [
            np.quantile(d[h], [0.025, 0.975]).tolist() if h.any() else [None, None]
            for d, h in zip(drawn, there, strict=True)
        ]
        rows = [(concept, *b) for concept, b in zip(self._first.concepts, bounds, strict=True)]
        return pl.DataFrame(
            rows, schema={"concept": pl.String, "low": pl.Float64, "high": pl.Float64}, orient="row"
        )


def _compared(
    first: _Side, second: _Side, common: set[str], drawn: _Drawn | None
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The concepts of two runs, and the second's row of `RUNS`."""
    table = _concepts(first, second, drawn.concepts() if drawn else None)
    changed = {
        change: table.filter(pl.col("change") == change).height for change in ("gained", "lost")
    }
    return table, _row(second, common, first) | (drawn.mean() if drawn else {}) | changed


def _concepts(first: _Side, second: _Side, bounds: pl.DataFrame | None) -> pl.DataFrame:
    about = ["concept", "category", "n_instances"]
    one, other = (
        side.pairs.select(*about, pl.col("f1_per_domain").alias(name))
        for side, name in ((first, "first_f1"), (second, "second_f1"))
    )
    table = one.join(other, on=about, how="full", coalesce=True).sort("concept")
    before, after = (pl.col("concept").is_in(list(side.found)) for side in (first, second))
    change = (
        pl.when(before & after)
        .then(pl.lit("both"))
        .when(after)
        .then(pl.lit("gained"))
        .when(before)
        .then(pl.lit("lost"))
    )
    scored = pl.col("first_f1").is_not_null() & pl.col("second_f1").is_not_null()
    table = table.with_columns(
        first=pl.lit(first.label),
        second=pl.lit(second.label),
        difference=pl.col("second_f1") - pl.col("first_f1"),
        change=pl.when(scored).then(change.otherwise(pl.lit("neither"))),
    )
    none = pl.lit(None, pl.Float64)
    table = (
        table.with_columns(low=none, high=none)
        if bounds is None
        else table.join(bounds, on="concept", how="left", maintain_order="left")
    )
    return table.select(pl.col(name).cast(kind) for name, kind in CONCEPTS.items())


def _row(side: _Side, common: set[str], first: _Side | None = None) -> dict[str, Any]:
    means = [
        float(
            s.pairs.filter(pl.col("concept").is_in(list(common)))["f1_per_domain"].to_numpy().mean()
        )
        if common
        else 0.0
        for s in (side, first or side)
    ]
    difference = means[0] - means[1] if first else None
    row = dict.fromkeys(RUNS) | {
        "run": side.label,
        "model": side.model,
        "layer": side.layer,
        "n_concepts": len(common),
    }
    return row | {"mean_f1_per_domain": means[0], "difference": difference}


def _words(first: dict[str, Any], row: dict[str, Any], n: int) -> str:
    sure = f"; {row['low']:+.3f} to {row['high']:+.3f}, {COVERS}" if row["low"] is not None else ""
    return (
        f"{row['run']} against {first['run']}: mean best F1 {row['mean_f1_per_domain']:.3f} "
        f"against {first['mean_f1_per_domain']:.3f} ({row['difference']:+.3f}{sure}) "
        f"over {n} concepts; {row['gained']} gained, {row['lost']} lost."
    )


def _alone(first: _Side, second: _Side) -> str:
    """A further sentence if one of the two scores concepts that the other does not."""
    one, other = (set(side.pairs["concept"]) for side in (first, second))
    if one == other:
        return ""
    alone = f"{len(one - other)} of {first.label}, {len(other - one)} of {second.label}"
    return f" Concepts that only one run scores count as neither gained nor lost: {alone}."
