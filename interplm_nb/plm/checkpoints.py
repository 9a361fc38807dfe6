"""Weights of ESM-2 from files, checked before anything is computed with them.

Three layouts: fair-esm's .pt file, safetensors with fair-esm's names, and transformers' folders.
"""

import argparse
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from interplm_nb.plm import esm2_transformers, weight_files, weight_kinds
from interplm_nb.plm.contact_head import ContactHead
from interplm_nb.plm.download import official_checkpoint
from interplm_nb.plm.names import ESM2, MINI
from interplm_nb.plm.tokens import ALPHABET
from interplm_nb.saving import atomic_path, write_json

HEAD = "lm_head."
"""Prefix of the parameters of the masked-residue head."""


@dataclass(frozen=True)
class Architecture:
    """The shape of an ESM-2 model."""

    n_layers: int
    d_model: int
    n_heads: int
    token_dropout: bool = True

    def __post_init__(self) -> None:
        if min(self.n_layers, self.d_model, self.n_heads) < 1 or self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model must be a multiple of 2 * n_heads, and all at least 1; got {self}"
            )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter, by fair-esm's names.

        Without the tied weight of the LM head, and the contact head.
        """
        d, n = self.d_model, len(ALPHABET)
        sizes = {
            "self_attn_layer_norm": (d,),
            "final_layer_norm": (d,),
            "fc1": (4 * d, d),
            "fc2": (d, 4 * d),
        }
        sizes |= {f"self_attn.{p}_proj": (d, d) for p in ("q", "k", "v", "out")}
        weights = {f"layers.{i}.{k}": s for i in range(self.n_layers) for k, s in sizes.items()}
        weights |= {
            "emb_layer_norm_after": (d,),
            "lm_head.dense": (d, d),
            "lm_head.layer_norm": (d,),
        }
        shapes = {f"{k}.weight": s for k, s in weights.items()} | {
            f"{k}.bias": s[:1] for k, s in weights.items()
        }
        return shapes | {"embed_tokens.weight": (n, d), "lm_head.bias": (n,)}


class Checkpoint(NamedTuple):
    """Checked weights and what they are."""

    weights: dict[str, Tensor]
    """By fair-esm's names; without `lm_head.*` if the file has no head."""
    architecture: Architecture
    name: str
    revision: str
    """`revision_of(weights)`."""
    contact_head: ContactHead | None = None
    """Of a model that came with the regression that reads contacts from attention."""


def read(name_or_path: str | Path, name: str | None = None) -> Checkpoint:
    """Read an official model, the embedded one, a .pt or .safetensors file, or a folder.

    A folder has config.json and this package's model.safetensors, or transformers' layout. `name`
    is the model's name if a transformers folder does not give it (default: the folder's name).
    """
    text = str(name_or_path)
    if text == MINI:
        return read_safetensors(mini_path())
    if text in ESM2:
        return read_pt(official_checkpoint(text))
    path = Path(name_or_path)
    if path.is_dir():
        return _read_folder(path, name or path.resolve().name)
    if not path.is_file():
        raise FileNotFoundError(
            f"{text!r} is neither a file nor a model's name; names are {MINI}, {', '.join(ESM2)}"
        )
    if path.suffix not in (".pt", ".safetensors"):
        raise ValueError(
            f"{path}: wanted a .pt file in fair-esm's format or a .safetensors file, not "
            f"{path.suffix or 'a file without a suffix'}; for a transformers model give its folder"
        )
    if weight_files.weights_of(path.parent) == [path] and "model_type" in _beside(path):
        return _read_folder(path.parent, name or path.resolve().parent.name)
    return _read_file(path)


def _read_file(path: Path) -> Checkpoint:
    """Read a .pt or .safetensors file as what it is, despite its name."""
    kind = weight_kinds.kind_of(path) if path.is_file() else None
    pickled = path.suffix == ".pt" if kind is None else kind == "pickled"
    return read_pt(path) if pickled else read_safetensors(path)


def _beside(path: Path) -> Mapping[str, Any]:
    """The settings in config.json next to a file; empty if absent."""
    config = path.with_name("config.json")
    return weight_files.read_settings(config) if config.is_file() else {}


def mini_path() -> Path:
    """The package's file of esm2-mini's weights."""
    return Path(str(resources.files("interplm_nb") / "data" / "esm2_mini" / "model.safetensors"))


def read_pt(path: Path) -> Checkpoint:
    """Read fair-esm's format: {"cfg": {"model": Namespace}, "model": parameters}; older: "args".

    Only tensors, plain containers and `argparse.Namespace` are unpickled. The contact head is in a
    file next to it, `<name>-contact-regression.pt`, and may be absent.
    """
    data = weight_files.read_pickled(
        path, "a complete file in fair-esm's .pt format", [argparse.Namespace]
    )
    if not isinstance(data, Mapping) or not isinstance(data.get("model"), Mapping):
        raise ValueError(
            f"{path}: wanted a dictionary with 'model' and 'cfg' (fair-esm's format), found "
            f"{_outline(data)}"
        )
    weights = _upgraded(data["model"])
    regression = path.with_name(f"{path.stem}-contact-regression.pt")
    if regression.is_file():
        beside = weight_files.read_pickled(regression, "fair-esm's contact regression")
        held = beside.get("model") if isinstance(beside, Mapping) else None
        if not isinstance(held, Mapping):
            raise ValueError(
                f"{regression}: wanted a dictionary with 'model' (fair-esm's contact regression), "
                f"found {_outline(beside)}; fetch it again, or remove it"
            )
        weights |= held
    return _checked(weights, _architecture(_settings(data, path), path), path.stem, path)


def read_safetensors(path: Path) -> Checkpoint:
    """Read a safetensors file with fair-esm's parameter names.

    The architecture comes from config.json in the same folder, or from the file's metadata.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; wanted weights as safetensors, with config.json next to them"
        )
    weights, metadata = weight_files.read_safetensors(path)
    settings = _beside(path) or _of_metadata(metadata.get("architecture", "{}"), path)
    return _checked(
        _upgraded(weights),
        _architecture(settings, path),
        str(settings.get("name", path.stem)),
        path,
    )


def _of_metadata(text: str, path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: the architecture in its metadata is not JSON ({error})"
        ) from error
    return found if isinstance(found, Mapping) else {}


def _read_folder(folder: Path, name: str) -> Checkpoint:
    config = folder / "config.json"
    settings = weight_files.read_settings(config) if config.is_file() else {}
    if "model_type" not in settings:
        return _read_file(folder / "model.safetensors")
    kind = settings["model_type"]
    if kind != "esm":
        raise ValueError(
            f"{config}: model_type is {kind!r}, not ESM-2's 'esm'; load it with plm.load"
        )
    strange = esm2_transformers.differences(settings, folder)
    if strange:
        raise ValueError(
            f"{folder} has transformers' type 'esm' but is not ESM-2: {'; '.join(strange)}; "
            "plm.load reads it through transformers"
        )
    return _checked(
        esm2_transformers.renamed(weight_files.read_folder(folder)),
        _architecture(esm2_transformers.sizes(settings), config),
        esm2_transformers.name_of(settings, name),
        folder,
    )


def write_safetensors(
    weights: Mapping[str, Tensor],
    architecture: Architecture,
    name: str,
    folder: Path,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write model.safetensors and config.json, which `esm2.load(folder)` reads."""
    held = {k: weights[k].to(dtype).contiguous() for k in architecture.shapes() if k in weights}
    with atomic_path(folder / "model.safetensors") as draft:
        save_file(held, draft)
        # safetensors makes it readable only by its owner; a package must be readable by all.
        draft.chmod(0o644)
    write_json(
        {"type": "ESM2", "version": 1, "name": name} | asdict(architecture), folder / "config.json"
    )


def revision_of(weights: Mapping[str, Tensor]) -> str:
    """`sha256:...` over names, shapes and float32 values of the encoder, in the order of the names.

    Without the head, `lm_head.*`: a model has one revision in every file format and dtype that
    preserves its values, with its head or without.
    """
    digest = hashlib.sha256()
    for name in sorted(k for k in weights if not k.startswith(HEAD)):
        value = weights[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name} {list(value.shape)}\n".encode())
        digest.update(value.view(-1).numpy().data)
    return f"sha256:{digest.hexdigest()}"


_NAMES = {
    "n_layers": ("n_layers", "encoder_layers", "num_layers"),
    "d_model": ("d_model", "encoder_embed_dim", "embed_dim"),
    "n_heads": ("n_heads", "encoder_attention_heads", "attention_heads"),
}
"""Names of the three sizes: ours, official checkpoints', fair-esm's constructor's."""


def _architecture(settings: Mapping[str, Any], path: Path) -> Architecture:
    values = {
        ours: next((settings[n] for n in names if n in settings), None)
        for ours, names in _NAMES.items()
    }
    found = {k: v for k, v in values.items() if isinstance(v, int)}
    lacking = [k for k in values if k not in found]
    if lacking:
        raise ValueError(
            f"{path}: its settings lack {', '.join(lacking)}, so this is not a readable ESM-2; "
            f"settings: {sorted(settings)[:12]}"
        )
    return Architecture(**found, token_dropout=bool(settings.get("token_dropout", True)))


def _settings(data: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    settings: Any = data.get("cfg", data.get("args"))
    if isinstance(settings, Mapping) and "model" in settings:
        settings = settings["model"]
    settings = vars(settings) if isinstance(settings, argparse.Namespace) else settings
    if not isinstance(settings, Mapping):
        raise ValueError(
            f"{path}: wanted the model's settings under 'cfg' (fair-esm's format), found "
            f"{_outline(data)}"
        )
    return settings


# What checkpoints hold besides parameters: rotary tables, which are computed here.
_LEFT_ASIDE = re.compile(r"\.rot_emb\.inv_freq$|(^|\.)version$")


def _upgraded(state: Mapping[str, Any]) -> dict[str, Any]:
    """Parameter names without the prefixes that fair-esm's loader removes."""
    names = {name: re.sub(r"^(encoder\.sentence_encoder\.|encoder\.)", "", name) for name in state}
    return {new: state[old] for old, new in names.items() if not _LEFT_ASIDE.search(new)}


def _checked(
    weights: dict[str, Any], architecture: Architecture, name: str, path: Path
) -> Checkpoint:
    tied = weights.pop("lm_head.weight", None)
    regression = {k: weights.pop(k) for k in _CONTACT_HEAD if k in weights}
    if architecture.n_layers > len(weights):  # before each layer's names are listed
        raise ValueError(
            f"{path}: these are not the parameters of ESM-2 with {architecture.n_layers} layers, "
            f"as its settings say: there are {len(weights)} tensors; fetch the model's files again"
        )
    headless = not any(name.startswith(HEAD) for name in weights)
    shapes = {
        k: s for k, s in architecture.shapes().items() if not (headless and k.startswith(HEAD))
    }
    missing, strange = (
        sorted(shapes.keys() - weights.keys()),
        sorted(weights.keys() - shapes.keys()),
    )
    if missing or strange:
        parts = [
            f"{len(names)} {what}, such as {names[0]!r}"
            for what, names in (("missing", missing), ("unexpected", strange))
            if names
        ]
        raise ValueError(
            f"{path}: these are not the parameters of ESM-2 with {architecture.n_layers} layers: "
            f"{'; '.join(parts)}"
        )
    for key, shape in shapes.items():
        _check_tensor(weights[key], key, shape, path)
    if tied is not None and not torch.equal(tied, weights["embed_tokens.weight"]):
        raise ValueError(
            f"{path}: lm_head.weight differs from embed_tokens.weight; in ESM-2 they are one "
            "tensor, so this is another model"
        )
    head = _contact_head(regression, architecture, path) if regression else None
    return Checkpoint(weights, architecture, name, revision_of(weights), head)


_CONTACT_HEAD = ("contact_head.regression.weight", "contact_head.regression.bias")


def _contact_head(found: Mapping[str, Any], architecture: Architecture, path: Path) -> ContactHead:
    n_layers, n_heads = architecture.n_layers, architecture.n_heads
    for key, shape in zip(_CONTACT_HEAD, ((1, n_layers * n_heads), (1,)), strict=True):
        if key not in found:
            raise ValueError(f"{path}: its contact head lacks {key}; fetch its files again")
        _check_tensor(found[key], key, shape, path)
    weight, bias = (found[key].float() for key in _CONTACT_HEAD)
    return ContactHead(weight.view(n_layers, n_heads), bias.view(()))


def _check_tensor(value: Any, key: str, shape: tuple[int, ...], path: Path) -> None:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise ValueError(f"{path}: {key} is not a floating-point tensor ({type(value).__name__})")
    if tuple(value.shape) != shape:
        raise ValueError(f"{path}: {key} has shape {tuple(value.shape)}, wanted {shape}")
    if not torch.isfinite(value).all():
        raise ValueError(
            f"{path}: {key} holds NaN or infinity; the file is damaged, fetch it again"
        )


def _outline(data: Any) -> str:
    return (
        f"a dictionary with {sorted(map(str, data))[:8]}"
        if isinstance(data, Mapping)
        else type(data).__name__
    )
