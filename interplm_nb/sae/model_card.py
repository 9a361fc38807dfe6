"""The card of an SAE on the Hugging Face Hub: what it is, and how to read it."""

from interplm_nb.sae.model import SAE


def model_card(sae: SAE, repository: str) -> str:
    """README.md for a saved SAE, with the Hub's metadata before it. It claims no licence: the SAE's
    maker decides that."""
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

    interplm-nb models get {repository} --out sae

It is refused on embeddings of another PLM, layer or width.
"""


def _cell(value: object) -> str:
    """Text that stays in its cell of a table."""
    return " ".join(str(value).replace("|", r"\|").split())
