"""bfloat16 in numpy against torch's own."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from interplm_nb.bfloat16 import is_finite, rounded, widened

EVERY = np.arange(2**16, dtype=np.uint32) << 16
"""Bits of every float32 that bfloat16 holds."""


def torchs(values: np.ndarray) -> np.ndarray:
    return torch.from_numpy(values.copy()).bfloat16().float().numpy()


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=100))
def test_a_round_trip_is_torchs_for_any_bits(bits):
    values = np.array(bits, np.uint32).view(np.float32)
    assert_array_equal(widened(rounded(values)), torchs(values))


def test_what_stands_next_to_a_tie_goes_where_torch_takes_it():
    for offset in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):
        values = (EVERY + np.uint32(offset)).view(np.float32)
        assert_array_equal(widened(rounded(values)), torchs(values))


def test_what_bfloat16_holds_comes_back_bit_for_bit():
    values = EVERY.view(np.float32)
    number = ~np.isnan(values)
    assert_array_equal(widened(rounded(values)).view(np.uint32)[number], EVERY[number])


def test_any_layout_and_a_place_to_write_to():
    values = np.random.default_rng(0).normal(size=(7, 10)).astype(np.float32)
    assert_array_equal(widened(rounded(values.T[::2])), torchs(values.T[::2]))
    place = np.zeros((3, 4), np.float32)
    assert widened(rounded(values)[:6:2, 1:9:2], place) is place
    assert_array_equal(place, torchs(values[:6:2, 1:9:2]))


def test_finite():
    assert is_finite(rounded(np.array([0, -3.38e38, 1e-45], np.float32)))
    for value in (np.nan, np.inf, -np.inf, 3.4e38):
        assert not is_finite(rounded(np.array([0, value], np.float32)))
