"""Stage `features` on a tiny run: its tables are what the functions of the room say."""

import shutil

import numpy as np
import polars as pl
import pytest

from interplm_nb.features.cluster_names import CLUSTERS, named_clusters
from interplm_nb.features.coactivation import activation_correlation, sampled
from interplm_nb.features.families import BY_CHANCE, NEIGHBOURS
from interplm_nb.features.hierarchy import HIERARCHY, hierarchy
from interplm_nb.features.known_motifs import KNOWN
from interplm_nb.features.motifs import MOTIFS
from interplm_nb.features.patterns import activation_patterns
from interplm_nb.features.statistic_shards import SHAPE
from interplm_nb.features.statistics import STATISTICS, feature_statistics
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import FeaturesParameters
from interplm_nb.pipeline.preflight import check_motifs
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAES
from interplm_nb.sae import checkpoint
from interplm_nb.sae.architectures import Matryoshka
from interplm_nb.sae.model import SAE
from interplm_nb.stages.features import MATCHED, features
from tests.pipeline.tiny import tiny_parameters

CYSTEINE = "cysteine C\nnothing W-W-W-W-W-W-W\n"


@pytest.fixture(scope="module")
def made(tiny_run):
    return features(tiny_run, tiny_parameters(tiny_run.folder)["features"])


def test_statistics_are_of_the_paper_s_scale_and_threshold(tiny_run, made):
    for source in SAES:
        table = tiny_run.feature_table("statistics", source)
        assert table.columns == [*STATISTICS, *SHAPE.values()]
        relative = tiny_run.activations(source).relative_to(tiny_run.maxima(source).train)
        assert table.select(*STATISTICS).equals(feature_statistics(relative, 0.05))
        shapes = activation_patterns(relative)
        assert table["shape"].equals(shapes["pattern"].rename("shape"))
        assert table["period"].equals(shapes["period"])
    assert made.statistics.columns[0] == "source"
    assert set(made.statistics["source"]) == set(SAES)


def test_motifs_are_made_on_train_one_protein_of_a_family_and_tested_on_test(tiny_run, made):
    table = tiny_run.feature_table("motifs")
    assert dict(table.schema) == MOTIFS
    clusters = tiny_run.splits().filter(pl.col("split") == "train")["cluster"].n_unique()
    assert table["n_sites"].min() >= 10 and table["n_sites"].max() <= clusters
    assert table["held_out_sites"].max() <= len(tiny_run.accessions("test"))
    assert set(made.motifs["source"]) == set(SAES)
    assert made.known.is_empty() and dict(made.known.schema) == KNOWN


def test_neighbours_are_of_three_kinds_and_follow_their_similarity(tiny_run, made):
    table = made.neighbours
    assert dict(table.schema) == NEIGHBOURS
    assert set(table["kind"]) == {"decoder", "activation", "concept"}
    chosen = sampled(tiny_run.proteins(), 2000, 0)
    correlation = activation_correlation(tiny_run.activations(), accessions=chosen)
    decoder = tiny_run.sae().W_dec.detach().numpy()
    scores = tiny_run.scores("sae", "validation")
    scored = set(tiny_run.links().table["concept"])
    assert len(scored) < scores.n_concepts, "a concept with too few instances is no profile"
    profiles = np.array(
        [
            scores.measures(c).f1_per_domain.max(axis=1)
            for c, concept in enumerate(scores.concepts["concept"])
            if concept in scored
        ]
    )
    for feature, kind, _, neighbour, similarity in table.iter_rows():
        if kind == "activation":
            assert similarity == correlation[feature, neighbour]
        if kind == "decoder":
            a, b = decoder[feature], decoder[neighbour]
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert similarity == pytest.approx(cosine, abs=1e-5)
        if kind == "concept":
            a, b = profiles[:, feature], profiles[:, neighbour]
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert similarity == pytest.approx(cosine, abs=1e-5)


def test_controls_are_matched_too_and_the_shuffled_model_by_activation_alone(tiny_run, made):
    assert dict(made.matches.schema) == MATCHED
    pairs = set(made.matches.select("other", "kind").iter_rows())
    assert pairs == {
        ("random_sae", "decoder"),
        ("random_sae", "activation"),
        ("shuffled_sae", "activation"),
    }
    alive = np.flatnonzero(tiny_run.activations().n_active())
    assert set(made.matches["feature"]) <= set(alive.tolist())


def test_clusters_are_those_of_the_map_by_features_above_the_lowest_limit(tiny_run, made):
    assert dict(made.clusters.schema) == CLUSTERS
    atlas, quality = tiny_run.atlas(), tiny_run.atlas_quality()
    assert set(made.clusters["cluster"]) == set(atlas["cluster"]) - {-1}
    rows = []
    for name in sorted(set(tiny_run.links().table["concept"])):
        both = []
        for split in ("validation", "test"):
            scores = tiny_run.scores("sae", split)
            both.append((scores, scores.concepts["concept"].to_list().index(name)))
        (validation, v), (test, t) = both
        chosen, read = validation.measures(v), test.measures(t)
        for f in range(64):
            best = max(
                range(len(validation.thresholds)),
                key=lambda i: (chosen.f1_per_domain[f, i], chosen.f1[f, i], -i),
            )
            if min(chosen.f1_per_domain[f, best], read.f1_per_domain[f, best]) > 0.1:
                rows.append((name, validation.concepts["category"][v], f))
    schema = {"concept": pl.String, "category": pl.String, "feature": pl.UInt32}
    matched = pl.DataFrame(rows, schema=schema, orient="row")
    assert matched.height
    expected = named_clusters(atlas, matched, quality.why_no_clusters(atlas))
    assert made.clusters.equals(expected)


def test_an_sae_without_prefixes_has_no_hierarchy_and_one_with_has(tiny_run, made, tmp_path):
    schema = {"source": pl.String, **HIERARCHY}
    assert made.hierarchy.is_empty() and dict(made.hierarchy.schema) == schema
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder)
    run = Run.open(folder)
    own = run.sae()
    sae = SAE(own.d_in, own.d_sae, Matryoshka(4, (8, 24, 64)))
    sae.load_state_dict(own.state_dict(), strict=False)
    checkpoint.save(sae, run.source("sae"), own.about)
    params = FeaturesParameters(
        run=str(folder), device="cpu", shuffles=20, correlated_residues=2000
    )
    table = features(run, params).hierarchy
    chosen = sampled(run.proteins(), 2000, 0)
    for source in ("sae", "random_sae"):
        relative = run.activations(source).relative_to(run.maxima(source).train)
        expected = hierarchy(relative, (8, 24, 64), 0.05, chosen, 0)
        assert table.filter(source=source).drop("source").equals(expected)
    assert table["parent"].drop_nulls().len() and set(table["prefix"]) <= {8, 24, 64}


def test_the_overview_counts_the_tables(tiny_run, made):
    assert made.overview["source"].to_list() == list(SAES)
    row = made.overview.filter(source="random_sae").row(0, named=True)
    statistics = tiny_run.feature_table("statistics", "random_sae").filter(pl.col("n_active") > 0)
    motifs = tiny_run.feature_table("motifs", "random_sae")
    assert row["n_features"] == statistics.height and row["n_tested"] == motifs.height
    assert row["share_motif"] == (motifs["q_motif"] <= 0.05).mean()
    assert row["n_pattern"] == (motifs["pattern"] != "").sum()
    matched = made.matches.filter(other="random_sae", kind="activation")
    assert row["share_matched"] == (matched["by_chance"] <= BY_CHANCE).mean()
    summary = tiny_run.summary("features")
    assert summary["n_features"] == made.overview.filter(source="sae")["n_features"].item()


def test_known_motifs_come_from_a_file_and_its_content_counts(tiny_run, tmp_path):
    folder, path = tmp_path / "run", tmp_path / "mine.txt"
    shutil.copytree(tiny_run.folder, folder)
    path.write_text(CYSTEINE, encoding="utf-8")
    run = Run.open(folder)
    place = {"run": str(folder), "device": "cpu", "shuffles": 20, "correlated_residues": 2000}
    params = FeaturesParameters(motifs=str(path), **place)
    before = run.feature_table("statistics")
    known = features(run, params).known
    assert set(known["known"]) <= {"cysteine"} and (known["p_known"] <= 1).all()
    assert run.feature_table("statistics").equals(before)
    key = manifest.key(run, params)
    path.write_text("other G\n", encoding="utf-8")
    assert manifest.key(run, params).hash != key.hash


def test_a_stage_that_was_cut_off_keeps_its_tables(tiny_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder)
    run = Run.open(folder)
    params = FeaturesParameters(shuffles=21, run=str(folder), device="cpu")
    features(run, params)
    kept = run.of_source("sae", "motifs")
    before, written = kept.stat().st_mtime_ns, run.of_source("sae", "matches")
    written.unlink()
    features(run, params)
    assert kept.stat().st_mtime_ns == before and written.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"^features\.motifs: .*mine\.txt: no such file"),
        ("C--C\n", r"^features\.motifs: .*mine\.txt: C--C \(line 1\): element 2, ''"),
    ],
)
def test_a_file_of_motifs_is_read_before_the_first_stage(tmp_path, content, words):
    path = tmp_path / "mine.txt"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(PipelineError, match=words):
        check_motifs({"features": FeaturesParameters(motifs=str(path))})


def test_a_folder_of_motifs_is_refused(tmp_path):
    with pytest.raises(PipelineError, match=r"^features\.motifs: .* is a folder; give a file"):
        check_motifs({"features": FeaturesParameters(motifs=str(tmp_path))})
    check_motifs({})
    check_motifs({"features": FeaturesParameters()})
