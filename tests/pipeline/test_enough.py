"""Whether there are enough data for the settings: the limits, and the settings that fit."""

from dataclasses import replace

import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.enough import FEWEST_CONCEPTS, too_few
from interplm_nb.pipeline.profiles import load
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm.record import ModelRecord
from interplm_nb.proteins import Proteins

RECORD = ModelRecord("m", "1", (8,) * 5, 100, "ACD", "masked", True, False, "")
MODEL = RunModel("m", "m", RECORD)


def axis(train=60, validation=60, test=60, concepts=10, every=1):
    """Proteins of 200 residues in clusters of one; each concept on every n-th of them."""
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    proteins = Proteins.from_sequences({f"P{i}": "MKVLAAGHEQ" * 20 for i in range(len(splits))})
    rows = [
        {"accession": f"P{i}", "start": 10 * c + 1, "end": 10 * c + 5, "instance": i}
        | {"concept": f"Domain_{c}", "category": "Domain", "level": "instance"}
        for c in range(concepts)
        for i in range(0, len(splits), every)
    ]
    table = pl.DataFrame({"accession": proteins.accessions, "split": splits})
    found = Annotations(pl.DataFrame(rows), proteins) if rows else Annotations.empty(proteins)
    return proteins, found, table.with_row_index("cluster")


def said(*settings, stages=("train",), model: RunModel | None = MODEL, **made):
    """What is said of some stages, with 1,000 steps of 100 residues for 100 features."""
    settings = [
        *("train.steps=1000", "train.batch_size=100", "train.d_sae=100", "train.k=4"),
        *("compare.steps=1000", "compare.batch_size=100", "compare.d_sae=100"),
        "compare.sparsities=[4]",
        *settings,
    ]
    asked = load("demo", settings).stages
    return too_few(*axis(**made), {stage: asked[stage] for stage in stages}, model)


def test_where_there_is_enough_nothing_is_said():
    assert said(stages=("train", "compare", "concepts", "embed")) == []
    assert said(stages=()) == []


@pytest.mark.parametrize("stage", ["train", "compare"])
def test_passes_over_the_residues_of_train(stage):
    # 60 x 200 = 12,000 residues: 100 passes are 12,000 steps of 100
    assert said(f"{stage}.steps=12000", stages=(stage,)) == []
    assert said(f"{stage}.steps=12001", f"{stage}.batch_size=100", stages=(stage,)) == [
        f"{stage}: 12,001 steps of 100 residues are 100 passes over the 12,000 train residues; "
        "as a rule of thumb, more than 100 teach little; use "
        f"-p {stage}.steps=12000, or more proteins"
    ]
    (text,) = said(f"{stage}.steps=69360", stages=(stage,))
    assert " are 578 passes over " in text
    fits = text.partition("use -p ")[2].partition(",")[0]
    assert said(fits, stages=(stage,)) == []


@pytest.mark.parametrize("stage", ["train", "compare"])
def test_residues_per_feature(stage):
    assert said(f"{stage}.d_sae=600", stages=(stage,)) == []
    (text,) = said(f"{stage}.d_sae=1024", stages=(stage,))
    assert text == (
        f"{stage}: 1,024 features share 12,000 train residues, 11.7 each; as a rule of thumb, "
        "features with fewer than 20 each memorize single residues; use "
        f"-p {stage}.d_sae=512, or more proteins"
    )
    assert said(f"{stage}.d_sae=512", stages=(stage,)) == []


def test_where_not_even_one_feature_has_enough_only_proteins_help():
    (text,) = said("train.steps=1", "train.batch_size=1", train=0)
    assert text.endswith("memorize single residues; use more proteins")


@pytest.mark.parametrize("stage", ["train", "compare"])
def test_validation_proteins_for_fidelity(stage):
    asked = f"{stage}.fidelity_proteins=30"
    assert said(asked, stages=(stage,), validation=30) == []
    assert said(asked, stages=(stage,), validation=5) == [
        f"{stage}: fidelity_proteins is 30, but validation holds only 5; fidelity is measured on "
        f"these, so its interval is wider; use more proteins, or -p {stage}.fidelity_proteins=5"
    ]
    arrays = RunModel("arrays", "own", None)
    silent = RunModel("m", "m", replace(RECORD, has_logits=False))
    for without in (None, arrays, silent):
        assert said(asked, stages=(stage,), model=without, validation=5) == []


def test_concepts_that_can_be_scored():
    assert said(stages=("concepts",), concepts=FEWEST_CONCEPTS) == []
    assert said(stages=("concepts",), concepts=FEWEST_CONCEPTS - 1) == [
        "concepts: 9 concepts have at least 10 instances in validation and in test, and at least "
        "5 homology clusters in test; as a rule of thumb, a mean over fewer than 10 concepts says "
        "little; use more proteins, or more labels"
    ]
    (text,) = said(stages=("concepts",), concepts=1)
    assert text.startswith("concepts: 1 concept has at least 10 instances")


def test_the_highest_lower_limits_that_score_enough_are_offered():
    # every 15th of 60: four instances in validation and in test
    (text,) = said(stages=("concepts",), every=15)
    assert text == (
        "concepts: 0 concepts have at least 10 instances in validation and in test, and at least "
        "5 homology clusters in test; as a rule of thumb, a mean over fewer than 10 concepts says "
        "little; use more proteins, or -p concepts.min_instances=3 -p concepts.min_clusters=2, "
        "which scores 10, each on fewer instances"
    )
    fits = ["concepts.min_instances=3", "concepts.min_clusters=2"]
    assert said(*fits, stages=("concepts",), every=15) == []


def test_without_annotations_labels_are_asked_for():
    assert said(stages=("concepts",), concepts=0) == [
        "concepts: the proteins have no annotations, so no feature can be matched with a concept; "
        "give labels with -p proteins.labels=FILE, or use a UniProt download"
    ]
