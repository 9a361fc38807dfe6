"""Feature activations: what is written is what is read, by protein and by feature, and in
blocks.
"""

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from interplm_nb import activations_writer
from interplm_nb.activations import ActivationsWriter, FeatureActivations
from interplm_nb.proteins import Proteins

ABOUT = {"plm": "fake", "layer": 3, "sae": "sha256:0"}


def proteins_of(lengths: list[int]) -> Proteins:
    return Proteins.from_sequences({f"P{i}": "A" * length for i, length in enumerate(lengths)})


def dense_values(n_residues: int, n_features: int, seed: int, density: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.gamma(1, 1, (n_residues, n_features)).astype(np.float32)
    return np.where(rng.random(values.shape) < density, values, np.float32(0))


def store(
    folder: Path, proteins: Proteins, values: np.ndarray, block: int = 7, **about: object
) -> FeatureActivations:
    with ActivationsWriter(
        folder, proteins, values.shape[1], {**ABOUT, **about}, max_l0=values.shape[1]
    ) as writer:
        for first in range(0, len(values), block):
            writer.write(first, sparse.csr_array(values[first : first + block]))
        writer.finish()
    return FeatureActivations.open(folder, proteins)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    n_features=st.integers(1, 90),
    seed=st.integers(0, 99),
    group=st.integers(1, 60),
    block=st.integers(1, 50),
    density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)
def test_a_store_equals_the_dense_array(
    tmp_path, monkeypatch, lengths, n_features, seed, group, block, density
):
    monkeypatch.setattr(activations_writer, "GROUP", group)
    proteins = proteins_of(lengths)
    values = dense_values(proteins.n_residues, n_features, seed, density)
    for activations in (
        store(tmp_path / "store", proteins, values, block),
        FeatureActivations.from_dense(values, proteins),
    ):
        assert activations.unit == "raw"
        assert (activations.n_residues, activations.n_features) == values.shape
        assert activations.mean_l0() == pytest.approx(np.count_nonzero(values) / len(values))
        np.testing.assert_array_equal(activations.largest(), values.max(0))
        for accession in proteins.accessions:
            np.testing.assert_array_equal(
                activations.of(accession).toarray(), values[proteins.rows(accession)]
            )
        for feature in range(n_features):
            rows, found = activations.feature(feature)
            np.testing.assert_array_equal(rows, np.flatnonzero(values[:, feature]))
            np.testing.assert_array_equal(found, values[rows, feature])
            assert (rows.dtype, found.dtype) == (np.int64, np.float32)
        np.testing.assert_array_equal(
            activations.along("P0", n_features - 1), values[proteins.rows("P0"), n_features - 1]
        )


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=12),
    residues=st.integers(1, 60),
    data=st.data(),
)
def test_blocks_are_whole_chosen_proteins_in_order(lengths, residues, data):
    proteins = proteins_of(lengths)
    values = dense_values(proteins.n_residues, 5, 0)
    activations = FeatureActivations.from_dense(values, proteins)
    chosen = data.draw(st.none() | st.lists(st.sampled_from(proteins.accessions), unique=True))
    wanted = proteins.rows_of(proteins.accessions if chosen is None else chosen)
    seen = []
    for first_row, block in activations.blocks(chosen, residues):
        rows = np.arange(first_row, first_row + block.shape[0])
        np.testing.assert_array_equal(block.toarray(), values[rows])
        assert first_row in proteins.offsets and rows[-1] + 1 in proteins.offsets
        assert (
            len(rows) <= residues or sum(first_row <= o <= rows[-1] for o in proteins.offsets) == 1
        )
        seen.append(rows)
    np.testing.assert_array_equal(np.concatenate(seen) if seen else [], wanted)


def test_largest_is_measured_on_the_proteins_asked_for(tmp_path):
    proteins = proteins_of([4, 9, 5])
    values = dense_values(18, 6, 1)
    activations = store(tmp_path / "store", proteins, values)
    np.testing.assert_array_equal(
        activations.largest(["P2", "P0"]), values[proteins.rows_of(["P0", "P2"])].max(0)
    )
    np.testing.assert_array_equal(activations.largest([]), np.zeros(6))


@pytest.mark.parametrize("stored", [True, False])
def test_relative_to_maxima_divides_and_a_dead_feature_is_zero(tmp_path, stored):
    proteins = proteins_of([4, 9, 5])
    values = dense_values(18, 6, 1)
    activations = (
        store(tmp_path / "store", proteins, values)
        if stored
        else FeatureActivations.from_dense(values, proteins)
    )
    maxima = activations.largest(["P0"])
    maxima[2] = 0
    expected = np.zeros_like(values)
    for feature in range(6):
        if maxima[feature] > 0:
            expected[:, feature] = values[:, feature] / maxima[feature]
    scaled = activations.relative_to(maxima)
    assert scaled.unit == "max" and activations.unit == "raw"
    np.testing.assert_array_equal(
        np.vstack([block.toarray() for _, block in scaled.blocks()]), expected
    )
    np.testing.assert_array_equal(scaled.of("P1").toarray(), expected[4:13])
    for feature in range(6):
        rows, found = scaled.feature(feature)
        np.testing.assert_array_equal(rows, np.flatnonzero(expected[:, feature]))
        np.testing.assert_array_equal(found, expected[rows, feature])
    np.testing.assert_array_equal(scaled.largest(), expected.max(0))
    assert scaled.mean_l0() == pytest.approx(np.count_nonzero(expected) / 18)
    np.testing.assert_array_equal(activations.of("P1").toarray(), values[4:13])
    with pytest.raises(ValueError, match="already have unit 'max'"):
        scaled.relative_to(maxima)


def test_the_greatest_residue_is_exactly_one():
    proteins = proteins_of([500])
    values = dense_values(500, 40, 3, 0.9)
    scaled = FeatureActivations.from_dense(values, proteins)
    np.testing.assert_array_equal(
        scaled.relative_to(scaled.largest()).largest(), np.ones(40, np.float32)
    )


def test_float32_values_come_back_bit_for_bit(tmp_path):
    odd = np.array(
        [
            [
                np.float32(1e-42),
                np.nextafter(np.float32(1), np.float32(2)),
                np.finfo(np.float32).max,
                0.1,
            ]
        ],
        np.float32,
    )
    found = store(tmp_path / "store", proteins_of([1]), odd).of("P0").toarray()
    assert found.tobytes() == odd.tobytes()


def test_the_files_are_sorted_both_ways_and_say_what_they_are(tmp_path):
    proteins = proteins_of([40, 60])
    values = dense_values(100, 30, 2)
    activations = store(tmp_path / "store", proteins, values)
    by_residue, by_feature = (
        pl.read_parquet(tmp_path / "store" / f"by_{key}.parquet") for key in ("residue", "feature")
    )
    assert dict(by_residue.schema) == {"row": pl.UInt32, "feature": pl.UInt32, "value": pl.Float32}
    assert by_residue.equals(by_residue.sort("row", "feature"))
    assert by_feature.equals(by_residue.sort("feature", "row"))
    assert (
        activations.about["plm"] == "fake"
        and activations.about["sequences"] == proteins.sequence_hash
    )
    assert activations.about["n_entries"] == by_residue.height
    assert sorted(p.name for p in (tmp_path / "store").iterdir()) == [
        "about.json",
        "by_feature.parquet",
        "by_residue.parquet",
        "features.parquet",
    ]


def test_row_groups_end_where_proteins_end(tmp_path, monkeypatch):
    monkeypatch.setattr(activations_writer, "GROUP", 50)
    proteins = proteins_of([7, 13, 2, 30, 5, 11])
    store(tmp_path / "store", proteins, np.ones((68, 10), np.float32), block=9)
    metadata = activations_writer.pq.read_metadata(tmp_path / "store" / "by_residue.parquet")
    starts = [
        metadata.row_group(i).column(0).statistics.min for i in range(metadata.num_row_groups)
    ]
    assert len(starts) > 3 and set(starts) <= set(proteins.offsets.tolist())


def test_an_unfinished_store_leaves_nothing(tmp_path):
    proteins = proteins_of([10])
    with (
        pytest.raises(RuntimeError),
        ActivationsWriter(tmp_path / "store", proteins, 3, ABOUT) as writer,
    ):
        writer.write(0, sparse.csr_array(np.ones((4, 3))))
        raise RuntimeError
    with ActivationsWriter(tmp_path / "store", proteins, 3, ABOUT) as writer:
        writer.write(0, sparse.csr_array(np.ones((4, 3))))
    with (
        pytest.raises(ValueError, match="4 of 10 residues were written"),
        ActivationsWriter(tmp_path / "s", proteins, 3, ABOUT) as w,
    ):
        w.write(0, sparse.csr_array(np.ones((4, 3))))
        w.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_store_keeps_the_old_one(tmp_path):
    proteins = proteins_of([10])
    values = dense_values(10, 3, 0)
    store(tmp_path / "store", proteins, values)
    with pytest.raises(ValueError, match="NaN or infinity"):
        store(tmp_path / "store", proteins, np.full((10, 3), np.nan, np.float32))
    np.testing.assert_array_equal(
        FeatureActivations.open(tmp_path / "store", proteins).of("P0").toarray(), values
    )


def test_a_full_disk_leaves_nothing_and_says_how_much_is_needed(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    proteins = proteins_of([10])
    with (
        pytest.raises(
            OSError,
            match=r"full after 10 of 10 residues and nothing was kept; "
            r"make room for about 0\.0 GiB",
        ) as caught,
        ActivationsWriter(tmp_path / "store", proteins, 3, ABOUT) as writer,
    ):
        monkeypatch.setattr(activations_writer._Partitions, "write", full)
        writer.write(0, sparse.csr_array(np.ones((10, 3))))
    assert caught.value.filename == str(tmp_path / "store") and list(tmp_path.iterdir()) == []


def test_a_dense_source_is_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr(activations_writer, "_CHECK_AFTER", 20)
    proteins = proteins_of([1000])
    with ActivationsWriter(tmp_path / "store", proteins, 50, ABOUT, max_l0=10) as writer:
        writer.write(0, sparse.csr_array(np.ones((10, 50))))
        with pytest.raises(
            ValueError,
            match=r"50 of 50 features are active .* at most 10\. .*larger l1.*raise max_l0",
        ):
            writer.write(10, sparse.csr_array(np.ones((10, 50))))


def test_what_is_refused(tmp_path):
    proteins = proteins_of([10])
    store(tmp_path / "store", proteins, dense_values(10, 3, 0))
    with pytest.raises(
        ValueError, match=r"on other proteins \(10 residues, .*than the given ones \(11 residues"
    ):
        FeatureActivations.open(tmp_path / "store", proteins_of([11]))
    with pytest.raises(FileNotFoundError, match="run the stage 'activations'"):
        FeatureActivations.open(tmp_path / "nowhere", proteins)
    with pytest.raises(ValueError, match="9 rows, the proteins have 10 residues"):
        FeatureActivations.from_dense(np.zeros((9, 3)), proteins)
    activations = FeatureActivations.from_dense(np.eye(10), proteins)
    with pytest.raises(ValueError, match="features are numbered 0 to 9; got 10"):
        activations.feature(10)
    with pytest.raises(ValueError, match=r"shape \(10,\), not \(3,\)"):
        activations.relative_to(np.ones(3))
    with pytest.raises(ValueError, match="0 or more"):
        FeatureActivations.from_dense(-np.eye(10), proteins)
    with pytest.raises(ValueError, match="'raw' or 'max', not 'percent'"):
        unit: Any = "percent"
        FeatureActivations.from_dense(np.eye(10), proteins, unit)
    with ActivationsWriter(tmp_path / "other", proteins, 3, ABOUT) as writer:
        with pytest.raises(ValueError, match="row 0 is next, not 5"):
            writer.write(5, sparse.csr_array((2, 3)))
        with pytest.raises(
            ValueError, match=r"shape \(2, 4\) at row 0 does not fit 10 residues x 3 features"
        ):
            writer.write(0, sparse.csr_array((2, 4)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((10, 3), np.nan), "contain NaN or infinity"),
        (np.full((10, 3), np.inf), "contain NaN or infinity"),
        (np.full((10, 3), -0.5), r"must be 0 or more, but -0\.5 is among them"),
        (np.zeros((11, 3)), "have 11 rows, the proteins have 10 residues"),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        FeatureActivations.from_dense,
        lambda v, *a: FeatureActivations.from_csr(sparse.csr_array(v), *a),
    ],
)
def test_values_in_memory_that_are_no_activations_are_refused(make, values, message):
    with pytest.raises(ValueError, match=message):
        make(values, proteins_of([10]), "max")


def test_one_row_of_values_is_refused():
    with pytest.raises(
        ValueError, match=r"an array \[n_residues, n_features\], not of shape \(10,\)"
    ):
        FeatureActivations.from_dense(np.zeros(10), proteins_of([10]))


def test_each_order_takes_at_most_five_and_a_half_bytes_per_value(tmp_path):
    rng = np.random.default_rng(0)
    features = np.sort(rng.integers(0, 10_240, (8_000, 64)), axis=1)
    block = sparse.csr_array(
        (rng.gamma(1.5, 1, features.size), features.ravel(), np.arange(0, features.size + 1, 64)),
        shape=(8_000, 10_240),
    )
    with ActivationsWriter(tmp_path / "store", proteins_of([400] * 20), 10_240, ABOUT) as writer:
        writer.write(0, block)
        writer.finish()
    for key in ("residue", "feature"):
        assert (tmp_path / "store" / f"by_{key}.parquet").stat().st_size / block.nnz <= 5.5


_FIRST = """
import sys
from pathlib import Path
from interplm_nb.activations import FeatureActivations
from interplm_nb.proteins import Proteins
proteins = Proteins.from_sequences({"P0": "A" * 10})
rows, values = FeatureActivations.open(Path(sys.argv[1]), proteins).feature(1)
assert len(rows) == 10
sys.exit("pandas" in sys.modules)
"""


def test_a_feature_is_read_without_importing_pandas(tmp_path):
    store(tmp_path / "store", proteins_of([10]), np.ones((10, 3), np.float32))
    subprocess.run([sys.executable, "-c", _FIRST, str(tmp_path / "store")], check=True)


_BIG = """
import resource, sys
from pathlib import Path
import numpy as np
from scipy import sparse
from interplm_nb.activations import ActivationsWriter
from interplm_nb.proteins import Proteins
proteins = Proteins.from_sequences({f"P{i}": "A" * 500 for i in range(300)})
rng = np.random.default_rng(0)
def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peaks = []
with ActivationsWriter(Path(sys.argv[1]), proteins, 4096, {}) as writer:
    before = memory()
    for first in range(0, 150_000, 5_000):
        features = np.sort(rng.integers(0, 4096, (5_000, 40)), axis=1)
        values, ends = rng.random(200_000, dtype=np.float32), np.arange(0, 200_001, 40)
        block = sparse.csr_array((values, features.ravel(), ends), shape=(5_000, 4096))
        writer.write(first, block)
    writer.finish()
print((memory() - before) // 1024)
"""


def test_memory_does_not_grow_with_the_entries(tmp_path):
    megabytes = int(
        subprocess.run(
            [sys.executable, "-c", _BIG, str(tmp_path / "store")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    # 6 million entries are 72 MB as they stand and would be some 300 MB while sorted in memory.
    assert megabytes < 70
