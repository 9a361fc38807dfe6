"""Protein language models (PLMs) behind one door: `plm.load(name or path)`.

    >>> from interplm_nb import plm
    >>> model = plm.load("esm2-mini", device="cpu")
    >>> model.n_layers, model.widths[3], model.objective
    (4, 192, 'masked')

This package imports no torch until a model is loaded.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.plm.record import ModelRecord


def load(name_or_path: str | Path, device: str = "auto", dtype: str = "auto") -> "PLM":
    """A model by name ("unirep-1900", "esm2_t6_8M_UR50D", "owner/name" on a hub) or from files.

    `device`: "auto" takes CUDA, then MPS, then the CPU. `dtype`: "float32", "bfloat16", "float16",
    or "auto", what the model's family runs best in on that device.

    Raises ValueError for a name that is not known (with the nearest ones) and for files of another
    model, FileNotFoundError for a path that is not there, ConnectionError where weights cannot be
    fetched. Each says what to do. See docs/models.md for every kind of model.
    """
    from interplm_nb.plm import loading

    return loading.load(name_or_path, device, dtype)


def inspect(name_or_path: str | Path) -> "ModelRecord":
    """What a model is, without its weights in memory. Fetches and checks its files as `load` does."""
    from interplm_nb.plm import loading
    from interplm_nb.plm.record import record_of

    return record_of(loading.load(name_or_path, "meta", "auto"))
