"""What a person asks a run for by name, found in it or refused with the nearest names."""

import difflib
from collections.abc import Sequence

import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAES


def of_concepts(pairs: pl.DataFrame, concepts: Sequence[str]) -> pl.DataFrame:
    """The pairs (with a column concept) of these concepts; all, where none is given. PipelineError for a concept that no pair has."""
    known = pairs["concept"].unique().to_list()
    for concept in concepts:
        if concept not in known:
            near = difflib.get_close_matches(concept, known, 3, 0.4)
            hint = f"did you mean {', '.join(near)}" if near else f"{len(known)} concepts have one"
            raise PipelineError(
                f"no feature of this run speaks for the concept {concept!r}; {hint}"
            )
    return pairs.filter(pl.col("concept").is_in(list(concepts))) if concepts else pairs


def sparse_of(run: Run, source: str) -> FeatureActivations:
    """A source's activations in unit "max". PipelineError for one that the run lacks, and for a dense one, which fires on every residue."""
    run.source(source)  # a source that is none is named here
    values = run.scored(source, "strict")
    if not isinstance(values, FeatureActivations):
        raise PipelineError(
            f"{source!r} is dense; take one of {', '.join(SAES)}, whose features fire on few residues"
        )
    return values
