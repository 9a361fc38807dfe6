"""A run of seconds: few proteins, a tiny SAE."""

from pathlib import Path
from typing import Any

from interplm_nb.pipeline.parameters import (
    ActivationsParameters,
    CompareParameters,
    ConceptsParameters,
    EmbedParameters,
    FeaturesParameters,
    InterpretParameters,
    ProteinsParameters,
    StageParameters,
    TrainParameters,
)


def tiny_parameters(folder: Path) -> dict[str, StageParameters]:
    """Parameters of every stage."""
    place = {"run": str(folder), "device": "cpu"}
    train = {
        "d_sae": 64,
        "steps": 60,
        "batch_size": 256,
        "k": 4,
        "checkpoint_every": 10,
        "fidelity_proteins": 2,
        "dead_after_tokens": 5000,
    }
    return {
        "proteins": ProteinsParameters(max_proteins=40, max_residues=1022, **place),
        "embed": EmbedParameters(plm="esm2-mini", layer=1, **place),
        "train": TrainParameters(**train, **place),
        "activations": ActivationsParameters(**place),
        "concepts": ConceptsParameters(
            min_instances=1, min_clusters=1, bootstrap=5, null_draws=20, **place
        ),
        "features": FeaturesParameters(shuffles=20, correlated_residues=2000, **place),
        "interpret": InterpretParameters(features="random:3", **place),
    }


def tiny_compare(folder: Path, **changes: Any) -> CompareParameters:
    """Parameters of the optional stage: ten SAEs of the embedded layer."""
    grid = {
        "recipes": ["interplm-paper", "topk", "jumprelu"],
        "sparsities": [4, 8],
        "l1s": [0.05],
        "seeds": [0, 1],
    }
    sizes = {
        "d_sae": 64,
        "steps": 40,
        "batch_size": 256,
        "checkpoint_every": 10,
        "dead_after_tokens": 5000,
        "fidelity_proteins": 2,
        "fidelity_every": 20,
    }
    shares = {"tuning_share": 0.5, "min_instances": 1, "min_clusters": 1, "maxima_residues": 2000}
    return CompareParameters.checked(
        {"run": str(folder), "device": "cpu", **grid, **sizes, **shares, **changes}, "tiny"
    )
