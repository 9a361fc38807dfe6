"""The list of features, against loops over a small run."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplm_nb.features.atlas_quality import AtlasQuality
from interplm_nb.pipeline.notes import NOTES
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_list import feature_list, named_notes, packed_list
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.packing import pack, unpack
from tests.widgets.conftest import HELIX, N_FEATURES, SILENT
from tests.widgets.small_run import write_map


@pytest.fixture(scope="module")
def pages(run: Run) -> FeaturePages:
    return FeaturePages(run)


def test_one_row_per_feature(pages: FeaturePages) -> None:
    table = feature_list(pages)
    assert table["feature"].to_list() == list(range(N_FEATURES))
    raw = pages.run.activations("sae")
    train = set(pages.run.accessions("train"))
    for row in table.iter_rows(named=True):
        tracks = {a: raw.along(a, row["feature"]) for a in pages.proteins.accessions}
        assert row["maximum"] == max(
            float(track.max()) for a, track in tracks.items() if a in train
        )
        assert row["n_active"] == sum(np.count_nonzero(track) for track in tracks.values())
        assert row["density"] == row["n_active"] / pages.proteins.n_residues


def test_the_best_pair_of_a_feature_is_that_of_validation(pages: FeaturePages) -> None:
    table = feature_list(pages)
    for feature in range(N_FEATURES):
        pairs = pages.ranked.filter(feature=feature)
        row = table.row(feature, named=True)
        if pairs.is_empty():
            assert (
                row["concept"] is None
                and row["category"] is None
                and row["validation_f1_per_domain"] is None
                and row["f1_per_domain"] is None
            )
            continue
        assert row["validation_f1_per_domain"] == pairs["validation_f1_per_domain"].max()
        assert pairs.filter(
            concept=row["concept"],
            validation_f1_per_domain=row["validation_f1_per_domain"],
            f1_per_domain=row["f1_per_domain"],
        ).height
    assert table.row(HELIX, named=True)["concept"] == "Helix"
    assert (
        table.row(SILENT, named=True)["maximum"] == 0
        and table.row(SILENT, named=True)["concept"] is None
    )


def test_a_column_that_the_run_has_nothing_for_is_absent(pages: FeaturePages) -> None:
    absent = {"x", "y", "cluster", "n_proteins", "density_class", "motif_pattern", "description"}
    assert not absent & set(feature_list(pages).columns)


def test_the_atlas_adds_its_columns_and_the_dead_stay() -> None:
    table = feature_list(FeaturePages(Run.shipped()))
    assert {"x", "y", "n_proteins", "mean_active"} <= set(table.columns)
    assert table["feature"].to_list() == list(range(1024))
    silent = table.filter(pl.col("x").is_null())
    assert 0 < silent.height < 1024 and set(silent["maximum"]) == {0}
    for name in ("n_active", "density", "n_proteins"):
        assert silent[name].to_list() == [0] * silent.height


@pytest.mark.parametrize("recurrence", [0.2, 0.9])
def test_clusters_are_there_only_where_they_recur(
    run: Run, tmp_path: Path, recurrence: float
) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    copied = Run.open(tmp_path / "run")
    write_map(copied, AtlasQuality(recurrence, 0.4, 0.1))
    table = feature_list(FeaturePages(copied))
    assert ("cluster" in table.columns) == (recurrence > 0.5)
    ends = table.select("share_near_ends", "near_ends_by_chance")
    assert ends[SILENT].row(0) == (None, None)
    assert ends.drop_nulls().height == N_FEATURES - 1


def test_what_is_missing_is_nan_or_minus_one(pages: FeaturePages) -> None:
    classes = pl.Enum(["silent", "rare", "dense"])
    table = feature_list(pages).with_columns(
        pl.Series("cluster", [None, *range(N_FEATURES - 1)], dtype=pl.Int64),
        pl.Series("description", [None, "b", "a", "b", *[None] * (N_FEATURES - 4)]),
        pl.Series("density_class", ["silent", "dense", "rare"] * (N_FEATURES // 3), classes),
    )
    record, arrays = unpack(pack(*packed_list(table)))
    assert record["columns"] == table.columns == list(arrays)
    for name in table.columns:
        for value, sent in zip(table[name], arrays[name].tolist(), strict=True):
            if name in ("concept", "category", "description", "density_class"):
                assert sent == -1 if value is None else record[name][sent] == value
            elif value is None:
                assert sent == -1 if name == "cluster" else np.isnan(sent)
            else:
                assert sent == np.float32(value)
    assert record["description"] == ["a", "b"]
    assert record["density_class"] == ["silent", "rare", "dense"]  # as they are sorted
    assert arrays["feature"].dtype == np.int32 and arrays["f1_per_domain"].dtype == np.float32


def test_notes_are_columns_without_what_is_empty() -> None:
    row = {"feature": 3, "description": "binds zinc", "comment": "", "author": ""}
    date = datetime(2026, 11, 30, 9, 5, tzinfo=UTC)
    notes = pl.DataFrame([row | {"date": date}], schema=NOTES)
    assert named_notes(notes).to_dicts() == [
        {
            "feature": 3,
            "note": "binds zinc",
            "comment": None,
            "note_author": None,
            "note_date": "2026-11-30T09:05:00Z",
        }
    ]
