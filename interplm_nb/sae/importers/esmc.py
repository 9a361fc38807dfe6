"""Biohub's SAEs of ESM C (github.com/Biohub/esm, `esm/models/esmc/sae.py`; Hugging Face
biohub/ESMC-*-sae-*).

A repository has `config.json` (model_type "esmc_sae", d_model, codebook_dim, k, available_layers,
use_residual_update_instead_of_states) and a `layer_<layer>.safetensors` per layer: `W_enc` [d_in,
d_sae], `W_dec` [d_sae, d_in], `b_dec`, `idf`, `max`. TopK of relu((x_n - b_dec) @ W_enc), with x_n
= (x - mean) / (std + 1e-5) over a residue's values. `max` holds each feature's maximum, and
features then have unit "max", unless it is 1 throughout; the weighting by `idf` is not applied. x
is hidden_states[layer], or with the flag what the layer adds to it. The file does not name its PLM.
"""

import re

import torch

from interplm_nb.sae.about import RESIDUAL
from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.importers.assembly import assemble, expect, refuse_non_finite, sizes
from interplm_nb.sae.importers.given import Given, Reading
from interplm_nb.sae.importers.tensors import Found
from interplm_nb.sae.residue_norm import ResidueNorm

NAME = "esmc"
MODEL_TYPE = "esmc_sae"
WANTS = "W_enc, W_dec, b_dec, idf, max, and config.json with model_type esmc_sae"
TAKES = frozenset({"k"})
UPDATE = "residual-update"
_KEYS = frozenset({"W_enc", "W_dec", "b_dec", "idf", "max"})


def mismatch(found: Found, given: Given) -> str:
    """Why this is not a file of Biohub's; empty where it is."""
    if found.keys != _KEYS:
        return "other tensors"
    return (
        ""
        if found.config("model_type").get("model_type") == MODEL_TYPE
        else f"no config.json with model_type {MODEL_TYPE} next to it"
    )


def read(found: Found, given: Given) -> Reading:
    """The SAE. ValueError for shapes or a layer that config.json contradicts, or NaN."""
    config = found.config("model_type")
    d_in, d_sae = sizes(found, "W_enc", transposed=False)
    if (config.get("d_model"), config.get("codebook_dim")) != (d_in, d_sae):
        stated = f"d_model {config.get('d_model')} and codebook_dim {config.get('codebook_dim')}"
        raise ValueError(
            f"{found.path}: config.json says {stated}, the tensors say {d_in} and {d_sae}"
        )
    expect(found, {"W_dec": (d_sae, d_in), "b_dec": (d_in,), "idf": (d_sae,), "max": (d_sae,)})
    refuse_non_finite(found.tensors, found.path)
    k = given.settle(found.path, {"k": config.get("k")})["k"]
    W_enc, W_dec, b_dec, maxima = found.floats("W_enc", "W_dec", "b_dec", "max")
    sae = assemble(
        TopK(k),
        W_enc,
        torch.zeros(d_sae),
        W_dec,
        b_dec,
        residue_norm=ResidueNorm("layer-norm", 1e-5),
    )
    hook = UPDATE if config.get("use_residual_update_instead_of_states", False) else RESIDUAL
    says = {
        "plm": None,
        "layer": _layer(found, config.get("available_layers"), given.layer),
        "hook": hook,
    }
    return Reading(sae if bool((maxima == 1).all()) else sae.folded(maxima.numpy()), says)


def _layer(found: Found, available: object, given: int | None) -> int | None:
    """The layer by the file's name, where the format keeps it, or the only one in config.json."""
    named = re.fullmatch(r"layer_(\d+)\.safetensors", found.path.name)
    layers = available if isinstance(available, list) else []
    layer = int(named[1]) if named else layers[0] if len(layers) == 1 else None
    for mine in (layer, given):
        if mine is not None and layers and mine not in layers:
            raise ValueError(f"{found.path}: config.json lists the layers {layers}, not {mine}")
    return layer
