"""Dense features as a source of scores: neurons, letters, or affine maps of them, in [0, 1].

Each is scaled between its minimum and maximum over stated residues. Values are streamed to the
counter in blocks and never written to the sparse store.
"""

import hashlib
from collections.abc import Collection, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from interplm_nb.activations import neighbours
from interplm_nb.proteins import Proteins
from interplm_nb.saving import json_hash

_ENTRIES = 4_000_000
_RANGE_ENTRIES = 2**24


class Dense(Protocol):
    """Values of every residue: `Embeddings` (neurons), `Letters`, or a map of either
    (`projection.Projected`).
    """

    @property
    def d_in(self) -> int:
        """Width: values per residue."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash that identifies the values."""
        ...

    def check(self, proteins: Proteins) -> None:
        """Raise ValueError if the proteins are not the ones whose values these are."""
        ...

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """float32 [n, d_in]: a slice of rows, or the rows at int64 indices."""
        ...


class Inputs(Dense, Protocol):
    """Values of every residue that say what they are of: `Embeddings`, or `Letters`."""

    @property
    def plm(self) -> str:
        """The PLM, or what is read instead."""
        ...

    @property
    def plm_revision(self) -> str:
        """The PLM's weights."""
        ...

    @property
    def layer(self) -> int:
        """Layer of the PLM; 0 for what is read instead."""
        ...

    def __len__(self) -> int:
        """Number of residues."""
        ...


class DenseBlock(NamedTuple):
    """Scaled values of whole proteins: float32 [n, d_in], for the rows from `first_row`."""

    first_row: int
    values: np.ndarray


def fit_range(
    embeddings: Dense, rows: np.ndarray, block: int = 65_536
) -> tuple[np.ndarray, np.ndarray]:
    """Minimum and maximum of each feature over these rows: float32 [d_in] each.

    `rows` int64; in `strict` those of train. Read in blocks of at most `block` rows and 16.8
    million values. ValueError without rows.
    """
    if len(rows) == 0:
        raise ValueError("the range of features needs at least one residue; got 0")
    minimum = np.full(embeddings.d_in, np.inf, np.float32)
    maximum = -minimum
    block = max(1, min(block, _RANGE_ENTRIES // embeddings.d_in))
    for start in range(0, len(rows), block):
        values = embeddings[rows[start : start + block]]
        np.minimum(minimum, values.min(axis=0), out=minimum)
        np.maximum(maximum, values.max(axis=0), out=maximum)
    return minimum, maximum


class DenseSource:
    """Dense features in unit "max": (x - minimum) / (maximum - minimum), float32.

    Not clipped: residues outside the fitted range lie below 0 or above 1, which thresholds from 0
    to below 1 treat like 0 and 1. A feature with maximum = minimum is 0 everywhere.
    """

    unit = "max"

    def __init__(
        self, embeddings: Dense, proteins: Proteins, minimum: np.ndarray, maximum: np.ndarray
    ) -> None:
        embeddings.check(proteins)
        self.minimum, self.maximum = (np.asarray(a, np.float32) for a in (minimum, maximum))
        for name, values in (("minimum", self.minimum), ("maximum", self.maximum)):
            if values.shape != (embeddings.d_in,) or not np.isfinite(values).all():
                raise ValueError(
                    f"{name} must be one finite value per feature, shape ({embeddings.d_in},), not "
                    f"shape {values.shape}: {values[:3]}"
                )
        if (self.maximum < self.minimum).any():
            raise ValueError(
                f"feature {int((self.maximum < self.minimum).argmax())} has a maximum below its "
                "minimum; pass minimum, then maximum"
            )
        self.embeddings = embeddings
        self.proteins = proteins

    @property
    def n_features(self) -> int:
        """Number of features: the width of the embeddings or of their map."""
        return self.embeddings.d_in

    @property
    def fingerprint(self) -> str:
        """A hash that identifies the values: of what is scaled, and its range."""
        ranges = [
            hashlib.sha256(values.tobytes()).hexdigest() for values in (self.minimum, self.maximum)
        ]
        return json_hash([self.embeddings.fingerprint, *ranges])

    def __repr__(self) -> str:
        return f"DenseSource({self.embeddings!r} on {self.proteins})"

    def blocks(self, accessions: Collection[str] | None = None) -> Iterator[DenseBlock]:
        """Yield these proteins (None: all), in the order of the axis.

        A block holds whole neighbouring proteins, at most 4 million values.
        """
        places = (
            range(len(self.proteins))
            if accessions is None
            else sorted({self.proteins.index(a) for a in accessions})
        )
        for first, last in neighbours(
            np.asarray(places, np.int64), self.proteins.offsets, _ENTRIES // self.n_features
        ):
            yield self._scaled(first, last)

    def _scaled(self, first: int, last: int) -> DenseBlock:
        spread = self.maximum - self.minimum
        values = self.embeddings[first:last] - self.minimum
        # Divided, not multiplied by 1 / spread, so that the maximum is exactly 1.
        np.divide(values, np.where(spread > 0, spread, 1), out=values)
        values[:, spread == 0] = 0
        return DenseBlock(first, values)
