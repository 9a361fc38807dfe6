"""A tiny run that can be asked: with links of its features to concepts."""

import shutil
from pathlib import Path

import polars as pl

from interplm_nb.concepts.count import count
from interplm_nb.concepts.links import ConceptLinks, linked
from interplm_nb.pipeline.run import Run

MIN_F1 = 0.05


def with_links(run: Run, folder: Path) -> Run:
    """A copy of a run in which every concept's features are linked and calibrated."""
    shutil.copytree(run.folder, folder)
    copy = Run.open(folder)
    values, annotations = copy.scored("sae", "strict"), copy.annotations()
    validation, test = (
        count(values, annotations, copy.accessions(split), overlap="keep")
        for split in ("validation", "test")
    )
    table = linked(validation, test, set(validation.concepts["concept"]), MIN_F1)
    ConceptLinks.fit(
        table, values, annotations, copy.splits().filter(pl.col("split") == "train")
    ).save(copy.source("sae"), {})
    return copy
