"""Labels of structures on a run: chosen on train and validation, read on test."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.own_activations import run_from_parts
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.space import left_out, spatial_of_run, structure_scores
from interplm_nb.readers import demo
from interplm_nb.readers.read import read
from interplm_nb.readers.structure_labels import StructureLabels, structure_labels

SPLIT = {"P00044": "train", "P00045": "validation", "P00128": "test", "P02829": "test"}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, StructureLabels]:
    """Feature 0 is active on helices; feature 1 on helices of train and validation alone."""
    proteins = read(demo.table_path()).proteins.select(SPLIT)
    labels = structure_labels(proteins, {a: partial(demo.structure, a) for a in SPLIT})
    helix = labels.annotations.mask("Secondary structure_Helix")
    values = np.column_stack([helix, helix]).astype(np.float32)
    values[proteins.rows_of([a for a, split in SPLIT.items() if split == "test"]), 1] = 0
    # On one residue that is no helix: the first feature is a little worse where it is chosen.
    values[proteins.rows("P00044")][np.flatnonzero(~helix[proteins.rows("P00044")])[0], 0] = 1
    splits = pl.DataFrame(
        {"accession": proteins.accessions, "split": [SPLIT[a] for a in proteins.accessions]}
    )
    folder = Path(tmp_path_factory.mktemp("space")) / "run"
    run = run_from_parts(folder, proteins, Annotations.empty(proteins), values, splits=splits)
    return run, labels


def test_the_feature_is_chosen_before_test_is_read(labelled: tuple[Run, StructureLabels]) -> None:
    run, labels = labelled
    table = structure_scores(run, labels)
    row = table.filter(concept="Secondary structure_Helix").row(0, named=True)
    # P02829's structure shows too little of it to be labelled.
    assert (row["n_chosen_on"], row["n_read_on"]) == (2, 1)
    assert (row["feature"], row["f1_chosen_on"], row["f1"]) == (1, 1, 0)
    share = labels.annotations.mask("Secondary structure_Helix")[run.proteins().rows("P00128")]
    assert row["f1_of_everything"] == pytest.approx(2 * share.mean() / (1 + share.mean()))


def test_both_sides_are_needed(labelled: tuple[Run, StructureLabels]) -> None:
    run, labels = labelled
    few = labels.read.filter(pl.col("accession") != "P00128")
    alone = StructureLabels(labels.annotations, labels.properties, few)
    with pytest.raises(
        PipelineError, match="2 labelled proteins are in train and validation and 0"
    ):
        structure_scores(run, alone)


def test_what_was_left_out_is_said(labelled: tuple[Run, StructureLabels]) -> None:
    run, _ = labelled
    structures = {a: partial(demo.structure, a) for a in ("P00044", "P02829")}
    structures["P00128"] = partial(demo.structure, "P00044")
    found = spatial_of_run(run, structures, min_proteins=1, draws=10)
    assert set(found.tests) == {"sae"}
    assert found.summary()["features"].to_list() == [2, 2, 2]
    said = left_out(found.coordinates).splitlines()
    assert said[0].endswith("residues of these proteins have no coordinates")
    assert "not used: P00128:" in said[1] and "is of another sequence" in said[1]
