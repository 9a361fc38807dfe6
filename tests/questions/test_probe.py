"""Probes of a run: the examples and labels, and why a label cannot be probed."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.probes.examples import Examples
from interplm_nb.concepts.probes.fitting import PROBES, k_sparse_probe, logistic_probe
from interplm_nb.concepts.probes.residual import RESIDUAL
from interplm_nb.concepts.probes.specificity import SPECIFICITY
from interplm_nb.features.patterns import PATTERNS
from interplm_nb.figures import probe as figures_probing
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.questions import probe as probing
from interplm_nb.readers.label_files import from_label_strings, read_table
from tests.pipeline.asked import with_links


@pytest.fixture(scope="module")
def run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("probing") / "run")


@pytest.fixture(scope="module")
def helices(run: Run) -> Annotations:
    """Runs of A, L, E and K as label strings: your own labels that every split has."""
    proteins = run.proteins()
    strings = {
        a: "".join("H" if c in "ALEK" else "-" for c in proteins.sequence(a))
        for a in proteins.accessions
    }
    return from_label_strings(strings, proteins).annotations


@pytest.fixture(scope="module")
def probed(run: Run, helices: Annotations) -> probing.Probed:
    return probing.probes(run, helices, ks=(1, 3), most=1500)


def test_probes_stand_beside_controls_and_the_embedding(probed: probing.Probed) -> None:
    assert probed.left_out == {} and list(probed.table.schema.items()) == list(PROBES.items())
    names = ["best single feature", "k = 1", "k = 3", "embedding", "all positive", "majority"]
    names += [f"{control}, k = {k}" for control in ("random SAE", "shuffled PLM") for k in (1, 3)]
    assert probed.table["probe"].to_list() == names
    assert set(probed.table["task"]) == {"Alpha helix"} and probed.table["n"].n_unique() == 1


def test_the_figures_are_those_of_the_engine(
    run: Run, helices: Annotations, probed: probing.Probed
) -> None:
    splits, carried = run.splits(), helices.mask("Alpha helix")
    rows = {row["probe"]: row for row in probed.table.iter_rows(named=True)}
    for name, source in (("k = 3", "sae"), ("random SAE, k = 3", "random_sae")):
        examples = Examples.residues(run.scored(source, "strict"), splits, 1500)
        assert rows[name]["auprc"] == k_sparse_probe(examples, carried, 3).test.auprc
    embeddings = run.embeddings()
    values = {s: embeddings[examples.places[s]] for s in examples.places}
    dense = logistic_probe(Examples("residues", examples.places, values), carried)
    assert rows["embedding"]["n_features"] == embeddings.d_in
    assert rows["embedding"]["auprc"] == pytest.approx(dense.test.auprc, abs=1e-6)


def test_concepts_that_a_split_lacks_are_left_out_with_a_sentence(
    run: Run, helices: Annotations
) -> None:
    train = run.accessions("train")[0]
    table = pl.DataFrame(
        {
            "accession": [train],
            "start": [1],
            "end": [3],
            "concept": ["Rare"],
            "category": ["Own"],
            "level": ["instance"],
        }
    )
    rare = (
        table.with_columns(instance=pl.lit(1))
        .select(helices.table.columns)
        .cast(helices.table.schema)
    )  # type: ignore[arg-type]
    both = Annotations(pl.concat([helices.table, rare]), helices.proteins)
    found = probing.probes(run, both, ks=(1,), most=1500, controls=())
    assert set(found.table["task"]) == {"Alpha helix"}
    assert (
        list(found.left_out) == ["Rare"]
        and "residues of " in found.left_out["Rare"]
        and "carry the label" in found.left_out["Rare"]
    )
    none = probing.probes(run, both.only(["Rare"]))
    assert (
        none.table.is_empty()
        and none.table.schema == pl.Schema(PROBES)
        and list(none.left_out) == ["Rare"]
    )
    assert repr(figures_probing.probes(none.table)).startswith("no label could be probed")


def test_a_table_of_ones_own_and_the_proteins_that_were_looked_at(
    run: Run, tmp_path: Path, helices: Annotations
) -> None:
    path = tmp_path / "own.tsv"
    helices.table.select(
        "accession", "start", "end", pl.lit("Disorder").alias("concept")
    ).write_csv(path, separator="\t")
    own = read_table(path, run.proteins()).annotations
    among = [a for split in ("train", "validation", "test") for a in run.accessions(split)[:3]]
    found = probing.probes(run, own, ks=(1,), controls=(), among=among)
    lengths = run.proteins().lengths[[run.proteins().index(a) for a in run.accessions("test")[:3]]]
    assert set(found.table["task"]) == {"Disorder"} and found.table["n"][0] == lengths.sum()


def test_names_of_the_runs_annotations(run: Run) -> None:
    name = (
        run.annotations()
        .summary()
        .sort("n_instances", "concept", descending=[True, False])["concept"][0]
    )
    assert set(
        probing.probes(run, [name, name], ks=(1,), controls=(), most=1500).table["task"]
    ) == {name}
    with pytest.raises(PipelineError, match=rf"no concept '{name}x' in .*; did you mean {name}"):
        probing.probes(run, [f"{name}x"])
    with pytest.raises(PipelineError, match=r"the labels are of .*proteins=run\.proteins"):
        part = run.proteins().select(run.accessions("test"))
        probing.probes(run, Annotations(run.annotations().table.clear(), part))


def test_the_residual_view_leaves_out_links_of_the_labels_own_category(
    run: Run, helices: Annotations
) -> None:
    table = probing.residual(run, helices, most=1500)
    assert list(table.schema.items()) == list(RESIDUAL.items())
    assert table["task"].unique().to_list() == ["Alpha helix"]
    links = run.links().table
    assert table.filter(probe="linked features")["n_features"][0] == links["feature"].n_unique()
    name, category = (
        links.sort("n_instances", "concept", descending=[True, False])
        .select("concept", "category")
        .row(0)
    )
    own = probing.residual(run, name, most=3000)
    assert (
        own.filter(probe="linked features")["n_features"][0]
        == links.filter(pl.col("category") != category)["feature"].n_unique()
    )
    with pytest.raises(PipelineError, match=r"takes one label; got \d+"):
        probing.residual(run, run.annotations())


def test_patterns_and_families(run: Run) -> None:
    shapes = {source: probing.patterns(run, source) for source in ("sae", "random_sae")}
    assert (
        list(shapes["sae"].schema.items()) == list(PATTERNS.items()) and shapes["sae"].height == 64
    )
    category = (
        run.annotations()
        .table.filter(~pl.col("concept").str.ends_with("_any"))["category"]
        .mode()[0]
    )
    found = probing.specificity(run, category)
    assert list(found.schema.items()) == list(SPECIFICITY.items())
    assert not any(str(name).endswith("_any") for name in found["family"])
    alone = probing.specificity(
        run,
        by_cluster=False,
        families=pl.DataFrame({"accession": run.accessions("test"), "family": "tested"}),
    )
    assert set(alone["family"]) <= {"tested", None} and alone["n_family"].max() == len(
        run.accessions("test")
    )
    for chart in (
        figures_probing.patterns(shapes),
        figures_probing.specificity({"sae": found, "random_sae": alone}),
    ):
        assert chart._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert "sae: " in repr(figures_probing.patterns(shapes))
    with pytest.raises(PipelineError, match="no concept of category 'Domian'"):
        probing.specificity(run, "Domian")
    with pytest.raises(PipelineError, match="'neurons' is dense"):
        probing.patterns(run, "neurons")


def test_single_neurons_can_be_probed(run: Run, helices: Annotations) -> None:
    table = probing.probes(run, helices, ks=(1,), source="neurons", controls=(), most=1500).table
    assert table.filter(probe="k = 1")["n_features"][0] == 1
    assert table.filter(probe="embedding")["auprc"][0] > 0


@pytest.mark.parametrize("share", [None, 0.4])
def test_pictures_of_probes_and_residuals(probed: probing.Probed, share: float | None) -> None:
    chart = figures_probing.probes(probed.table)
    assert "embedding: " in repr(chart) and chart._repr_mimebundle_()[0]["image/png"].startswith(
        b"\x89PNG"
    )
    labels = [text.get_text() for legend in chart.figure.legends for text in legend.get_texts()]
    assert {"SAE, k = 1", "random SAE, k = 3", "dense embedding", "prevalence (chance)"} <= set(
        labels
    )
    parts = [
        "linked features",
        "as many others",
        "other features",
        "all features",
        "embedding",
        "majority",
    ]
    row: dict[str, Any] = {
        "task": "Helix",
        "n_features": 3,
        "n_positive": 5,
        "n": 90,
        "auprc": 0.3,
        "prevalence": 0.1,
        "share": share,
    }
    chart = figures_probing.residual(
        pl.DataFrame(
            [row | {"probe": name} for name in parts], schema_overrides={"share": pl.Float64}
        )
    )
    assert "majority" not in repr(chart) and "chance 0.100" in repr(chart)
    assert math.isclose(float(np.max(chart.figure.axes[0].get_xlim())), 0.48)
