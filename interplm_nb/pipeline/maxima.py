"""The range of each feature's activations, which makes features comparable: unit `max` is a share
of the maximum."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from interplm_nb.saving import read_parquet, write_parquet


@dataclass(frozen=True, eq=False)
class Maxima:
    """Each feature's largest activation, in unit `raw`.

    Parameters
    ----------
    train
        float32 [n_features]: over the residues of `train`. 0 where a feature never fires there.
    everywhere
        float32 [n_features]: over all residues; None where only `train` was measured.
    minimum_train, minimum_everywhere
        float32 [n_features]: the smallest values, for sources that are scaled by their range,
        such as neurons.

    Examples
    --------
    >>> import numpy as np
    >>> maxima = Maxima(np.float32([0, 2]), np.float32([1, 3]))
    >>> maxima.alive.tolist()
    [False, True]
    >>> maxima.of("published").tolist()
    [1.0, 3.0]
    """

    train: np.ndarray
    everywhere: np.ndarray | None = None
    minimum_train: np.ndarray | None = None
    minimum_everywhere: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.train)

    @property
    def alive(self) -> np.ndarray:
        """bool [n_features]: features that fire on a residue of `train`."""
        return self.train > 0

    def of(self, convention: str) -> np.ndarray:
        """What a convention scales by: `train` for `strict`, all residues for `published`."""
        return self.train if convention == "strict" else _measured(self.everywhere)

    def minimum_of(self, convention: str) -> np.ndarray:
        """The lower end of the range that a convention scales by."""
        return _measured(self.minimum_train if convention == "strict" else self.minimum_everywhere)

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write one row per feature; `about` names the source and the proteins."""
        columns = {name: values for name, values in self._columns().items() if values is not None}
        table = pl.DataFrame(
            {
                "feature": np.arange(len(self), dtype=np.uint32),
                **{name: values.astype(np.float32) for name, values in columns.items()},
            }
        )
        write_parquet(table, path, {"type": "Maxima", "version": 1, **about})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        table, _ = read_parquet(path, "Maxima", 1)
        names = ("maximum_all", "minimum_train", "minimum_all")
        others = (table[name].to_numpy() if name in table.columns else None for name in names)
        return cls(table["maximum_train"].to_numpy(), *others)

    def _columns(self) -> dict[str, np.ndarray | None]:
        return {
            "minimum_train": self.minimum_train,
            "maximum_train": self.train,
            "minimum_all": self.minimum_everywhere,
            "maximum_all": self.everywhere,
        }


def _measured(values: np.ndarray | None) -> np.ndarray:
    if values is None:
        raise ValueError("these maxima were not measured on all proteins, or have no minima")
    return values
