"""Stage `compare` on a tiny run: one pass for all, no split sees another, the same after a kill."""

import os
import shutil
import signal
import time
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.count import count
from interplm_nb.concepts.tuning import tuned
from interplm_nb.features.fates import FATES, STEPS, across_layers
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import CompareParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.sae import checkpoint
from interplm_nb.sae.encode import encode_to
from interplm_nb.sae.evaluation.fidelity import fidelity
from interplm_nb.sae.evaluation.quality import quality
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.stages.training import for_fidelity
from interplm_nb.stages.yardstick import parts_of
from tests.pipeline.test_resume import start
from tests.pipeline.tiny import tiny_compare

TIMES = ["seconds", "tokens_per_second"]


def test_every_sae_and_its_controls_are_in_one_table(compared):
    run, result, _ = compared
    table = result.comparison
    saes = table.filter(pl.col("kind") == "sae")
    assert saes["label"].to_list() == [
        f"layer_01-{name}-s{seed}"
        for name in ("interplm-paper-l0.05", "topk-k4", "topk-k8", "jumprelu-t4", "jumprelu-t8")
        for seed in (0, 1)
    ]
    assert table.filter(pl.col("kind") == "neurons")["label"].to_list() == ["layer_01-neurons"]
    assert set(saes["control"]) == set(table.filter(pl.col("kind") == "random")["label"])
    assert (
        saes.select(
            "fvu",
            "l0",
            "loss_recovered_published",
            "ce_zero_strict",
            "kl_strict",
            "f1_tuning",
            "mean_f1_per_domain",
            "seconds",
        )
        .null_count()
        .sum_horizontal()[0]
        == 0
    )
    assert saes.filter(pl.col("recipe") == "topk")["l0"].to_list() == pytest.approx(
        [4, 4, 8, 8], rel=0.1
    )
    assert (
        table.select("concepts_tuning", "concepts_test").n_unique() == 1
    )  # all on the same concepts
    best = saes.sort("f1_tuning", descending=True, maintain_order=True)["label"][0]
    assert table.filter("chosen")["label"].to_list() == [best] == run.summary("compare")["chosen"]
    assert_frame_equal(run.table("compare", "comparison"), table)
    assert result.layers["label"].to_list() == [best] and result.layers["seeds"].item() == 2
    assert result.fates.is_empty() and dict(result.fates.schema) == FATES
    assert result.steps.is_empty() and dict(result.steps.schema) == STEPS


def test_an_saes_figures_are_those_of_the_slow_way(compared, tmp_path):
    run, result, _ = compared
    params, proteins = tiny_compare(run.folder), run.proteins()
    parts, label = parts_of(proteins, run.splits(), params), "layer_01-topk-k8-s1"
    row = result.comparison.row(by_predicate=pl.col("label") == label, named=True)
    sae, embeddings = checkpoint.load(run.compared(label)), run.embeddings(1)
    store = encode_to(sae, embeddings, proteins, tmp_path / "store", progress=False)
    values = store.relative_to(store.largest(parts.maxima))
    tuning = count(values, run.annotations(), parts.tuning)
    assert row["f1_tuning"] == pytest.approx(tuned(tuning, 1).mean_f1, abs=0.01)
    assert row["f1_low"] <= row["mean_f1_per_domain"] <= row["f1_high"]
    measured = asdict(quality(sae, [embeddings[proteins.rows_of(parts.tuning)]]))
    assert {name: row[name] for name in ("fvu", "l0")} == pytest.approx(
        {name: measured[name] for name in ("fvu", "l0")}, rel=1e-4
    )
    use = FeatureSums.of(store, parts.maxima).use()
    assert [row[name] for name in ("silent", "rare", "effective")] == pytest.approx(
        [use.silent, use.rare, use.effective], rel=1e-4
    )
    lines = result.metrics.filter(pl.col("label") == label).sort("step")
    assert row["moved"] == lines["moved"][-1] and 0 <= row["moved"] <= 1
    strict = fidelity(
        sae,
        run.plm("cpu"),
        proteins.select(for_fidelity(run.accessions("validation"), 2)),
        progress=False,
    )
    costs = strict.ce_zero - strict.ce_original
    assert (row["kl_strict"], row["ce_zero_strict"] - row["ce_original_strict"]) == pytest.approx(
        (strict.kl, costs), rel=1e-4
    )
    assert row["loss_recovered_strict"] == strict.loss_recovered
    sums = run.evaluation(label)["sums_strict"]
    assert sums["accessions"] == parts.fidelity == for_fidelity(run.accessions("validation"), 2)
    assert sums["ce_sae"] == pytest.approx(strict.sums.ce_sae, rel=1e-4)


def test_an_evaluation_of_another_version_is_refused_with_both(compared, tmp_path):
    shutil.copytree(compared[0].folder, tmp_path / "run", ignore=shutil.ignore_patterns("0*"))
    run, label = Run.open(tmp_path / "run"), "layer_01-topk-k8-s1"
    path = run.of_compared(label, "evaluation")
    path.write_text(path.read_text().replace('"version": 2', '"version": 1'))
    words = "expected SAEEvaluation version 2, found SAEEvaluation version 1"
    with pytest.raises(PipelineError, match=words):
        run.evaluation(label)


def test_fidelity_is_measured_on_proteins_of_all_validation(tiny_run):
    validation = tiny_run.accessions("validation")
    for n in (1, 3, len(validation), 1000):
        drawn = for_fidelity(validation, n)
        assert len(drawn) == len(set(drawn)) == min(n, len(validation))
        assert set(drawn) <= set(validation) and drawn == for_fidelity(validation, n)
        assert set(for_fidelity(validation, n - 1)) <= set(drawn)  # more proteins, not others
    assert for_fidelity(validation, 3) != sorted(validation)[:3]


def test_the_tuning_part_is_whole_clusters_of_validation(tiny_run):
    proteins, splits = tiny_run.proteins(), tiny_run.splits()
    parts = parts_of(proteins, splits, tiny_compare(tiny_run.folder))
    of = dict(zip(splits["accession"], splits["split"], strict=True))
    assert (
        {of[a] for a in parts.tuning} == {"validation"}
        and {of[a] for a in parts.test} == {"test"}
        and {of[a] for a in parts.maxima} == {"train"}
    )
    tuning, rest = (
        splits.filter(
            pl.col("split") == "validation", pl.col("accession").is_in(parts.tuning) == inside
        )
        for inside in (True, False)
    )
    assert tuning.height and rest.height and not set(tuning["cluster"]) & set(rest["cluster"])
    n = splits.filter(pl.col("split") == "validation")["cluster"].n_unique()
    assert tuning["cluster"].n_unique() == round(0.5 * n)
    some = parts_of(proteins, splits, tiny_compare(tiny_run.folder, maxima_residues=500)).maxima
    assert len(proteins.rows_of(some)) >= 500 and len(proteins.rows_of(some[:-1])) < 500
    assert len(
        parts_of(proteins, splits, tiny_compare(tiny_run.folder, maxima_residues=0)).maxima
    ) == len(tiny_run.accessions("train"))


def test_splits_of_other_names_are_refused_with_the_ones_that_are_missing(tiny_run):
    other = tiny_run.splits().with_columns(pl.col("split").replace({"validation": "dev"}))
    with pytest.raises(PipelineError) as raised:
        parts_of(tiny_run.proteins(), other, tiny_compare(tiny_run.folder))
    assert str(raised.value) == (
        "no protein is in validation, and stage 'compare' measures on all of train, validation, "
        "test; run stage 'proteins' again with more proteins or other shares"
    )


def test_seeds_are_compared_both_ways_beside_the_nulls(compared):
    _, result, _ = compared
    assert result.stability.height == 2 * 5
    pairs = set(result.stability.select("label", "other").iter_rows())
    assert ("layer_01-topk-k4-s0", "layer_01-topk-k4-s1") in pairs and (
        "layer_01-topk-k4-s1",
        "layer_01-topk-k4-s0",
    ) in pairs
    shares = result.stability.select("recur", "recur_random", "recur_rotated").to_numpy()
    assert (shares >= 0).all() and (shares <= 1).all()


def test_metrics_of_all_come_as_they_are_trained(compared):
    _, result, lines = compared
    assert {line["sae"] for line in lines} == set(result.metrics["label"]) and len(
        lines
    ) >= result.metrics.height
    last = result.metrics.filter(pl.col("step") == 40)
    assert last.height == 10
    # measured while it trains (fidelity_every), and after the last step
    assert (
        last["loss_recovered_published"].null_count() == 0
        and result.metrics.filter(pl.col("step") == 20)["kl"].null_count() == 0
    )
    assert last["density"].list.sum().to_list() == [64] * 10
    assert {"fvu", "l0", "silent_in_window", "lr", "tokens_per_second", "loss"} <= set(
        result.metrics.columns
    )


def test_a_layer_that_is_not_stored_is_streamed_and_measured_on_the_same_proteins(
    tiny_run, tmp_path
):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    values = {"layers": [1, 2], "recipes": ["topk"], "seeds": [0], "sparsities": [4]}
    result = STAGES["compare"].call(run, tiny_compare(run.folder, **values))
    assert result.comparison.filter(pl.col("kind") == "sae")["label"].to_list() == [
        "layer_01-topk-k4-s0",
        "layer_02-topk-k4-s0",
    ]
    assert result.comparison.filter("chosen").height == 2
    assert not list(
        run.work("compare").glob("layer_*")
    )  # what was embedded for the measuring is gone
    sae = checkpoint.load(run.compared("layer_02-topk-k4-s0"))
    assert (sae.about.layer, sae.about.plm) == (2, "esm2-mini")
    embedded = next(
        iter(
            run.plm("cpu").embed(
                run.proteins().select(run.accessions("test")[:1]), [2], progress=False
            )
        )
    ).layers[2]
    measured = quality(sae, [embedded.float()])
    assert measured.fvu < 1
    assert (
        run.evaluation("layer_01-topk-k4-s0")["concepts_tuning"]
        == run.evaluation("layer_02-topk-k4-s0")["concepts_tuning"]
    )
    assert result.layers["label"].to_list() == run.summary("compare")["chosen"]
    assert_frame_equal(run.table("compare", "layers"), result.layers)
    followed_as_if_both_were_stored(run, result)


def followed_as_if_both_were_stored(run, result):
    """The fates of a stored layer's features in one that is not: of test proteins, embedded whole,
    with the random SAE centred on them."""
    proteins = run.proteins().select(run.accessions("test"))
    batches = list(run.plm("cpu").embed(proteins, [1, 2], progress=False))
    own, controls = {}, {}
    for layer in (1, 2):
        x = np.zeros((proteins.n_residues, batches[0].layers[layer].shape[1]), np.float32)
        for batch in batches:
            x[batch.rows] = batch.layers[layer].float()
        sae = checkpoint.load(run.compared(f"layer_0{layer}-topk-k4-s0"))
        control = run.evaluation(f"layer_0{layer}-random-k4")
        mean = torch.from_numpy(x.mean(axis=0, dtype=np.float64).astype(np.float32))
        random = random_sae(sae.d_in, 64, 4, mean, control["seed"])
        for made, values in ((sae, own), (random, controls)):
            with torch.no_grad():
                f = made.encode(torch.from_numpy(x)).numpy()
            values[layer] = FeatureActivations.from_dense(f, proteins)
    expected = across_layers(own, controls)
    assert_frame_equal(result.fates, expected.features, abs_tol=1e-3)
    assert_frame_equal(result.steps, expected.steps, abs_tol=1e-3)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"layers": [99]},
            r"compare\.layers = \[99\]: esm2-mini has no layer 99; its layers are 0",
        ),
        (
            {"batch_size": 1_000_000},
            r"compare\.batch_size = 1000000: the train proteins have [\d,]+ residues in all",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_work(tiny_run, tmp_path, values, text):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    with pytest.raises(PipelineError, match=text):
        STAGES["compare"].call(run, tiny_compare(run.folder, **values))


@pytest.mark.slow
def test_a_killed_comparison_ends_with_the_same_tables(compared, tmp_path):
    whole, result, _ = compared
    shutil.copytree(whole.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    run.clear("compare")
    params = tiny_compare(run.folder)
    for wanted in (
        "checkpoints/step_*",
        "evaluation.json",
        "evaluation.json",
    ):  # killed in training, and twice in measuring
        before = len(list((run.folder / "comparison").glob(f"*/{wanted}")))
        with start("compare", run, params) as child:
            while len(list((run.folder / "comparison").glob(f"*/{wanted}"))) <= before:
                time.sleep(0.02)
                assert child.poll() is None
            os.killpg(child.pid, signal.SIGKILL)
        run.clear_drafts()
    evaluated = {
        path: path.stat().st_mtime_ns
        for path in (run.folder / "comparison").glob("*/evaluation.json")
    }
    again = STAGES["compare"].call(run, params)
    assert evaluated and all(
        path.stat().st_mtime_ns == time for path, time in evaluated.items()
    )  # what was measured is not measured again
    assert_frame_equal(again.comparison.drop(TIMES), result.comparison.drop(TIMES))
    assert_frame_equal(again.stability, result.stability)
    assert_frame_equal(
        again.metrics.drop("tokens_per_second"),
        result.metrics.drop("tokens_per_second"),
        check_column_order=False,
    )


def test_the_same_parameters_make_nothing_anew_and_others_begin_again(compared, tmp_path):
    whole, _, _ = compared
    shutil.copytree(whole.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    params = tiny_compare(run.folder)
    key = manifest.key(run, params)
    manifest.write(run, params, key, {"device": "cpu"})
    assert manifest.is_current(run, params, key) and manifest.is_current(
        run, tiny_compare(run.folder, checkpoint_every=7), key
    )
    weights = run.compared("layer_01-topk-k4-s0") / "sae.safetensors"
    made = weights.stat().st_mtime_ns
    STAGES["compare"].call(run, params)
    assert weights.stat().st_mtime_ns == made
    manifest.begin(run, CompareParameters.checked({**params.model_dump(), "steps": 41}, "test"))
    assert not weights.exists() and (run.folder / "sources/sae/sae.safetensors").exists()


def test_maxima_see_train_alone(compared):
    run, _, _ = compared
    label, proteins = "layer_01-jumprelu-t4-s0", run.proteins()
    sae = checkpoint.load(run.compared(label))
    x = run.embeddings(1)[
        proteins.rows_of(parts_of(proteins, run.splits(), tiny_compare(run.folder)).maxima)
    ]
    dense = np.zeros((len(x), sae.d_sae), np.float32)
    code = sae.encode_sparse(torch.from_numpy(x.copy()))
    dense[code.rows, code.features] = code.values
    maxima = pl.read_parquet(run.compared(label) / "maxima.parquet")["maximum_train"].to_numpy()
    np.testing.assert_allclose(maxima, dense.max(axis=0), rtol=1e-4, atol=1e-5)
    assert (
        run.table("compare", "comparison").row(by_predicate=pl.col("label") == label, named=True)[
            "silent"
        ]
        == (maxima == 0).sum()
    )
