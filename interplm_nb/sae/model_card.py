"""The card of an SAE on the Hugging Face Hub: what it is, what is known of it, how to read it."""

from interplm_nb.sae.model import SAE

NOT_SCORED = """## Not scored

This card was written without a run, so it says nothing of what the features match. With SAE for
the folder of this SAE and RUN for a run of the same PLM:

    interplm-nb score SAE --run RUN       # scores it on the run's proteins, with controls
    interplm-nb models push RUN OWNER/NAME

The second publishes the run's own SAE: its card states its scores, and its table of features and
concepts lies beside it."""


def model_card(sae: SAE, read_by: str, known: str = NOT_SCORED) -> str:
    """README.md for a saved SAE, with the Hub's metadata before it. It claims no licence: the SAE's
    maker decides that.

    read_by: the command or code that opens it. known: sections on what was measured.
    """
    about = sae.about
    assert about is not None, "a saved SAE has about"
    kind = ", ".join(
        f"{key} {value}" if key != "name" else str(value)
        for key, value in sae.architecture.record().items()
    )
    rows = {
        "PLM": about.plm,
        "PLM's weights": about.plm_revision or "not stated",
        "reads": f"{about.reads} (0 is the embedding)",
        **({} if about.target is None else {"writes": f"layer {about.target}"}),
        "hook": about.hook,
        "architecture": kind,
        "inputs, features": f"{sae.d_in}, {sae.d_sae}",
        "unit of the features": "fractions of their maxima" if sae.unit == "max" else "raw",
        "recipe": about.recipe,
        "seed": about.seed,
        "training data": about.data or "not stated",
        "weights": sae.weight_hash,
    }
    if about.origin:
        rows["read from"] = ", ".join(
            f"{key} {value}" for key, value in sorted(about.origin.items())
        )
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items())
    return f"""---
library_name: interplm-nb
tags:
- sparse-autoencoder
- protein-language-model
---

# Sparse autoencoder of {_cell(about.plm)}, {about.reads}

| | |
|---|---|
{table}

Read it with [interplm-nb](https://pypi.org/project/interplm-nb/):

    {read_by}

It is refused on embeddings of another PLM, layer or width.

{known}
"""


def _cell(value: object) -> str:
    """Text that stays in its cell of a table."""
    return " ".join(str(value).replace("|", r"\|").split())
