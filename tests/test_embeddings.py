import json
import logging
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_torch

from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.proteins import Proteins
from interplm_nb.saving import read_json, write_json
from interplm_nb.shards import shard_bounds

PROTEINS = Proteins.from_sequences({"P1": "MKTAY", "P2": "M", "P3": "ACDEFGHIKL", "P4": "WWW"})
ABOUT = {"plm": "toy", "plm_revision": "sha256:aa", "layer": 2, "d_in": 3}


def values_of(proteins: Proteins, width: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(proteins.n_residues, width)).astype(np.float32)


def written(path, values, shard_rows=6, order=None, dtype="float32") -> Embeddings:
    with EmbeddingsWriter(path, PROTEINS, ABOUT, shard_rows, dtype) as writer:
        for rows in np.array_split(np.arange(len(values)) if order is None else order, 4):
            writer.write(rows, values[rows])
    return Embeddings.open(path)


def kept(values: np.ndarray, dtype: str) -> np.ndarray:
    """What is left of values once they are stored, by torch."""
    return torch.from_numpy(values).bfloat16().float().numpy() if dtype == "bfloat16" else values


STORED = st.sampled_from(["float32", "bfloat16"])


@given(st.permutations(range(19)), st.integers(1, 25), STORED)
@settings(max_examples=30, deadline=None)
def test_rows_written_in_any_order_are_read_back(tmp_path_factory, order, shard_rows, dtype):
    path, given_ = tmp_path_factory.mktemp("e") / "layer_02", values_of(PROTEINS)
    values = kept(given_, dtype)
    embeddings = written(path, given_, shard_rows, np.array(order), dtype)
    np.testing.assert_array_equal(embeddings[:], values)
    np.testing.assert_array_equal(embeddings[np.array(order)], values[order])
    np.testing.assert_array_equal(
        np.concatenate([block for _, block in embeddings.blocks(4)]), values
    )
    assert [start for start, _ in embeddings.blocks(4)] == [0, 4, 8, 12, 16]
    assert embeddings[:].dtype == embeddings[np.array(order)].dtype == np.float32


@given(st.slices(19), STORED)
@settings(max_examples=50, deadline=None)
def test_a_slice_is_numpys_slice(tmp_path_factory, rows, dtype):
    values = values_of(PROTEINS)
    np.testing.assert_array_equal(
        written(tmp_path_factory.mktemp("e") / "e", values, dtype=dtype)[rows],
        kept(values, dtype)[rows],
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


def test_float32_is_read_without_a_copy_and_bfloat16_takes_half_the_disk(tmp_path):
    values = values_of(PROTEINS)
    whole, half = (written(tmp_path / d, values, dtype=d) for d in ("float32", "bfloat16"))
    assert np.shares_memory(whole[6:10], whole[8:16]) and not whole[6:10].flags.writeable
    assert not np.shares_memory(half[6:10], half[8:16])
    sizes = [
        (tmp_path / d / "shard_00001.safetensors").stat().st_size for d in ("float32", "bfloat16")
    ]
    assert sizes[0] - sizes[1] in range(2 * 30 - 8, 2 * 30 + 9)  # 10 residues x 3, and padding
    stored = load_torch(tmp_path / "bfloat16" / "shard_00001.safetensors")["embeddings"]
    assert stored.dtype == torch.bfloat16
    torch.testing.assert_close(stored, torch.from_numpy(values[6:16]).bfloat16(), rtol=0, atol=0)
    assert half.about["dtype"] == half.stored == "bfloat16"
    assert half.fingerprint != whole.fingerprint
    half.check(PROTEINS, "toy", 2)
    np.testing.assert_array_equal(half.of("P3", PROTEINS), kept(values[6:16], "bfloat16"))


def test_another_type_on_disk_is_refused_or_begun_again(tmp_path):
    values = values_of(PROTEINS)
    with pytest.raises(ValueError, match="stored as float32 or bfloat16, not 'float16'"):
        written(tmp_path / "e", values, dtype="float16")
    EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT, 6).write(np.arange(8), values[:8])
    assert EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT, 6, "bfloat16").missing == [0, 1, 2]
    written(tmp_path / "e", values)
    about = tmp_path / "e" / "about.json"
    write_json(read_json(about, "Embeddings", 2) | {"dtype": "bfloat16"}, about)
    with pytest.raises(
        ValueError, match=r"expected .*BF16.*, found .*F32.*run stage 'embed' again"
    ):
        Embeddings.open(tmp_path / "e")[:]


class Toy:
    name, revision = "toy", "sha256:bb"


def test_the_wrong_company_is_refused_with_both_names(tmp_path):
    embeddings = written(tmp_path / "e", values_of(PROTEINS))
    embeddings.check(PROTEINS, "toy", 2)
    with pytest.raises(ValueError, match=r"embeds other proteins .* than the given ones"):
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
        (np.array([0.5]), TypeError, "integer array"),
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


def test_two_writers_of_one_draft_finish_alike(tmp_path):
    one, other = (EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT, 6) for _ in range(2))
    values = values_of(PROTEINS)
    one.write(np.arange(len(values)), values)
    (one.draft / ".shard_00000.safetensors.ab.tmp").write_bytes(b"of a worker that was killed")
    assert one.finish().about == other.finish().about
    assert not list((tmp_path / "e").glob(".*"))
    np.testing.assert_array_equal(Embeddings.open(tmp_path / "e")[:], values)


def test_what_a_writer_refuses(tmp_path):
    writer = EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT)
    with pytest.raises(ValueError, match="do not fit 2 rows of 3"):
        writer.write(np.arange(2), np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="NaN or infinity"):
        writer.write(np.arange(1), np.full((1, 3), np.nan, np.float32))
    half = EmbeddingsWriter(tmp_path / "half", PROTEINS, ABOUT, dtype="bfloat16")
    for value in (np.nan, np.inf, 3.4e38):
        with pytest.raises(ValueError, match="NaN or infinity"):
            half.write(np.arange(1), np.full((1, 3), value, np.float32))
    some = values_of(PROTEINS)
    some[[int(PROTEINS.offsets[1]), int(PROTEINS.offsets[2])], 1] = np.inf
    with pytest.raises(ValueError, match=f"first in {PROTEINS.accessions[1]}; check its weights"):
        writer.write(np.arange(len(some)), some)
    writer.write(np.arange(2), np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="row 1 is written twice"):
        writer.write(np.arange(1, 3), np.zeros((2, 3), np.float32))


def test_a_full_disk_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(OSError, match="GiB are needed,"):
        EmbeddingsWriter(tmp_path / "e", PROTEINS, ABOUT)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"x" * 20, lambda b: b.replace(b"F32", b"F16")]
)
def test_a_damaged_shard_is_refused(tmp_path, damage):
    embeddings = written(tmp_path / "e", values_of(PROTEINS))
    shard = tmp_path / "e" / "shard_00000.safetensors"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(ValueError, match=r"shard_00000\.safetensors: .*run stage .embed. again"):
        embeddings[:]


def arrays_of(values: np.ndarray) -> dict[str, np.ndarray]:
    return {a: values[PROTEINS.rows(a)] for a in PROTEINS.accessions}


@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
def test_from_arrays(tmp_path, stored, caplog):
    values = values_of(PROTEINS)
    arrays = {"extra": np.zeros((2, 3), np.float32)} | dict(reversed(arrays_of(values).items()))
    with caplog.at_level(logging.INFO):
        embeddings = Embeddings.from_arrays(
            tmp_path / "e", PROTEINS, arrays, "theirs", 7, stored=stored
        )
    np.testing.assert_array_equal(embeddings[:], kept(values, stored))
    embeddings.check(PROTEINS, "theirs", 7)
    assert "1 arrays of other proteins are ignored" in caplog.text


def test_from_arrays_checks_what_it_is_given(tmp_path):
    arrays = arrays_of(values_of(PROTEINS))

    def give(arrays):
        Embeddings.from_arrays(tmp_path / "e", PROTEINS, arrays, "theirs", 7)

    with pytest.raises(ValueError, match="1 of 4 proteins have no array, such as 'P3'"):
        give({k: v for k, v in arrays.items() if k != "P3"})
    with pytest.raises(
        ValueError,
        match=r"P3: expected an array of 10 residues x 3, found .*; leave out <cls> and <eos>",
    ):
        give(arrays | {"P3": np.zeros((12, 3))})
    with pytest.raises(ValueError, match="P2: expected an array of 1 residues x 3"):
        give(arrays | {"P2": np.zeros((1, 4))})
    with pytest.raises(ValueError, match="P2: the array contains NaN"):
        give(arrays | {"P2": np.full((1, 3), np.nan)})
    assert list(tmp_path.iterdir()) == []
