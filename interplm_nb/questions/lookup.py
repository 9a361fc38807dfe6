"""Concepts and sources that a user names: found in the run, or refused with the nearest names."""

import difflib
from collections.abc import Sequence

import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAES


def of_concepts(pairs: pl.DataFrame, concepts: Sequence[str]) -> pl.DataFrame:
    """The rows of `pairs` with one of these concepts; all if `concepts` is empty.

    PipelineError for a concept that no pair has.

    Examples
    --------
    >>> pairs = pl.DataFrame({"concept": ["Helix", "Turn"], "feature": [1, 2]})
    >>> of_concepts(pairs, ["Turn"])["feature"].to_list()
    [2]
    """
    known = pairs["concept"].unique().to_list()
    for concept in concepts:
        if concept not in known:
            near = difflib.get_close_matches(concept, known, 3, 0.4)
            hint = (
                f"did you mean {', '.join(near)}" if near else f"{len(known)} concepts are linked"
            )
            raise PipelineError(
                f"no feature of this run is linked to the concept {concept!r}; {hint}"
            )
    return pairs.filter(pl.col("concept").is_in(list(concepts))) if concepts else pairs


def sparse_of(run: Run, source: str) -> FeatureActivations:
    """A source's activations in unit "max".

    PipelineError for a source that the run lacks, or a dense one, which is active on every residue.
    """
    run.source(source)  # refuses a name that is not a source
    values = run.scored(source, "strict")
    if not isinstance(values, FeatureActivations):
        raise PipelineError(
            f"{source!r} is dense; use one of {', '.join(SAES)}, whose features are active on few "
            "residues"
        )
    return values
