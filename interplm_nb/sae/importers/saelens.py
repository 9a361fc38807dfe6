"""SAELens' checkpoints (PyPI sae-lens 6.54, `saes/`, `loading/pretrained_sae_loaders.py`): a folder
with `cfg.json` and `sae_weights.safetensors`.

`W_enc` [d_in, d_sae], `W_dec` [d_sae, d_in], `b_dec`, and by cfg.json's architecture:

    standard                         b_enc
    topk                             b_enc
    jumprelu                         b_enc, threshold [d_sae]
    batchtopk, matryoshka_batchtopk  b_enc, topk_threshold [], as a training saves itself
    gated                            b_gate, b_mag, r_mag

For use, batchtopk and matryoshka_batchtopk are saved as jumprelu. With
`rescale_acts_by_decoder_norm`, topk chooses among z * ||atom||, which are its features too.
`apply_b_dec_to_input` says whether the encoder centres. normalize_activations: none, layer_norm,
constant_norm_rescale; expected_average_only_in multiplies x by a factor that the file does not have
(input_scale); covariance_whitening is refused, as are head outputs (hook_z), transcoders and the
other architectures. Files of SAELens before 6 have other defaults and are read by its own rules.
`metadata` names the model and a hook (`hooks`). A `scaling_factor` [d_sae] of ones, which older
versions wrote, says nothing; another one multiplies the features and is refused.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from interplm_nb.sae.architectures import (
    Architecture,
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    TopK,
    from_record,
)
from interplm_nb.sae.importers.assembly import (
    EXACT,
    assemble,
    expect,
    matrix_shapes,
    refuse_non_finite,
    sizes,
)
from interplm_nb.sae.importers.given import OURS, Given, Reading, plm_name, recorded
from interplm_nb.sae.importers.hooks import placed
from interplm_nb.sae.importers.tensors import Found
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm

NAME = "saelens"
WANTS = (
    "W_enc, W_dec, b_dec and its architecture's other weights, and SAELens' cfg.json with d_in and "
    "d_sae"
)
TAKES = frozenset({"architecture", "k", "input_scale"})
_MATRICES = frozenset({"W_enc", "W_dec", "b_dec"})
_OTHERS = {
    "standard": frozenset({"b_enc"}),
    "topk": frozenset({"b_enc"}),
    "jumprelu": frozenset({"b_enc", "threshold"}),
    "batchtopk": frozenset({"b_enc", "topk_threshold"}),
    "matryoshka_batchtopk": frozenset({"b_enc", "topk_threshold"}),
    "gated": frozenset({"b_gate", "b_mag", "r_mag"}),
}
_NORMS = {
    None: None,
    "none": None,
    "layer_norm": ResidueNorm("layer-norm", 1e-5),
    "constant_norm_rescale": ResidueNorm("sqrt-d", EXACT),
}
_SCALED = "expected_average_only_in"
_FACTOR = "scaling_factor"


def mismatch(found: Found, given: Given) -> str:
    """Why this is not a file of SAELens'; empty where it is."""
    config = _config(found)
    if not config:
        return "no cfg.json with d_in and d_sae next to it"
    if config["architecture"] not in _OTHERS:
        return f"architecture {config['architecture']!r} is not one of {', '.join(_OTHERS)}"
    wanted = _MATRICES | _OTHERS[config["architecture"]]
    return (
        ""
        if found.keys - {_FACTOR} == wanted
        else f"not the weights of {config['architecture']} ({', '.join(sorted(wanted))})"
    )


def read(found: Found, given: Given) -> Reading:
    """The SAE. ValueError for settings that this package lacks, shapes that do not fit, or NaN."""
    config = _config(found)
    d_in, d_sae = sizes(found, "W_enc", transposed=False)
    if (config["d_in"], config["d_sae"]) != (d_in, d_sae):
        raise ValueError(
            f"{found.path}: cfg.json says d_in {config['d_in']} and d_sae {config['d_sae']}, the "
            f"tensors say {d_in} and {d_sae}"
        )
    vectors = {
        name: (d_sae,)
        for name in ("threshold", "b_gate", "b_mag", "r_mag", _FACTOR)
        if name in found.keys
    }
    expect(
        found,
        {name: shape for name, shape in matrix_shapes(d_in, d_sae).items() if name in found.keys}
        | vectors,
    )
    refuse_non_finite(found.tensors, found.path)
    _refuse_settings(found, config)
    metadata = config.get("metadata") or {}
    sae = _sae(found, given, config)
    maxima = (metadata.get(OURS) or {}).get("maxima")
    if maxima is not None:
        sae.maxima = torch.tensor(maxima, dtype=torch.float32)
        _check_maxima(found, sae)
    return Reading(sae, _says(found, metadata, given))


def _config(found: Found) -> dict[str, Any]:
    """cfg.json in the form of SAELens 6; empty if absent."""
    config = found.configs.get("cfg.json", {})
    if not {"d_in", "d_sae"} <= config.keys():
        return {}
    metadata = config.get("metadata")
    version = str((metadata or {}).get("sae_lens_version") or config.get("sae_lens_version") or "0")
    major = version.split(".")[0]
    return (
        dict(config)
        if major.isdecimal() and int(major) >= 6 and "architecture" in config
        else _before_6(config)
    )


def _before_6(config: dict[str, Any]) -> dict[str, Any]:
    hook = config.get("hook_name", config.get("hook_point"))
    activation = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    arguments = config.get("activation_fn_kwargs") or {}
    new = {**config, "apply_b_dec_to_input": config.get("apply_b_dec_to_input", True)}
    new["architecture"] = "topk" if activation == "topk" else config.get("architecture", "standard")
    new["k"] = arguments.get("k", config.get("k"))
    normalize = config.get("normalize_activations")
    if normalize is None or isinstance(normalize, bool):
        new["normalize_activations"] = _SCALED if normalize else "none"
    new["reshape_activations"] = config.get(
        "reshape_activations", "hook_z" if "hook_z" in str(hook) else "none"
    )
    new["activation_fn"] = activation
    new["metadata"] = {
        "model_name": config.get("model_name"),
        "hook_name": hook,
        "hook_head_index": config.get("hook_head_index", config.get("hook_point_head_index")),
    }
    return new


def _refuse_settings(found: Found, config: dict[str, Any]) -> None:
    """Refuse, by name, what changes the features and this package lacks."""
    metadata = config.get("metadata") or {}
    factor = found.tensors.get(_FACTOR)
    if factor is not None and not torch.allclose(factor.double(), torch.ones_like(factor).double()):
        raise ValueError(
            f"{found.path}: its scaling_factor multiplies features after they are computed (a "
            "finetuned SAE), which this package lacks; only a scaling_factor of ones can be read"
        )
    arguments = config.get("activation_fn_kwargs") or {}
    strange = {key: value for key, value in arguments.items() if key != "k" and value is not None}
    activations = ("relu", "topk") if config["architecture"] == "topk" else ("relu",)
    reasons: Mapping[str, tuple[Any, bool]] = {
        "normalize_activations": (
            config.get("normalize_activations"),
            config.get("normalize_activations") not in (*_NORMS, _SCALED),
        ),
        "reshape_activations": (
            config.get("reshape_activations"),
            config.get("reshape_activations") not in (None, "none"),
        ),
        "finetuning_scaling_factor": (
            config.get("finetuning_scaling_factor"),
            bool(config.get("finetuning_scaling_factor")) and factor is None,
        ),
        "activation_fn": (
            config.get("activation_fn"),
            config.get("activation_fn", "relu") not in activations,
        ),
        "activation_fn_kwargs": (strange, bool(strange)),
        "hook_head_index": (
            metadata.get("hook_head_index"),
            metadata.get("hook_head_index") is not None,
        ),
    }
    for name, (value, refused) in reasons.items():
        if refused:
            raise ValueError(
                f"{found.path}: cfg.json says {name} {value!r}, which this package lacks; "
                "only SAEs of whole residue vectors can be read"
            )
    for name in ("apply_b_dec_to_input", "rescale_acts_by_decoder_norm"):
        if not isinstance(config.get(name, False), bool):
            raise ValueError(
                f"{found.path}: cfg.json says {name} {config[name]!r}, wanted true or false"
            )


def _sae(found: Found, given: Given, config: dict[str, Any]) -> SAE:
    normalize = config.get("normalize_activations")
    scale = (
        given.settle(found.path, {"input_scale": None})["input_scale"]
        if normalize == _SCALED
        else 1.0
    )
    if normalize != _SCALED and given.input_scale is not None:
        raise ValueError(
            f"{found.path}: cfg.json says normalize_activations {normalize!r}: its input is not "
            "scaled; leave input_scale out"
        )
    W_enc, W_dec, b_dec, b_enc = found.floats(
        "W_enc", "W_dec", "b_dec", "b_enc" if "b_enc" in found.keys else "b_mag"
    )
    own = [name for name in ("threshold", "b_gate", "r_mag") if name in found.keys]
    extra: dict[str, Tensor] = dict(zip(own, found.floats(*own), strict=True))
    if "topk_threshold" in found.keys:
        [extra["threshold"]] = found.floats("topk_threshold")
    if config.get("rescale_acts_by_decoder_norm"):
        norms = W_dec.norm(dim=1)
        W_enc, b_enc, W_dec = W_enc * norms, b_enc * norms, W_dec / norms[:, None]
        refuse_non_finite({"W_dec / its atoms' norms": W_dec}, found.path)
    return assemble(
        _architecture(found, given, config),
        W_enc,
        b_enc,
        W_dec,
        b_dec,
        centred=bool(config.get("apply_b_dec_to_input", True)),
        input_scale=scale,
        residue_norm=_NORMS.get(normalize),
        extra=extra,
    )


def _check_maxima(found: Found, sae: SAE) -> None:
    """Refuse maxima in our own record other than one value of 0 or more per feature."""
    if sae.maxima is None or sae.maxima.shape != (sae.d_sae,) or not bool((sae.maxima >= 0).all()):
        raise ValueError(
            f"{found.path}: the maxima in cfg.json must be one value of 0 or more for each of "
            f"{sae.d_sae} features"
        )


def _architecture(found: Found, given: Given, config: dict[str, Any]) -> Architecture:
    ours = ((config.get("metadata") or {}).get(OURS) or {}).get("architecture")
    # BatchTopK and Matryoshka are exported as jumprelu.
    if ours and config["architecture"] == "jumprelu":
        kind = from_record(ours, found.path)
        if not isinstance(kind, BatchTopK | JumpReLU):
            raise ValueError(
                f"{found.path}: our record in cfg.json says {kind.name}, SAELens' architecture "
                "jumprelu; they belong to different SAEs"
            )
        return kind
    match config["architecture"]:
        case "standard":
            return ReLU()
        case "jumprelu":
            return JumpReLU()
        case "gated":
            return Gated()
    k = config.get("k")
    if isinstance(k, float) and not k.is_integer():
        raise ValueError(f"{found.path}: k must be a whole number; cfg.json says {k}")
    k = given.settle(found.path, {"k": None if k is None else int(k)})["k"]
    if config["architecture"] == "matryoshka_batchtopk":
        widths = [*config.get("matryoshka_widths", []), config["d_sae"]]
        return Matryoshka(k, tuple(sorted(set(widths))))
    return TopK(k) if config["architecture"] == "topk" else BatchTopK(k)


def _says(found: Found, metadata: dict[str, Any], given: Given) -> dict[str, Any]:
    if ours := recorded(metadata.get(OURS)):
        return ours
    plm = plm_name(metadata.get("model_name"))
    return {"plm": plm, **placed(found.path, metadata.get("hook_name"), plm, given)}
