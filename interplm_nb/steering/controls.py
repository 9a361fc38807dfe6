"""What a steered feature is compared with: features that move the layer as far, as often.

A control of a feature makes a step of the same kind and about the same length: another feature
whose step (maximum times the length of its atom) and density are near, a random direction of the
same length (`Change.direction`), or its atom added without reading the feature ("add").
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from interplm_nb.steering.intervene import Change
from interplm_nb.steering.steered_layer import SteeredLayer

NEAREST = 40
"""Features, the nearest by step and density, among which controls are drawn."""


def matched_features(
    at: SteeredLayer, feature: int, n: int, seed: int = 0, without: Collection[int] = ()
) -> list[int]:
    """Features drawn at random among the `NEAREST` that move the layer as far, as often.

    Distance is that of log step (maximum times the length of the atom) and of log density, each in
    standard deviations over the features that are alive; without `at.density`, of the step alone.

    Parameters
    ----------
    feature
        The feature to be matched.
    n
        How many to draw, without replacement.
    without
        Features never drawn, such as others of the same concept.

    Raises
    ------
    ValueError
        For a dead feature, and where fewer than `n` others are alive.
    """
    at.check_feature(feature)
    alive = np.flatnonzero(at.maxima > 0)
    measured = [np.log(steps(at)[alive])]
    if at.density is not None:
        measured.append(np.log(np.maximum(at.density[alive], 1e-9)))
    distance = np.zeros(len(alive))
    for values in measured:
        own = values[alive == feature][0]
        distance += np.abs(values - own) / max(float(values.std()), 1e-12)
    allowed = ~np.isin(alive, [feature, *without])
    if allowed.sum() < n:
        raise ValueError(
            f"{n} control features are wanted, and only {int(allowed.sum())} others are alive; "
            "take fewer"
        )
    order = alive[allowed][np.argsort(distance[allowed], kind="stable")]
    rng = np.random.default_rng([seed, feature])
    return sorted(rng.choice(order[: max(n, NEAREST)], n, replace=False).tolist())


def steps(at: SteeredLayer) -> np.ndarray:
    """float32 [d_sae]: how far each feature's maximum moves the layer."""
    return at.maxima * at.sae.W_dec.detach().float().norm(dim=1).cpu().numpy()


def as_feature(changes: Sequence[Change], feature: int) -> list[Change]:
    """The same changes of another feature, in units of its own maximum."""
    return [replace(change, feature=feature) for change in changes]


def along_random(changes: Sequence[Change], seed: int) -> list[Change]:
    """The same changes along random directions as long as the atoms."""
    return [replace(change, direction=seed * 1000 + k) for k, change in enumerate(changes)]


def atom_alone(changes: Sequence[Change]) -> list[Change]:
    """The atoms added at the same strength, without reading the features."""
    return [replace(change, how="add") for change in changes]


def matched_changes(at: SteeredLayer, changes: Sequence[Change], seed: int = 0) -> list[Change]:
    """The same changes of other features: for each feature one of its `matched_features`.

    No feature is drawn twice, and none that is itself changed.
    """
    taken, controls = {change.feature for change in changes}, []
    for change in changes:
        (feature,) = matched_features(at, change.feature, 1, seed, taken)
        taken.add(feature)
        controls.append(replace(change, feature=feature))
    return controls
