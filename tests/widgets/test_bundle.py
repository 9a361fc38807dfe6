"""One feature in one piece, against loops over all residues."""

from bisect import bisect_right
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.bundle import bundle
from interplm_nb.widgets.feature_page import FeaturePages
from tests.widgets.conftest import HELIX, SILENT
from tests.widgets.small_run import simple_run

Made = tuple[dict[str, Any], dict[str, np.ndarray]]
RANDOM = 5


@pytest.fixture(scope="module")
def pages(run: Run) -> FeaturePages:
    return FeaturePages(run)


def tracks(pages: FeaturePages, feature: int) -> dict[str, np.ndarray]:
    return {
        accession: pages.activations.along(accession, feature)
        for accession in pages.proteins.accessions
    }


def binned(values: list[float], edges: np.ndarray) -> list[int]:
    """A bin holds its lower edge, the last one both; what is 0 is in none."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        if value > 0:
            counts[min(bisect_right(edges.tolist(), value) - 1, len(counts) - 1)] += 1
    return counts


def spread(made: Made, which: str = "") -> dict[str, np.ndarray]:
    """The bundle's activations along each of its proteins, as the browser lays them out."""
    record, arrays = made
    lengths = [len(protein["sequence"]) for protein in record["proteins"]]
    dense = np.zeros(sum(lengths), np.float32)
    dense[arrays[f"{which}index"]] = arrays[f"{which}value"]
    return dict(
        zip(
            [protein["accession"] for protein in record["proteins"]],
            np.split(dense, np.cumsum(lengths)[:-1]),
            strict=True,
        )
    )


@pytest.mark.parametrize("feature", [HELIX, RANDOM, SILENT])
def test_counts_are_those_of_all_residues_and_proteins(pages: FeaturePages, feature: int) -> None:
    record, arrays = bundle(pages, feature, n_proteins=3)
    along = tracks(pages, feature)
    values = [float(v) for track in along.values() for v in track]
    maxima = [float(track.max()) for track in along.values()]
    edges = np.linspace(0, max(1.0, *values), 51)
    np.testing.assert_allclose(arrays["edges"], edges, rtol=1e-6)
    assert arrays["residues_total"].tolist() == binned(values, edges)
    assert arrays["proteins_total"].tolist() == binned(maxima, edges)
    assert record["zero"]["residues"]["total"] == values.count(0) and record["zero"]["proteins"][
        "total"
    ] == maxima.count(0)
    assert record["n_active"] == sum(v > 0 for v in values) and record["n_firing"] == sum(
        v > 0 for v in maxima
    )
    assert (record["n_residues"], record["n_proteins"]) == (len(values), len(maxima))


def test_annotated_counts_are_of_what_carries_the_best_concept(pages: FeaturePages) -> None:
    record, arrays = bundle(pages, HELIX)
    assert record["best"]["concept"] == "Helix"
    segments = pages.annotations.table.filter(concept="Helix")
    along = tracks(pages, HELIX)
    carried = {accession: np.zeros(len(track), bool) for accession, track in along.items()}
    for accession, start, end in segments.select("accession", "start", "end").iter_rows():
        carried[accession][start - 1 : end] = True
    values = [
        float(v)
        for a, track in along.items()
        for v, here in zip(track, carried[a], strict=True)
        if here
    ]
    maxima = [float(track.max()) for a, track in along.items() if carried[a].any()]
    edges = np.linspace(0, max(1.0, *(float(track.max()) for track in along.values())), 51)
    assert arrays["residues_annotated"].tolist() == binned(values, edges)
    assert arrays["proteins_annotated"].tolist() == binned(maxima, edges)
    assert record["zero"]["residues"]["annotated"] == values.count(0) and record["zero"][
        "proteins"
    ]["annotated"] == maxima.count(0)


def test_a_feature_without_a_concept_has_no_annotated_counts(pages: FeaturePages) -> None:
    record, arrays = bundle(pages, SILENT)
    assert (
        record["best"] is None
        and record["concepts"] == []
        and not [name for name in arrays if "annotated" in name]
    )
    assert record["proteins"] == [] and len(arrays["index"]) == 0


def test_a_feature_that_no_training_protein_knows_is_dead(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"accession": ["P1", "P2", "P3"], "sequence": ["MKVLA"] * 3, "protein_name": ["plain"] * 3}
    )
    pages = FeaturePages(
        simple_run(tmp_path / "run", table, fire=lambda row, _: float(row == 12))
    )  # of train, validation, test the last
    assert [bundle(pages, feature)[0]["silent"] for feature in (0, 1, 2)] == [True, False, True]
    record, arrays = bundle(pages, 0)
    assert record["n_active"] == record["n_firing"] == len(arrays["index"]) == 0


def test_activations_along_its_proteins(pages: FeaturePages) -> None:
    made = bundle(pages, RANDOM, pinned=[HELIX, SILENT])
    for which, feature in (("", RANDOM), ("pinned_0_", HELIX), ("pinned_1_", SILENT)):
        for accession, track in spread(made, which).items():
            np.testing.assert_array_equal(track, pages.activations.along(accession, feature))
    assert [pinned["feature"] for pinned in made[0]["pinned"]] == [HELIX, SILENT]


def test_proteins_are_described(pages: FeaturePages) -> None:
    shown = pages.proteins.accessions[::4]
    record, _ = bundle(pages, HELIX, among=shown, with_structure=shown[:2])
    for protein in record["proteins"]:
        track = pages.activations.along(protein["accession"], HELIX)
        assert protein["sequence"] == pages.proteins.sequence(protein["accession"])
        assert protein["maximum"] == track.max()
        assert protein["position"] == (int(track.argmax()) + 1 if track.any() else None)
        assert protein["mean"] == (pytest.approx(track[track > 0].mean()) if track.any() else 0)
        assert protein["structure"] == (protein["accession"] in shown[:2])
        segments = pages.annotations.table.filter(accession=protein["accession"])
        assert sorted((s["start"], s["end"], s["concept"]) for s in protein["spans"]) == sorted(
            segments.select("start", "end", "concept").iter_rows()
        )
    maxima = [protein["maximum"] for protein in record["proteins"]]
    assert maxima == sorted(maxima, reverse=True)


@given(st.data())
def test_which_proteins_a_bundle_holds(pages: FeaturePages, data: st.DataObject) -> None:
    everyone = pages.proteins.accessions
    some = st.lists(st.sampled_from(everyone), max_size=12, unique=True)
    n, among, always = data.draw(st.integers(0, 70)), data.draw(some), data.draw(some)
    feature = data.draw(st.sampled_from([HELIX, RANDOM, SILENT]))
    record, _ = bundle(pages, feature, n, among, [*always, "not in the run"])
    held = [protein["accession"] for protein in record["proteins"]]
    firing = [accession for accession, track in tracks(pages, feature).items() if track.any()]
    assert len(held) == len(set(held))
    assert set(always) <= set(held)
    candidates = set(among or firing) | set(always)
    assert set(held) <= candidates
    assert len(held) == max(len(always), min(n, len(candidates)))
    if among:  # the strongest of those requested
        left_out = set(among) - set(held)
        strength = {a: float(pages.activations.along(a, feature).max()) for a in among}
        assert all(
            strength[out] <= strength[held_one]
            for out in left_out
            for held_one in set(held) - set(always)
        )


def test_a_sample_beside_what_is_always_there_has_weak_and_strong(pages: FeaturePages) -> None:
    maxima = pl.Series([float(track.max()) for track in tracks(pages, HELIX).values()])
    strongest = bundle(pages, HELIX, 5)[0]["proteins"][0]["accession"]
    record, _ = bundle(pages, HELIX, 12, always=[strongest])
    held = [protein["maximum"] for protein in record["proteins"]]
    assert held[-1] < maxima.filter(maxima > 0).quantile(0.25) and held[0] == maxima.max()


def test_a_protein_that_is_asked_for_and_is_not_there(pages: FeaturePages) -> None:
    with pytest.raises(KeyError, match="NOPE"):
        bundle(pages, HELIX, among=["NOPE"])
