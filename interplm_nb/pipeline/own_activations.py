"""A run of somebody's own activations."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from interplm_nb.activations_writer import ActivationsWriter, shape_of
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import strict, without_statistics
from interplm_nb.concepts.count import count
from interplm_nb.concepts.scored_concepts import scored_concepts
from interplm_nb.concepts.support import with_support
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.readers.sequences import refuse_nucleotides

Blocks = Iterable[tuple[int, sparse.csr_array]]
"""First row and values [n, n_features] of consecutive residues."""


def run_from_parts(
    folder: Path | str,
    proteins: Proteins,
    annotations: Annotations,
    activations: np.ndarray | sparse.sparray | Blocks,
    *,
    splits: pl.DataFrame | None = None,
    maxima: Maxima | None = None,
    plm: str = "own model",
    layer: int = 0,
) -> Run:
    """Make a run from your own activations, so that the workbench opens on it.

    The activations become source `sae`, with its maxima and its `strict` scores.

    Parameters
    ----------
    folder
        A new or empty folder.
    proteins, annotations
        The residue axis, and concepts on it (`Annotations.empty(proteins)`: no concepts).
    activations
        [n_residues, n_features], unit `raw`, not negative: an array, a sparse array, or blocks
        (first row, sparse array) of consecutive residues. Stored as float32.
    splits
        accession and split (train, validation, test), and if you have them cluster (u32) and
        split_published. By default proteins take turns, each its own cluster. Homologs
        may then share splits: pass splits from `readers.separation.separate` for figures that
        you cite.
    maxima
        What activations are divided by in views and scores, if these features were scaled on
        other proteins; default: their maxima on this run's train proteins.
    plm, layer
        What the activations come from, as views name it.

    Returns
    -------
    Run
        Without embeddings, weights or a feature map, so that views that need these say so.

    Raises
    ------
    PipelineError
        Where the folder holds other files.
    ValueError
        Where activations do not fit the proteins, or a protein's sequence is nucleotides.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> proteins = Proteins.from_sequences({"P1": "ACDEF", "P2": "GHIK", "P3": "LMN"})
    >>> values = np.zeros((proteins.n_residues, 2))
    >>> values[3, 1] = 0.5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = run_from_parts(folder, proteins, Annotations.empty(proteins), values)
    ...     run.maxima().train.tolist()
    [0.0, 0.5]
    """
    refuse_nucleotides(proteins)
    run = Run.create(folder, "own activations")
    run.write_axis(proteins, {"strict": annotations}, _completed(splits, proteins))
    about = {"plm": plm, "layer": layer}
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
    return run


def _write_choice(run: Run) -> None:
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
    run.write_table("concepts", "best", without_statistics(chosen.pairs.select(named)))
    run.write_table("concepts", "comparison", chosen.summary("sae", found))


def _blocks(activations: Any) -> Iterator[tuple[int, sparse.csr_array]]:
    if isinstance(activations, np.ndarray) or sparse.issparse(activations):
        return iter([(0, sparse.csr_array(activations, dtype=np.float32))])
    return iter(activations)


def _completed(splits: pl.DataFrame | None, proteins: Proteins) -> pl.DataFrame:
    """Every protein its own cluster, and in `published` the same split, where not said."""
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
