"""Controls are as far and as often as the feature that they control."""

from dataclasses import replace

import numpy as np
import pytest

from interplm_nb.steering import controls
from interplm_nb.steering.controls import matched_features, steps
from interplm_nb.steering.intervene import Change
from tests.steering.test_intervene import esm2, layer_with_sae


def test_controls_are_the_nearest_by_step_and_density(monkeypatch: pytest.MonkeyPatch) -> None:
    at = layer_with_sae(esm2())
    monkeypatch.setattr(controls, "NEAREST", 3)
    density = np.linspace(0.001, 0.1, 12).astype(np.float32)
    at = replace(at, density=density)
    log_step, log_density = np.log(steps(at)), np.log(density)
    distance = {
        i: abs(log_step[i] - log_step[5]) / log_step.std()
        + abs(log_density[i] - log_density[5]) / log_density.std()
        for i in range(12)
        if i not in (5, 6)
    }
    wanted = sorted(sorted(distance, key=distance.__getitem__)[:3])
    assert matched_features(at, 5, 3, without=[6]) == wanted
    assert set(matched_features(at, 5, 2, seed=1, without=[6])) < set(wanted)


def test_dead_features_are_no_controls() -> None:
    at = layer_with_sae(esm2())
    at.maxima[2:11] = 0
    assert matched_features(at, 0, 2) == [1, 11]
    with pytest.raises(ValueError, match="3 control features are wanted, and only 2 others"):
        matched_features(at, 0, 3)
    with pytest.raises(ValueError, match="feature 4 is dead"):
        matched_features(at, 4, 1)


def test_the_same_changes_otherwise() -> None:
    changes = [Change(3, "clamp", 1.5, (2,))]
    assert controls.as_feature(changes, 7) == [Change(7, "clamp", 1.5, (2,))]
    assert controls.atom_alone(changes) == [Change(3, "add", 1.5, (2,))]
    one, other = controls.along_random(changes, 1), controls.along_random(changes, 2)
    assert one != other and one[0].direction != other[0].direction
