"""Weight files and their JSON: safetensors and torch's own format, in one file or in shards.

No code in a file is run.
"""

import json
import pickle
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from interplm_nb.plm.weight_kinds import Kind, kind_of, stand_in

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
"""Names of a model's weights in transformers' folders; `<name>.index.json` lists shards."""


def read_settings(path: Path) -> dict[str, Any]:
    """Read a JSON object. ValueError for anything else, FileNotFoundError without a file."""
    text = path.read_bytes()
    if reason := stand_in(text):
        raise ValueError(f"{path}: {reason}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}); fetch the model's files again") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{path}: wanted a JSON object, found {type(found).__name__}; fetch the model's files "
            "again"
        )
    return found


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. ValueError for a damaged one."""
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path}: not a readable safetensors file ({error}); it is damaged or cut off: fetch "
            "it again"
        ) from error


def read_pickled(path: Path, wanted: str, allowed: Iterable[type] = ()) -> Any:
    """Read a file of torch.save: only tensors, plain containers and the `allowed` types.

    ValueError for a damaged file or one that would run code; the message names what was `wanted`.
    """
    zipped = _is_zip(path)
    try:
        with torch.serialization.safe_globals(list(allowed)):
            if path.suffix != ".safetensors":
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
            # Of a path with this suffix, torch.load would read no pickle.
            with path.open("rb") as stream:
                return torch.load(stream, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        OSError,  # a zip file that ends within its first header
        EOFError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
        struct.error,
    ) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"{path}: not a checkpoint that can be read safely ({lines[0][:200]}); wanted {wanted}"
        ) from error


def read_folder(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder in transformers' layout: safetensors, else `pytorch_model.bin`.

    FileNotFoundError if the weights or a shard of them are missing.
    """
    tensors: dict[str, Tensor] = {}
    for path in _present(folder):
        tensors |= _tensors(path)
    return tensors


def check_folder(folder: Path) -> None:
    """Refuse what `read_folder` refuses, before another library reads the folder by its names.

    Of safetensors files only the first bytes are read, as they cannot hold code.
    """
    for path in _present(folder):
        kind, named = kind_of(path), _named(path)
        if kind not in (None, named):
            held, rename = (
                ("a safetensors file", SAFETENSORS)
                if kind == "safetensors"
                else ("a file of torch.save", PICKLED)
            )
            raise ValueError(
                f"{path} is {held}, despite its name, and transformers goes by the name; "
                f"rename it to {rename}"
            )
        if named == "pickled":
            _tensors(path)


def _present(folder: Path) -> list[Path]:
    paths = weights_of(folder)
    if not paths:
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:8])
        raise FileNotFoundError(
            f"{folder} has no weights; wanted {SAFETENSORS} or {PICKLED} next to config.json, "
            f"found {held or 'nothing'}"
        )
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise FileNotFoundError(
            f"{missing}: this shard of the weights is missing; fetch the model's files again"
        )
    return paths


def weights_of(folder: Path) -> list[Path]:
    """The weight files that a folder in transformers' layout has or lists."""
    for name in (SAFETENSORS, PICKLED):
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return [folder / name]
        if index.is_file():
            return [folder / shard for shard in _shards(index)]
    return []


def _shards(index: Path) -> list[str]:
    shards = read_settings(index).get("weight_map")
    names = sorted(set(shards.values())) if isinstance(shards, Mapping) else []
    if not names or any(Path(name).name != name for name in names):
        raise ValueError(f"{index}: wanted weight_map with each tensor's file, in this folder")
    return names


def _named(path: Path) -> Kind:
    return "safetensors" if path.suffix == ".safetensors" else "pickled"


def _tensors(path: Path) -> dict[str, Tensor]:
    if (kind_of(path) or _named(path)) == "safetensors":
        return read_safetensors(path)[0]
    found = read_pickled(path, "a dictionary of tensors")
    if not isinstance(found, Mapping):
        raise ValueError(
            f"{path}: wanted a dictionary of tensors, found {type(found).__name__}; this is not a "
            "transformers checkpoint"
        )
    return dict(found)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"
