import json
import logging
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.proteins import Proteins
from interplm_nb.shards import shard_bounds

PROTEINS = Proteins.from_sequences({"P1": "MKTAY", "P2": "M", "P3": "ACDEFGHIKL", "P4": "WWW"})
ABOUT = {"plm": "toy", "plm_revision": "sha256:aa", "layer": 2, "d_in": 3}


def values_of(proteins: Proteins, width: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(proteins.n_residues, width)).astype(np.float32)


def written(path, values, shard_rows=6, order=None) -> Embeddings:
    with EmbeddingsWriter(path, PROTEINS, ABOUT, shard_rows) as writer:
        for rows in np.array_split(np.arange(len(values)) if order is None else order, 4):
            writer.write(rows, values[rows])
    return Embeddings.open(path)


@given(st.permutations(range(19)), st.integers(1, 25))
@settings(max_examples=25, deadline=None)
def test_rows_written_in_any_order_are_read_back(tmp_path_factory, order, shard_rows):
    path, values = tmp_path_factory.mktemp("e") / "layer_02", values_of(PROTEINS)
    embeddings = written(path, values, shard_rows, np.array(order))
    np.testing.assert_array_equal(embeddings[:], values)
    np.testing.assert_array_equal(embeddings[np.array(order)], values[order])
    np.testing.assert_array_equal(
        np.concatenate([block for _, block in embeddings.blocks(4)]), values
    )
    assert [start for start, _ in embeddings.blocks(4)] == [0, 4, 8, 12, 16]


@given(st.slices(19))
@settings(max_examples=50, deadline=None)
def test_a_slice_is_numpys_slice(tmp_path_factory, rows):
    values = values_of(PROTEINS)
    np.testing.assert_array_equal(
        written(tmp_path_factory.mktemp("e") / "e", values)[rows], values[rows]
    )


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 40))
def test_shards_end_with_proteins(lengths, rows):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    bounds = shard_bounds(offsets, rows)
    assert bounds[0] == 0 and bounds[-1] == offsets[-1] and set(bounds) <= set(offsets)
    for a, b in pairwise(bounds):
        assert b - a <= rows or (a, b) in set(pairwise(offsets))


def test_one_protein_and_what_is_on_disk(tmp_path):
    values = values_of(PROTEINS)
    embeddings = written(tmp_path / "e", values)
    np.testing.assert_array_equal(embeddings.of("P3", PROTEINS), values[6:16])
    assert sorted(p.name for p in (tmp_path / "e").iterdir()) == [
        "about.json",
        *(f"shard_0000{i}.safetensors" for i in range(3)),
    ]
    np.testing.assert_array_equal(
        load_file(tmp_path / "e" / "shard_00001.safetensors")["embeddings"], values[6:16]
    )
    about = json.loads((tmp_path / "e" / "about.json").read_text())
    assert (
        about["sequences"] == PROTEINS.sequence_hash
        and about["type"] == "Embeddings"
        and about["dtype"] == "float32"
    )
    assert repr(embeddings) == "Embeddings(toy, layer 2: 19 residues x 3)"


class Toy:
    name, revision = "toy", "sha256:bb"


def test_the_wrong_company_is_refused_with_both_names(tmp_path):
    embeddings = written(tmp_path / "e", values_of(PROTEINS))
    embeddings.check(PROTEINS, "toy", 2)
    with pytest.raises(ValueError, match=r"embeds other proteins .* than those given"):
        embeddings.check(Proteins.from_sequences({"P1": "MKTAY"}))
    with pytest.raises(ValueError, match="embeddings of toy, not of esm2"):
        embeddings.check(PROTEINS, "esm2")
    with pytest.raises(ValueError, match="other weights of toy"):
        embeddings.check(PROTEINS, Toy())
    with pytest.raises(ValueError, match="holds layer 2, not layer 3"):
        embeddings.check(PROTEINS, layer=3)


@pytest.mark.parametrize(
    ("rows", "error", "match"),
    [
        (np.array([0, 19]), IndexError, "0 to 18, not 0 to 19"),
        (np.array([-1]), IndexError, "not -1"),
        (np.array([0.5]), TypeError, "integers"),
    ],
)
def test_rows_that_are_not_there(tmp_path, rows, error, match):
    with pytest.raises(error, match=match):
        written(tmp_path / "e", values_of(PROTEINS))[rows]


def test_no_rows(tmp_path):
    embeddings = written(tmp_path / "e", values_of(PROTEINS))
    assert embeddings[np.array([], np.int64)].shape == embeddings[5:5].shape == (0, 3)


def test_nothing_half_written_is_ever_opened(tmp_path):
    values = values_of(PROTEINS)
    writer = EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT, 6)
    writer.write(np.arange(8), values[:8])
    with pytest.raises(ValueError, match="11 of 19 rows were never written"):
        writer.finish()
    with pytest.raises(FileNotFoundError, match="no embeddings here"):
        Embeddings.open(tmp_path / "e")


def test_a_writer_goes_on_where_the_last_one_was(tmp_path):
    values = values_of(PROTEINS)
    EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT, 6).write(np.arange(8), values[:8])
    writer = EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT, 6)
    assert writer.missing == [1, 2] and writer.shard_proteins(1).accessions == ["P3"]
    writer.write(np.arange(3, 19), values[3:])
    np.testing.assert_array_equal(writer.finish()[:], values)


def test_another_plan_begins_anew(tmp_path):
    values = values_of(PROTEINS)
    EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT, 6).write(np.arange(8), values[:8])
    assert EmbeddingsWriter(
        tmp_path / "e", PROTEINS, ABOUT | {"plm_revision": "sha256:bb"}, 6
    ).missing == [0, 1, 2]


def test_what_a_writer_refuses(tmp_path):
    writer = EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT)
    with pytest.raises(ValueError, match="do not fit 2 rows of 3"):
        writer.write(np.arange(2), np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="NaN or infinity"):
        writer.write(np.arange(1), np.full((1, 3), np.nan, np.float32))
    writer.write(np.arange(2), np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="row 1 is written twice"):
        writer.write(np.arange(1, 3), np.zeros((2, 3), np.float32))


def test_a_full_disk_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(OSError, match="GiB are needed and"):
        EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"x" * 20, lambda b: b.replace(b"F32", b"F16")]
)
def test_a_damaged_shard_is_refused(tmp_path, damage):
    embeddings = written(tmp_path / "e", values_of(PROTEINS))
    shard = tmp_path / "e" / "shard_00000.safetensors"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(ValueError, match=r"shard_00000\.safetensors: .*make the embeddings again"):
        embeddings[:]


def arrays_of(values: np.ndarray) -> dict[str, np.ndarray]:
    return {a: values[PROTEINS.rows(a)] for a in PROTEINS.accessions}


@pytest.mark.parametrize("kind", ["npz", "safetensors", "mapping"])
def test_from_arrays(tmp_path, kind, caplog):
    values = values_of(PROTEINS)
    arrays = {"extra": np.zeros((2, 3), np.float32)} | dict(reversed(arrays_of(values).items()))
    source = tmp_path / f"given.{kind}"
    if kind == "npz":
        np.savez(source, **arrays)
    elif kind == "safetensors":
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, source)
    with caplog.at_level(logging.INFO):
        embeddings = Embeddings.from_arrays(
            tmp_path / "e", PROTEINS, arrays if kind == "mapping" else source, "theirs", 7
        )
    np.testing.assert_array_equal(embeddings[:], values)
    embeddings.check(PROTEINS, "theirs", 7)
    assert "1 arrays of proteins that are not given" in caplog.text


def test_from_arrays_checks_what_it_is_given(tmp_path):
    arrays = arrays_of(values_of(PROTEINS))
    give = lambda source: Embeddings.from_arrays(tmp_path / "e", PROTEINS, source, "theirs", 7)  # noqa: E731
    with pytest.raises(ValueError, match="no array for 1 of 4 proteins, such as 'P3'"):
        give({k: v for k, v in arrays.items() if k != "P3"})
    with pytest.raises(
        ValueError,
        match=r"P3: wanted an array of 10 residues x 3, found .*; leave out <cls> and <eos>",
    ):
        give(arrays | {"P3": np.zeros((12, 3))})
    with pytest.raises(ValueError, match="P2: wanted an array of 1 residues x 3"):
        give(arrays | {"P2": np.zeros((1, 4))})
    with pytest.raises(ValueError, match="P2: the array holds NaN"):
        give(arrays | {"P2": np.full((1, 3), np.nan)})
    with pytest.raises(FileNotFoundError, match="no such file"):
        give(tmp_path / "absent.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ValueError, match=r"bad\.npz: not a readable npz file"):
        give(tmp_path / "bad.npz")
    (tmp_path / "bad.csv").write_text("x")
    with pytest.raises(ValueError, match=r"\.npz or \.safetensors file, not \.csv"):
        give(tmp_path / "bad.csv")
    assert not (tmp_path / "e").exists()
