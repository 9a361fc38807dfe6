"""An SAE and what it is given: another hook or width is refused before anything is computed, with both values."""

from interplm_nb.sae.checkpoint import RESIDUAL
from interplm_nb.sae.model import SAE


def check_place(sae: SAE, d_in: int, whose: str) -> None:
    """Refuse an SAE of another hook than the residual stream, or of another width than `whose` d_in values per residue."""
    if sae.about is not None and sae.about.hook != RESIDUAL:
        raise ValueError(
            f"this SAE was trained on hook {sae.about.hook!r} of layer {sae.about.layer}, {whose} gives hook {RESIDUAL!r}, the representation "
            f"after a layer; take an SAE of hook {RESIDUAL!r}"
        )
    if sae.d_in != d_in:
        raise ValueError(
            f"this SAE takes {sae.d_in} values per residue, {whose} has {d_in}; take an SAE of the same PLM"
        )
