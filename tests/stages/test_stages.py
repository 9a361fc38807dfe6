"""The stages on a tiny run: what they make fits together and is honest about who saw what."""

import json
import shutil
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from interplm_nb.features.atlas_quality import atlas_quality
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import (
    ConceptsParameters,
    EmbedParameters,
    ProteinsParameters,
    TrainParameters,
)
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import CONVENTIONS, SAES, SOURCES
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.stages.concept_summary import verdict
from interplm_nb.stages.proteins import read_file, with_labels
from interplm_nb.stages.training import for_fidelity
from tests.pipeline.tiny import tiny_parameters


def test_proteins_annotations_and_splits_share_one_axis(tiny_run):
    proteins = tiny_run.proteins()
    splits = tiny_run.splits()
    assert splits["accession"].to_list() == proteins.accessions
    assert splits.schema == {
        "accession": pl.String,
        "cluster": pl.UInt32,
        "split": pl.String,
        "split_published": pl.String,
    }
    assert splits.group_by("cluster").agg(pl.col("split").n_unique())["split"].max() == 1
    assert (
        tiny_run.annotations("strict").proteins.sequence_hash
        == tiny_run.annotations("published").proteins.sequence_hash
    )


def test_maxima_see_train_alone(tiny_run):
    activations = tiny_run.activations("sae")
    dense = np.concatenate([block.values.toarray() for block in activations.blocks()])
    rows = tiny_run.proteins().rows_of(tiny_run.accessions("train"))
    maxima = tiny_run.maxima("sae")
    np.testing.assert_array_equal(maxima.train, dense[rows].max(axis=0))
    np.testing.assert_array_equal(maxima.everywhere, dense.max(axis=0))


def test_the_map_says_how_far_it_can_be_trusted(tiny_run):
    measured = atlas_quality(tiny_run.atlas(), tiny_run.sae().W_dec.detach().numpy())
    assert tiny_run.atlas_quality() == measured
    assert measured.recurrence is not None and measured.kept is not None


def test_the_atlas_has_every_living_feature_and_its_statistics_over_all_proteins(tiny_run):
    atlas, activations = tiny_run.atlas(), tiny_run.activations("sae")
    dense = np.concatenate([block.values.toarray() for block in activations.blocks()])
    assert atlas["feature"].to_list() == np.flatnonzero(dense.any(axis=0)).tolist()
    on = dense[:, atlas["feature"].to_numpy()]
    np.testing.assert_array_equal(atlas["n_active"], (on > 0).sum(axis=0))
    np.testing.assert_array_equal(atlas["maximum"], on.max(axis=0))
    assert atlas.columns == [
        "feature",
        "x",
        "y",
        "cluster",
        "n_active",
        "density",
        "n_proteins",
        "maximum",
        "mean_active",
        "share_near_ends",
        "near_ends_by_chance",
    ]
    assert np.abs(atlas.select("x", "y")).max() == pytest.approx(1)
    assert tiny_run.folder / "sources/sae/atlas.parquet" in tiny_run.outputs("activations")


def test_neurons_are_scaled_by_the_range_of_train(tiny_run):
    x = tiny_run.embeddings()[:]
    rows = tiny_run.proteins().rows_of(tiny_run.accessions("train"))
    maxima = tiny_run.maxima("neurons")
    np.testing.assert_array_equal(maxima.minimum_train, x[rows].min(axis=0))
    np.testing.assert_array_equal(maxima.everywhere, x.max(axis=0))


def test_training_and_activations_agree_on_what_is_silent_rare_and_effective(tiny_run):
    use = tiny_run.table("train", "use")
    assert use["source"].to_list() == list(SAES)
    rows = tiny_run.proteins().rows_of(tiny_run.accessions("train"))
    stores = {row["source"]: row for row in tiny_run.table("activations", "sources").to_dicts()}
    for row in use.to_dicts():
        source = row["source"]
        store = tiny_run.activations(source)
        n = [np.isin(store.feature(f)[0], rows).sum() for f in range(store.n_features)]
        assert row["n_residues"] == len(rows)
        assert row["silent"] == stores[source]["silent"] == n.count(0)
        assert row["silent"] == (~tiny_run.maxima(source).alive).sum()
        assert row["rare"] == stores[source]["rare"] == sum(0 < x / len(rows) < 1e-4 for x in n)
        assert row["effective"] == pytest.approx(stores[source]["effective"], rel=1e-5)
        assert (row["moved"] is None) == (source == "random_sae")


def test_the_random_sae_is_as_sparse_and_as_large(tiny_run):
    trained, random = tiny_run.sae("sae"), tiny_run.sae("random_sae")
    assert (random.d_in, random.d_sae) == (trained.d_in, trained.d_sae)
    assert random.architecture.k == round(tiny_run.about("sae")["quality"]["l0"])
    mean = tiny_run.embeddings()[tiny_run.proteins().rows_of(tiny_run.accessions("train"))].mean(
        axis=0
    )
    starts = [tiny_run.sae(member).W_dec for member in SOURCES["random_sae"].members]
    centre = trained.b_dec.detach()
    own = random_sae(trained.d_in, trained.d_sae, 4, centre, trained.about.seed)
    for one, other in combinations([own.W_dec, *starts], 2):
        alike = (one * other).sum(dim=1).abs().max().item()
        assert alike < 0.5, "no two start from one seed"
    np.testing.assert_allclose(
        random.b_dec.detach().numpy(), mean, rtol=0.2, atol=0.05 * np.abs(mean).max()
    )


def test_every_source_is_scored_in_both_conventions(tiny_run):
    result = STAGES["concepts"].call(tiny_run, tiny_parameters(tiny_run.folder)["concepts"])
    strict, published = (
        ((s, "strict") for s in SOURCES),
        ((s.id, "published") for s in SOURCES.values() if s.published),
    )
    assert set(result.comparison.select("source", "convention").iter_rows()) == {
        *strict,
        *published,
    }
    strict = result.comparison.filter(pl.col("convention") == "strict")
    assert strict["n_concepts"].n_unique() == 1
    assert (strict["low"] <= strict["high"]).all()
    assert result.differences["control"].to_list() == [s for s in SOURCES if s != "sae"]
    assert result.verdict == verdict(result.differences, seeds=1)


def test_scores_are_what_counting_by_hand_gives(tiny_run):
    scores = tiny_run.scores("sae", "test", "strict")
    values = np.concatenate([b.values.toarray() for b in tiny_run.scored("sae", "strict").blocks()])
    rows = tiny_run.proteins().rows_of(tiny_run.accessions("test"))
    concept = scores.concepts["concept"][0]
    carried = tiny_run.annotations().mask(concept)[rows]
    for t, threshold in enumerate(scores.thresholds):
        on = values[rows] > np.float32(threshold)
        np.testing.assert_array_equal(scores.active[:, t], on.sum(axis=0))
        np.testing.assert_array_equal(scores.tp[0, :, t], (on & carried[:, None]).sum(axis=0))


def test_every_source_says_what_it_is(tiny_run):
    for source in SAES:
        about = tiny_run.about(source)
        assert about["layer"] == 1
        assert about["plm"] == (
            "esm2-mini-shuffled-42" if source == "shuffled_sae" else "esm2-mini"
        )
    assert tiny_run.sources() == list(SOURCES)


def test_a_layer_that_is_not_there(tiny_run, tmp_path):
    run = Run.create(tmp_path / "run", "x")
    (run.folder / "proteins.parquet").write_bytes(
        (tiny_run.folder / "proteins.parquet").read_bytes()
    )
    params = EmbedParameters(run=str(run.folder), plm="esm2-mini", layer=99, device="cpu")
    with pytest.raises(ValueError, match=r"esm2-mini has no layer 99; its layers are 0"):
        STAGES["embed"].call(run, params)


def test_a_batch_larger_than_the_training_data(tiny_run, tmp_path):
    run = copied(tiny_run, tmp_path, "train")
    with pytest.raises(
        PipelineError,
        match=r"train\.batch_size = 1000000: the train proteins have [\d,]+ residues in all",
    ):
        STAGES["train"].call(
            run, TrainParameters(run=str(run.folder), batch_size=1_000_000, device="cpu")
        )


def test_a_recipe_is_trained_with_the_parameters_that_it_takes(tiny_run, tmp_path):
    run = copied(tiny_run, tmp_path, "train")
    values = {
        **tiny_parameters(run.folder)["train"].model_dump(),
        "recipe": "interplm-paper",
        "l1": 0.05,
        "k": 7,
        "warmup_fraction": 0.5,
        "lr": 3e-3,
    }
    lines = []
    params = TrainParameters(**values | {"steps": 20, "resample_every": 8, "fidelity_every": 10})
    result = STAGES["train"].call(run, params, log=lines.append)
    about = run.sae("sae").about
    assert about.recipe == run.summary("train")["recipe"] == "interplm-paper"
    made = {
        name: about.training[name]
        for name in ("sparsity", "dead", "resample_every", "lr_warmup", "lr", "steps", "batch_size")
    }
    assert made == {
        "sparsity": 0.05,
        "dead": "resample by error",
        "resample_every": 8,
        "lr_warmup": 0.5,
        "lr": 3e-3,
        "steps": 20,
        "batch_size": 256,
    }
    assert run.sae("shuffled_sae").about.training == about.training
    assert result.metrics["step"].to_list() == 2 * list(range(1, 21))
    measured = {line["step"] for line in lines if line["sae"] == "sae" and "kl" in line}
    assert measured == {10, 20} and not any(
        "kl" in line for line in lines if line["sae"] == "shuffled_sae"
    )


def test_a_fidelity_file_of_another_version_is_refused_with_both(tiny_run, tmp_path):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    path = run.of_source("sae", "fidelity")
    path.write_text(path.read_text().replace('"version": 3', '"version": 2'))
    words = "expected FidelityOfSource version 3, found FidelityOfSource version 2"
    params = tiny_parameters(run.folder)["train"]
    manifest.write(run, params, manifest.key(run, params), {"device": "cpu"})  # as it was made then
    with pytest.raises(PipelineError, match=words):
        STAGES["train"].call(run, params)


def test_fidelity_keeps_the_sums_of_each_protein_and_names_its_quality(tiny_run):
    measures = json.loads(tiny_run.of_source("sae", "fidelity").read_text())["measures"]
    table = tiny_run.table("train", "fidelity").filter(pl.col("source") == "sae")
    assert table["measure"].to_list() == ["strict", "including masked positions", "published"]
    for found, row in zip(measures, table.iter_rows(named=True), strict=True):
        sums = found["sums"]
        assert sums["accessions"] == for_fidelity(tiny_run.accessions("validation"), 2)
        assert sum(sums["n_residues"]) == row["n_residues"]
        assert (row["loss_recovered"] is None) == (row["ce_zero"] - row["ce_original"] < 0.01)
    assert [found["quality_on"] for found in measures] == [
        "visible residues of masked sequences",
        "all residues of masked sequences",
        "residues of unmasked sequences",
    ]
    strict = measures[0]
    ce = sum(strict["sums"]["ce_sae"]) / sum(strict["sums"]["n_residues"])
    assert ce == pytest.approx(strict["ce_sae"])


@pytest.mark.parametrize(("recipe", "sparsity"), [("gated", 0.02), ("jumprelu", 1.0)])
def test_what_is_not_given_is_the_recipes_own(tiny_run, tmp_path, recipe, sparsity):
    run = copied(tiny_run, tmp_path, "train")
    values = tiny_parameters(run.folder)["train"].model_dump() | {
        "recipe": recipe,
        "steps": 5,
        "l1": 0.0 if recipe == "gated" else 0.3,
    }
    STAGES["train"].call(run, TrainParameters(**values))
    about = run.sae("sae").about
    assert (about.recipe, about.training["sparsity"], about.training["dead"]) == (
        recipe,
        sparsity,
        "auxk",
    )
    assert about.training["target_l0"] == (4 if recipe == "jumprelu" else 32)


def test_own_fasta_with_own_labels_goes_through(tmp_path, tiny_run):
    proteins = tiny_run.proteins()
    (tmp_path / "own.fasta").write_text(
        "".join(
            f">{a}\n{s}\n" for a, s in zip(proteins.accessions, proteins.sequences, strict=True)
        )
    )
    rows = "".join(f"{a}\t1\t5\tstart\n" for a in proteins.accessions)
    (tmp_path / "own.tsv").write_text("accession\tstart\tend\tconcept\n" + rows)
    run = Run.create(tmp_path / "run", "own")
    params = ProteinsParameters(
        run=str(run.folder), path=str(tmp_path / "own.fasta"), labels=str(tmp_path / "own.tsv")
    )
    result = STAGES["proteins"].call(run, params)
    assert result.proteins.sequence_hash == proteins.sequence_hash
    assert result.annotations.concepts == ["start"]
    assert len(result.annotations) == len(proteins)


def test_labels_of_which_none_can_be_used_stop_the_run(tmp_path):
    (tmp_path / "own.fasta").write_text(">P1\nMKVLA\n>P2\nMKVLAC\n")
    params = ProteinsParameters(
        path=str(tmp_path / "own.fasta"), labels=str(tmp_path / "own.tsv"), max_residues=100
    )
    head, bad = "accession\tstart\tend\tconcept\n", "P1\t1\t9\tx\nsp|P1\t1\t2\tx\nP7\t1\t2\tx\n"
    stage = STAGES["proteins"]
    for i, (text, message) in enumerate(
        {
            head + bad: "proteins.labels: 0 of 3 labels could be used, of .*own.tsv: 2 unknown "
            r"protein \(sp\|P1: not among the proteins \(line 3\)\); 1 span past the end \(P1: x "
            r"1..9 \(line 2\)\). Mend the file, or run without proteins.labels",
            head: "0 of 0 labels could be used, of .*own.tsv: it has no row. Mend the file",
        }.items()
    ):
        (tmp_path / "own.tsv").write_text(text)
        with pytest.raises(PipelineError, match=message):
            stage.call(Run.create(tmp_path / f"run{i}", "own"), params)
    (tmp_path / "own.tsv").write_text(head + bad + "P2\t1\t2\tx\n")
    read = with_labels(read_file(params), params)
    assert read.annotations["strict"].concepts == ["x"]
    assert read.report.counts()["own.tsv: unknown protein"] == 2
    for fewer, message in [
        ({"max_residues": 5, "too_long": "skip"}, "0 of 4 labels could be used"),
        ({"max_proteins": 1, "seed": 1}, "none of the 1 proteins that are kept, of 2, has one of"),
    ]:
        with pytest.raises(PipelineError, match=message):
            run = Run.create(tmp_path / message[:9], "own")
            stage.call(run, params.model_copy(update=fewer))


def test_without_annotations_nothing_is_scored_and_nothing_fails(tmp_path, tiny_run):
    run = copied(tiny_run, tmp_path, "concepts")
    nothing = dict.fromkeys(CONVENTIONS, run.annotations().only([]))
    run.write_axis(run.proteins(), nothing, run.splits())
    result = STAGES["concepts"].call(run, ConceptsParameters(run=str(run.folder)))
    assert result.comparison["n_concepts"].sum() == 0
    assert result.differences.is_empty()
    assert len(run.annotations()) == 0


def copied(run, tmp_path, stage):
    """A copy of a run, less a stage and what follows from it."""
    import shutil

    from interplm_nb.pipeline.stage_table import REQUIRED

    shutil.copytree(run.folder, tmp_path / "copy")
    copy = Run.open(tmp_path / "copy")
    for later in REQUIRED[REQUIRED.index(stage) :]:
        copy.clear(later)
    return copy
