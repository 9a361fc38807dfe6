"""Known PLMs' widths and depths, so that an SAE of another model is refused when it is read."""

from pathlib import Path

from interplm_nb.plm.names import MINI

KNOWN = {
    MINI: (192, 4),
    "esm2_t6_8M_UR50D": (320, 6),
    "esm2_t12_35M_UR50D": (480, 12),
    "esm2_t30_150M_UR50D": (640, 30),
    "esm2_t33_650M_UR50D": (1280, 33),
    "esm2_t36_3B_UR50D": (2560, 36),
    "esm2_t48_15B_UR50D": (5120, 48),
}
"""Width and number of layers of the models of ESM-2's architecture that are known by name."""


def check_width(path: Path, plm: str, layer: int, d_in: int) -> None:
    """Refuse an SAE whose d_in or layer the named PLM does not have; a PLM that is not in KNOWN is
    not checked."""
    if layer < 0:
        raise ValueError(f"{path}: a layer must be 0 or more; got {layer}")
    if plm not in KNOWN:
        return
    width, n_layers = KNOWN[plm]
    if d_in != width:
        fitting = (
            ", ".join(name for name, (w, _) in KNOWN.items() if w == d_in)
            or "none of the known PLMs"
        )
        raise ValueError(
            f"{path}: this SAE takes {d_in} values per residue, {plm} has {width}; {d_in} fits "
            f"{fitting}"
        )
    if layer > n_layers:
        raise ValueError(f"{path}: {plm} has layers 0 to {n_layers}, not {layer}")
