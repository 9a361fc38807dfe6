"""What the playground says of how the model reads."""

from interplm_nb.pipeline.run import Run


def direction_words(run: Run) -> str:
    """What must be known of a model that reads one way; empty for others."""
    model = run.model()
    if model is None or model.record is None or model.record.objective != "next residue":
        return ""
    return f"{model.name} reads from left to right: a mutation changes nothing before it."
