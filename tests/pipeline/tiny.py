"""A run of seconds: few proteins, a tiny SAE."""

from pathlib import Path

from interplm_nb.pipeline.parameters import (
    ActivationsParameters,
    ConceptsParameters,
    EmbedParameters,
    ProteinsParameters,
    StageParameters,
    TrainParameters,
)


def tiny_parameters(folder: Path) -> dict[str, StageParameters]:
    """Parameters of every stage."""
    place = {"run": str(folder), "device": "cpu"}
    train = {"d_sae": 64, "steps": 60, "batch_size": 256, "k": 4, "checkpoint_every": 10, "fidelity_proteins": 2, "dead_after_tokens": 5000}
    return {
        "proteins": ProteinsParameters(max_proteins=40, **place),
        "embed": EmbedParameters(layer=1, **place),
        "train": TrainParameters(**train, **place),
        "activations": ActivationsParameters(**place),
        "concepts": ConceptsParameters(min_instances=1, bootstrap=5, **place),
    }
