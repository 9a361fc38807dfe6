"""The experiments that steer features, one record each, in a module that imports nothing slow."""

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Experiment:
    """One experiment: its settings, the function that runs it in a run, and what it asks."""

    settings: str
    """`module:class`, imported at the first use: its module imports torch."""
    function: str
    """`module:function`; it takes a run, the settings, a source and a device."""
    asks: str
    """The question, for the help of the command."""

    def load(self, what: str) -> Any:
        """The class of the settings, or the function."""
        module, _, name = getattr(self, what).partition(":")
        return getattr(importlib.import_module(module), name)


_STEERING = "interplm_nb.steering.experiments"
_IN_RUN = "interplm_nb.questions.experiments"

EXPERIMENTS = {
    "generation": Experiment(
        f"{_STEERING}.generation.settings:GenerationSettings",
        f"{_IN_RUN}.generation:generation_in_run",
        "does the model write a concept while its feature is held?",
    ),
    "dose": Experiment(
        f"{_STEERING}.dose.settings:DoseSettings",
        f"{_IN_RUN}.dose:dose_in_run",
        "how do predictions change with a feature, on many proteins?",
    ),
    "mask": Experiment(
        f"{_STEERING}.mask:MaskSettings",
        f"{_IN_RUN}.mask:mask_in_run",
        "does a periodic feature, changed at one residue, act a period later?",
    ),
    "attribution": Experiment(
        f"{_IN_RUN}.attribution:AttributionInRun",
        f"{_IN_RUN}.attribution:attribution_in_run",
        "which features, and how much of the SAE's error, carry a prediction?",
    ),
    "attribution-survey": Experiment(
        f"{_STEERING}.attribution.survey:AttributionSurveySettings",
        f"{_IN_RUN}.attribution:attribution_survey_in_run",
        "the same over many proteins: what do errors carry, and does removal agree?",
    ),
    "circuit": Experiment(
        f"{_IN_RUN}.attribution:CircuitInRun",
        f"{_IN_RUN}.attribution:circuit_in_run",
        "through which features of which layers does a prediction go?",
    ),
    "variants": Experiment(
        f"{_IN_RUN}.variants:VariantsInRun",
        f"{_IN_RUN}.variants:variants_in_run",
        "what do the model and its features say of a mutational scan?",
    ),
}
"""By name, in the order in which they are listed."""
