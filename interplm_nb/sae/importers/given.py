"""What the user says about an SAE and what its file says: both must agree. What neither says has to
be given."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from interplm_nb.sae.model import SAE

_HINTS = {
    "plm": "the PLM's name, such as esm2_t6_8M_UR50D",
    "layer": (
        "counted from 0, the embedding: layer 4 is the output of the 4th block, hidden_states[4] "
        "in "
        "transformers"
    ),
    "hook": "where in the layer: residual for the representation after it, or a name such as mlp",
    "architecture": "such as topk or batchtopk: the file's tensors are the same for several",
    "k": "the number of active features per residue that it was trained with",
    "threshold": (
        "the activation below which a feature counts as 0; the file's was never set in training"
    ),
    "input_scale": (
        "the factor that multiplies an embedding before it is encoded; 1 where it is encoded as it "
        "is"
    ),
}
_TYPES = {"layer": int, "k": int, "threshold": (int, float), "input_scale": (int, float)}
"""All other values are text."""


@dataclass(frozen=True)
class Given:
    """What the user says about an SAE; None says nothing.

    Examples
    --------
    >>> Given(plm="esm2_t6_8M_UR50D", layer=3).said()
    {'plm': 'esm2_t6_8M_UR50D', 'layer': 3}
    """

    plm: str | None = None
    layer: int | None = None
    hook: str | None = None
    architecture: str | None = None
    k: int | None = None
    threshold: float | None = None
    input_scale: float | None = None
    format: str | None = None
    """Name of the one reader to ask, where the file fits several."""

    def said(self) -> dict[str, Any]:
        """The values that were given, by name, without the format."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name != "format" and getattr(self, f.name) is not None
        }

    def settle(self, path: Path, says: Mapping[str, Any]) -> dict[str, Any]:
        """One value for each name in `says`, the file's values (None where it does not say).
        ValueError where file and user differ, or neither says anything."""
        for name, value in says.items():
            mine = getattr(self, name)
            if value is not None and (
                not isinstance(value, _TYPES.get(name, str)) or isinstance(value, bool)
            ):
                raise ValueError(
                    f"{path}: the file says {name} {value!r}, which is not valid; the file is "
                    "damaged or of another format"
                )
            if None not in (mine, value) and mine != value:
                raise ValueError(
                    f"{path}: the file says {name} {value!r}, you say {mine!r}; leave {name} out "
                    "to take the file's, or look for another file"
                )
        settled = {
            name: getattr(self, name) if value is None else value for name, value in says.items()
        }
        lacking = [name for name, value in settled.items() if value is None]
        if lacking:
            wanted = "; ".join(f"{name} ({_HINTS[name]})" for name in lacking)
            options = " ".join(f"--{name.replace('_', '-')} ..." for name in lacking)
            raise ValueError(
                f"{path}: the file does not say {', '.join(lacking)}. Give {wanted}. On the "
                f"command line: {options}"
            )
        return settled


OURS = "interplm_nb"
"""The key of our own record in exports: plm, plm_revision, layer, hook, architecture, maxima."""


def recorded(record: Any) -> dict[str, Any]:
    """plm, plm_revision, layer and hook in our own record; empty without one."""
    return (
        {key: record.get(key) for key in ("plm", "plm_revision", "layer", "hook")}
        if isinstance(record, dict)
        else {}
    )


class Reading(NamedTuple):
    """What a reader finds in a file."""

    sae: SAE
    says: dict[str, Any]
    """plm, layer and hook, None where the file does not say; plm_revision where it does."""


def plm_name(text: object) -> str | None:
    """A PLM's name as this package has it: transformers' "facebook/esm2_..." without the owner."""
    return text.removeprefix("facebook/") if isinstance(text, str) and text else None
