"""The letters around a residue, as values: what the sequence says without a model."""

import numpy as np

from interplm_nb.proteins import LETTERS, Proteins
from interplm_nb.saving import json_hash

AMINO_ACIDS = LETTERS[:20]
"""The standard ones, in the order of the values; X, B, U, Z and O have none."""

_NONE = len(AMINO_ACIDS)


class Letters:
    """One-hot letters of the residues within `reach` of each: float32 [n_residues, d_in].

    Value 20 (reach + offset) + a is 1 where the residue `offset` away is amino acid a. Beyond the
    ends of the protein all are 0, as for X. Computed when read, and never stored. They can take
    the place of `Embeddings` in `DenseSource` and `linear_probes`.

    Examples
    --------
    >>> letters = Letters(Proteins.from_sequences({"P1": "AC", "P2": "A"}), reach=1)
    >>> [np.flatnonzero(x).tolist() for x in letters[:]]
    [[20, 41], [0, 21], [20]]
    """

    plm_revision = "no model"
    layer = 0

    def __init__(self, proteins: Proteins, reach: int) -> None:
        self.proteins = proteins
        self.reach = reach
        places = np.full(256, _NONE, np.int8)
        places[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(_NONE)
        letters = places[proteins.letters]
        protein = np.repeat(np.arange(len(proteins)), proteins.lengths)
        self._letters = np.full((len(letters), 2 * reach + 1), _NONE, np.int8)
        for offset in range(-reach, reach + 1):
            rows = np.arange(max(0, -offset), len(letters) - max(0, offset))
            inside = rows[protein[rows] == protein[rows + offset]]
            self._letters[inside, reach + offset] = letters[inside + offset]

    @property
    def plm(self) -> str:
        """What a record says where embeddings name their model."""
        return f"letters within {self.reach} residues"

    @property
    def d_in(self) -> int:
        """Width: 20 values for each place of the window."""
        return len(AMINO_ACIDS) * (2 * self.reach + 1)

    @property
    def fingerprint(self) -> str:
        """A hash that identifies the values."""
        return json_hash([self.plm, self.proteins.sequence_hash])

    def check(self, proteins: Proteins) -> None:
        """Raise ValueError if the proteins are not the ones whose letters these are."""
        if proteins.sequence_hash != self.proteins.sequence_hash:
            raise ValueError(
                f"these are the letters of {self.proteins}, not of {proteins}; make them of the "
                "latter"
            )

    def __len__(self) -> int:
        return len(self._letters)

    def __reduce__(self) -> "tuple[type[Letters], tuple[Proteins, int]]":
        """A pickle carries the proteins, without what was derived from them."""
        return type(self), (self.proteins, self.reach)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """float32 [n, d_in]: a slice of rows, or the rows at int64 indices."""
        letters = self._letters[rows]
        on = letters[:, :, None] == np.arange(_NONE, dtype=np.int8)
        return on.reshape(len(letters), self.d_in).astype(np.float32)

    def __repr__(self) -> str:
        return f"Letters(within {self.reach} residues, {self.proteins})"
