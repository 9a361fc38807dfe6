"""Independent components are those that FastICA finds where it converges, and do not hang on
rounding where it does not."""

import numpy as np
import pytest
from sklearn.decomposition import FastICA

from interplm_nb.concepts.controls.unmixing import unmixed


def mixed(seed: int, k: int = 6, n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Sources, sparse and flat ones, and whitened mixtures of them, float32 [n, k]."""
    rng = np.random.default_rng(seed)
    sources = np.where(np.arange(k) % 3 == 2, rng.uniform(-1, 1, (n, k)), rng.laplace(size=(n, k)))
    x = sources @ rng.normal(size=(k, k))
    x -= x.mean(axis=0)
    variances, axes = np.linalg.eigh(x.T @ x / n)
    return sources, (x @ axes / np.sqrt(variances)).astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_what_fast_ica_converges_to(seed: int) -> None:
    _, white = mixed(seed)
    found = unmixed(white, tolerance=1e-6)
    fast = FastICA(whiten=False, tol=1e-8, max_iter=1000, random_state=0).fit(
        white.astype(np.float64)
    )
    same = np.abs(fast.components_ @ found.rotation)
    assert found.converged and found.gradient < 1e-6
    np.testing.assert_allclose(same.max(axis=0), 1, atol=1e-3)
    assert sorted(same.argmax(axis=0)) == list(range(6))


def test_sources_come_apart() -> None:
    sources, white = mixed(3)
    found = unmixed(white)
    alike = np.abs(np.corrcoef((white @ found.rotation).T, sources.T)[:6, 6:])
    assert alike.max(axis=0).min() > 0.99
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(6), atol=1e-6)


def test_rounding_moves_nothing() -> None:
    _, white = mixed(4)
    noise = 1 + 1e-6 * np.random.default_rng(0).normal(size=white.shape)
    one, other = unmixed(white), unmixed((white * noise).astype(np.float32))
    np.testing.assert_allclose(one.rotation, other.rotation, atol=1e-3)


def test_it_says_that_it_did_not_converge() -> None:
    _, white = mixed(5)
    short = unmixed(white, max_iter=1)
    assert (short.steps, short.converged) == (1, False) and short.gradient > 1e-5


def test_few_residues_of_many_directions_end() -> None:
    white = np.linalg.qr(np.random.default_rng(0).normal(size=(60, 40)))[0] * np.sqrt(60)
    found = unmixed(white.astype(np.float32), max_iter=50)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(40), atol=1e-6)
