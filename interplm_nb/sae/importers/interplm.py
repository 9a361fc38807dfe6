"""InterPLM's checkpoints (Simon & Zou 2025, github.com/ElanaPearl/InterPLM,
`interplm/sae/dictionary.py` at its first release, 1.0.0 and later).

Published (Hugging Face Elana/InterPLM-esm2-8m, -650m): `bias`, `encoder.weight`, `encoder.bias`,
`decoder.weight`; ReLU. In `ae_normalized.pt` each feature is divided by its maximum m over
Swiss-Prot and its atom multiplied by it; atoms had norm 1 before, so that m is the atom's norm:
such a file gives unit "max", one with unit atoms "raw". A dead feature has m = 0, an atom of zeros,
and may have NaN (0 / 0) in its encoder.

1.0.0 and later add `activation_rescale_factor` (m; the weights stay as trained) and
`normalize_to_sqrt_d` to five kinds:

    ReLU             bias, encoder.weight, encoder.bias, decoder.weight
    TopK, BatchTopK  b_dec, k, threshold, encoder.*, decoder.weight
    JumpReLU         threshold, encoder.*, decoder.*; 1.0.0: W_enc, b_enc, W_dec, b_dec, threshold
    ReLU, tied       encoder.*, decoder.*

The user says which of TopK and BatchTopK it is; TopK does not choose by its threshold. JumpReLU and
tied ReLU do not centre. All of them take x as transformers' hidden_states[layer]. The file says
neither PLM nor layer. `config.yaml` may hold Python objects and is not read.
"""

import logging

import torch
from torch import Tensor

from interplm_nb.sae.about import RESIDUAL
from interplm_nb.sae.architectures import BatchTopK, JumpReLU, ReLU, TopK
from interplm_nb.sae.importers.assembly import (
    EXACT,
    assemble,
    expect,
    linear_shapes,
    matrix_shapes,
    refuse_non_finite,
    sizes,
    threshold_of,
)
from interplm_nb.sae.importers.given import OURS, Given, Reading, recorded
from interplm_nb.sae.importers.tensors import Found, find
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm

NAME = "interplm"
WANTS = (
    "bias or b_dec, encoder.weight, encoder.bias, decoder.weight (or W_enc, b_enc, W_dec, b_dec, "
    "threshold), and config.json, if any, InterPLM's"
)
TAKES = frozenset({"architecture", "k", "threshold"})
_LINEAR = frozenset({"encoder.weight", "encoder.bias", "decoder.weight"})
_LATER = frozenset({"activation_rescale_factor", "normalize_to_sqrt_d"})
_RELU = _LINEAR | {"bias"}
_TOPK = _LINEAR | {"b_dec", "k", "threshold"}
_TIED = _LINEAR | {"decoder.bias"}
_JUMPRELU = _TIED | {"threshold"}
_JUMPRELU_100 = frozenset({"W_enc", "b_enc", "W_dec", "b_dec", "threshold"})
_PAIR = {"ae_normalized.pt": "ae_unnormalized.pt", "ae_unnormalized.pt": "ae_normalized.pt"}
_UNIT_ATOM = 1e-3
_log = logging.getLogger(__name__)


def mismatch(found: Found, given: Given) -> str:
    """Why this is not a file of InterPLM's; empty where it is."""
    keys = found.keys - _LATER
    if keys not in (_RELU, _TOPK, _TIED, _JUMPRELU, _JUMPRELU_100):
        return "other tensors"
    if keys != _RELU and not found.keys >= _LATER:
        return f"without {' and '.join(sorted(_LATER - found.keys))}"
    if found.config("trainer") or isinstance(found.config("architecture").get("architecture"), str):
        return "the JSON next to it is another format's"
    return ""


def read(found: Found, given: Given) -> Reading:
    """The SAE. ValueError for shapes that do not fit, for NaN outside dead features, and where both
    published files exist and do not agree."""
    keys = found.keys - _LATER
    plain = keys == _JUMPRELU_100
    d_in, d_sae = sizes(found, "W_enc" if plain else "encoder.weight", transposed=not plain)
    expect(found, matrix_shapes(d_in, d_sae) if plain else linear_shapes(d_in, d_sae))
    others = _other_shapes(d_in, d_sae, keys)
    expect(found, {name: shape for name, shape in others.items() if name in found.keys})
    _check_config(found, d_in, d_sae)
    if keys == _RELU and not found.keys & _LATER:
        sae = _published(found)
        _check_partner(found)
    else:
        refuse_non_finite(found.tensors, found.path)
        sae = _trained(found, given, keys)
    return Reading(
        sae, {"plm": None, "layer": None, "hook": RESIDUAL} | recorded(found.config(OURS).get(OURS))
    )


def _other_shapes(d_in: int, d_sae: int, keys: frozenset[str]) -> dict[str, tuple[int, ...]]:
    threshold = () if keys == _TOPK else (d_sae,)
    rest: dict[str, tuple[int, ...]] = {
        "k": (),
        "threshold": threshold,
        "activation_rescale_factor": (d_sae,),
        "normalize_to_sqrt_d": (),
    }
    return {"bias": (d_in,), "b_dec": (d_in,), "decoder.bias": (d_in,), **rest}


def _check_config(found: Found, d_in: int, d_sae: int) -> None:
    stated = found.config("architecture").get("architecture")
    if not isinstance(stated, dict):
        return
    for key, ours in (("esm_dim", d_in), ("feature_dim", d_sae)):
        if stated.get(key, ours) != ours:
            raise ValueError(
                f"{found.path}: config.json says {key} {stated[key]}, the tensors say {ours}; they "
                "belong to different SAEs"
            )


def _weights(found: Found) -> list[Tensor]:
    """W_enc, b_enc, W_dec, b_dec as this package has them."""
    if "W_enc" in found.keys:
        return found.floats("W_enc", "b_enc", "W_dec", "b_dec")
    centre = next(name for name in ("bias", "b_dec", "decoder.bias") if name in found.keys)
    W_enc, b_enc, W_dec, b_dec = found.floats(
        "encoder.weight", "encoder.bias", "decoder.weight", centre
    )
    return [W_enc.T, b_enc, W_dec.T, b_dec]


def _published(found: Found) -> SAE:
    W_enc, b_enc, W_dec, b_dec = _weights(found)
    refuse_non_finite({"decoder.weight": W_dec.T, "bias": b_dec}, found.path)
    maxima = W_dec.double().norm(dim=1).float()
    broken = (maxima == 0) & ~(W_enc.isfinite().all(0) & b_enc.isfinite())
    W_enc = torch.where(broken, 0, W_enc)
    b_enc = torch.where(broken, 0, b_enc)
    refuse_non_finite({"encoder.weight": W_enc.T, "encoder.bias": b_enc}, found.path)
    if broken.any():
        _log.warning(
            "%s: %d dead features had NaN in their encoder (divided by a maximum of 0); they are 0 "
            "now",
            found.path,
            int(broken.sum()),
        )
    sae = assemble(ReLU(), W_enc, b_enc, W_dec, b_dec)
    if bool(((maxima - 1).abs() > _UNIT_ATOM).any()):
        sae.silence(maxima == 0)
        sae.maxima = maxima
    return sae


def _check_partner(found: Found) -> None:
    """Refuse published files that differ by more than the features' maxima."""
    partner = found.path.with_name(_PAIR.get(found.path.name, found.path.name))
    if partner == found.path or not partner.is_file():
        return
    mine, theirs = _weights(found), _weights(find(partner))
    if mine[0].shape != theirs[0].shape:
        raise ValueError(
            f"{found.path} and {partner.name} belong to different SAEs: encoders "
            f"{tuple(mine[0].shape)} and {tuple(theirs[0].shape)}"
        )
    ratio = mine[2].norm(dim=1) / theirs[2].norm(dim=1)
    alive = ratio.isfinite() & (ratio > 0)
    ratio = ratio[alive]
    pairs = {
        "encoder.weight": (mine[0][:, alive] * ratio, theirs[0][:, alive]),
        "encoder.bias": (mine[1][alive] * ratio, theirs[1][alive]),
        "decoder.weight": (mine[2][alive], theirs[2][alive] * ratio[:, None]),
        "bias": (mine[3], theirs[3]),
    }
    for name, (a, b) in pairs.items():
        if not torch.allclose(a, b, rtol=1e-3, atol=1e-5):
            raise ValueError(
                f"{found.path} and {partner.name} belong to different SAEs: {name} differs beyond "
                "the features' maxima; download both again"
            )


def _trained(found: Found, given: Given, keys: frozenset[str]) -> SAE:
    extra: dict[str, Tensor] = {}
    if keys == _TOPK:
        stated = found.config(OURS).get(OURS, {}).get("architecture", {}).get("name")
        kind = given.settle(found.path, {"architecture": stated, "k": int(found.tensors["k"])})
        if kind["architecture"] not in ("topk", "batchtopk"):
            raise ValueError(
                f"{found.path}: its tensors fit topk and batchtopk, not {kind['architecture']!r}; "
                "give one of the two"
            )
        architecture = TopK(kind["k"]) if kind["architecture"] == "topk" else BatchTopK(kind["k"])
        if isinstance(architecture, BatchTopK):
            extra["threshold"] = threshold_of(found, given.threshold)
    elif "threshold" in keys:
        architecture, extra["threshold"] = JumpReLU(), found.tensors["threshold"].float()
    else:
        architecture = ReLU()
    norm = (
        ResidueNorm("sqrt-d", EXACT)
        if "normalize_to_sqrt_d" in found.keys and bool(found.tensors["normalize_to_sqrt_d"])
        else None
    )
    sae = assemble(
        architecture,
        *_weights(found),
        centred=keys in (_RELU, _TOPK),
        residue_norm=norm,
        extra=extra,
    )
    factor = found.tensors.get("activation_rescale_factor")
    return sae if factor is None or bool((factor == 1).all()) else sae.folded(factor.numpy())
