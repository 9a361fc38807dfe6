"""Feature activations that are encoded when they are requested and not stored, for callers that
read each residue once."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from interplm_nb.activations import FeatureActivations, Unit
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.encode import check_company
from interplm_nb.sae.encoded import encoded
from interplm_nb.sae.model import SAE

_ROWS = 2**15


def on_demand(
    sae: SAE, embeddings: Embeddings, proteins: Proteins, unit: Unit | None = None
) -> FeatureActivations:
    """What `encode_to` would store, without storing it: each block is encoded when it is read.

    `unit` is the SAE's own unless given; "raw" treats what an SAE of unit "max" encodes, fractions
    of its publisher's maxima, as values that are still to be scaled.

    The embeddings must be of `proteins`, from the SAE's own PLM and layer (ValueError, naming
    both). Reading features, or counting all of them, encodes every residue: store what is read
    more than once.
    """
    check_company(sae, embeddings, proteins)
    about = {
        "plm": embeddings.plm,
        "plm_revision": embeddings.plm_revision,
        "layer": embeddings.layer,
        "sae": sae.weight_hash,
    }
    return FeatureActivations(
        _Encoded(sae, embeddings), proteins, unit or ("raw" if sae.unit == "raw" else "max"), about
    )


class _Encoded:
    """Entries for `FeatureActivations`."""

    def __init__(self, sae: SAE, embeddings: Embeddings) -> None:
        self._sae, self._embeddings = sae, embeddings
        self.n_features = sae.d_sae

    def rows(self, first: int, last: int) -> sparse.csr_array:
        """float32 [last - first, n_features]"""
        parts = [
            part
            for start in range(first, last, _ROWS)
            for _, part in encoded(self._sae, self._embeddings[start : min(start + _ROWS, last)])
        ]
        return (
            sparse.csr_array(sparse.vstack(parts, format="csr"))
            if parts
            else sparse.csr_array((0, self.n_features), dtype=np.float32)
        )

    def counts(self) -> np.ndarray:
        """int64 [n_features]: residues on which each feature is active."""
        counts = np.zeros(self.n_features, np.int64)
        for _, block in self._blocks():
            counts += np.bincount(block.indices, minlength=self.n_features)
        return counts

    def maxima(self) -> np.ndarray:
        """float32 [n_features]"""
        maxima = np.zeros(self.n_features, np.float32)
        for _, block in self._blocks():
            np.maximum.at(maxima, block.indices, block.data)
        return maxima

    def feature(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows (int64) and values (float32) of one feature."""
        found = [
            (first + part.nonzero()[0], part.data)
            for first, block in self._blocks()
            if (part := block[:, [feature]]).nnz
        ]
        rows, values = (
            zip(*found, strict=True)
            if found
            else ((np.empty(0, np.int64),), (np.empty(0, np.float32),))
        )
        return np.concatenate(rows).astype(np.int64), np.concatenate(values)

    def features(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, features and values (float32) of features `first` to `last` (excluded), by
        feature."""
        parts = [block[:, first:last] for _, block in self._blocks()]
        empty = sparse.csr_array((0, last - first), dtype=np.float32)
        columns = sparse.csc_array(sparse.vstack(parts or [empty]))
        columns.sort_indices()
        features = np.repeat(np.arange(first, last), np.diff(columns.indptr))
        return columns.indices, features, columns.data

    def _blocks(self) -> Iterator[tuple[int, sparse.csr_array]]:
        for first in range(0, len(self._embeddings), _ROWS):
            yield first, self.rows(first, min(first + _ROWS, len(self._embeddings)))
