"""Find the model family of a name or path, and load it.

A family is imported only when it is loaded, so that none needs another's dependencies.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from interplm_nb.plm import names

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM


def load(name_or_path: str | Path, device: str, dtype: str) -> "PLM":
    """See `plm.load`."""
    name = str(name_or_path)
    path = Path(name_or_path).expanduser()
    if name in names.UNIREP or path.suffix in (".npz", ".whl"):
        from interplm_nb.plm import unirep

        return unirep.load(name if name in names.UNIREP else path, device, dtype)
    if name == names.MINI or name in names.ESM2:
        from interplm_nb.plm import esm2

        return esm2.load(name, device, dtype)
    repository = None
    if not path.exists():
        if not names.is_repository(name):
            raise FileNotFoundError(names.unknown(name))
        from interplm_nb.plm import hub_cache

        repository, path = name, hub_cache.folder_of(name)
    return (
        _of_folder(path, repository, device, dtype)
        if path.is_dir()
        else _of_file(path, device, dtype)
    )


def _of_file(path: Path, device: str, dtype: str) -> "PLM":
    from interplm_nb.plm import esm2

    return esm2.load(path, device, dtype)


def _of_folder(folder: Path, repository: str | None, device: str, dtype: str) -> "PLM":
    from interplm_nb.plm import esm2, esm2_transformers, hub_cache
    from interplm_nb.plm.weight_files import read_settings

    config = folder / "config.json"
    if not config.is_file():
        raise FileNotFoundError(
            f"{folder} has no config.json; wanted the folder of a model: config.json next to "
            "model.safetensors or pytorch_model.bin"
        )
    settings = read_settings(config)
    name = repository or hub_cache.repository_of(folder)
    kind = settings.get("model_type")
    if settings.get("type") == "ESM2" or (
        kind == "esm" and not esm2_transformers.differences(settings, folder)
    ):
        return esm2.load(folder, device, dtype, name)
    from interplm_nb.plm import huggingface

    return huggingface.load(folder, device, dtype, name)
