"""Sums of blocks: only what is read is compared, and what has changed is never returned."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.checksums import (
    BLOCK,
    CheckedBytes,
    DamagedFileError,
    as_text,
    block_sums,
    from_text,
    n_blocks,
)

PATH = Path("shard_00003.safetensors")


def made(size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, size, np.uint8)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_sum_for_each_block(size):
    data = made(size)
    wanted = [zlib.crc32(data.tobytes()[i : i + BLOCK]) for i in range(0, size, BLOCK)]
    assert block_sums(data).tolist() == wanted
    assert n_blocks(size) == len(wanted)
    np.testing.assert_array_equal(from_text(as_text(block_sums(data))), wanted)


@given(
    bit=st.integers(0, 8 * (5 * BLOCK + 7) - 1),
    start=st.integers(0, 5 * BLOCK + 6),
    size=st.integers(1, 2 * BLOCK),
)
def test_a_changed_bit_is_seen_where_its_block_is_read_and_nowhere_else(bit, start, size):
    data = made(5 * BLOCK + 7)
    sums, stop = block_sums(data), min(start + size, len(data))
    data[bit // 8] ^= 1 << bit % 8
    checked = CheckedBytes(PATH, data, sums, "embed")
    if start // BLOCK <= bit // 8 // BLOCK <= (stop - 1) // BLOCK:
        with pytest.raises(
            DamagedFileError,
            match=r"shard_00003\.safetensors: damaged, its bytes changed near byte [\d,]+; "
            "run stage 'embed' again, or copy it again",
        ):
            checked.check(start, stop - start)
    else:
        checked.check(start, stop - start)


def test_rows_at_random_compare_their_blocks():
    data = made(4 * BLOCK)
    sums = block_sums(data)
    data[2 * BLOCK + 5] ^= 1
    checked = CheckedBytes(PATH, data, sums)
    checked.check(np.array([3 * BLOCK, 0, 0, BLOCK]), 100)
    with pytest.raises(DamagedFileError, match="near byte 131,072; make it again"):
        checked.check(np.array([0, 2 * BLOCK - 50]), 100)  # the second is in two blocks


def test_a_block_is_compared_once():
    data = made(BLOCK)
    checked = CheckedBytes(PATH, data, block_sums(data))
    checked.check(0, 10)
    data[5] ^= 1
    checked.check(0, 10)


def test_files_without_sums_and_of_another_size(tmp_path):
    CheckedBytes(PATH, made(10), None).check(0, 10)
    with pytest.raises(DamagedFileError, match="it has 10 bytes, not those of 2 blocks"):
        CheckedBytes(PATH, made(10), np.zeros(2, "<u4"))
    (tmp_path / "empty").touch()
    with pytest.raises(DamagedFileError, match="empty: damaged, it is empty"):
        CheckedBytes.of_file(tmp_path / "empty", None)
    with pytest.raises(DamagedFileError, match="the file is missing"):
        CheckedBytes.of_file(tmp_path / "none", None)
