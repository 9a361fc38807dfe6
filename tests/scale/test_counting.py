"""Counts of concepts are the same integers whoever counts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.controls.dense import DenseSource, fit_range
from interplm_nb.concepts.controls.letters import Letters
from interplm_nb.concepts.controls.projection import Projected
from interplm_nb.concepts.count import Counting, MakeSums, SparseSums, count
from interplm_nb.concepts.resumed import CountShards, count_resumed, run_bounds
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.sums_file import include_sums, save_sums
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.count_on_device import on_device
from interplm_nb.scale.shard_task import Workers

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, 60, 40).tolist()
PROTEINS = Proteins.from_sequences(
    {f"P{i}": "".join(RNG.choice(list("ACDEFX"), n)) for i, n in enumerate(LENGTHS)}
)
N_FEATURES = 30


def annotations() -> Annotations:
    rows = []
    for i in range(120):
        accession, concept = RNG.choice(PROTEINS.accessions), RNG.choice(["Helix", "Zinc", "Loop"])
        start, end = np.sort(RNG.integers(1, len(PROTEINS.sequence(accession)) + 1, 2))
        level = "residue" if concept == "Zinc" else "instance"
        rows.append((accession, concept, "x", level, start, end, i))
    names = ["accession", "concept", "category", "level", "start", "end", "instance"]
    return Annotations(pl.DataFrame(rows, schema=names, orient="row"), PROTEINS)


LABELS = annotations()


def stored(folder: Path) -> FeatureActivations:
    values = RNG.random((PROTEINS.n_residues, N_FEATURES)).astype(np.float32)
    values[values < 0.7] = 0
    memory = FeatureActivations.from_dense(values, PROTEINS)
    about = {"plm": "esm2-mini", "layer": 3}
    with ActivationsWriter(folder / "activations", PROTEINS, N_FEATURES, about) as writer:
        for block in memory.blocks(residues=100):
            writer.write(*block)
        writer.finish()
    return FeatureActivations.open(folder / "activations", PROTEINS).relative_to(memory.largest())


def embedded(folder: Path) -> Embeddings:
    arrays = {a: RNG.normal(size=(n, 8)) for a, n in zip(PROTEINS.accessions, LENGTHS, strict=True)}
    return Embeddings.from_arrays(folder / "layer_03", PROTEINS, arrays, "esm2-mini", 3)


def dense(values: Embeddings | Letters | Projected) -> DenseSource:
    return DenseSource(values, PROTEINS, *fit_range(values, np.arange(PROTEINS.n_residues)))


SOURCES: dict[str, Callable[[Path], FeatureActivations | DenseSource]] = {
    "stored": stored,
    "neurons": lambda folder: dense(embedded(folder)),
    "letters": lambda _: dense(Letters(PROTEINS, 2)),
    "components": lambda folder: dense(
        Projected(embedded(folder), RNG.normal(size=(8, 5)), np.zeros(5))
    ),
}


def same(a: ConceptScores, b: ConceptScores) -> None:
    assert a.concepts.equals(b.concepts) and a.thresholds == b.thresholds
    for mine, other in ((a.tp, b.tp), (a.instance_hits, b.instance_hits), (a.active, b.active)):
        assert mine.dtype == other.dtype
        assert_array_equal(mine, other)


@pytest.mark.parametrize("sums", [SparseSums, on_device("cpu")], ids=["sparse", "device"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_cluster_counts_the_same(
    workers: Workers, tmp_path: Path, source: str, sums: MakeSums
) -> None:
    values = SOURCES[source](tmp_path)
    counting = Counting(values, LABELS, PROTEINS.accessions[3:], sums=sums)
    assert len(CountShards(counting, tmp_path / "counts", 200).missing()) > 4
    found = count_resumed(counting, tmp_path / "counts", workers, residues=200, progress=False)
    same(found, count(values, LABELS, PROTEINS.accessions[3:]))
    assert not (tmp_path / "counts").exists()


def test_a_pickle_carries_no_values(workers: Workers, tmp_path: Path) -> None:
    task = CountShards(Counting(stored(tmp_path), LABELS), tmp_path / "counts", 200)
    made, (inputs, *_) = task.__reduce__()
    assert made(inputs, str(tmp_path / "counts"), 200).missing() == task.missing()
    whole = sum(f.stat().st_size for f in (tmp_path / "activations").iterdir())
    assert Path(inputs.path).stat().st_size < whole / 2


def test_what_is_counted_is_not_counted_again(tmp_path: Path) -> None:
    """Shards of a cluster that ended, sums of a process that ended, and a shard that is damaged."""
    counting = Counting(stored(tmp_path), LABELS)
    task = CountShards(counting, tmp_path / "counts", 200)
    for shard in (1, 3, 4):
        task.compute(shard, lambda _: None)
    begun = counting.empty()
    task.add(0, begun)
    task.save(begun, 1)
    (damaged,) = (tmp_path / "counts").rglob("00004.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-9])
    asked, own = [], Counting.add
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Counting, "add", lambda self, names, sums: (asked.append(names), own(self, names, sums))
        )
        found = count_resumed(counting, tmp_path / "counts", residues=200)
    same(found, count(counting.source, LABELS))
    left = [2, *range(4, task.n_shards)]
    assert asked == [task.accessions(shard) for shard in left]


def test_python_takes_an_address(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = stored(tmp_path)
    same(count(values, LABELS, scale=workers), count(values, LABELS))
    assert [f.name for f in tmp_path.iterdir()] == ["activations"]


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 90))
def test_runs_hold_whole_proteins_and_end_with_the_one_that_fills_them(
    lengths: list[int], residues: int
) -> None:
    bounds = run_bounds(np.cumsum(lengths, dtype=np.int64), residues)
    plain, held = [0], 0
    for i, length in enumerate(lengths):
        held += length
        if held >= residues or i + 1 == len(lengths):
            plain.append(i + 1)
            held = 0
    assert bounds == plain


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from([SparseSums, on_device("cpu")]))
def test_sums_of_files_are_the_sums(
    tmp_path_factory: pytest.TempPathFactory, seed: int, density: float, make: MakeSums
) -> None:
    path = tmp_path_factory.mktemp("sums") / "part.parquet"
    rng, levels = np.random.default_rng(seed), np.array([0.0, 0.5], np.float32)
    shapes = (2, 3, 5), (2, 3, 5), (2, 5)
    sizes = [int(np.prod(shape)) for shape in shapes]
    total, parts = make(3, 5, levels), []
    for _ in range(3):
        counted = [
            rng.integers(1, 2**20, shape) * (rng.random(shape) < density) for shape in shapes
        ]
        part = SparseSums(3, 5, levels)
        for mine, values in zip(part.counts(), counted, strict=True):
            mine[...] = values
        save_sums(part, path, shards=7)
        about = include_sums(path, total, sizes)
        assert about is not None and about["shards"] == 7
        parts.append(counted)
    for mine, *others in zip(total.counts(), *parts, strict=True):
        assert_array_equal(mine, sum(others))
