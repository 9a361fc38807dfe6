"""An SAE on disk: `sae.safetensors` and a `config.json` that says which PLM, layer and data it belongs to."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import interplm_nb
from interplm_nb.sae.model import SAE, Activation, ReLU, TopK
from interplm_nb.saving import atomic_path, file_hash, read_json, write_json

WEIGHTS = "sae.safetensors"
CONFIG = "config.json"
_NEEDED = {"W_enc", "b_enc", "W_dec", "b_dec"}
_ALLOWED = _NEEDED | {"maxima"}


@dataclass(frozen=True)
class SAEAbout:
    """Where an SAE comes from."""

    plm: str
    """Name of the PLM, such as "esm2_t6_8M_UR50D"."""
    plm_revision: str
    """`sha256:...` of the PLM's weights."""
    layer: int
    """0 (embedding) to the PLM's number of layers."""
    recipe: str
    """"interplm-paper", "topk", or "random" for a control."""
    data: str = ""
    """Hash of what it was trained on."""
    seed: int = 0
    training: dict[str, Any] = field(default_factory=dict)
    """The whole `TrainConfig`, empty for a control."""


def save(sae: SAE, folder: Path, about: SAEAbout) -> None:
    """Write `sae.safetensors` and `config.json` to `folder`, each atomically; the config names the weights' hash: a half-done save is noticed."""
    weights = sae.weights()
    _refuse_nan(weights, "the SAE to be saved")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS) as draft:
        save_file(weights, draft)
    config = {
        "type": "SAE",
        "version": 1,
        "package": interplm_nb.__version__,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "activation": _activation_record(sae.activation),
        "unit": sae.unit,
        "weights": file_hash(folder / WEIGHTS),
        **asdict(about),
    }
    write_json(config, folder / CONFIG)
    sae.about = about


def load(folder: Path, *, plm: str | None = None, layer: int | None = None) -> SAE:
    """Read an SAE, on the CPU, in eval mode, with `about` set.

    With `plm` or `layer` an SAE of another PLM or layer is refused. NaN, unknown keys, wrong shapes and weights that are not the config's are too.
    """
    config_path, path = folder / CONFIG, folder / WEIGHTS
    for needed in (config_path, path):
        if not needed.exists():
            raise FileNotFoundError(f"{needed}: no such file; an SAE is a folder with {WEIGHTS} and {CONFIG} (stage 'train' makes one)")
    config = read_json(config_path, "SAE", 1)
    about = _about(config, config_path)
    _check_company(about, folder, plm, layer)
    if file_hash(path) != config["weights"]:
        raise ValueError(
            f"{path}: these are not the weights that {CONFIG} was written for (a copy went wrong, or a save was cut off); train or copy again"
        )
    sae = SAE(config["d_in"], config["d_sae"], _activation(config["activation"], config_path))
    _fill(sae, _read_weights(path), path)
    sae.about = about
    return sae.eval()


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error}); train or copy it again") from error
    names = set(weights)
    if not _NEEDED <= names <= _ALLOWED:
        raise ValueError(f"{path}: wanted the tensors {sorted(_NEEDED)} (and 'maxima' if folded), found {sorted(names)}")
    _refuse_nan(weights, str(path))
    return weights


def _fill(sae: SAE, weights: dict[str, Tensor], path: Path) -> None:
    if "maxima" in weights:
        sae.maxima = torch.zeros(sae.d_sae)
    for name, value in sae.state_dict().items():
        if weights[name].shape != value.shape:
            raise ValueError(f"{path}: {name} has shape {tuple(weights[name].shape)}, {CONFIG} says {tuple(value.shape)}")
    sae.load_state_dict(weights)


def _refuse_nan(weights: dict[str, Tensor], what: str) -> None:
    bad = [name for name, value in weights.items() if not value.isfinite().all()]
    if bad:
        raise ValueError(f"{what}: {', '.join(sorted(bad))} holds NaN or infinity; train again, with a smaller lr if the training diverged")


def _check_company(about: SAEAbout, folder: Path, plm: str | None, layer: int | None) -> None:
    wanted = (about.plm if plm is None else plm, about.layer if layer is None else layer)
    if wanted != (about.plm, about.layer):
        raise ValueError(
            f"{folder} is an SAE of {about.plm!r}, layer {about.layer}; wanted one of {wanted[0]!r}, layer {wanted[1]}. "
            "Give it embeddings of its own PLM and layer, or train one on these"
        )


def _about(config: dict[str, Any], path: Path) -> SAEAbout:
    names = {f.name for f in fields(SAEAbout)}
    known = names | {"type", "version", "package", "d_in", "d_sae", "activation", "unit", "weights"}
    if set(config) != known:
        unknown, missing = sorted(set(config) - known), sorted(known - set(config))
        raise ValueError(f"{path}: unknown keys {unknown}, missing keys {missing}; a config of an SAE has {sorted(known)}")
    return SAEAbout(**{name: config[name] for name in names})


def _activation_record(activation: Activation) -> dict[str, Any]:
    return {"name": "topk", "k": activation.k} if isinstance(activation, TopK) else {"name": "relu"}


def _activation(record: dict[str, Any], path: Path) -> Activation:
    match record:
        case {"name": "relu", **rest} if not rest:
            return ReLU()
        case {"name": "topk", "k": int(k), **rest} if not rest:
            return TopK(k)
    raise ValueError(f"{path}: the activation is {{'name': 'relu'}} or {{'name': 'topk', 'k': 32}}, not {record}")
