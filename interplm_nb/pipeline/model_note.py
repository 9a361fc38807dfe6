"""A note for every table that rests on a model whose limits a reader must know."""

from interplm_nb.pipeline.parameters import MINI
from interplm_nb.saving import read_json

_UNIREP = (
    "These figures rest on UniRep ({plm}; Alley et al. 2019). It is not ESM-2, which sees both "
    "sides of a residue: UniRep reads a protein from its first residue to its last, so a residue's "
    "vector knows only what stands before it, and a feature of a domain lights up inside it or at "
    "its end. For ESM-2: -p embed.plm=esm2_t6_8M_UR50D."
)


def model_note(plm: str) -> str:
    """What a reader of results must know about a model or its shuffled control; else ""."""
    if plm.startswith("unirep-"):
        return _UNIREP.format(plm=plm)
    if not plm.startswith("esm2-mini"):
        return ""
    return (
        "These figures rest on esm2-mini, the small model that ships with this project. It is not "
        "ESM-2: it shows how everything works, not what a protein language model knows"
        f"{_perplexity()}. For results worth citing take a published model: "
        "-p embed.plm=unirep-1900, or -p embed.plm=esm2_t6_8M_UR50D."
    )


def card_figures() -> dict[str, float]:
    """Figures of the model card: held_out_masked_perplexity, unigram_perplexity, residues_seen,
    steps; empty where the model comes without them."""
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
    return (
        f" (masked perplexity {figures['held_out_masked_perplexity']:.1f}; "
        f"amino acid frequencies alone give {figures['unigram_perplexity']:.1f})"
    )
