"""How much of a task concept-linked features explain, and the rest: PLM-eXplain's residual view."""

from collections.abc import Collection

import numpy as np
import polars as pl

from interplm_nb.concepts.probes.examples import Examples
from interplm_nb.concepts.probes.fitting import (
    PROBES,
    Probe,
    check_same,
    constant_rows,
    logistic_probe,
    probe_row,
)

RESIDUAL = {name: kind for name, kind in PROBES.items() if name != "features"} | {
    "share": pl.Float64
}
"""Columns of `residual_view`: those of `PROBES` without the list of features, and share."""


def residual_view(
    examples: Examples,
    embedding: Examples,
    task: str,
    carried: np.ndarray,
    linked: Collection[int],
    seed: int = 0,
) -> pl.DataFrame:
    """Probe one task on subsets of the features, on the same examples (`logistic_probe`).

    PLM-eXplain (Bioinformatics btaf631) splits an embedding into a subspace of known properties
    and the rest, and compares what each predicts. Here the known part is the features linked to
    concepts. Links to the task's own concept make the first row circular: leave them out.

    Parameters
    ----------
    examples, embedding : Examples
        The features, and the same examples with the PLM's dimensions, as in `probe_table`.
    task : str
        Name of the task.
    carried : np.ndarray
        bool over all rows, or over all proteins.
    linked : collection of int
        Features linked to concepts (`ConceptLinks.table`).
    seed : int
        Of the control.

    Returns
    -------
    pl.DataFrame
        Columns of `RESIDUAL`. Rows: "linked features"; "as many others" (a random subset of the
        others that vary on train, of the same size if possible: the control); "other features";
        "all features"; "embedding"; "all positive"; "majority". share is (auprc - prevalence) /
        (the same of "embedding"); null if the embedding predicts nothing.
    """
    check_same(examples, embedding)
    known = np.unique(np.fromiter(linked, np.int64))
    others = np.setdiff1d(np.arange(examples.n_features), known)
    _check(known, others, examples.n_features)
    alive = others[examples.moments()[1][others] > 0]
    drawn = np.sort(np.random.default_rng(seed).permutation(alive)[: len(known)])
    sets = {
        "linked features": known,
        "as many others": drawn,
        "other features": others,
        "all features": None,
    }
    probes: dict[str, Probe] = {
        name: logistic_probe(examples, carried, features) for name, features in sets.items()
    }
    probes["embedding"] = logistic_probe(embedding, carried)
    rows = [probe_row(name, probe) for name, probe in probes.items()] + constant_rows(
        examples.labels(carried)
    )
    told = probes["embedding"].test.auprc - probes["embedding"].test.prevalence
    about = {"task": task, "examples": examples.kind}
    return pl.DataFrame(
        [
            about | row | {"share": (row["auprc"] - row["prevalence"]) / told if told > 0 else None}
            for row in rows
        ],
        schema=RESIDUAL,
    )


def _check(known: np.ndarray, others: np.ndarray, n_features: int) -> None:
    if not len(known) or not len(others):
        raise ValueError(
            f"{len(known)} of {n_features} features are linked; a residual view needs some that "
            "are "
            "and some that are not"
        )
    if known[0] < 0 or known[-1] >= n_features:
        raise ValueError(
            f"linked features must be 0 to {n_features - 1}, not {known[0]} to {known[-1]}; take "
            "links and examples from one source"
        )
