"""A run of somebody's own activations: what `Run.from_parts` writes."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import sparse

from interplm_nb.activations_writer import ActivationsWriter, shape_of
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import STATISTICS, strict
from interplm_nb.concepts.count import count
from interplm_nb.concepts.scored_concepts import scored_concepts
from interplm_nb.concepts.support import with_support
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.proteins import Proteins

if TYPE_CHECKING:
    from interplm_nb.pipeline.run import Run

Blocks = Iterable[tuple[int, sparse.csr_array]]
"""First row and values [n, n_features] of consecutive residues."""


def fill(
    run: "Run",
    proteins: Proteins,
    annotations: Annotations,
    activations: np.ndarray | sparse.sparray | Blocks,
    splits: pl.DataFrame | None,
    maxima: Maxima | None,
    about: dict[str, Any],
) -> None:
    """Write an empty run's axis, source `sae`, and its `strict` scores and best pairs.

    The arguments are those of `Run.from_parts`; `about` holds plm and layer.
    """
    run.write_axis(proteins, {"strict": annotations}, _completed(splits, proteins))
    blocks = _blocks(activations)
    first, block = next(blocks)
    store = run.of_source("sae", "activations")
    with ActivationsWriter(store, proteins, shape_of(block)[1], about) as writer:
        for row, values in chain([(first, block)], blocks):
            writer.write(row, values)
        writer.finish()
    run.write_about("sae", kind="sae", **about)
    found = run.activations()
    if maxima is None:
        maxima = Maxima(found.largest(run.accessions("train")), found.largest())
    run.write_maxima("sae", maxima)
    for split in ("validation", "test"):
        scores = count(found.relative_to(maxima.train), annotations, run.accessions(split))
        scores.save(run.source("sae"), split, "strict")
    _write_choice(run)


def _write_choice(run: "Run") -> None:
    """Each concept's best pair, as stage `concepts` writes it, without statistics."""
    splits, annotations = run.splits(), run.annotations()
    chosen = strict(
        run.scores("sae", "validation"),
        run.scores("sae", "test"),
        scored_concepts(annotations, splits),
    )
    test = splits.filter(pl.col("split") == "test")
    found = with_support(run.scored("sae", "strict"), annotations, chosen.candidates, test)
    named = (pl.lit("sae").alias("source"), pl.lit("strict").alias("convention"), pl.all())
    untested = (pl.lit(None, kind).alias(name) for name, kind in STATISTICS.items())
    run.write_table("concepts", "best", chosen.pairs.select(named).with_columns(untested))
    run.write_table("concepts", "comparison", chosen.summary("sae", found))


def _blocks(activations: Any) -> Iterator[tuple[int, sparse.csr_array]]:
    if isinstance(activations, np.ndarray) or sparse.issparse(activations):
        return iter([(0, sparse.csr_array(activations, dtype=np.float32))])
    return iter(activations)


def _completed(splits: pl.DataFrame | None, proteins: Proteins) -> pl.DataFrame:
    """Every protein a cluster of its own, and in `published` the same split, where not said."""
    if splits is None:
        turns = np.resize(("train", "validation", "test"), len(proteins))
        splits = pl.DataFrame({"accession": proteins.accessions, "split": turns})
    lacking = {
        "cluster": pl.int_range(pl.len(), dtype=pl.UInt32),
        "split_published": pl.col("split"),
    }
    return splits.with_columns(
        **{name: value for name, value in lacking.items() if name not in splits.columns}
    ).select("accession", pl.col("cluster").cast(pl.UInt32), "split", "split_published")
