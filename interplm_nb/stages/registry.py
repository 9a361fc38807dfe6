"""The stages: plain functions from a run and checked parameters to a small record, which the notebook shows.

    proteins -> embed -> train -> activations -> concepts
                      -> compare, where a profile asks for it

What a stage makes lies in the run's folder; the record holds what its notebook plots. Each goes on where a killed one stopped and makes the same
files as one that was never disturbed.
"""

from interplm_nb.stages.activations import ActivationsStage, activations
from interplm_nb.stages.compare import CompareStage, compare
from interplm_nb.stages.concepts import ConceptsStage, concepts
from interplm_nb.stages.embed import EmbedStage, embed
from interplm_nb.stages.proteins import ProteinsStage, proteins
from interplm_nb.stages.train import TrainStage, train

STAGE_FUNCTIONS = {
    "proteins": proteins,
    "embed": embed,
    "train": train,
    "compare": compare,
    "activations": activations,
    "concepts": concepts,
}
"""The function of each stage, in order, the optional one too."""

__all__ = [
    "STAGE_FUNCTIONS",
    "ActivationsStage",
    "CompareStage",
    "ConceptsStage",
    "EmbedStage",
    "ProteinsStage",
    "TrainStage",
    "activations",
    "compare",
    "concepts",
    "embed",
    "proteins",
    "train",
]
