"""A map of all features: those whose decoder vectors point the same way lie side by side."""

import warnings

import numpy as np
import polars as pl

N_NEIGHBORS = 15
"""Neighbours that UMAP keeps together (InterPLM's number, as are the next three)."""
MIN_DIST = 0.1
"""How close UMAP may put two points."""
MIN_CLUSTER_SIZE = 5
MIN_SAMPLES = 3

ATLAS = {"feature": pl.UInt32, "x": pl.Float32, "y": pl.Float32, "cluster": pl.Int32}
"""Columns of `atlas`."""


def atlas(decoder: np.ndarray, alive: np.ndarray, seed: int = 0) -> pl.DataFrame:
    """One row per living feature, in order, with the columns of `ATLAS`; a dead feature has none.

    `decoder` [n_features, d_in] holds the decoder vectors (`W_dec`), `alive` bool [n_features] says which features fire at all. x and y are
    UMAP's coordinates of the vectors by cosine distance (so their lengths do not matter), centred, both divided by one number so that the longer
    side runs from -1 to 1; equal seeds give equal maps on one machine. Up to `N_NEIGHBORS` features are too few for UMAP: they get the first two
    principal axes of their directions, and no cluster.

    cluster counts from 0, -1 is none: HDBSCAN on x and y. Directions in d_in dimensions lie about equally far apart: on those of the demo SAE HDBSCAN
    leaves 76 % of the features without a cluster, on their map 18 %. A map is a hint, not a measurement: of the demo SAE the mean cosine of two
    features is 0.13 within a cluster and 0.003 in all. Take the cosine of two vectors before you call them alike.
    Source: InterPLM, arXiv 2412.12101, Methods (UMAP of normalised decoder weights). ValueError where the two arrays do not fit.
    """
    if decoder.ndim != 2 or alive.dtype != bool or alive.shape != decoder.shape[:1]:
        raise ValueError(
            f"an atlas takes decoder vectors [n_features, d_in] and a bool per feature, not {decoder.shape} and {alive.dtype} of {alive.shape}"
        )
    vectors = decoder[alive].astype(np.float64)
    directions = vectors / np.maximum(
        np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny
    )
    places = _scaled(
        _umap(directions, seed) if len(directions) > N_NEIGHBORS else _principal(directions)
    )
    columns = {
        "feature": np.flatnonzero(alive),
        "x": places[:, 0],
        "y": places[:, 1],
        "cluster": _clusters(places),
    }
    return pl.DataFrame(columns, schema=ATLAS)


def _umap(directions: np.ndarray, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        # umap warns that its parametric half needs TensorFlow; it isn't used here.
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP
    from threadpoolctl import threadpool_limits

    # numba sets the threads of every OpenMP library of the process, PyTorch's too, and leaves them so: sums would have other bits from then on.
    with threadpool_limits(1, "openmp"):
        fitted = UMAP(
            metric="cosine", n_neighbors=N_NEIGHBORS, min_dist=MIN_DIST, random_state=seed, n_jobs=1
        ).fit_transform(directions)
    return np.asarray(fitted, np.float64)


def _principal(directions: np.ndarray) -> np.ndarray:
    """float64 [n, 2]: coordinates along the two axes of largest variance, 0 where there is none."""
    centred = directions - directions.mean(axis=0) if len(directions) else directions
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return np.pad(u * s, ((0, 0), (0, 2)))[:, :2]


def _scaled(places: np.ndarray) -> np.ndarray:
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    half = (high - low).max() / 2
    return (places - (low + high) / 2) / (half if half > 0 else 1.0)


def _clusters(places: np.ndarray) -> np.ndarray:
    """int [n]."""
    if len(places) <= N_NEIGHBORS:
        return np.full(len(places), -1)
    from sklearn.cluster import HDBSCAN

    return HDBSCAN(
        min_cluster_size=MIN_CLUSTER_SIZE,
        min_samples=MIN_SAMPLES,
        copy=True,  # type: ignore[arg-type]
    ).fit_predict(places)
