"""Reticular's Matryoshka SAEs of ESM-2 3B, layer 36 (Parsan, Yang & Yang 2025,
github.com/johnyang101/reticular-sae, `pretrained_models/*.ckpt`).

The tensors of dictionary_learning's MatryoshkaBatchTopKSAE, in 5 groups, without a config.json. Its
training divides embeddings by the root of their mean squared norm (`normalize_activations: true` in
its settings). The file does not say whether the biases were scaled back before it was saved, so the
user gives `input_scale`: 1 where x is encoded as it is, as in its README, otherwise 1 / that norm.
x is transformers' hidden_states[layer].

The tensors' names come from the loader that its README calls; the files themselves (git-LFS) were
not available.
"""

from interplm_nb.sae.about import RESIDUAL
from interplm_nb.sae.importers.assembly import refuse_non_finite
from interplm_nb.sae.importers.dictionary_learning import MATRYOSHKA, matryoshka
from interplm_nb.sae.importers.given import Given, Reading
from interplm_nb.sae.importers.tensors import Found

NAME = "reticular"
WANTS = "W_enc, b_enc, W_dec, b_dec, k, threshold, group_sizes of 5 groups, and no config.json"
TAKES = frozenset({"k", "threshold", "input_scale"})
_GROUPS = 5


def mismatch(found: Found, given: Given) -> str:
    """Why this is not a file of Reticular's; empty where it is."""
    if found.keys != MATRYOSHKA:
        return "other tensors"
    if found.configs:
        return "a JSON next to it"
    return (
        ""
        if found.tensors["group_sizes"].numel() == _GROUPS
        else f"{found.tensors['group_sizes'].numel()} groups"
    )


def read(found: Found, given: Given) -> Reading:
    """The SAE. ValueError for shapes that do not fit, NaN, or a missing input_scale."""
    refuse_non_finite(found.tensors, found.path)
    scale = given.settle(found.path, {"input_scale": None})["input_scale"]
    return Reading(matryoshka(found, given, scale), {"plm": None, "layer": None, "hook": RESIDUAL})
