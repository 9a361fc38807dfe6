"""Maxima: saved and read again, by convention; what was not measured is refused."""

import numpy as np
import pytest

from interplm_nb.pipeline.maxima import Maxima


def test_maxima_come_back_by_convention(tmp_path):
    values = [np.float32([0, i]) for i in range(4)]
    maxima = Maxima(*values)
    maxima.save(tmp_path / "maxima.parquet", {"source": "neurons"})
    found = Maxima.load(tmp_path / "maxima.parquet")
    for convention, low, high in (("strict", 2, 0), ("published", 3, 1)):
        np.testing.assert_array_equal(found.of(convention), values[high])
        np.testing.assert_array_equal(found.minimum_of(convention), values[low])
    assert len(found) == 2 and found.train.dtype == np.float32


def test_what_was_not_measured_is_refused(tmp_path):
    Maxima(np.float32([1])).save(tmp_path / "maxima.parquet", {})
    found = Maxima.load(tmp_path / "maxima.parquet")
    assert found.alive.tolist() == [True]
    with pytest.raises(ValueError, match="not measured on all proteins"):
        found.of("published")
