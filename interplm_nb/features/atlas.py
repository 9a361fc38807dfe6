"""A map of all features: features with similar decoder directions lie side by side."""

import warnings
from typing import NamedTuple

import numpy as np
import polars as pl

N_NEIGHBORS = 15
"""Neighbours that UMAP keeps together; this and the next three values are InterPLM's."""
MIN_DIST = 0.1
"""How close UMAP may put two points."""
MIN_CLUSTER_SIZE = 5
MIN_SAMPLES = 3

ATLAS = {"feature": pl.UInt32, "x": pl.Float32, "y": pl.Float32, "cluster": pl.Int32}
"""Columns of `atlas`."""


def atlas(decoder: np.ndarray, alive: np.ndarray, seed: int = 0) -> pl.DataFrame:
    """Lay out the features that fire on a two-dimensional map, and cluster them there.

    x and y are UMAP coordinates of the decoder vectors by cosine distance, centred and scaled by
    one factor so that the longer side runs from -1 to 1. Up to `N_NEIGHBORS` features are too few
    for UMAP: they get the first two principal axes of their directions, and no cluster.

    Clusters are HDBSCAN's on x and y. In d_in dimensions all directions are about equally far
    apart: HDBSCAN leaves 32 % of the demo SAE's features without a cluster there, 21 % on the map.
    A map is a hint, not a measurement: the mean cosine of two features of the demo SAE is 0.10
    within a cluster and 0.003 overall. Compute the cosine before you call two features similar.
    `atlas_quality` measures what a map keeps and whether its clusters recur.
    Source: InterPLM, arXiv 2412.12101, Methods (UMAP of normalised decoder weights).

    Parameters
    ----------
    decoder : np.ndarray
        [n_features, d_in], the decoder vectors (`W_dec`); their lengths do not matter.
    alive : np.ndarray
        bool [n_features]: the features that fire at all.
    seed : int
        Equal seeds give equal maps on one machine.

    Returns
    -------
    pl.DataFrame
        Columns of `ATLAS`, one row per feature that fires, in order. `cluster` counts from 0; -1
        is not a cluster.

    Raises
    ------
    ValueError
        If the two arrays do not fit each other.

    Examples
    --------
    >>> decoder = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    >>> atlas(decoder, np.array([True, False, True]))["feature"].to_list()
    [0, 2]
    """
    if decoder.ndim != 2 or alive.dtype != bool or alive.shape != decoder.shape[:1]:
        raise ValueError(
            f"an atlas needs decoder vectors [n_features, d_in] and one bool per feature, not "
            f"{decoder.shape} and {alive.dtype} of {alive.shape}"
        )
    directions = unit_vectors(decoder[alive])
    places = layout(directions, nearest(directions, N_NEIGHBORS - 1), seed)
    columns = {
        "feature": np.flatnonzero(alive),
        "x": places[:, 0],
        "y": places[:, 1],
        "cluster": clusters(places),
    }
    return pl.DataFrame(columns, schema=ATLAS)


class Nearest(NamedTuple):
    """The nearest others of each of n vectors by cosine, the nearest first."""

    index: np.ndarray
    """int64 [n, k]"""
    distance: np.ndarray
    """float64 [n, k]: 1 - cosine."""


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """float64 [n, d]: the vectors at length 1; a vector of zeros stays one."""
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return exact / np.maximum(lengths, np.finfo(np.float64).tiny)


def nearest(directions: np.ndarray, k: int) -> Nearest:
    """Find the k nearest others of each direction, or all where there are fewer."""
    k = min(k, len(directions) - 1)
    if k < 1:
        return Nearest(np.empty((len(directions), 0), np.int64), np.empty((len(directions), 0)))
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k, metric="cosine").fit(directions).kneighbors()
    return Nearest(found[1], found[0])


def layout(directions: np.ndarray, near: Nearest, seed: int) -> np.ndarray:
    """float64 [n, 2]: places on the map, scaled as `atlas` says."""
    few = len(directions) <= N_NEIGHBORS
    return _scaled(_principal(directions) if few else _umap(directions, near, seed))


def _umap(directions: np.ndarray, near: Nearest, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        # umap warns that its parametric half, which is not used here, needs TensorFlow.
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP
    from threadpoolctl import threadpool_limits

    # UMAP counts each point as its own first neighbour. To find neighbours takes longer than to
    # lay them out, so all seeds share them.
    known = (
        np.column_stack([np.arange(len(directions)), near.index[:, : N_NEIGHBORS - 1]]),
        np.column_stack([np.zeros(len(directions)), near.distance[:, : N_NEIGHBORS - 1]]),
    )
    # numba changes the thread count of every OpenMP library in the process, including PyTorch's,
    # for good: later sums would differ in their last bits.
    with threadpool_limits(1, "openmp"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "precomputed_knn")  # no new point is ever placed
        fitted = UMAP(
            metric="cosine",
            n_neighbors=N_NEIGHBORS,
            min_dist=MIN_DIST,
            random_state=seed,
            n_jobs=1,
            precomputed_knn=known,
        ).fit_transform(directions)
    return np.asarray(fitted, np.float64)


def _principal(directions: np.ndarray) -> np.ndarray:
    """float64 [n, 2]: coordinates along the two axes of largest variance, 0 for a missing axis."""
    centred = directions - directions.mean(axis=0) if len(directions) else directions
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return np.pad(u * s, ((0, 0), (0, 2)))[:, :2]


def _scaled(places: np.ndarray) -> np.ndarray:
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    half = (high - low).max() / 2
    return (places - (low + high) / 2) / (half if half > 0 else 1.0)


def clusters(places: np.ndarray) -> np.ndarray:
    """int [n]: HDBSCAN's cluster of each place, from 0; -1: none."""
    if len(places) <= N_NEIGHBORS:
        return np.full(len(places), -1)
    from sklearn.cluster import HDBSCAN

    return HDBSCAN(
        min_cluster_size=MIN_CLUSTER_SIZE,
        min_samples=MIN_SAMPLES,
        copy=True,  # type: ignore[arg-type]
    ).fit_predict(places)
