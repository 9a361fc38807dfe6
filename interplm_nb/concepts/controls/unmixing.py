"""Independent components of whitened values: the rotation that FastICA seeks, found by descent.

FastICA's symmetric fixed-point steps do not converge on wide embeddings: components close to
Gaussian keep rotating among themselves. This minimises the same contrast (logcosh) over rotations
by preconditioned L-BFGS, which descends at each step (Picard-O: Ablin, Cardoso & Gramfort 2018).
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import expm

_MEMORY = 7
_TRIES = 10
_LEAST_CURVATURE = 0.01


class Unmixed(NamedTuple):
    """A rotation of whitened values, and how its search ended."""

    rotation: np.ndarray
    """float64 [k, k]: `white @ rotation` are the components."""
    steps: int
    gradient: float
    """Largest absolute entry of the gradient."""
    converged: bool
    """Whether that is below the tolerance."""


class _Contrast(NamedTuple):
    """The contrast of components y [k, n], and what its derivatives need."""

    means: np.ndarray
    """float64 [k]: mean of log cosh y."""
    scores: np.ndarray
    """float32 [k, n]: tanh y."""

    @classmethod
    def of(cls, y: np.ndarray) -> "_Contrast":
        """Without overflow: log cosh y = |y| + log(1 + exp(-2 |y|)) - log 2."""
        size = np.abs(y)
        small = np.exp(-2 * size)
        means = (size + np.log1p(small)).mean(axis=1, dtype=np.float64) - np.log(2)
        return cls(means, np.copysign((1 - small) / (1 + small), y))


class _Step(NamedTuple):
    """A step of L-BFGS: what moved, and how the gradient changed."""

    moved: np.ndarray
    bent: np.ndarray


def unmixed(
    white: np.ndarray, max_iter: int = 500, tolerance: float = 1e-5, seed: int = 0
) -> Unmixed:
    """Rotate whitened values so that each component is as far from Gaussian as it can be.

    Parameters
    ----------
    white : np.ndarray
        float32 [n, k]: mean 0, covariance the identity.
    max_iter : int
        Maximum number of steps.
    tolerance : float
        The search has converged where no entry of the gradient is larger.
    seed : int
        Of the rotation that it starts from.

    Returns
    -------
    Unmixed
        Components in no order, of either sign.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sources = rng.laplace(size=(4000, 2)).astype(np.float32) / np.float32(2**0.5)
    >>> turned = sources @ np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
    >>> found = unmixed(turned)
    >>> found.converged
    True
    >>> np.round(np.abs(np.corrcoef((turned @ found.rotation).T, sources.T)[:2, 2:]).max(axis=0), 2)
    array([1., 1.])
    """
    k = white.shape[1]
    w = np.linalg.qr(np.random.default_rng(seed).normal(size=(k, k)))[0]
    y = w.astype(np.float32) @ white.T
    now = _Contrast.of(y)
    past: list[_Step] = []
    signs = before = moved = None
    for step in range(max_iter + 1):
        gradient, curvature, own = _derivatives(y, now)
        largest = float(np.abs(gradient).max())
        if largest < tolerance or step == max_iter:
            break
        if signs is not None and (own != signs).any():
            past = []  # a component became sub- or super-Gaussian: another objective
        elif before is not None and moved is not None:
            bent = gradient - before
            if (moved * bent).sum() > 0:
                past = [*past, _Step(moved, bent)][-_MEMORY:]
        signs, before = own, gradient
        found = _descended(y, now, own, _direction(gradient, curvature, past))
        if found is None and past:
            past = []
            found = _descended(y, now, own, _direction(gradient, curvature, past))
        if found is None:
            break  # float32 shows no lower value
        turn, moved, y, now = found
        w = turn @ w
    return Unmixed(w.T, step, largest, largest < tolerance)


def _derivatives(y: np.ndarray, now: _Contrast) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient and approximate curvature of the rotation's entries, float64 [k, k], antisymmetric
    and symmetric; and the sign with which each component's contrast counts, [k]."""
    products = (now.scores @ y.T).astype(np.float64) / y.shape[1]
    slopes = 1 - np.square(now.scores).mean(axis=1, dtype=np.float64)
    excess = slopes - np.diag(products)
    signs = np.where(excess < 0, -1.0, 1.0)
    gradient = signs[:, None] * products
    curvature = (np.abs(excess)[:, None] + np.abs(excess)[None, :]) / 2
    return (gradient - gradient.T) / 2, np.maximum(curvature, _LEAST_CURVATURE), signs


def _direction(gradient: np.ndarray, curvature: np.ndarray, past: list[_Step]) -> np.ndarray:
    """The two loops of L-BFGS (Nocedal & Wright, algorithm 7.4)."""
    q, alphas = gradient.copy(), []
    for moved, bent in reversed(past):
        alphas.append((moved * q).sum() / (moved * bent).sum())
        q -= alphas[-1] * bent
    q /= curvature
    for (moved, bent), alpha in zip(past, reversed(alphas), strict=True):
        q += (alpha - (bent * q).sum() / (moved * bent).sum()) * moved
    return -q / max(1.0, float(np.abs(q).max()))  # a longer turn would overshoot


def _descended(
    y: np.ndarray, now: _Contrast, signs: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, _Contrast] | None:
    """The first of ever shorter turns that lowers the contrast, the antisymmetric matrix it is
    the exponential of, and the components after it; None where none does."""
    for half in range(_TRIES):
        moved = direction / 2**half
        turn = expm(moved)
        turned = turn.astype(np.float32) @ y
        then = _Contrast.of(turned)
        if (signs * then.means).sum() < (signs * now.means).sum():
            return turn, moved, turned, then
    return None
