"""Names of hooks in others' files, as this package's layer and hook.

    blocks.N.hook_resid_pre, blocks.N.hook_resid_post   TransformerLens
    esm.encoder.layer.N, model.layers.N, transformer.h.N  a module's path, for its output
    resid_pre_layer_N, resid_post_layer_N               as dictionary_learning's example has it

Blocks count from 0: block N reads layer N, and its output is layer N + 1. But the output of the
last block comes before the PLM's final layer norm, and the last layer after it: such a hook keeps
its own name. Any other name is its own hook, of a layer that it does not say.
"""

import logging
import re
from pathlib import Path
from typing import Any

from interplm_nb.sae.about import RESIDUAL
from interplm_nb.sae.importers.given import Given
from interplm_nb.sae.importers.widths import KNOWN

_INPUT = r"blocks\.(\d+)\.hook_resid_pre|resid_pre_layer_(\d+)"
_OUTPUT = (
    r"blocks\.(\d+)\.hook_resid_post|resid_post_layer_(\d+)|(?:\w+\.)*(?:layers?|blocks?|h)\.(\d+)"
)
_log = logging.getLogger(__name__)


def placed(path: Path, name: object, plm: str | None, given: Given) -> dict[str, Any]:
    """`layer` and `hook` by a hook's name, None where it does not say.

    `plm` is the PLM as the file says; its depth tells which block is the last. ValueError where the
    user says otherwise.
    """
    text = name if isinstance(name, str) and name else None
    block, side = _block(text or "")
    if block is None:
        return {"layer": None, "hook": text}
    layer = block + (side == "output")
    if given.layer not in (None, layer):
        raise ValueError(
            f"{path}: its hook {text} is the {side} of block {block}, counted from 0, which is "
            f"layer {layer}; you say layer {given.layer}; leave layer out to take the file's"
        )
    plm = given.plm or plm
    depth = KNOWN[plm][1] if plm in KNOWN else None
    if side == "output" and layer == depth:
        if given.hook == RESIDUAL:
            raise ValueError(
                f"{path}: its hook {text} is the output of the last block of {plm}, before the "
                f"final layer norm; {RESIDUAL!r} of layer {layer} is after it; leave hook out to "
                "keep the file's"
            )
        return {"layer": layer, "hook": text}
    if side == "output" and depth is None and not given.hook:
        _log.warning(
            "%s: its hook %s is read as the representation after layer %d of %s, whose number of "
            "blocks is not known here; if this is the last block, a final layer norm may follow "
            "it, and the SAE is not of that layer",
            path,
            text,
            layer,
            plm or "its PLM",
        )
    return {"layer": layer, "hook": RESIDUAL}


def _block(text: str) -> tuple[int | None, str]:
    """The block that a hook's name counts, and whether it is the block's input or output."""
    for side, pattern in (("input", _INPUT), ("output", _OUTPUT)):
        if found := re.fullmatch(pattern, text):
            return int(next(number for number in found.groups() if number)), side
    return None, ""
