"""Layers side by side: which columns are whose, and that each counts alike."""

import numpy as np
import pytest

from interplm_nb.joined_layers import JoinedLayers, joined_of


def layers(seed: int = 0) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        4: (100 * rng.normal(size=(50, 2)) + 7).astype(np.float32),
        1: rng.normal(size=(50, 3)).astype(np.float32),
    }


def test_joined_layers_are_side_by_side_and_each_has_variance_one():
    found = layers()
    joined = JoinedLayers.measured(found)
    assert (joined.layers, joined.widths, joined.d_in) == ((1, 4), (3, 2), 5)
    assert joined.name == "layers 1+4"
    x = joined(found)
    assert x.shape == (50, 5) and x.dtype == np.float32
    for layer, part in joined.parts(x).items():
        np.testing.assert_allclose(
            part, found[layer] / joined.scales[joined.layers.index(layer)], rtol=1e-6
        )
        mean = part.mean(axis=0)
        assert np.mean([((row - mean) ** 2).sum() for row in part]) == pytest.approx(1, rel=1e-4)


def test_parts_are_a_layers_own_columns_and_views_of_them():
    joined = JoinedLayers((1, 4), (3, 2), (1.0, 1.0))
    atoms = np.arange(10).reshape(2, 5)
    parts = joined.parts(atoms)
    assert parts[1].tolist() == [[0, 1, 2], [5, 6, 7]]
    assert parts[4].tolist() == [[3, 4], [8, 9]]
    assert np.shares_memory(parts[4], atoms)


def test_a_record_gives_the_same_layers_again():
    joined = JoinedLayers.measured(layers())
    assert joined_of({"joined": joined.record()}) == joined
    assert joined_of({"layer": 3}) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (((3,), (2,), (1.0,)), r"joins two or more different layers.*got \[3\]"),
        (((3, 1), (2, 2), (1.0, 1.0)), r"in ascending order; got \[3, 1\]"),
        (((1, 3), (2,), (1.0, 1.0)), "2 layers need as many widths and scales; got 1 and 2"),
        (((1, 3), (2, 2), (1.0, 0.0)), r"a finite number above 0; got \[1.0, 0.0\]"),
        (((1, 3), (2, 2), (1.0, float("nan"))), "a finite number above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        JoinedLayers(*given)


def test_a_layer_that_never_changes_is_refused_by_name():
    with pytest.raises(ValueError, match="layer 2 is the same at every residue"):
        JoinedLayers.measured({1: layers()[1], 2: np.ones((50, 2), np.float32)})
