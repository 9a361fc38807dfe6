"""Statistics of features are the same values whoever measures."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.features.patterns import activation_patterns
from interplm_nb.features.statistic_shards import SHAPE, Measures, StatisticsShards, measure
from interplm_nb.features.statistics import feature_statistics
from interplm_nb.proteins import Proteins
from interplm_nb.scale.shard_task import Workers

N_PROTEINS, LENGTH, N_FEATURES = 400, 100, 160
MEASURES = [Measures(), Measures(0.05, shape=True)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> FeatureActivations:
    """In unit "max", on disk, with three blocks of features; some are silent."""
    rng = np.random.default_rng(0)
    letters = rng.choice(list("ACDEFX"), (N_PROTEINS, LENGTH))
    proteins = Proteins.from_sequences({f"P{i}": "".join(row) for i, row in enumerate(letters)})
    values = rng.random((proteins.n_residues, N_FEATURES), np.float32)
    values[values < rng.uniform(0, 1, N_FEATURES).astype(np.float32)] = 0
    values[:, [3, 70]] = 0
    memory = FeatureActivations.from_dense(values, proteins)
    folder = tmp_path_factory.mktemp("store") / "activations"
    with ActivationsWriter(folder, proteins, N_FEATURES, {"plm": "x", "layer": 3}, 1000) as writer:
        for block in memory.blocks(residues=5000):
            writer.write(*block)
        writer.finish()
    found = FeatureActivations.open(folder, proteins).relative_to(memory.largest())
    assert len(found.feature_bounds()) == 4
    return found


def plain(activations: FeatureActivations, measures: Measures) -> pl.DataFrame:
    found = feature_statistics(activations, measures.threshold)
    if not measures.shape:
        return found
    shape = activation_patterns(activations).select("feature", *SHAPE).rename(SHAPE)
    return found.join(shape, on="feature", how="left", maintain_order="left")


@pytest.mark.parametrize("blocks", [1, 2, 0])
@pytest.mark.parametrize("measures", MEASURES)
def test_a_cluster_measures_the_same(
    stored: FeatureActivations, workers: Workers, tmp_path: Path, measures: Measures, blocks: int
) -> None:
    made = [
        measure(stored, measures, tmp_path, scale, blocks, progress=False)
        for scale in ("", workers)
    ]
    for table in made:
        assert_frame_equal(table, plain(stored, measures), check_exact=True)
    assert not list(tmp_path.iterdir())


def test_what_is_measured_is_not_measured_again(
    stored: FeatureActivations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards of a cluster that ended, and one that is damaged."""
    task = StatisticsShards(stored, MEASURES[1], tmp_path, blocks=1)
    for shard in (0, 2):
        task.compute(shard, lambda _: None)
    (damaged,) = tmp_path.rglob("00002.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-9])
    expected, asked, own = plain(stored, MEASURES[1]), [], Measures.of
    monkeypatch.setattr(
        Measures, "of", lambda self, *given: (asked.append(given[1]), own(self, *given))[1]
    )
    found = measure(stored, MEASURES[1], tmp_path, blocks=1)
    assert_frame_equal(found, expected, check_exact=True)
    bounds = stored.feature_bounds()
    assert asked == [range(*bounds[i : i + 2]) for i in range(1, len(bounds) - 1)]


def test_a_pickle_carries_no_values_and_residues_add_up(
    stored: FeatureActivations, tmp_path: Path
) -> None:
    task = StatisticsShards(stored, MEASURES[0], tmp_path, blocks=1)
    made, (inputs, *others) = task.__reduce__()
    assert made(inputs, *others).missing() == task.missing() == list(range(task.n_shards))
    assert Path(inputs.path).stat().st_size < stored.n_active().sum()
    residues = [task.residues(shard) for shard in range(task.n_shards)]
    assert sum(residues) == stored.n_active().sum()
