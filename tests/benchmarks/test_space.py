"""The benchmark of the test in space compares equal results."""

import polars as pl
import pytest

from benchmarks import space
from interplm_nb.features.spatial.spatial_test import spatial_test


def test_the_loops_give_what_the_test_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "N_STRUCTURES", 3)
    monkeypatch.setattr(space, "ACTIVE", 2)
    coordinates = space.structures()
    assert coordinates.read["n_placed"].min() > 50
    activations = space.made_up(coordinates.proteins, 3)
    assert activations.mean_l0() == pytest.approx(2, abs=0.01)
    found = spatial_test(activations, coordinates, min_proteins=2, draws=30).table
    plain = space.loop(activations, coordinates, range(3), 30, 2)
    assert plain["p_value"].null_count() < plain.height
    space.check_equal(found, plain)
    with pytest.raises(RuntimeError, match="cohen_d is"):
        space.check_equal(found, plain.with_columns(pl.col("cohen_d") + 1))
