"""Reading others' files without running code in them: tensors from .pt and .safetensors, settings
from JSON, nothing from YAML.

A file's type follows from its first bytes, not from its name. Every refusal says what was wanted,
what was found, and what to do.
"""

import argparse
import json
import logging
import pickle
import re
import struct
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from interplm_nb.plm.weight_kinds import kind_of, stand_in
from interplm_nb.saving import file_hash

CONFIGS = ("config.json", "cfg.json")
"""The JSON files that formats keep next to their weights."""
WEIGHT_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_BESIDE = frozenset(
    {
        "sparsity.safetensors",
        "activations_store_state.safetensors",
        "activation_whitening.safetensors",
        "trainer_state.pt",
    }
)
"""What SAELens keeps next to its weights."""
_DAMAGED = (
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
)
"""What torch was found to raise for damaged files."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """What a file holds, and the JSON next to it."""

    path: Path
    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    """For a Lightning checkpoint, the arguments of its training; otherwise empty."""
    configs: dict[str, dict[str, Any]]
    """File name (one of CONFIGS) and content."""
    sha256: str
    """`sha256:...` of the file's bytes."""

    @property
    def keys(self) -> frozenset[str]:
        """Names of the tensors."""
        return frozenset(self.tensors)

    def config(self, key: str) -> dict[str, Any]:
        """The JSON next to the weights that has `key`; empty if absent."""
        return next((config for config in self.configs.values() if key in config), {})

    def floats(self, *names: str) -> list[Tensor]:
        """The tensors of these names as float32. ValueError for integers (quantised weights) and
        for float64 beyond float32's range."""
        return [self._float(name) for name in names]

    def _float(self, name: str) -> Tensor:
        value = self.tensors[name]
        if not value.is_floating_point():
            raise ValueError(
                f"{self.path}: {name} holds {value.dtype}, not floating-point weights; quantised "
                "weights cannot be read: get the file with the weights as they were trained"
            )
        single = value.float()
        if value.dtype == torch.float64 and not torch.equal(single.isinf(), value.isinf()):
            raise ValueError(
                f"{self.path}: {name} holds float64 values beyond the range of float32, in which "
                "this package computes"
            )
        return single

    def outline(self) -> str:
        """What was found, for a refusal."""
        shapes = ", ".join(
            f"{name} {list(value.shape)}" for name, value in sorted(self.tensors.items())[:12]
        )
        beside = "; ".join(
            f"{name} with {', '.join(sorted(config)[:12])}" for name, config in self.configs.items()
        )
        return f"tensors {shapes or 'none'}; {beside or 'no config.json or cfg.json next to it'}"


def weights_among(names: Iterable[str]) -> list[str]:
    """The weights files among files' names, without those that SAELens keeps next to its own.

    Examples
    --------
    >>> weights_among(["sparsity.safetensors", "cfg.json", "sae_weights.safetensors"])
    ['sae_weights.safetensors']
    """
    files = sorted(name for name in names if PurePosixPath(name).suffix in WEIGHT_SUFFIXES)
    return [name for name in files if PurePosixPath(name).name not in _BESIDE] or files


def find(path: Path, sha256: str | None = None) -> Found:
    """Read a weights file and the JSON next to it.

    `sha256` is the checksum that the file must have, with or without "sha256:". ValueError for
    another checksum, or a file that is damaged, cut off, unsafe or of unknown type;
    FileNotFoundError for a missing file.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; wanted weights as {', '.join(WEIGHT_SUFFIXES)}"
        )
    digest = file_hash(path)
    if sha256 is not None and digest.removeprefix("sha256:") != sha256.lower().removeprefix(
        "sha256:"
    ):
        raise ValueError(
            f"{path}: wrong checksum: wanted sha256 {sha256.removeprefix('sha256:')}, the file has "
            f"{digest.removeprefix('sha256:')}. "
            "It is another file, or damaged: download it again, and ask its publisher for the "
            "checksum"
        )
    tensors, settings = _read(path)
    return Found(path, tensors, settings, _configs(path.parent), digest)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if path.suffix in (".yaml", ".yml"):
        raise ValueError(
            f"{path}: YAML is not read{_objects(path)}; give the weights file, and as arguments "
            "what only the YAML says"
        )
    match kind_of(path):
        case "pickled":
            return _unpacked(read_pt(path), path)
        case "safetensors":
            return read_safetensors(path), {}
    with path.open("rb") as stream:
        head = stream.read(8)
    raise ValueError(
        f"{path}: neither a .pt nor a .safetensors file by its first bytes ({head!r}), or one "
        "that was cut off; download it again"
    )


def read_pt(path: Path) -> Any:
    """The content of a .pt file: tensors, plain containers and `argparse.Namespace` (Lightning's
    arguments). Anything else is refused unread."""
    try:
        # Of a path that ends in .safetensors, torch.load would read no pickle.
        with (
            path.open("rb") as stream,
            torch.serialization.safe_globals([argparse.Namespace]),
            warnings.catch_warnings(),
        ):
            # What torch cannot read with another pickle protocol, it refuses.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            raise ValueError(
                f"{path}: not a file of torch.save, or damaged or cut off ({_reason(error)}); "
                "download it again"
            ) from None
        raise ValueError(
            f"{path}: cannot be read safely: it asks for the Python object "
            f"{named[1]}, which could run code. "
            "Nothing in it was run. Only tensors can be read; ask for them as .safetensors"
        ) from None
    except _DAMAGED as error:
        raise ValueError(
            f"{path}: damaged or cut off ({_reason(error)}); download it again"
        ) from None


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, as they are."""
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"{path}: damaged or cut off ({_reason(error)}); download it again"
        ) from None


def _unpacked(data: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    settings: dict[str, Any] = {}
    if isinstance(data, Mapping) and isinstance(data.get("state_dict"), Mapping):
        settings = _arguments(data.get("hyper_parameters"))
        data = data["state_dict"]
    if (
        not isinstance(data, Mapping)
        or not data
        or not all(isinstance(v, Tensor) and isinstance(k, str) for k, v in data.items())
    ):
        found = (
            f"a dictionary with {sorted(map(str, data))[:8]}"
            if isinstance(data, Mapping)
            else type(data).__name__
        )
        raise ValueError(
            f"{path}: wanted a dictionary of tensors by name (a state_dict), found {found}"
        )
    return {name: value.detach() for name, value in data.items()}, settings


def _arguments(values: Any) -> dict[str, Any]:
    """Lightning's hyper_parameters, flat."""
    if not isinstance(values, Mapping):
        return {}
    inner = values.get("args")
    return {**values, **vars(inner)} if isinstance(inner, argparse.Namespace) else dict(values)


def _configs(folder: Path) -> dict[str, dict[str, Any]]:
    yaml = folder / "config.yaml"
    if yaml.is_file():
        _log.warning(
            "%s is not read%s; the architecture follows from the tensors' names",
            yaml,
            _objects(yaml),
        )
    return {name: read_config(folder / name) for name in CONFIGS if (folder / name).is_file()}


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object. ValueError for anything else."""
    text = path.read_bytes()
    if reason := stand_in(text):
        raise ValueError(f"{path}: {reason}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}); download it again") from None
    if not isinstance(value, dict):
        raise ValueError(
            f"{path}: wanted a JSON object with the SAE's settings, found {type(value).__name__}"
        )
    return value


def _objects(path: Path) -> str:
    """A remark on the Python object that a YAML file asks for, from its text."""
    tag = re.search(
        r"!!python/[\w/]+:?[\w.]*|!<tag:yaml.org,2002:python/[^>]*>|!!python/[\w/]+",
        path.read_text(encoding="utf-8", errors="replace"),
    )
    return (
        f" (it asks for a Python object, {tag[0]}, which could run code; nothing in it was run)"
        if tag
        else ""
    )


def _reason(error: Exception) -> str:
    """One line of an error; for torch's long text, the part that says what is wrong."""
    text = str(error).strip() or type(error).__name__
    own = re.search(r"WeightsUnpickler error:\s*(.*)", text)
    return (own[1] if own else text.splitlines()[0])[:160]
