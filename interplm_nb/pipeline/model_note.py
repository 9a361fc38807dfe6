"""One sentence for every table that rests on the embedded model: what it is, and what it is not."""

from interplm_nb.pipeline.parameters import MINI
from interplm_nb.saving import read_json


def model_note(plm: str) -> str:
    """What a reader of results must know about a PLM; empty for one that is not the embedded model (or its shuffled control)."""
    if not plm.startswith("esm2-mini"):
        return ""
    return (
        "These figures rest on esm2-mini, the small model that ships with this project. It is not ESM-2: it shows how everything works, not what "
        f"a protein language model knows{_perplexity()}. For results worth citing put ESM-2 in its place: -p embed.plm=esm2_t6_8M_UR50D "
        "-p embed.layer=4."
    )


def card_figures() -> dict[str, float]:
    """Figures of the model card: held_out_masked_perplexity, unigram_perplexity, residues_seen, steps; empty where they do not come with it."""
    path = MINI / "training.json"
    if not path.is_file():
        return {}
    return {
        name: value
        for name, value in read_json(path, "Pretraining", 1).items()
        if isinstance(value, int | float) and name != "version"
    }


def _perplexity() -> str:
    figures = card_figures()
    if not {"held_out_masked_perplexity", "unigram_perplexity"} <= set(figures):
        return ""
    return f" (masked perplexity {figures['held_out_masked_perplexity']:.1f}; amino acid frequencies alone give {figures['unigram_perplexity']:.1f})"
