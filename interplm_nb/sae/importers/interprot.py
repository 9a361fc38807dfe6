"""InterProt's checkpoints (Adams et al. 2025, github.com/etowahadams/interprot,
`interprot/sae_model.py`; Hugging Face liambai/InterProt-ESM2-SAEs).

`w_enc` [d_in, d_sae], `w_dec` [d_sae, d_in], `b_enc`, `b_pre`, `stats_last_nonzero`; TopK of (LN(x)
- b_pre) @ w_enc + b_enc, where LN subtracts a residue's mean and divides by its standard deviation
+ 1e-5. Published as safetensors, which say neither k nor layer nor PLM. A Lightning checkpoint
prefixes the names with "sae_model." and has k and layer_to_use in its arguments. x is transformers'
hidden_states[layer].

Their training runs ESM-2 without its token dropout, which rescales all embeddings; their published
code runs it with token dropout.
"""

from interplm_nb.sae.about import RESIDUAL
from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.importers.assembly import assemble, expect, refuse_non_finite, sizes
from interplm_nb.sae.importers.given import Given, Reading
from interplm_nb.sae.importers.tensors import Found
from interplm_nb.sae.residue_norm import ResidueNorm

NAME = "interprot"
WANTS = "w_enc, w_dec, b_enc, b_pre (with sae_model. before them in a Lightning checkpoint)"
TAKES = frozenset({"k"})
_KEYS = frozenset({"w_enc", "w_dec", "b_enc", "b_pre"})
_COUNTER = "stats_last_nonzero"
_PREFIX = "sae_model."


def mismatch(found: Found, given: Given) -> str:
    """Why this is not a file of InterProt's; empty where it is."""
    return "" if _renamed(found).keys - {_COUNTER} == _KEYS else "other tensors"


def read(found: Found, given: Given) -> Reading:
    """The SAE. ValueError for shapes that do not fit, NaN, or a missing k."""
    stated = found.settings
    found = _renamed(found)
    d_in, d_sae = sizes(found, "w_enc", transposed=False)
    expect(found, {"w_dec": (d_sae, d_in), "b_enc": (d_sae,), "b_pre": (d_in,)})
    refuse_non_finite(found.tensors, found.path)
    k = given.settle(found.path, {"k": stated.get("k")})["k"]
    norm = ResidueNorm("layer-norm", 1e-5)
    sae = assemble(TopK(k), *found.floats("w_enc", "b_enc", "w_dec", "b_pre"), residue_norm=norm)
    return Reading(sae, {"plm": None, "layer": stated.get("layer_to_use"), "hook": RESIDUAL})


def _renamed(found: Found) -> Found:
    tensors = {name.removeprefix(_PREFIX): value for name, value in found.tensors.items()}
    return Found(found.path, tensors, found.settings, found.configs, found.sha256)
