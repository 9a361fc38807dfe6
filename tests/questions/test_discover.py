"""Missing annotations of a run: the question, what the run stores, and the words."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from interplm_nb.concepts.calibration import reliability
from interplm_nb.concepts.discovery import discover as discovery
from interplm_nb.concepts.discovery.evaluation import KS, Refound
from interplm_nb.figures import discover as figures_discover
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.discover import (
    ON_TEST,
    aligned_text,
    calibration_text,
    confidence_meaning,
    demo_structures,
    discover,
    not_evaluated,
    refound,
    refound_or_reason,
    refound_table,
    refound_text,
    store_refound,
    stored_refound,
    verdict,
)
from tests.pipeline.asked import with_links

SMALL: dict[str, Any] = {"min_instances": 1, "n_resamples": 20}


@pytest.fixture(scope="module")
def run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("discover") / "run")


@pytest.fixture(scope="module")
def again(run: Run) -> Refound:
    return refound(run, **SMALL)


def made(sae: float, controls: dict[str, float]) -> Refound:
    """An evaluation with these average precisions."""
    values = {
        "sae": sae,
        "mmseqs2": 0.2,
        "both": 0.3,
        **controls,
        "sae - mmseqs2": sae - 0.2,
        "random": 0.05,
    }
    rows = [(m, k, p, max(p - 0.1, 0), p + 0.1) for m, p in values.items() for k in (*KS, None)]
    precision = pl.DataFrame(
        rows,
        schema=["method", "k", "precision", "low", "high"],
        orient="row",
        schema_overrides={"k": pl.Int64},
    )
    bins = reliability(np.array([0.05, 0.15, 0.95]), np.array([False, True, True]))
    return Refound(pl.DataFrame(), precision, pl.DataFrame(), pl.DataFrame(), bins, 3, 1000, 50)


def test_the_table_is_that_of_discover_with_the_pairs_worth_on_test(run: Run) -> None:
    found = discover(run, min_confidence=0.05)
    proteins = run.proteins()
    pairs, annotations = run.links().table, run.annotations()
    wanted = discovery.discover(
        run.scored("sae", "strict"),
        annotations,
        pairs,
        run.accessions("train"),
        min_confidence=0.05,
        structures=demo_structures(proteins),
    )
    assert found.table.height > 0
    assert_frame_equal(found.table.drop(ON_TEST), wanted)
    row = found.table.row(0, named=True)
    link = pairs.filter(concept=row["concept"], feature=row["feature"]).row(0, named=True)
    assert (row["precision"], row["n_instances"]) == (
        link["precision"],
        link["n_instances"],
    )
    assert found.caption.startswith(
        f"{found.table.height:,} candidates with confidence >= 0.05 in "
    )
    assert f"of {found.n_concepts} linked concepts ({found.n_pairs} pairs" in found.caption
    assert found.left_out == []


def test_concepts_proteins_and_sources_are_chosen(run: Run) -> None:
    whole = discover(run, min_confidence=0.0)
    concept, accession = (
        whole.table.row(0, named=True)["concept"],
        whole.table.row(0, named=True)["accession"],
    )
    found = discover(
        run, [concept], 0.0, among=[accession], structures={accession: Path("there.cif")}
    )
    assert set(found.table["concept"]) == {concept} and set(found.table["accession"]) == {accession}
    assert (found.n_concepts, found.table["structure"].to_list()) == (1, ["there.cif"])
    control = discover(run, min_confidence=0.0, source="random_sae", structures={})
    assert set(control.table["concept"]) <= set(run.links().table["concept"])
    assert control.table["structure"].null_count() == control.table.height
    assert not control.table.equals(whole.table)


def test_linked_concepts_that_the_annotations_lack_are_left_out_and_counted(
    run: Run, tmp_path: Path
) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    cut = Run.open(tmp_path / "run")
    annotations = cut.annotations()
    gone, *kept = sorted(cut.links().table["concept"].unique())
    annotations.only(kept).save(cut.folder / "annotations.parquet")
    found = discover(Run.open(cut.folder), min_confidence=0.0)
    assert found.left_out == [gone] and gone not in set(found.table["concept"])
    assert found.caption.endswith(
        "1 linked concepts have no instance in these annotations and are left out."
    )


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            {"concepts": ["Signal peptid"]},
            "no feature of this run is linked to the concept 'Signal peptid'; did you mean",
        ),
        ({"concepts": ["§"]}, "concepts are linked"),
        ({"min_confidence": 1.5}, "min_confidence must be from 0 to 1; got 1.5"),
        ({"per_concept": 0}, "per_concept must be 1 or more; got 0"),
        ({"source": "neurons"}, "'neurons' is dense; use one of sae, shuffled_sae, random_sae"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(run: Run, asked: dict[str, Any], text: str) -> None:
    with pytest.raises(PipelineError, match=text):
        discover(run, **asked)


def test_an_evaluation_has_the_runs_controls(again: Refound) -> None:
    assert again.n_hidden > 0
    methods = again.precision["method"].unique(maintain_order=True).to_list()
    assert methods == [
        "sae",
        "mmseqs2",
        "both",
        "random_sae",
        "shuffled_sae",
        "sae - mmseqs2",
        "random",
    ]


def test_an_evaluation_is_kept_and_read_as_it_was(run: Run, again: Refound, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    copy = Run.open(tmp_path / "run")
    assert stored_refound(copy) is None
    store_refound(copy, again)
    kept = stored_refound(copy)
    assert kept is not None and (kept.n_pairs, kept.n_cases, kept.n_hidden) == (
        again.n_pairs,
        again.n_cases,
        again.n_hidden,
    )
    for name in ("ranking", "precision", "overlap", "concepts"):
        assert_frame_equal(getattr(kept, name), getattr(again, name))
    assert kept.calibration.error == again.calibration.error
    assert refound_text(kept) == refound_text(again)
    assert stored_refound(copy, "random_sae") is None
    assert {p.name for p in copy.outputs("concepts")} >= {
        "refound_about.parquet"
    }  # so that the stage removes it when it runs again


def test_what_cannot_be_evaluated_is_words_for_a_lesson(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refound_or_reason(run, min_instances=10_000)
    assert isinstance(said, str) and said.startswith(
        "Not evaluated: no feature reaches an F1 of 0.1 for a concept with 10000 instances left"
    )
    monkeypatch.setenv("MMSEQS2_PATH", "nowhere")
    assert "MMSEQS2_PATH is 'nowhere', which is not a file" in str(refound_or_reason(run, **SMALL))
    assert "--source random_sae --evaluate" in not_evaluated(run, "random_sae")


def test_texts_say_what_was_measured() -> None:
    found = made(0.4, {"random_sae": 0.1, "shuffled_sae": 0.15})
    table = refound_table(found)
    assert table.columns == [
        "method",
        "first 10",
        "first 50",
        "first 100",
        "first 500",
        "average precision",
    ]
    assert table["method"].to_list() == [
        "SAE",
        "MMseqs2",
        "both",
        "random SAE",
        "shuffled PLM",
        "chance",
    ]
    assert table["first 10"][0] == "0.40 [0.30, 0.50]"
    assert refound_table(found, "random_sae")["method"][0] == "random SAE"
    text = refound_text(found)
    assert (
        "20% of the annotations were hidden" in text
        and "1,000 pairs" in text
        and "50 of these had been hidden (3 pairs of concept and feature" in text
    )
    assert "over the 3 pairs" in calibration_text(
        found
    ) and f"{found.calibration.error:.3f}" in calibration_text(found)


@pytest.mark.parametrize(
    ("sae", "controls", "text"),
    [
        (0.4, {"random_sae": 0.1, "shuffled_sae": 0.15}, "That is above every control."),
        (
            0.2,
            {"random_sae": 0.1, "shuffled_sae": 0.15},
            "though the best control lies within its interval, 0.100 to 0.300.",
        ),
        (
            0.1,
            {"random_sae": 0.3, "shuffled_sae": 0.15},
            r"\(random SAE\) finds hidden labels at least as well: "
            ".* training the SAE added nothing",
        ),
        (
            0.1,
            {"random_sae": 0.1, "shuffled_sae": 0.15},
            r"\(shuffled PLM\) finds hidden labels at least as well: .* no trained PLM is needed",
        ),
        (
            0.4,
            {},
            "no activations of random_sae or shuffled_sae: "
            "what an untrained dictionary finds is unknown",
        ),
    ],
)
def test_the_verdict_is_the_controls(sae: float, controls: dict[str, float], text: str) -> None:
    assert re.search(text, verdict(made(sae, controls)))


def test_a_confidence_is_explained_with_what_it_leaves() -> None:
    said = confidence_meaning(0.5)
    assert "Labels are incomplete" in said and said.endswith("0.11 at confidence 0.5 and m = 0.1.")


def test_a_site_is_shown_above_the_annotated_one() -> None:
    row = {
        "accession": "P1",
        "start": 5,
        "end": 9,
        "alike": "Q22",
        "aligned_start": 3,
        "alike_start": 11,
        "aligned_site": "AC-D",
        "aligned_alike": "ACWE",
    }
    assert aligned_text(row).splitlines() == ["  P1 3  AC-D", "        ||  ", "Q22 11  ACWE"]
    assert aligned_text(row | {"alike": None}) == "no annotated site aligns with P1 5-9"


@pytest.mark.parametrize("draw", [figures_discover.precision_at_k, figures_discover.calibration])
def test_pictures_are_drawn_of_any_evaluation(
    draw: Callable[[Refound], Any], again: Refound
) -> None:
    for found in (again, made(0.4, {}), made(0.0, {"random_sae": 0.0})):
        chart = draw(found)
        assert chart._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
        assert f"{found.n_hidden:,} hidden" in repr(
            chart
        ) or f"{found.calibration.error:.3f}" in repr(chart)


def test_the_interval_of_a_bin_is_wilsons() -> None:
    assert figures_discover._wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert figures_discover._wilson(0.0, 1)[0] == 0
