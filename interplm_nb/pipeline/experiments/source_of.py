"""Which of a run's sources an SAE is, and which can be steered."""

from typing import TYPE_CHECKING

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SOURCES

if TYPE_CHECKING:
    from interplm_nb.sae.model import SAE


def steerable(run: Run) -> list[str]:
    """Sources whose activations are stored: the SAE, its further seeds, and controls."""
    return [
        source
        for source in dict.fromkeys([*SOURCES["sae"].members, *run.with_activations()])
        if run.of_source(source, "activations").is_dir()
    ]


def source_of(run: Run, sae: "SAE") -> str:
    """The source with these weights; PipelineError where none of `steerable` has them."""
    for source in steerable(run):
        if run.about(source)["weights"] == sae.weight_hash:
            return source
    raise PipelineError(
        f"{run.folder} has no activations of this SAE ({sae.weight_hash[:19]}); take one of its "
        f"own: {', '.join(steerable(run))}"
    )
