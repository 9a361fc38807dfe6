"""How the SAE of the shipped demo run compares with its controls, in plain words."""

import polars as pl

from interplm_nb.concepts.intervals import COVERS
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import scored_source
from interplm_nb.stages.concept_summary import verdict


def model_verdict() -> str:
    """Markdown: mean best F1 of SAE and controls on the embedded proteins, and who is ahead.

    Empty if no run ships, as while that run is being made.
    """
    try:
        run = Run.shipped()
    except PipelineError:
        return ""
    scores = run.table("concepts", "comparison").filter(pl.col("convention") == "strict")
    figures = "\n".join(
        f"* {scored_source(source).words}: **{mean:.3f}** ({low:.3f} to {high:.3f})"
        for source, mean, low, high in scores.select(
            "source", "mean_f1_per_domain", "low", "high"
        ).iter_rows()
    )
    paragraphs = (
        f"**What to expect of the demo**, on {run.about('sae')['plm']}. F1 is 1 where a feature "
        "marks all of a concept and nothing else; lesson 5 explains it. The mean over "
        f"{scores['n_concepts'][0]} concepts of the best feature's F1 on test proteins, with "
        f"intervals that cover {COVERS}:",
        figures,
        verdict(run.table("concepts", "differences"), scores.filter(source="sae")["seeds"].item()),
        "Another model (`embed.plm`) is measured by the same notebooks.",
    )
    return "\n\n".join(paragraphs)
