"""Where features fire in proteins with coordinates."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from interplm_nb.activations import FeatureActivations
from interplm_nb.progress import progress_bar
from interplm_nb.readers.residue_coordinates import Placed, ResidueCoordinates

_AT_ONCE = 2_000_000
"""Values of one protein that are dense at once."""


class Fired(NamedTuple):
    """The features that fire in one protein, m of them, on its n residues with coordinates."""

    protein: int
    """Place of the protein on the axis."""
    placed: Placed
    features: np.ndarray
    """int64 [m]"""
    values: np.ndarray
    """float64 [n, m], in unit "max"."""
    peak: np.ndarray
    """int64 [m]: the residue, from 0 to n - 1, with the largest value; the first of equals."""


def fired(
    activations: FeatureActivations,
    coordinates: ResidueCoordinates,
    accessions: Collection[str],
    threshold: float,
    features: np.ndarray,
) -> Iterator[Fired]:
    """Yield the features (of those requested) that exceed `threshold` on a residue with
    coordinates, by protein; a protein comes again for further features."""
    offsets, wanted = activations.proteins.offsets, np.zeros(activations.n_features, bool)
    wanted[features] = True
    chosen = sorted(activations.proteins.index(a) for a in accessions)
    names = activations.proteins.accessions
    with progress_bar(total=len(chosen), desc="in space", unit=" proteins") as bar:
        for block in activations.blocks(names[i] for i in chosen):
            last = block.first_row + len(block.values.indptr) - 1
            for protein in [i for i in chosen if block.first_row <= offsets[i] < last]:
                placed = coordinates.placed(names[protein])
                values = block.values[placed.index + (offsets[protein] - block.first_row)]
                highest = values.max(axis=0).toarray().ravel()
                found = np.flatnonzero((highest > threshold) & wanted)
                step = max(1, _AT_ONCE // max(1, len(placed.index)))
                columns = values.tocsc()
                for start in range(0, len(found), step):
                    some = found[start : start + step]
                    dense = columns[:, some].toarray().astype(np.float64)
                    yield Fired(protein, placed, some, dense, dense.argmax(axis=0))
                bar.update()
