"""What the playground says of the model that reads: what must be fetched first, how it reads."""

from interplm_nb.pipeline.run import Run
from interplm_nb.plm import fetching


def missing_words(run: Run) -> dict[str, str]:
    """text, button and licence where the model's weights must be fetched; else empty."""
    model = run.model()
    wanted = fetching.to_fetch(model.weights) if model and model.record else None
    if wanted is None:
        return {}
    return {
        "text": f"Reading a sequence needs {wanted.name}, which is not here yet.",
        "button": wanted.words,
        "licence": f"weights: {wanted.licence}" if wanted.licence else "",
    }


def direction_words(run: Run) -> str:
    """What must be known of a model that reads one way; empty for others."""
    model = run.model()
    if model is None or model.record is None or model.record.objective != "next residue":
        return ""
    return f"{model.name} reads from left to right: a mutation changes nothing before it."
