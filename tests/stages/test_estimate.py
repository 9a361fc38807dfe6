"""What a run takes, said beforehand: from its sizes, with everything checked and nothing left."""

import re

import pytest

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.runner import Request
from interplm_nb.pipeline.stage_table import REQUIRED
from interplm_nb.stages.estimate import Sizes, estimated, stages_table

SIZES = Sizes(400_000, 36e6, 1900, 2, 2, 1024, 16, 1, 600_000, 3000)


def test_every_stage_has_time_memory_and_disk_and_nothing_is_left(tmp_path):
    request = Request("demo", tmp_path / "run", ["embed.plm=esm2-mini", "proteins.max_proteins=50"])
    text = estimated(request)
    assert text.startswith("model: esm2-mini")
    for stage in REQUIRED:
        assert re.search(rf"{stage} +\d+ (s|min) +\d+\.\d+ +\d+\.\d+", text)
    assert re.search(
        r"in all about .* GiB of memory at most and .* GB of disk \(\d+ GB are free", text
    )
    assert re.search(
        r"\nfew data: train: 2,000 steps of 2,048 residues are \d+ passes over the [\d,]+ train "
        r"residues; as a rule of thumb, more than 100 teach little; use -p train\.steps=\d+, or",
        text,
    )
    assert "\nExpected from the shares of the splits, before relatives are kept in" in text
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_is_not_estimated_is_named(tmp_path):
    asked = ["embed.plm=esm2-mini", "proteins.max_proteins=50", "compare.seeds=[0]"]
    text = estimated(Request("demo", tmp_path / "run", asked))
    assert "\nstage 'compare' is not estimated, and comes on top\nin all about" in text


@pytest.mark.parametrize(
    ("setting", "options", "text"),
    [
        ("embed.layer=99", {}, r"^embed\.layer = 99: esm2-mini has no layer 99"),
        ("train.batch_size=900000", {}, r"^train\.batch_size = 900000: the train proteins have"),
        ("train.l1=1", {}, r"^train\.l1 = 1: recipe topk has no L1 term"),
        ("proteins.path=nowhere.tsv", {}, r"^proteins\.path: nowhere\.tsv: no such file"),
        ("train.seed=1", {"device": "gpu"}, r"^--device gpu: device='gpu'; wanted auto, cpu"),
        ("train.seed=1", {"force": "training"}, "^no stage 'training'"),
    ],
)
def test_what_a_run_would_refuse_is_refused(tmp_path, setting, options, text):
    asked = ["embed.plm=esm2-mini", "proteins.max_proteins=50", setting]
    with pytest.raises(PipelineError, match=text):
        estimated(Request("demo", tmp_path / "run", asked, **options))


def test_disk_is_what_the_embeddings_take():
    table = {row["stage"]: row for row in stages_table(SIZES, 1e11).iter_rows(named=True)}
    assert table["embed"]["disk"] == 2 * 400_000 * 1900 * 2
    whole = {r["stage"]: r for r in stages_table(SIZES._replace(stored_bytes=4), 1e11).to_dicts()}
    assert whole["embed"]["disk"] == 2 * table["embed"]["disk"]


def test_a_faster_machine_and_fewer_residues_take_less_time():
    def seconds(sizes, rate):
        return sum(stages_table(sizes, rate)["seconds"].to_list())

    assert seconds(SIZES, 2e11) < seconds(SIZES, 1e11)
    assert seconds(SIZES._replace(residues=40_000), 1e11) < seconds(SIZES, 1e11)
    assert seconds(SIZES._replace(passes=1), 1e11) < seconds(SIZES, 1e11)


def test_three_seeds_of_the_sae_train_twice_as_much_as_one_beside_the_shuffled():
    one, three = (
        {row["stage"]: row for row in stages_table(SIZES._replace(seeds=n), 1e11).to_dicts()}
        for n in (1, 3)
    )
    assert three["train"]["disk"] == 2 * one["train"]["disk"]
    assert three["activations"]["disk"] == pytest.approx(7 / 5 * one["activations"]["disk"])
