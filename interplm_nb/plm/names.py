"""Names of models for `plm.load`. Imports no torch."""

import difflib
import re

MINI = "esm2-mini"
"""The small model in this package: ESM-2's architecture, trained by this project; not ESM-2."""

ESM2 = (
    "esm2_t6_8M_UR50D",
    "esm2_t12_35M_UR50D",
    "esm2_t30_150M_UR50D",
    "esm2_t33_650M_UR50D",
    "esm2_t36_3B_UR50D",
    "esm2_t48_15B_UR50D",
)
"""Meta's ESM-2 models, smallest first; "facebook/<name>" is the same in transformers' format."""

UNIREP = ("unirep-64", "unirep-256", "unirep-1900")
"""UniRep (Alley et al. 2019), by number of units."""

KNOWN = (*UNIREP, MINI, *ESM2)


def is_repository(name: str) -> bool:
    """Whether a name has the form `owner/name` of the hub."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None


def unknown(name: str) -> str:
    """An error message for an unknown name, with the most similar known ones."""
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in KNOWN], n=3, cutoff=0.5)
    nearest = [n for n in KNOWN if n.lower() in near]
    offer = f"did you mean {' or '.join(nearest)}?" if nearest else f"known are {', '.join(KNOWN)}"
    return (
        f"{name!r} is neither a model's name nor a file: {offer} A path of weights, or owner/name "
        "of a model on the Hugging Face hub, works too."
    )
