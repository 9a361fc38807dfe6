"""How the SAE of the shipped demo run compares with its controls, in plain words."""

import polars as pl

from interplm_nb.concepts.intervals import COVERS
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import PROBE, scored_source


def model_verdict() -> str:
    """Markdown: mean best F1 of SAE and controls on the embedded proteins, and who is ahead.

    Empty if no run ships, as while that run is being made.
    """
    try:
        run = Run.shipped()
    except PipelineError:
        return ""
    scores = run.table("concepts", "comparison").filter(pl.col("convention") == "strict")
    figures = ", ".join(
        f"{scored_source(source).words} **{mean:.3f}** ({low:.3f} to {high:.3f})"
        for source, mean, low, high in scores.select(
            "source", "mean_f1_per_domain", "low", "high"
        ).iter_rows()
    )
    sentences = (
        f"**What to expect of the demo**, on {run.about('sae')['plm']}.",
        f"Mean best F1 over {scores['n_concepts'][0]} concepts on test proteins, "
        f"with intervals that cover {COVERS}: {figures}.",
        _sentence(run.table("concepts", "differences").filter(pl.col("control") != PROBE)),
        "FastICA was stopped before it converged and varies between runs, so no difference from "
        "ICA counts.",
        "Another model (`embed.plm`) is measured by the same notebooks.",
    )
    return " ".join(sentences)


def _sentence(differences: pl.DataFrame) -> str:
    """Which controls the SAE beats: the interval of the difference is above 0."""
    above = differences.filter(pl.col("low") > 0)["control"].to_list()
    rest = [control for control in differences["control"].to_list() if control not in above]
    if not rest:
        return "The SAE's features match annotations better than every control."
    words = (
        f"The SAE's features match annotations **no better than {_joined(rest)}**, "
        "so they show no biology that these controls lack."
    )
    return f"The SAE is above {_joined(above)}, but: {words}" if above else words


def _joined(controls: list[str]) -> str:
    names = [f"the {scored_source(c).words}" for c in controls]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
