"""Directions of the embeddings as features: principal and independent components.

These controls use only the geometry of the embeddings. The sign of a component is arbitrary, so
each gives two features: 2i is its positive side, max(x, 0), 2i + 1 its negative side, max(-x, 0),
each as a fraction of its maximum on train, with 0 at the mean of train. A side is sparse like an
SAE's feature and finds more concepts than a component scaled between its minimum and maximum, as
neurons are: the stronger control of the two.

For embeddings wider than `MAX_COMPONENTS`, only the leading principal components are kept and
unmixed, since time grows with their number and the last ones are noise. The projection's settings
record their share of the variance.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.linalg import eigh

import interplm_nb
from interplm_nb.checksums import DamagedFileError
from interplm_nb.concepts.controls.dense import DenseSource, Inputs, fit_range
from interplm_nb.concepts.controls.unmixing import unmixed
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.saving import atomic_path, file_hash, json_hash, read_json, write_json

WEIGHTS, RECORD = "projection.safetensors", "projection.json"
KIND, VERSION = "Projection", 2
TWO_SIDED = ("pca", "ica")
"""Kinds whose features are sides of components."""

MAX_COMPONENTS = 256
"""Components kept by default. Up to this width all are kept, and products are in float64."""

_BLOCK = 65_536
_ENTRIES = 2**24
_ARRAYS = ("W", "b", "minimum", "maximum")
_log = logging.getLogger(__name__)


class Projected:
    """x W + b of every residue: float32 [n_residues, n_features], computed when read.

    `two_sided`: max(x W + b, 0), where each odd column of W is the negative of the even one before
    it, which halves the products. Summed in float64 and then rounded, so that a residue's value
    does not depend on the rows read with it.
    """

    def __init__(
        self, embeddings: Inputs, W: np.ndarray, b: np.ndarray, two_sided: bool = False
    ) -> None:
        if W.shape != (embeddings.d_in, len(b)):
            raise ValueError(
                f"W must be [d_in, n_features] and b [n_features], with d_in = {embeddings.d_in}; "
                f"got {W.shape} and {b.shape}"
            )
        if two_sided and not np.array_equal(W[:, 1::2], -W[:, ::2]):
            raise ValueError(
                "the two sides of a component must be columns of W with opposite signs"
            )
        self.embeddings = embeddings
        self._W, self._b, self._two_sided = W.astype(np.float64), b.astype(np.float64), two_sided
        self._directions = np.ascontiguousarray(self._W[:, ::2]) if two_sided else self._W

    @property
    def d_in(self) -> int:
        """Width: features per residue."""
        return len(self._b)

    @property
    def fingerprint(self) -> str:
        """A hash of the map and of its embeddings."""
        return json_hash(
            [
                self.embeddings.fingerprint,
                self._two_sided,
                *(hashlib.sha256(array.tobytes()).hexdigest() for array in (self._W, self._b)),
            ]
        )

    def check(self, proteins: Proteins) -> None:
        """Raise ValueError for other proteins than the embedded ones."""
        self.embeddings.check(proteins)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """float32 [n, n_features]: a slice of rows, or the rows at int64 indices."""
        n = len(self.embeddings)
        places = np.arange(n)[rows] if isinstance(rows, slice) else np.asarray(rows)
        values = np.empty((len(places), self.d_in), np.float32)
        for at in _blocks(len(places), self.embeddings.d_in):
            products = self.embeddings[places[at]].astype(np.float64) @ self._directions
            if self._two_sided:
                values[at, ::2] = np.maximum(products + self._b[::2], 0)
                values[at, 1::2] = np.maximum(self._b[1::2] - products, 0)
            else:
                values[at] = products + self._b
        return values

    def __repr__(self) -> str:
        return f"Projected({self.d_in} features of {self.embeddings!r})"


@dataclass(frozen=True)
class Projection:
    """An affine map of one layer's embeddings, or of letters, scaled to [0, 1] over a range.

        (x W + b - minimum) / (maximum - minimum)

    W: float32 [d_in, n_features]; b, minimum, maximum: float32 [n_features]; all finite. `names`
    has the name of each feature.
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
                    f"{name} of a projection on {n} features is finite float32 {shape}, not "
                    f"{array.dtype} {array.shape}"
                )

    @classmethod
    def fit(
        cls,
        kind: str,
        embeddings: Inputs,
        rows: np.ndarray,
        W: np.ndarray,
        b: np.ndarray,
        names: tuple[str, ...],
        settings: Mapping[str, Any],
    ) -> Self:
        """Make a projection with the range of its values over `rows` (int64, of train)."""
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

    def on(self, embeddings: Inputs, proteins: Proteins) -> DenseSource:
        """The features of these proteins, as a source of scores.

        ValueError for embeddings of another PLM, other weights or another layer than fitted on.
        """
        if (embeddings.plm, embeddings.plm_revision, embeddings.layer) != (
            self.plm,
            self.plm_revision,
            self.layer,
        ):
            raise ValueError(
                f"this projection ({self.kind}) was fitted on {self.plm} "
                f"({self.plm_revision[:19]}), layer {self.layer}; the embeddings are of "
                f"{embeddings.plm} ({embeddings.plm_revision[:19]}), layer {embeddings.layer}: "
                "pass the former, or fit a projection on the latter"
            )
        values = Projected(embeddings, self.W, self.b, self.kind in TWO_SIDED)
        return DenseSource(values, proteins, self.minimum, self.maximum)

    def save(self, folder: Path) -> None:
        """Write `projection.safetensors` and `projection.json`, each atomically.

        The record has the weights' hash, so that an interrupted save is noticed.
        """
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
        """Read what `save` wrote.

        FileNotFoundError if it is missing, ValueError for weights that do not match the record.
        """
        for needed in (folder / RECORD, folder / WEIGHTS):
            if not needed.is_file():
                raise FileNotFoundError(
                    f"{needed}: no such file; a projection is a folder with {WEIGHTS} and {RECORD}"
                )
        about = read_json(folder / RECORD, KIND, VERSION)
        if file_hash(folder / WEIGHTS) != about["weights"]:
            raise DamagedFileError(
                folder / WEIGHTS, f"these are not the weights that {RECORD} was written for"
            )
        try:
            arrays = load_file(folder / WEIGHTS)
        except SafetensorError as error:
            raise DamagedFileError(
                folder / WEIGHTS, f"not a readable safetensors file ({error})"
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


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance (divided by n) of some residues."""

    mean: np.ndarray
    """float64 [d_in]."""
    covariance: np.ndarray
    """float64 [d_in, d_in]."""
    _axes: dict[int, tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict, init=False, repr=False
    )

    @classmethod
    def of(cls, embeddings: Embeddings, rows: np.ndarray) -> Self:
        """Compute the moments of these rows (int64) in one pass over blocks.

        Blocks are summed in float64. The products within a block are float64 up to a width of
        `MAX_COMPONENTS`, and float32 beyond it, about three times as fast: the error of a
        covariance is then about 1e-6 of the product of the two deviations, and axes with less than
        1e-6 of the largest variance are lost. ValueError for fewer than two rows.
        """
        if len(rows) < 2:
            raise ValueError(f"a covariance needs at least two residues; got {len(rows)}")
        total, products = np.zeros(embeddings.d_in), np.zeros((embeddings.d_in, embeddings.d_in))
        # Moments about a point among the residues lose no digits if a mean is far from 0.
        origin = _origin(embeddings, rows)
        for at in _blocks(len(rows), embeddings.d_in):
            x = embeddings[rows[at]] - origin
            total += x.sum(axis=0, dtype=np.float64)
            products += x.T @ x
        mean = total / len(rows)
        return cls(mean + origin, products / len(rows) - np.outer(mean, mean))

    def axes(self, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Principal axes [d_in, k] and their variances [k], largest first, at most `n` (None: all).

        Axes without variance are left out: those with at most 1e-10 of the largest (1e-6 for
        float32 products, see `of`). The entry of largest absolute value of an axis is positive.
        """
        n = min(n or len(self.mean), len(self.mean))
        if n not in self._axes:
            self._axes[n] = self._leading(n)
        return self._axes[n]

    def _leading(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        d = len(self.mean)
        if n == d:
            variances, axes = np.linalg.eigh(self.covariance)
        else:
            variances, axes = eigh(self.covariance, subset_by_index=(d - n, d - 1))
        least = 1e-10 if d <= MAX_COMPONENTS else 1e-6
        some = variances > least * max(variances[-1], 0)
        if not some.any():
            raise ValueError("all residues have the same embedding, so there are no components")
        axes, variances = axes[:, some][:, ::-1], variances[some][::-1]
        return _positive(axes), variances


def _origin(embeddings: Embeddings, rows: np.ndarray) -> np.ndarray:
    """[d_in]: the first residue, float64; for wide embeddings, the mean of some, float32."""
    if embeddings.d_in <= MAX_COMPONENTS:
        return embeddings[rows[:1]][0].astype(np.float64)
    return embeddings[rows[:: -(-len(rows) // 4096)]].mean(axis=0)


def _blocks(n: int, width: int) -> Iterator[slice]:
    """Split n rows into blocks of at most 65,536 rows and 16.8 million values."""
    rows = max(1, min(_BLOCK, _ENTRIES // width))
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def pca(
    embeddings: Embeddings,
    rows: np.ndarray,
    moments: Moments | None = None,
    n_components: int | None = MAX_COMPONENTS,
) -> Projection:
    """Exact principal components of these rows, in descending order of variance.

    Parameters
    ----------
    embeddings : Embeddings
        Of the rows' proteins.
    rows : np.ndarray
        int64, those of train.
    moments : Moments, optional
        Of these rows, if known; saves a pass.
    n_components : int, optional
        How many components to keep (None: all).

    Returns
    -------
    Projection
        Two features per component, see the module. settings: n_residues, and explained_variance,
        the share of each component.
    """
    moments = moments or Moments.of(embeddings, rows)
    axes, variances = moments.axes(n_components)
    settings = {
        "n_residues": len(rows),
        "explained_variance": (variances / np.trace(moments.covariance)).tolist(),
    }
    return _two_sided("pca", embeddings, rows, axes, moments, settings)


def ica(
    embeddings: Embeddings,
    rows: np.ndarray,
    moments: Moments | None = None,
    n_components: int | None = MAX_COMPONENTS,
    sample: int = 25_000,
    max_iter: int = 500,
    seed: int = 0,
) -> Projection:
    """Independent components (contrast logcosh; Hyvärinen & Oja 2000) of some residues.

    If the search (`unmixing.unmixed`) does not converge, this is logged and recorded in `settings`,
    and the components are used as they are.

    Parameters
    ----------
    embeddings : Embeddings
        Of the rows' proteins.
    rows : np.ndarray
        int64, those of train.
    moments : Moments, optional
        Of these rows, if known; saves a pass.
    n_components : int, optional
        How many leading principal components to unmix (None: all).
    sample : int
        Number of rows to fit on, whitened by their PCA.
    max_iter : int
        Maximum number of steps.
    seed : int
        Of the sample and of the rotation that the search starts from.

    Returns
    -------
    Projection
        Two features per component, see the module. settings: n_residues, seed, steps, gradient
        (the largest entry at the end), converged, and explained_variance, the share that the
        unmixed components hold.
    """
    moments = moments or Moments.of(embeddings, rows)
    axes, variances = moments.axes(n_components)
    whitening = axes / np.sqrt(variances)
    chosen = (
        rows
        if len(rows) <= sample
        else np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    )
    white = np.empty((len(chosen), len(variances)), np.float32)
    for at in _blocks(*white.shape):
        white[at] = (embeddings[chosen[at]] - moments.mean) @ whitening
    found = unmixed(white, max_iter, seed=seed)
    if not found.converged:
        _log.warning(
            "ICA did not converge in %d steps on %d residues x %d (gradient %.1e); its components "
            "are used as they are",
            found.steps,
            *white.shape,
            found.gradient,
        )
    settings = {
        "n_residues": len(chosen),
        "seed": seed,
        "steps": found.steps,
        "gradient": found.gradient,
        "converged": found.converged,
        "explained_variance": float(variances.sum() / np.trace(moments.covariance)),
    }
    directions = _positive(whitening @ found.rotation)
    return _two_sided("ica", embeddings, rows, directions, moments, settings)


def _positive(axes: np.ndarray) -> np.ndarray:
    """The columns, signed so that the entry of largest absolute value is positive."""
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
    axes = axes.astype(np.float32)
    b = (-moments.mean @ axes.astype(np.float64)).astype(np.float32)
    minimum, maximum = fit_range(
        Projected(embeddings, axes, b), _extreme(embeddings, rows, axes, moments.mean)
    )
    names = tuple(
        f"component {i}, {side} side"
        for i in range(axes.shape[1])
        for side in ("positive", "negative")
    )
    return Projection(
        kind,
        embeddings.plm,
        embeddings.plm_revision,
        embeddings.layer,
        W=_sides(axes),
        b=_sides(b),
        minimum=np.zeros(len(names), np.float32),
        maximum=np.stack([maximum, -minimum], axis=-1).reshape(-1),
        names=names,
        settings=settings,
    )


def _sides(values: np.ndarray) -> np.ndarray:
    """[..., 2k]: each of k columns, followed by its negative."""
    return np.stack([values, -values], axis=-1).reshape(*values.shape[:-1], -1)


def _extreme(
    embeddings: Embeddings, rows: np.ndarray, axes: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """int64: rows where a component may have its minimum or maximum, and few others.

    Products are float32. A row is kept if one of its products is within rounding error of the
    extreme (Higham 2002, eq. 3.5), so that few rows need exact products.
    """
    kept: list[np.ndarray] = []
    lengths = np.linalg.norm(axes, axis=0)
    top, unit = np.full(axes.shape[1], -np.inf, np.float32), np.finfo(np.float32).eps
    low = -top
    for at in _blocks(len(rows), embeddings.d_in):
        x = embeddings[rows[at]]
        longest = np.linalg.norm(x, axis=1).max()
        x = x - mean.astype(np.float32)
        longest = longest + len(axes) * np.linalg.norm(x, axis=1).max()
        error = 2 * unit * longest * lengths
        z = x @ axes
        np.maximum(top, z.max(axis=0), out=top)
        np.minimum(low, z.min(axis=0), out=low)
        kept.append(rows[at][((z >= top - error) | (z <= low + error)).any(axis=1)])
    return np.concatenate(kept)
