"""Checkpoints of EleutherAI's sparsify (PyPI eai-sparsify 1.3.3, `sparse_coder.py`): a folder per
hookpoint with `cfg.json` and `sae.safetensors`.

`encoder.weight` [d_sae, d_in], `encoder.bias`, `W_dec` [d_sae, d_in], `b_dec`; TopK of (x - b_dec)
@ encoder.weight.T + encoder.bias. cfg.json has d_in, k, num_latents or expansion_factor, and
activation. Transcoders, skip connections, "groupmax" and signed latents are refused. PLM, layer and
hook are at best in the folder's name: "layers.3" is the output of block 3, counted from 0, which is
our layer 4.
"""

from typing import Any

from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.importers.assembly import assemble, expect, refuse_non_finite, sizes
from interplm_nb.sae.importers.given import Given, Reading
from interplm_nb.sae.importers.tensors import Found

NAME = "sparsify"
WANTS = "encoder.weight, encoder.bias, W_dec, b_dec, and cfg.json with d_in and k"
TAKES = frozenset({"k"})
_KEYS = frozenset({"encoder.weight", "encoder.bias", "W_dec", "b_dec"})


def mismatch(found: Found, given: Given) -> str:
    """Why this is not a file of sparsify's; empty where it is."""
    if found.keys - {"W_skip"} != _KEYS:
        return "other tensors"
    return (
        ""
        if {"d_in", "k"} <= found.config("d_in").keys()
        else "no cfg.json with d_in and k next to it"
    )


def read(found: Found, given: Given) -> Reading:
    """The SAE. ValueError for anything but an autoencoder with TopK, shapes that do not fit, or
    NaN."""
    config = found.config("d_in")
    _refuse_others(found, config)
    d_in, d_sae = sizes(found, "encoder.weight", transposed=True)
    stated = (
        config["d_in"],
        config.get("num_latents") or config["d_in"] * config.get("expansion_factor", 32),
    )
    if stated != (d_in, d_sae):
        raise ValueError(
            f"{found.path}: cfg.json says {stated[0]} inputs and {stated[1]} features, the tensors "
            f"say {d_in} and {d_sae}"
        )
    expect(found, {"encoder.bias": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)})
    refuse_non_finite(found.tensors, found.path)
    W_enc, b_enc, W_dec, b_dec = found.floats("encoder.weight", "encoder.bias", "W_dec", "b_dec")
    k = given.settle(found.path, {"k": config["k"]})["k"]
    return Reading(
        assemble(TopK(k), W_enc.T, b_enc, W_dec, b_dec), {"plm": None, "layer": None, "hook": None}
    )


def _refuse_others(found: Found, config: dict[str, Any]) -> None:
    for key, meaning in (
        ("transcode", "a transcoder"),
        ("skip_connection", "a skip connection"),
        ("signed", "signed latents"),
    ):
        if config.get(key) or (key == "skip_connection" and "W_skip" in found.keys):
            raise ValueError(
                f"{found.path}: {meaning}; only autoencoders with activations of 0 or more can be "
                "read"
            )
    if config.get("activation", "topk") != "topk":
        raise ValueError(
            f"{found.path}: activation {config['activation']!r} cannot be read; only topk can"
        )
