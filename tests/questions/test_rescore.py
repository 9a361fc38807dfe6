"""Any SAE on a run: the run's own SAE gets the run's own figures, in whatever format it comes."""

import shutil

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from interplm_nb.concepts.count import count
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.plm.store import embed_to
from interplm_nb.questions import rescore as module
from interplm_nb.questions.rescore import Settings, kept_as, opened, rescore
from interplm_nb.questions.rescore_published import SCORED, rescore_published
from interplm_nb.questions.rescore_table import RESCORED, rescored_text
from interplm_nb.sae import checkpoint, hub, published
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.importers.given import Given
from interplm_nb.sae.on_demand import on_demand
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.saving import read_json


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory) -> Run:
    """A copy to write in."""
    folder = tmp_path_factory.mktemp("rescored") / "run"
    shutil.copytree(tiny_run.folder, folder)
    return Run.open(folder)


@pytest.fixture
def fresh(tiny_run, tmp_path) -> Run:
    shutil.copytree(tiny_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("activations"))
    return Run.open(tmp_path / "run")


def other_sae(
    run: Run, layer: int, plm: str = "", revision: str = "", d_in: int = 192, hook: str = "residual"
):
    sae = random_sae(d_in, 32, 4, torch.zeros(d_in), 0)
    model = run.summary("embed")
    sae.about = SAEAbout(
        plm or model["plm"], revision or model["plm_revision"], layer, "random", hook
    )
    return sae


FIGURES = [
    "convention",
    "layer",
    "n_features",
    "l0",
    "silent",
    "n_concepts",
    "mean_f1_per_domain",
    "low",
    "high",
    "features_found",
    "concepts_found",
    "concepts_found_by_f1_alone",
]


def rows(table: pl.DataFrame, sae: str, of: str) -> pl.DataFrame:
    return table.filter(pl.col("sae") == sae, pl.col("of") == of).select(FIGURES)


def tiny_sources(run: Run) -> list[str]:
    return run.table("concepts", "comparison")["source"].to_list()


def test_the_runs_own_sae_gets_the_runs_own_figures(run):
    table = rescore(run, {"a/copy of: it": run.sae()}, device="cpu")
    assert table.schema == RESCORED
    assert_frame_equal(rows(table, "a/copy of: it", "rescored"), rows(table, "sae", "run"))
    assert set(table.filter(pl.col("of") == "run")["sae"]) == set(tiny_sources(run))
    assert rows(table, "sae", "run")["low"][0] is not None
    (folder,) = (run.folder / "rescored").iterdir()
    assert folder.name == f"a-copy-of-it-{run.sae().weight_hash.removeprefix('sha256:')[:12]}"


def test_a_control_whose_folder_is_gone_keeps_its_figures(fresh):
    shutil.rmtree(fresh.source("random_sae"))
    table = rescore(fresh, {"it": fresh.sae()}, Settings(1, 1, 0), device="cpu")
    row = rows(table, "random_sae", "run").row(0, named=True)
    scored = fresh.table("concepts", "comparison").filter(
        pl.col("source") == "random_sae", pl.col("convention") == row["convention"]
    )
    assert row["mean_f1_per_domain"] == scored["mean_f1_per_domain"].item()
    assert (row["layer"], row["n_features"]) == (None, None)
    assert "random_sae" in rescored_text(table, "strict", "esm2-mini")


def test_an_sae_in_units_of_its_publishers_maxima_is_scaled_anew(run):
    sae = run.sae()
    folded = sae.folded(
        np.exp2(np.random.default_rng(0).integers(-2, 3, sae.d_sae)).astype(np.float32)
    )  # exact in float32
    folded.about = sae.about
    assert folded.unit == "max"
    table = rescore(run, {"folded": folded}, device="cpu")
    assert_frame_equal(rows(table, "folded", "rescored"), rows(table, "sae", "run"))


def test_a_layer_that_is_not_stored_is_embedded_and_removed(run, tmp_path):
    sae = other_sae(run, layer=2)
    table = rescore(run, {"deeper": sae}, Settings(1, 1, 0), device="cpu")
    row = table.filter(pl.col("sae") == "deeper", pl.col("convention") == "strict").row(
        0, named=True
    )
    assert (row["layer"], row["n_features"], row["l0"], row["low"]) == (2, 32, 4.0, None)
    assert run.layers() == [1] and not (run.folder / "rescored" / "work").exists()
    proteins = run.proteins()
    values = on_demand(
        sae, embed_to(run.plm("cpu"), proteins, [2], lambda _: tmp_path / "layer")[2], proteins
    )
    values = values.relative_to(values.largest(run.accessions("train")))
    (folder,) = (run.folder / "rescored").glob("deeper-*")
    for split in ("validation", "test"):
        wanted, found = (
            count(values, run.annotations(), run.accessions(split)),
            ConceptScores.load(folder, split, "strict"),
        )
        np.testing.assert_array_equal(found.tp, wanted.tp)
        np.testing.assert_array_equal(found.active, wanted.active)


def test_a_second_call_and_one_after_a_kill_do_what_is_lacking(fresh, monkeypatch):
    from interplm_nb.concepts import count as counting

    done, honest = [], counting.count

    def killed(source, annotations, accessions, **options):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(accessions)
        return honest(source, annotations, accessions, **options)

    monkeypatch.setattr(counting, "count", killed)
    with pytest.raises(KeyboardInterrupt):
        rescore(fresh, {"it": fresh.sae()}, device="cpu")
    done.clear()
    monkeypatch.setattr(module, "_maxima", None)  # measured before the kill
    table = rescore(fresh, {"it": fresh.sae()}, device="cpu")
    assert len(done) == 2
    assert_frame_equal(rows(table, "it", "rescored"), rows(table, "sae", "run"))
    done.clear()
    monkeypatch.setattr(module, "_embedded", None)  # nothing is lacking: nothing is opened
    assert_frame_equal(rescore(fresh, {"it": fresh.sae()}, device="cpu"), table)
    assert done == []


def test_one_sae_under_two_names_is_counted_once(fresh, monkeypatch):
    counted, honest = [], module._Work._count
    monkeypatch.setattr(
        module._Work, "_count", lambda self, *rest: counted.append(rest) or honest(self, *rest)
    )
    table = rescore(fresh, {"a": fresh.sae(), "b": fresh.sae()}, device="cpu")
    assert len(counted) == 4 and len(list((fresh.folder / "rescored").iterdir())) == 1
    assert_frame_equal(rows(table, "a", "rescored"), rows(table, "b", "rescored"))


def test_other_settings_read_the_same_counts(fresh, monkeypatch):
    one = rescore(fresh, {"it": fresh.sae()}, Settings(1, 1, 5), device="cpu")
    monkeypatch.setattr(module._Work, "_count", None)
    two = rescore(fresh, {"it": fresh.sae()}, Settings(3, 1, 7), device="cpu")
    assert two["n_concepts"][0] < one["n_concepts"][0]
    (folder,) = (fresh.folder / "rescored").iterdir()
    assert set(read_json(folder / "about.json", "Rescored", 2)["read"]) == {"1/1/5/0", "3/1/7/0"}


def test_counts_on_other_annotations_are_begun_anew(fresh):
    rescore(fresh, {"it": fresh.sae()}, Settings(1, 1, 0), device="cpu")
    annotations = fresh.annotations()
    annotations.only(annotations.concepts[:4]).save(fresh.folder / "annotations.parquet")
    again = Run.open(fresh.folder)
    table = rescore(again, {"it": fresh.sae()}, Settings(1, 1, 0), device="cpu")
    assert table.filter(pl.col("sae") == "it")["n_concepts"][0] <= 4


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"plm": "esm2_t6_8M_UR50D"},
            r"it is an SAE of esm2_t6_8M_UR50D \(sha256:.*\), .*run is embedded with esm2-mini",
        ),
        (
            {"revision": "sha256:00ff"},
            r"it is an SAE of esm2-mini \(sha256:00ff\), .* with esm2-mini \(sha256:",
        ),
        ({"d_in": 64}, "takes 64 values per residue, esm2-mini of .* has 192"),
        ({"hook": "mlp"}, "trained on hook 'mlp' of layer 1"),
        ({"layer": 99}, r"esm2-mini has no layer 99; its layers are 0 .* to \d+; the SAE is"),
    ],
)
def test_an_sae_of_another_model_is_refused_before_anything_is_written(run, changes, text):
    before = {path.name for path in (run.folder / "rescored").glob("*")}
    with pytest.raises((PipelineError, ValueError), match=text):
        rescore(run, {"it": other_sae(run, **{"layer": 1, **changes})}, device="cpu")
    assert {path.name for path in (run.folder / "rescored").glob("*")} == before


def test_an_sae_that_does_not_know_its_weights_is_taken_by_name(run):
    sae = run.sae()
    assert sae.about is not None
    sae.about = SAEAbout(sae.about.plm, "", sae.about.layer, "imported")
    assert rescore(run, {"nameless": sae}, device="cpu")["sae"][0] == "nameless"
    sae.about = None
    with pytest.raises(PipelineError, match="it does not say to which PLM and layer it belongs"):
        rescore(run, {"it": sae}, device="cpu")


def test_saes_are_opened_by_what_people_call_them(run, tmp_path):
    sae = run.sae()
    assert sae.about is not None
    checkpoint.save(sae, tmp_path / "copy", sae.about)
    found = opened([str(run.source("sae")), str(tmp_path / "copy")], Given())
    assert list(found) == ["sources/sae", f"{tmp_path.name}/copy"]
    assert {s.weight_hash for s in found.values()} == {sae.weight_hash}
    with pytest.raises(FileNotFoundError, match="no such file"):
        opened([str(tmp_path / "nothing")], Given())


def test_what_is_no_path_here_is_a_repository(run, monkeypatch):
    asked = []
    monkeypatch.setattr(
        hub,
        "get",
        lambda name, given, **options: asked.append((name, given.layer, options)) or run.sae(),
    )
    assert list(opened(["Elana/InterPLM-esm2-8m"], Given(layer=1), "main", "a/ae.pt")) == [
        "Elana/InterPLM-esm2-8m layer 1"
    ]
    assert asked == [("Elana/InterPLM-esm2-8m", 1, {"revision": "main", "file": "a/ae.pt"})]


def test_the_text_holds_one_convention_and_the_note(run):
    table = rescore(run, {"it": run.sae()}, device="cpu")
    text = rescored_text(table, "published", "esm2-mini")
    assert text.startswith("published convention, ") and "strict" not in text.splitlines()[0]
    assert "It is not ESM-2" in text and text.count(" rescored ") == 1


def test_every_published_sae_has_a_row_and_a_reason_where_it_was_not_scored(fresh, monkeypatch):
    entries = (
        published.Published("a/mine", "interplm", "esm2-mini", (1, 2), "w"),
        published.Published("a/away", "interplm", "esm2-mini", (1, 2), "w"),
        published.Published("a/odd", "interplm", "esm2-mini", (1,), "w"),
        published.Published("a/other", "interplm", "esm2_t6_8M_UR50D", (3,), "w"),
    )
    monkeypatch.setattr(published, "PUBLISHED", entries)
    asked = []

    def get(repository, given):
        asked.append((repository, given.layer))
        if repository == "a/away":
            raise ConnectionError("the Hub could not be reached")
        if repository == "a/odd":
            raise ValueError("the file does not say k; give --k")
        return other_sae(fresh, given.layer) if given.layer == 1 else other_sae(fresh, 1, d_in=64)

    monkeypatch.setattr(hub, "get", get)
    table = rescore_published(fresh, Settings(1, 1, 0), device="cpu", keep=True)
    assert dict(table.schema) == SCORED
    assert asked == [("a/mine", 1), ("a/mine", 2), ("a/away", 1), ("a/odd", 1)]
    why = dict(table.drop_nulls("why_not").select("sae", "why_not").rows())
    assert list(why) == [
        *("a/mine layer 2", "a/away layer 1", "a/away layer 2", "a/odd layer 1", "a/other layer 3")
    ]
    assert "takes 64 values per residue" in why["a/mine layer 2"]
    assert why["a/away layer 1"] == why["a/away layer 2"] == "the Hub could not be reached"
    assert why["a/odd layer 1"] == "the file does not say k; give --k"
    assert why["a/other layer 3"].startswith("it is an SAE of esm2_t6_8M_UR50D; score it on")
    scored = table.filter(pl.col("sae") == "a/mine layer 1")
    alone = rescore(fresh, {"a/mine layer 1": other_sae(fresh, 1)}, Settings(1, 1, 0), "cpu")
    assert_frame_equal(
        scored.drop("seconds", "why_not"),
        alone.filter(pl.col("of") == "rescored").drop("seconds"),
    )
    (source,) = kept_as(fresh, table["sae"].to_list()).values()
    assert source.startswith("a-mine-layer-1-") and fresh.sae(source).d_sae == 32


def test_without_a_network_the_runs_own_rows_stay(fresh, monkeypatch):
    def get(*_: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(hub, "get", get)
    table = rescore_published(fresh, Settings(1, 1, 0), device="cpu")
    assert set(table.filter(pl.col("of") == "run")["sae"]) == set(tiny_sources(fresh))
    n = sum(len(entry.layers) for entry in published.PUBLISHED)
    assert table["why_not"].drop_nulls().len() == n
