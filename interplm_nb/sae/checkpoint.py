"""An SAE on disk: `sae.safetensors`, and a `config.json` that names its PLM, layer and data."""

from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import interplm_nb
from interplm_nb.checksums import DamagedFileError
from interplm_nb.joined_layers import joined_of
from interplm_nb.sae.about import OPTIONAL as OPTIONAL_PLACE
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import TopK, from_record
from interplm_nb.sae.model import OPTIONAL, SAE
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.sae.residue_norm import ResidueNorm
from interplm_nb.saving import atomic_path, file_hash, read_json, write_json

WEIGHTS = "sae.safetensors"
CONFIG = "config.json"
TABLE = "features.tsv"
"""Which features match which concepts, beside a published SAE; it names the SAE's weights."""
VERSION = 3
Stored = Literal["float32", "float16", "seed"]
"""How weights are kept in the file."""


def save(sae: SAE, folder: Path, about: SAEAbout, stored: Stored = "float32") -> None:
    """Write `sae.safetensors` and `config.json` to `folder`, each atomically.

    The config holds the hash of the weights, so that an interrupted save is noticed. `stored`:
    "float16" rounds the weights, to ship them; "seed" stores only `b_dec` of a random SAE, because
    `random_sae` draws the rest from `about.seed`. ValueError where it does not.
    """
    if sae.transcodes != (about.target is not None):
        raise ValueError(
            "a transcoder, and nothing else, names the layer that it writes: give "
            "SAEAbout(target=...) with an SAE that has d_out; got "
            f"{'a transcoder' if sae.transcodes else 'an SAE'} and target {about.target}"
        )
    weights = sae.weights()
    _refuse_nan(weights, "the SAE to be saved")
    if stored == "seed":
        _check_seed(sae, about)
        weights = {"b_dec": weights["b_dec"]}
    elif stored == "float16":
        weights = {name: value.half() for name, value in weights.items()}
        _refuse_nan(weights, "the SAE in float16")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS) as draft:
        save_file(weights, draft)
    config = {
        "type": "SAE",
        "version": VERSION,
        "package": interplm_nb.__version__,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "architecture": sae.architecture.record(),
        "residue_norm": sae.residue_norm.record() if sae.residue_norm else None,
        "unit": sae.unit,
        "weights": file_hash(folder / WEIGHTS),
        "stored": stored,
        **({"d_out": sae.d_out} if sae.transcodes else {}),
        **about.record(),
    }
    write_json(config, folder / CONFIG)
    sae.about = about


def _check_seed(sae: SAE, about: SAEAbout) -> None:
    if type(sae.architecture) is not TopK:
        raise ValueError("only a random SAE (TopK) can be stored by its seed")
    again = random_sae(sae.d_in, sae.d_sae, sae.architecture.k, sae.b_dec.detach(), about.seed)
    if again.weight_hash != sae.weight_hash:
        raise ValueError(
            f"this SAE is not the random one of seed {about.seed}; store its weights instead"
        )


def load(folder: Path, *, plm: str | None = None, layer: int | None = None) -> SAE:
    """Read an SAE, on the CPU, in eval mode, with `about` set.

    ValueError for an SAE of another `plm` or `layer`, where they are given, and for NaN, unknown
    keys, wrong shapes, or weights that the config was not written for.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> sae = ipn.load_sae(ipn.Run.shipped().source("sae"))
    >>> sae.d_in, sae.d_sae, sae.about.plm
    (1900, 1024, 'unirep-1900')
    """
    config_path, path = folder / CONFIG, folder / WEIGHTS
    for needed in (config_path, path):
        if not needed.exists():
            raise FileNotFoundError(
                f"{needed}: no such file; an SAE is a folder with {WEIGHTS} and {CONFIG} (stage "
                "'train' makes one)"
            )
    config = read_json(config_path, "SAE", VERSION)
    about = _about(config, config_path)
    if ("d_out" in config) != (about.target is not None):
        raise ValueError(
            f"{config_path}: a transcoder has both d_out and target, an SAE neither; save it again"
        )
    _check_company(about, folder, plm, layer)
    if file_hash(path) != config["weights"]:
        raise DamagedFileError(
            path,
            f"these are not the weights that {CONFIG} was written for (a copy went wrong, or a "
            "save was cut off)",
        )
    sae = _read(config, config_path, read_safetensors(path), path)
    sae.about = about
    return sae.eval()


def _read(config: dict[str, Any], config_path: Path, weights: dict[str, Tensor], path: Path) -> SAE:
    d_in, d_sae = config["d_in"], config["d_sae"]
    architecture = from_record(config["architecture"], config_path)
    if config["stored"] == "seed":
        if type(architecture) is not TopK or set(weights) != {"b_dec"}:
            raise ValueError(
                f"{path}: an SAE that is stored by its seed must be TopK and hold only b_dec"
            )
        return random_sae(d_in, d_sae, architecture.k, weights["b_dec"], config["seed"])
    norm = ResidueNorm(**config["residue_norm"]) if config["residue_norm"] else None
    sae = SAE(d_in, d_sae, architecture, norm, config.get("d_out"))
    _fill(sae, {name: value.float() for name, value in weights.items()}, path)
    return sae


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. ValueError for another kind of file, or one that is cut
    off or holds NaN or infinity."""
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path}: not a readable safetensors file ({error}); train or copy it again"
        ) from error
    _refuse_nan(weights, str(path))
    return weights


def _fill(sae: SAE, weights: dict[str, Tensor], path: Path) -> None:
    for name in set(OPTIONAL) & set(weights):
        setattr(sae, name, torch.zeros(sae.d_sae))
    wanted = sae.state_dict()
    if set(weights) != set(wanted):
        raise ValueError(f"{path}: wanted the tensors {sorted(wanted)}, found {sorted(weights)}")
    for name, value in wanted.items():
        if weights[name].shape != value.shape:
            raise ValueError(
                f"{path}: {name} has shape {tuple(weights[name].shape)}, {CONFIG} says "
                f"{tuple(value.shape)}"
            )
    sae.load_state_dict(weights)


def _refuse_nan(weights: dict[str, Tensor], what: str) -> None:
    bad = [name for name, value in weights.items() if not value.isfinite().all()]
    if bad:
        raise ValueError(
            f"{what}: {', '.join(sorted(bad))} holds NaN or infinity; train again, with a "
            "smaller lr if the training diverged"
        )


def _check_company(about: SAEAbout, folder: Path, plm: str | None, layer: int | None) -> None:
    wanted = (about.plm if plm is None else plm, about.layer if layer is None else layer)
    if wanted != (about.plm, about.layer):
        raise ValueError(
            f"{folder} is an SAE of {about.plm!r}, layer {about.layer}; wanted one of "
            f"{wanted[0]!r}, layer {wanted[1]}. Give it embeddings of its own PLM and layer, or "
            "train one on these"
        )


def _about(config: dict[str, Any], path: Path) -> SAEAbout:
    names = {f.name for f in fields(SAEAbout)} - set(OPTIONAL_PLACE)
    known = names | {
        "type",
        "version",
        "package",
        "d_in",
        "d_sae",
        "architecture",
        "residue_norm",
        "unit",
        "weights",
        "stored",
    }
    optional = {*OPTIONAL_PLACE, "d_out"}
    if set(config) | optional != known | optional:
        unknown = sorted(set(config) - known - optional)
        missing = sorted(known - set(config))
        raise ValueError(
            f"{path}: unknown keys {unknown}, missing keys {missing}; a config of an SAE has "
            f"{sorted(known)}"
        )
    return SAEAbout(
        **{name: config[name] for name in names},
        joined=joined_of(config),
        target=config.get("target"),
    )
