"""Statistics of features in shards of features, in this process or in others."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

import interplm_nb
from interplm_nb.activations import FeatureActivations
from interplm_nb.checksums import DamagedFileError
from interplm_nb.features.patterns import activation_patterns
from interplm_nb.features.statistics import feature_statistics
from interplm_nb.saving import json_hash, read_parquet, write_parquet
from interplm_nb.scale.complete import complete_elsewhere
from interplm_nb.scale.shard_files import ShardFiles
from interplm_nb.scale.shard_task import Update
from interplm_nb.scale.shared_file import SharedFile

if TYPE_CHECKING:
    from interplm_nb.scale.address import Scale

BLOCKS, RESIDUES = 64, 2**18
"""Blocks of `FeatureActivations.by_feature` in a shard: up to 67 million active residues; and one
for every `RESIDUES` residues of a larger store, as each shard goes through all of them once."""
KIND, VERSION = "StatisticsShard", 1

SHAPE = {
    "pattern": "shape",
    "run_length": "run_length",
    "coverage": "coverage",
    "period": "period",
    "period_strength": "period_strength",
}
"""Columns of `features.patterns` that stand beside the statistics, with their names there."""


class Measures(NamedTuple):
    """What is measured of each feature: `feature_statistics`, with `SHAPE` where `shape` is set."""

    threshold: float = 0.0
    shape: bool = False

    def of(self, activations: FeatureActivations, features: range | None = None) -> pl.DataFrame:
        """A row per feature, in order; `features`: see `FeatureActivations.by_feature`."""
        found = feature_statistics(activations, self.threshold, features=features)
        if not self.shape:
            return found
        patterns = activation_patterns(activations, features=features)
        shape = patterns.select("feature", *SHAPE).rename(SHAPE)
        return found.join(shape, on="feature", how="left", maintain_order="left")


def measure(
    activations: FeatureActivations,
    measures: Measures,
    folder: Path,
    scale: "Scale" = "",
    blocks: int = 0,
    progress: bool = True,
) -> pl.DataFrame:
    """`Measures.of` all features, the same values with a cluster (`scale`) and without.

    A cluster measures runs of features, `blocks` of the store each (0: as many as suit its size),
    and leaves a file of each in `folder` until this process has joined them.
    """
    shards = StatisticsShards(activations, measures, folder, blocks)
    complete_elsewhere(shards, scale, progress)
    table = shards.table()
    shards.discard()
    return table


class StatisticsShards:
    """Statistics of consecutive features: a `ShardTask`. A feature is never cut in two, so that
    quantiles are exact, and each shard reads all proteins. A shard is some blocks of the store, so
    that the same sums are taken in the same order whoever takes them.

    Pickled, it names a file with what is measured: of a store on disk its folder.
    """

    label = "measuring features"

    def __init__(
        self,
        activations: FeatureActivations,
        measures: Measures,
        folder: Path,
        blocks: int = 0,
    ) -> None:
        blocks = blocks or max(BLOCKS, activations.n_residues // RESIDUES)
        self._activations, self._measures, self._blocks = activations, measures, blocks
        bounds = activations.feature_bounds()
        self._bounds = [*bounds[:-1:blocks], bounds[-1]]
        how = [*measures, bounds, blocks, interplm_nb.__version__]
        key = json_hash([activations.fingerprint, *how]).removeprefix("sha256:")[:16]
        self._files = ShardFiles(folder / key)

    @property
    def n_shards(self) -> int:
        """Number of shards, with those that are there."""
        return len(self._bounds) - 1

    def missing(self) -> list[int]:
        """See `ShardTask`."""
        return self._files.missing(self.n_shards)

    def residues(self, shard: int) -> int:
        """See `ShardTask`: those on which its features are active, for each feature."""
        features = self._features(shard)
        return int(self._activations.n_active()[features.start : features.stop].sum())

    def accessions(self, shard: int) -> list[str]:
        """See `ShardTask`: all proteins."""
        return self._activations.proteins.accessions

    def compute(self, shard: int, update: Update) -> None:
        """See `ShardTask`."""
        if self._files.of(shard).exists():
            return
        write_parquet(self._measured(shard), self._files.of(shard), self._about)
        update(self.residues(shard))

    def table(self) -> pl.DataFrame:
        """All features: of the files that are there, and measured here where there is none."""
        lacking = set(self.missing())
        return pl.concat(
            [
                self._measured(shard) if shard in lacking else self._read(shard)
                for shard in range(self.n_shards)
            ]
        )

    def discard(self) -> None:
        """Remove the files."""
        self._files.discard()

    @property
    def _about(self) -> dict[str, object]:
        return {"type": KIND, "version": VERSION}

    def _features(self, shard: int) -> range:
        return range(self._bounds[shard], self._bounds[shard + 1])

    def _measured(self, shard: int) -> pl.DataFrame:
        return self._measures.of(self._activations, self._features(shard))

    def _read(self, shard: int) -> pl.DataFrame:
        """The table of a shard's file; measured here where it is damaged."""
        try:
            return read_parquet(self._files.of(shard), KIND, VERSION)[0]
        except DamagedFileError:
            return self._measured(shard)

    def __reduce__(self) -> tuple[Callable[..., "StatisticsShards"], tuple[SharedFile, str, int]]:
        folder = self._files.folder
        inputs = self._activations, self._measures
        shared = SharedFile.write(inputs, folder / "inputs.pickle")
        return _reopened, (shared, str(folder.parent.resolve()), self._blocks)


def _reopened(inputs: SharedFile, folder: str, blocks: int) -> StatisticsShards:
    """The task in another process."""
    activations, measures = inputs.read()
    return StatisticsShards(activations, measures, Path(folder), blocks)
