"""Features that recur from another seed: by the slow definition, and with nulls that know
nothing."""

import numpy as np
import pytest
import torch

from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import ReLU
from interplm_nb.sae.evaluation.stability import random_rotation, stability
from tests.sae.small_sae import any_sae

ALL = np.ones(20, bool)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_it_is_the_slow_definition(threshold: float) -> None:
    one, other = any_sae(ReLU(), seed=1), any_sae(ReLU(), seed=2)
    with torch.no_grad():
        other.W_dec[3] = 2.5 * one.W_dec[0]  # the same feature at another length
        other.W_dec[4] = -one.W_dec[1]  # the opposite direction is not the same feature
        other.W_dec[5] = one.W_dec[2]
    alive, alive_other = (
        np.arange(20) != 7,
        np.arange(20) != 5,
    )  # what is dead in the other does not recur there
    found = stability(one, other, alive, alive_other, threshold)
    mine, theirs = one.W_dec.detach(), other.W_dec.detach()
    best = [
        max(cosine(mine[i], theirs[j]) for j in range(20) if alive_other[j])
        for i in range(20)
        if alive[i]
    ]
    assert found.recur == pytest.approx(np.mean([b >= threshold for b in best]))
    assert found.mean_cosine == pytest.approx(np.mean(best), abs=1e-6)
    assert (found.n_alive, found.n_alive_other) == (19, 19)
    assert best[0] == pytest.approx(1, abs=1e-6) and best[1] < 1


def test_the_same_sae_recurs_and_its_nulls_do_not() -> None:
    sae = any_sae(ReLU(), d_in=64)
    found = stability(sae, sae, ALL, ALL)
    assert found.recur == 1 and found.mean_cosine == pytest.approx(1, abs=1e-6)
    assert found.recur_random == found.recur_rotated == 0
    assert 0 < found.mean_cosine_random < 0.5 and 0 < found.mean_cosine_rotated < 0.5


def test_the_rotated_null_keeps_what_random_atoms_lack() -> None:
    """Atoms that all are in one direction are near a rotated copy of each other all at once or not
    at all, never in between."""
    sae = any_sae(ReLU(), d_in=8)
    with torch.no_grad():
        sae.W_dec[:] = torch.eye(8)[0]
    shares = {
        stability(sae, sae, ALL, ALL, threshold=0.2, seed=seed).recur_rotated for seed in range(40)
    }
    assert shares == {0.0, 1.0}
    assert (
        stability(sae, sae, ALL, ALL, threshold=0.2).recur_random == 1
    )  # the nearest of 20 random atoms is almost always within 0.2


def test_a_rotation_keeps_lengths_and_angles() -> None:
    q = random_rotation(30, torch.Generator().manual_seed(0))
    torch.testing.assert_close(q.T @ q, torch.eye(30, dtype=torch.float64), rtol=0, atol=1e-12)


def test_nothing_alive_recurs_nowhere() -> None:
    sae = any_sae(ReLU())
    dead = np.zeros(20, bool)
    assert stability(sae, sae, dead, ALL).recur == stability(sae, sae, ALL, dead).recur == 0


def test_what_cannot_be_compared_is_refused() -> None:
    sae = any_sae(ReLU())
    with pytest.raises(ValueError, match="atoms of 6 and of 8 dimensions"):
        stability(sae, any_sae(ReLU(), d_in=8), ALL, ALL)
    with pytest.raises(
        ValueError, match=r"alive must be one bool per feature, shape \(20,\); got float64 \(20,\)"
    ):
        stability(sae, sae, np.ones(20), ALL)
    sae.about, other = SAEAbout("esm2-mini", "x", 1, "topk"), any_sae(ReLU())
    other.about = SAEAbout("esm2-mini", "x", 2, "topk")
    with pytest.raises(ValueError, match="esm2-mini, layer 1 and of esm2-mini, layer 2"):
        stability(sae, other, ALL, ALL)
