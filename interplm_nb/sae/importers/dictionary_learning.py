"""Checkpoints of dictionary_learning (Marks, Karvonen & Mueller; PyPI 0.1.0: `dictionary.py`,
`trainers/*.py`, `training.py`).

A training writes `ae.pt` and `config.json` with "trainer": dict_class, activation_dim, dict_size,
k, layer, lm_name, submodule_name and more:

    AutoEncoder             bias, encoder.*, decoder.weight
    AutoEncoderNew          encoder.*, decoder.weight, decoder.bias; does not centre
    AutoEncoderTopK         b_dec, k, threshold, encoder.*, decoder.weight; in 2024 without
                            threshold or k, which config.json says
    BatchTopKSAE            the same tensors; f = z where z > threshold
    MatryoshkaBatchTopKSAE  W_enc, b_enc, W_dec, b_dec, k, threshold, group_sizes; the same f
    JumpReluAutoEncoder     W_enc, b_enc, W_dec, b_dec, threshold; does not centre
    GatedAutoEncoder        decoder_bias, r_mag, gate_bias, mag_bias, encoder.weight, decoder.weight

AutoEncoder and AutoEncoderNew are ReLU. The loader of the first gives atoms unit norm, that of the
second leaves them, and so does this reader: features are those of its `encode`. AutoEncoderTopK
does not choose by its threshold. A training that normalises its input scales the biases back before
it saves, so that x is encoded as it is. `lm_name` is the PLM. `layer` counts a model's blocks as
the caller did and `submodule_name` is free text: where it is one of `hooks` and of that block, it
is the place of the SAE; otherwise the user gives our layer and hook. The layer must be within one
of theirs.
"""

import re
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
)
from interplm_nb.sae.importers.assembly import (
    assemble,
    expect,
    linear_shapes,
    matrix_shapes,
    refuse_non_finite,
    sizes,
    threshold_of,
)
from interplm_nb.sae.importers.given import Given, Reading, plm_name
from interplm_nb.sae.importers.hooks import placed
from interplm_nb.sae.importers.tensors import Found
from interplm_nb.sae.model import SAE

NAME = "dictionary-learning"
WANTS = "config.json with 'trainer' and its dict_class, and that class's tensors"
TAKES = frozenset({"architecture", "k", "threshold"})
_LINEAR = frozenset({"encoder.weight", "encoder.bias", "decoder.weight"})
_MATRICES = frozenset({"W_enc", "b_enc", "W_dec", "b_dec"})
_NEW = _LINEAR | {"decoder.bias"}
_TOPK = _LINEAR | {"b_dec", "k", "threshold"}
_SINCE_2024 = frozenset({"k", "threshold"})
"""Buffers of AutoEncoderTopK that its features do not need."""
MATRYOSHKA = _MATRICES | {"k", "threshold", "group_sizes"}
_CLASSES = {
    "AutoEncoder": ("relu", _LINEAR | {"bias"}),
    "AutoEncoderNew": ("relu", _NEW),
    "AutoEncoderTopK": ("topk", _TOPK),
    "BatchTopKSAE": ("batchtopk", _TOPK),
    "MatryoshkaBatchTopKSAE": ("matryoshka", MATRYOSHKA),
    "JumpReluAutoEncoder": ("jumprelu", _MATRICES | {"threshold"}),
    "GatedAutoEncoder": (
        "gated",
        frozenset(
            {"decoder_bias", "r_mag", "gate_bias", "mag_bias", "encoder.weight", "decoder.weight"}
        ),
    ),
}
_KINDS = tuple(dict.fromkeys(kind for kind, _ in _CLASSES.values()))


def _fits(kind: str, keys: frozenset[str]) -> bool:
    return (kind, keys) in _CLASSES.values() or (kind == "topk" and keys | _SINCE_2024 == _TOPK)


def mismatch(found: Found, given: Given) -> str:
    """Why this is not a file of dictionary_learning's; empty where it is. A file that the user says
    has this format needs no config.json."""
    trainer = found.config("trainer").get("trainer")
    if not isinstance(trainer, dict):
        fits = given.format == NAME and any(_fits(kind, found.keys) for kind in _KINDS)
        return "" if fits else "no config.json with 'trainer' next to it"
    if trainer.get("dict_class") not in _CLASSES:
        return f"dict_class {trainer.get('dict_class')!r} is not one of {', '.join(_CLASSES)}"
    return (
        ""
        if _fits(_CLASSES[trainer["dict_class"]][0], found.keys)
        else f"not the tensors of {trainer['dict_class']}"
    )


def read(found: Found, given: Given) -> Reading:
    """The SAE. ValueError for shapes that do not fit, NaN, or an architecture or k on which file
    and user disagree."""
    trainer: dict[str, Any] = found.config("trainer").get("trainer", {})
    refuse_non_finite(found.tensors, found.path)
    stated = _CLASSES[trainer["dict_class"]][0] if trainer else _only_kind(found)
    kind = given.settle(found.path, {"architecture": stated})["architecture"]
    if kind not in _KINDS or not _fits(kind, found.keys):
        raise ValueError(f"{found.path}: its tensors do not fit {kind!r}; found {found.outline()}")
    sae = _sae(found, given, kind, trainer.get("k"))
    for name, ours in (("activation_dim", sae.d_in), ("dict_size", sae.d_sae)):
        if trainer.get(name, ours) != ours:
            raise ValueError(
                f"{found.path}: config.json says {name} {trainer[name]}, the tensors say {ours}; "
                "they belong to different SAEs"
            )
    _check_layer(found, given, trainer.get("layer"))
    plm = plm_name(trainer.get("lm_name"))
    return Reading(sae, {"plm": plm, **_place(found, given, trainer, plm)})


def _place(
    found: Found, given: Given, trainer: dict[str, Any], plm: str | None
) -> dict[str, int | str | None]:
    """Layer and hook by submodule_name, if it is the output of the block that `layer` says."""
    name, block = str(trainer.get("submodule_name")), trainer.get("layer")
    output = found.config("trainer").get("buffer", {}).get("io", "out") == "out"
    if output and isinstance(block, int) and re.search(rf"(?<!\d){block}$", name):
        place = placed(found.path, name, plm, given)
        if place["layer"] is not None:
            return place
    return {"layer": None, "hook": None}


def _check_layer(found: Found, given: Given, block: object) -> None:
    """A block's number there is our layer (the block's input) or one less (its output)."""
    if isinstance(block, int) and given.layer not in (None, block, block + 1):
        raise ValueError(
            f"{found.path}: config.json says block {block}, whose input is layer {block} and "
            f"output layer {block + 1}; you say {given.layer}"
        )


def _only_kind(found: Found) -> str | None:
    kinds = [kind for kind in _KINDS if _fits(kind, found.keys)]
    return kinds[0] if len(kinds) == 1 else None


def _sae(found: Found, given: Given, kind: str, stated_k: int | None) -> SAE:
    if kind in ("matryoshka", "jumprelu"):
        return matryoshka(found, given) if kind == "matryoshka" else _jumprelu(found)
    d_in, d_sae = sizes(found, "encoder.weight", transposed=True)
    if kind == "gated":
        return _gated(found, d_in, d_sae)
    if found.keys == _NEW:
        return _uncentred(found, d_in, d_sae)
    expect(found, {**linear_shapes(d_in, d_sae), ("bias" if kind == "relu" else "b_dec"): (d_in,)})
    W_enc, b_enc, W_dec, b_dec = found.floats(
        "encoder.weight", "encoder.bias", "decoder.weight", "bias" if kind == "relu" else "b_dec"
    )
    extra: dict[str, Tensor] = {}
    architecture: Architecture = ReLU()
    if kind != "relu":
        k = stored_k(found, given, stated_k)
        architecture = TopK(k) if kind == "topk" else BatchTopK(k)
        extra = {"threshold": threshold_of(found, given.threshold)} if kind == "batchtopk" else {}
    sae = assemble(architecture, W_enc.T, b_enc, W_dec.T, b_dec, extra=extra)
    return _with_unit_atoms(sae) if kind == "relu" else sae


def _uncentred(found: Found, d_in: int, d_sae: int) -> SAE:
    expect(found, {**linear_shapes(d_in, d_sae), "decoder.bias": (d_in,)})
    W_enc, b_enc, W_dec, b_dec = found.floats(
        "encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"
    )
    return assemble(ReLU(), W_enc.T, b_enc, W_dec.T, b_dec, centred=False)


def stored_k(found: Found, given: Given, stated: int | None = None) -> int:
    """The `k` of the tensors, or else of config.json; they and the user must not differ."""
    k = int(found.tensors["k"]) if "k" in found.keys else stated
    if stated not in (None, k):
        raise ValueError(
            f"{found.path}: config.json says k {stated}, the tensors say {k}; they belong to "
            "different SAEs"
        )
    return given.settle(found.path, {"k": k})["k"]


def matryoshka(found: Found, given: Given, input_scale: float = 1.0) -> SAE:
    """The SAE of MATRYOSHKA's tensors."""
    d_in, d_sae = sizes(found, "W_enc", transposed=False)
    expect(found, matrix_shapes(d_in, d_sae))
    groups = [int(n) for n in found.tensors["group_sizes"]]
    if min(groups) < 1 or sum(groups) != d_sae:
        raise ValueError(
            f"{found.path}: its group_sizes {groups} do not add up to its {d_sae} features"
        )
    prefixes = torch.tensor(groups).cumsum(0).tolist()
    architecture = Matryoshka(stored_k(found, given), tuple(prefixes))
    threshold = threshold_of(found, given.threshold)
    return assemble(
        architecture,
        *found.floats("W_enc", "b_enc", "W_dec", "b_dec"),
        input_scale=input_scale,
        extra={"threshold": threshold},
    )


def _jumprelu(found: Found) -> SAE:
    d_in, d_sae = sizes(found, "W_enc", transposed=False)
    expect(found, {**matrix_shapes(d_in, d_sae), "threshold": (d_sae,)})
    W_enc, b_enc, W_dec, b_dec, threshold = found.floats(
        "W_enc", "b_enc", "W_dec", "b_dec", "threshold"
    )
    return assemble(
        JumpReLU(), W_enc, b_enc, W_dec, b_dec, centred=False, extra={"threshold": threshold}
    )


def _gated(found: Found, d_in: int, d_sae: int) -> SAE:
    shapes = dict.fromkeys(("r_mag", "gate_bias", "mag_bias"), (d_sae,)) | {
        "decoder_bias": (d_in,),
        "decoder.weight": (d_in, d_sae),
    }
    expect(found, shapes)
    W_enc, b_mag, W_dec, b_dec, r_mag, b_gate = found.floats(
        "encoder.weight", "mag_bias", "decoder.weight", "decoder_bias", "r_mag", "gate_bias"
    )
    return assemble(
        Gated(), W_enc.T, b_mag, W_dec.T, b_dec, extra={"r_mag": r_mag, "b_gate": b_gate}
    )


def _with_unit_atoms(sae: SAE) -> SAE:
    norms = sae.W_dec.detach().norm(dim=1)
    return (
        sae
        if torch.allclose(norms, torch.ones_like(norms))
        else sae.rescaled(torch.where(norms > 0, norms, 1))
    )
