"""Protein language models (PLMs): `plm.load(name or path)` loads any of them.

This package imports torch only when a model is loaded.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.plm.record import ModelRecord


def load(name_or_path: str | Path, device: str = "auto", dtype: str = "auto") -> "PLM":
    """Load a model by name or from files. docs/models.md lists every kind of model.

    Parameters
    ----------
    name_or_path
        A known name ("unirep-1900", "esm2_t6_8M_UR50D", "esm2-mini"), "owner/name" on the Hugging
        Face Hub, or a path of weights.
    device
        "cuda", "mps", "cpu", or "auto": the first of these that is available.
    dtype
        "float32", "bfloat16", "float16", or "auto": the best for the model on that device.

    Returns
    -------
    PLM
        The model; its interface is `interplm_nb.plm.protocol.PLM`.

    Raises
    ------
    FileNotFoundError
        If the name is unknown (the message suggests similar names) or the path does not exist.
    ValueError
        If the files belong to another kind of model.
    ConnectionError
        If the weights cannot be downloaded.

    Examples
    --------
    >>> from interplm_nb import plm
    >>> model = plm.load("esm2-mini", device="cpu")
    >>> model.n_layers, model.widths[3], model.objective
    (4, 192, 'masked')
    """
    from interplm_nb.plm import loading
    from interplm_nb.plm.address import remember

    model = loading.load(name_or_path, device, dtype)
    remember(model, name_or_path, device)
    return model


def inspect(name_or_path: str | Path) -> "ModelRecord":
    """Describe a model without keeping its weights in memory.

    Its files are fetched and checked as by `load`.

    Examples
    --------
    >>> from interplm_nb import plm
    >>> record = plm.inspect("esm2-mini")
    >>> record.max_residues, record.licence
    (1022, 'MIT')
    """
    from interplm_nb.plm import loading
    from interplm_nb.plm.record import record_of

    return record_of(loading.load(name_or_path, "meta", "auto"))
