"""Which residues are neighbours: in the sequence, in space, or in space and far in the sequence."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from interplm_nb.readers.residue_coordinates import Placed


@dataclass(frozen=True)
class Neighbours:
    """A rule: residues j != i that are neighbours of residue i.

    Examples
    --------
    >>> line = np.arange(4.0)[:, None] * [3.8, 0, 0]
    >>> placed = Placed(np.arange(4), line, line)
    >>> SEQUENCE.weights(placed).toarray().tolist()[0]
    [0.0, 0.5, 0.5, 0.0]
    >>> SPACE.weights(placed).toarray().tolist()[0]
    [0.0, 1.0, 0.0, 0.0]
    """

    name: str
    """What tables call it."""
    window: int | None = None
    """|i - j| is at most this; None: any."""
    radius: float | None = None
    """The alpha carbons are at most this far apart, in angstrom; None: any."""
    apart: int = 1
    """|i - j| is at least this."""

    def weights(self, placed: Placed) -> csr_array:
        """float64 [n, n]: in row i, 1 / k at each of the k neighbours of residue i.

        A row is empty where a residue has no neighbour.
        """
        pairs = self._pairs(placed)
        gap = placed.index[pairs[:, 1]] - placed.index[pairs[:, 0]]
        pairs = pairs[(gap >= self.apart) & (gap <= (self.window or gap.max(initial=0)))]
        rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
        n = len(placed.index)
        counts = np.bincount(rows, minlength=n)
        weights = csr_array((1 / counts[rows], (rows, columns)), shape=(n, n))
        weights.sort_indices()
        return weights

    def _pairs(self, placed: Placed) -> np.ndarray:
        """int64 [m, 2]: pairs i < j that may be neighbours."""
        if self.radius is not None:
            from scipy.spatial import KDTree

            return KDTree(placed.alpha).query_pairs(self.radius, output_type="ndarray")
        assert self.window is not None
        n = len(placed.index)
        first = np.repeat(np.arange(n), self.window)
        pairs = np.column_stack([first, first + np.tile(np.arange(1, self.window + 1), n)])
        return pairs[pairs[:, 1] < n]


WINDOW = 2
"""Residues on either side that are neighbours in the sequence."""
RADIUS = 6.0
"""Angstrom between alpha carbons of neighbours in space."""

SEQUENCE = Neighbours("sequence", window=WINDOW)
SPACE = Neighbours("space", radius=RADIUS)
SPACE_6 = Neighbours("space, 6 or more apart", radius=RADIUS, apart=6)
SPACE_12 = Neighbours("space, 12 or more apart", radius=RADIUS, apart=12)
