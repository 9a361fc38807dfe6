"""Directions of the embeddings as features: principal and independent components, the controls that know of the embeddings' geometry alone.

The sign of a component is arbitrary, so each gives two features: 2i is its positive side, max(x, 0), 2i + 1 its negative side, max(-x, 0), each as a
fraction of its maximum on train. 0 is the mean of train. So a component is silent on one side, as an SAE's feature is, which finds more concepts
than scaling it between its minimum and maximum, as neurons are, does: the stronger of the two controls.
"""

import hashlib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import interplm_nb
from interplm_nb.concepts.controls.dense import DenseSource, fit_range
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.saving import atomic_path, file_hash, json_hash, read_json, write_json

WEIGHTS, RECORD = "projection.safetensors", "projection.json"
KIND, VERSION = "Projection", 1
TWO_SIDED = ("pca", "ica")
"""Kinds whose features are the sides of components."""

_BLOCK = 65_536
_ARRAYS = ("W", "b", "minimum", "maximum")
_log = logging.getLogger(__name__)


class Projected:
    """x W + b of every residue, or max(x W + b, 0) where it is `rectified`: float32 [n_residues, n_features], made as it is read.

    Summed in float64 and then rounded, so that a residue's value does not depend on the rows that it is read with.
    """

    def __init__(
        self, embeddings: Embeddings, W: np.ndarray, b: np.ndarray, rectified: bool = False
    ) -> None:
        if W.shape != (embeddings.d_in, len(b)):
            raise ValueError(
                f"W is [d_in, n_features] and b [n_features], with d_in = {embeddings.d_in}; they are {W.shape} and {b.shape}"
            )
        self.embeddings = embeddings
        self._W, self._b, self._rectified = W.astype(np.float64), b.astype(np.float64), rectified

    @property
    def d_in(self) -> int:
        """Width: features per residue."""
        return len(self._b)

    @property
    def fingerprint(self) -> str:
        """A hash of the map and of the embeddings that it takes."""
        return json_hash(
            [
                self.embeddings.fingerprint,
                self._rectified,
                *(hashlib.sha256(array.tobytes()).hexdigest() for array in (self._W, self._b)),
            ]
        )

    def check(self, proteins: Proteins) -> None:
        """Refuse other proteins than those that are embedded (ValueError)."""
        self.embeddings.check(proteins)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """float32 [n, n_features]: a slice of rows, or the rows at int64 indices."""
        values = (self.embeddings[rows].astype(np.float64) @ self._W + self._b).astype(np.float32)
        return np.maximum(values, 0, out=values) if self._rectified else values

    def __repr__(self) -> str:
        return f"Projected({self.d_in} features of {self.embeddings!r})"


@dataclass(frozen=True)
class Projection:
    """An affine map of the embeddings of one layer, and the range that is scaled to [0, 1]: (x W + b - minimum) / (maximum - minimum).

    W: float32 [d_in, n_features]; b, minimum, maximum: float32 [n_features]; all finite. `names` says what each feature is.
    """

    kind: str
    """"pca", "ica" or "linear_probe"."""
    plm: str
    plm_revision: str
    layer: int
    W: np.ndarray
    b: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    names: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How it was fitted (JSON)."""

    def __post_init__(self) -> None:
        n = len(self.names)
        wanted = {"W": (self.W.shape[0], n)} | dict.fromkeys(_ARRAYS[1:], (n,))
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
                raise ValueError(
                    f"{name} of a projection on {n} features is finite float32 {shape}, not {array.dtype} {array.shape}"
                )

    @classmethod
    def fit(
        cls,
        kind: str,
        embeddings: Embeddings,
        rows: np.ndarray,
        W: np.ndarray,
        b: np.ndarray,
        names: tuple[str, ...],
        settings: Mapping[str, Any],
    ) -> Self:
        """The projection with the range of its values over `rows` (int64, those of train)."""
        W, b = W.astype(np.float32), b.astype(np.float32)
        minimum, maximum = fit_range(Projected(embeddings, W, b), rows)
        return cls(
            kind,
            embeddings.plm,
            embeddings.plm_revision,
            embeddings.layer,
            W,
            b,
            minimum,
            maximum,
            names,
            settings,
        )

    def on(self, embeddings: Embeddings, proteins: Proteins) -> DenseSource:
        """The features of these proteins, as a source of scores. ValueError for embeddings of another PLM, other weights or another layer."""
        if (embeddings.plm, embeddings.plm_revision, embeddings.layer) != (
            self.plm,
            self.plm_revision,
            self.layer,
        ):
            raise ValueError(
                f"this projection ({self.kind}) was fitted on {self.plm} ({self.plm_revision[:19]}), layer {self.layer}; the embeddings are of "
                f"{embeddings.plm} ({embeddings.plm_revision[:19]}), layer {embeddings.layer}: give those, or fit one on these"
            )
        values = Projected(embeddings, self.W, self.b, rectified=self.kind in TWO_SIDED)
        return DenseSource(values, proteins, self.minimum, self.maximum)

    def save(self, folder: Path) -> None:
        """Write `projection.safetensors` and `projection.json`, each atomically; the record names the weights' hash: a half-done save is noticed."""
        with atomic_path(folder / WEIGHTS) as draft:
            save_file({name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}, draft)
        about = {
            "type": KIND,
            "version": VERSION,
            "package": interplm_nb.__version__,
            "weights": file_hash(folder / WEIGHTS),
        }
        about |= {name: getattr(self, name) for name in ("kind", "plm", "plm_revision", "layer")}
        write_json(
            about | {"names": list(self.names), "settings": dict(self.settings)}, folder / RECORD
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. FileNotFoundError where it is missing, ValueError for weights that are not the record's."""
        for needed in (folder / RECORD, folder / WEIGHTS):
            if not needed.is_file():
                raise FileNotFoundError(
                    f"{needed}: no such file; a projection is a folder with {WEIGHTS} and {RECORD}"
                )
        about = read_json(folder / RECORD, KIND, VERSION)
        if file_hash(folder / WEIGHTS) != about["weights"]:
            raise ValueError(
                f"{folder / WEIGHTS}: these are not the weights that {RECORD} was written for; fit or copy the projection again"
            )
        try:
            arrays = load_file(folder / WEIGHTS)
        except SafetensorError as error:
            raise ValueError(
                f"{folder / WEIGHTS}: not a readable safetensors file ({error}); fit or copy the projection again"
            ) from error
        W, b, minimum, maximum = (arrays[name] for name in _ARRAYS)
        names, settings = tuple(about["names"]), about["settings"]
        return cls(
            about["kind"],
            about["plm"],
            about["plm_revision"],
            about["layer"],
            W,
            b,
            minimum,
            maximum,
            names,
            settings,
        )


class Moments(NamedTuple):
    """Mean, float64 [d_in], and covariance (divided by n), float64 [d_in, d_in], of some residues."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, embeddings: Embeddings, rows: np.ndarray) -> Self:
        """Of these rows (int64), in one pass: sum x and sum x x^T in float64, block by block. ValueError for fewer than two rows."""
        if len(rows) < 2:
            raise ValueError(f"a covariance needs at least two residues; {len(rows)} given")
        total, products = np.zeros(embeddings.d_in), np.zeros((embeddings.d_in, embeddings.d_in))
        # Moments about the first residue: no digits are lost where a dimension's mean is far from 0.
        origin = embeddings[rows[:1]].astype(np.float64)
        for start in range(0, len(rows), _BLOCK):
            x = embeddings[rows[start : start + _BLOCK]] - origin
            total += x.sum(axis=0)
            products += x.T @ x
        mean = total / len(rows)
        return cls(mean + origin[0], products / len(rows) - np.outer(mean, mean))

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Principal axes [d_in, k] and their variances [k], largest first; axes without variance (1e-10 of the largest or less) are left out.

        The entry of an axis that is largest in size is positive.
        """
        variances, axes = np.linalg.eigh(self.covariance)
        some = variances > 1e-10 * max(variances[-1], 0)
        if not some.any():
            raise ValueError("all residues have the same embedding; there is no component to find")
        axes, variances = axes[:, some][:, ::-1], variances[some][::-1]
        return _positive(axes), variances


def pca(embeddings: Embeddings, rows: np.ndarray, moments: Moments | None = None) -> Projection:
    """Principal components of these rows (int64, those of train), exact: the eigenvectors of their covariance, by variance downward.

    `moments` saves a pass where those of these rows are known. Each component is two features, see the module.
    """
    moments = moments or Moments.of(embeddings, rows)
    axes, variances = moments.axes()
    settings = {
        "n_residues": len(rows),
        "explained_variance": (variances / np.trace(moments.covariance)).tolist(),
    }
    return _two_sided("pca", embeddings, rows, axes, moments, settings)


def ica(
    embeddings: Embeddings,
    rows: np.ndarray,
    moments: Moments | None = None,
    n_components: int | None = None,
    sample: int = 50_000,
    max_iter: int = 200,
    seed: int = 0,
) -> Projection:
    """Independent components (FastICA, logcosh; Hyvärinen & Oja 2000) of `sample` of these rows (int64, those of train), whitened by their PCA.

    n_components: the leading principal components that are unmixed (None: all). Where it does not converge in `max_iter` steps, that is logged and
    stands in `settings`; the components are used as they are. Each component is two features, see the module.
    """
    moments = moments or Moments.of(embeddings, rows)
    axes, variances = (part[..., :n_components] for part in moments.axes())
    whitening = axes / np.sqrt(variances)
    chosen = (
        rows
        if len(rows) <= sample
        else np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    )
    white = ((embeddings[chosen] - moments.mean) @ whitening).astype(np.float32)
    unmixing, converged = _unmixed(white, max_iter, seed)
    settings = {
        "n_residues": len(chosen),
        "max_iter": max_iter,
        "seed": seed,
        "converged": converged,
    }
    return _two_sided("ica", embeddings, rows, _positive(whitening @ unmixing), moments, settings)


def _unmixed(white: np.ndarray, max_iter: int, seed: int) -> tuple[np.ndarray, bool]:
    """float64 [k, k]: columns that take whitened values to independent components; and whether FastICA converged."""
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    # scikit-learn's stub infers a string from the default.
    model = FastICA(whiten=False, max_iter=max_iter, random_state=seed)  # pyright: ignore[reportArgumentType]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(white)
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    if not converged:
        _log.warning(
            "FastICA did not converge in %d steps on %d residues x %d; its components are used as they are",
            max_iter,
            *white.shape,
        )
    return model.components_.T.astype(np.float64), converged


def _positive(axes: np.ndarray) -> np.ndarray:
    """The columns with the sign by which the entry that is largest in size is positive."""
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.sign(axes[largest, np.arange(axes.shape[1])])


def _two_sided(
    kind: str,
    embeddings: Embeddings,
    rows: np.ndarray,
    axes: np.ndarray,
    moments: Moments,
    settings: dict[str, Any],
) -> Projection:
    W = np.stack([axes, -axes], axis=-1).reshape(len(axes), -1)
    names = tuple(
        f"component {i}, {side} side"
        for i in range(axes.shape[1])
        for side in ("positive", "negative")
    )
    found = Projection.fit(kind, embeddings, rows, W, -moments.mean @ W, names, settings)
    return replace(found, minimum=np.zeros_like(found.minimum))
