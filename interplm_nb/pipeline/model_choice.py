"""Which model a run uses, and the settings that suit a model.

`run.json` records the choice, so that a resumed run keeps it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from interplm_nb.pipeline.parameters import (
    CompareParameters,
    EmbedParameters,
    ProteinsParameters,
    StageParameters,
    TrainParameters,
)
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm import names
from interplm_nb.plm.record import ModelRecord

log = logging.getLogger(__name__)
P = TypeVar("P", bound=StageParameters)

AUTO = "auto"
REAL, STAND_IN = "unirep-1900", names.MINI
"""What `auto` means: a published model that pip can fetch, else the small one in this package."""

OWN_LAYER = -1
"""`embed.layer` that leaves the layer to the table below, as 0 does for sizes of SAEs."""

SIZES = ("d_sae", "steps")
"""Parameters of every training that the table below fills."""


@dataclass(frozen=True)
class Suited:
    """Settings that follow the model where neither the profile nor a setting says otherwise."""

    layer: int
    d_sae: int = 2048
    k: int = 32
    steps: int = 3000
    stored: str = "float32"


SUITED = {
    "unirep-1900": Suited(1, 1024, 16, 300, "bfloat16"),
    "unirep-256": Suited(3, 1024, 16, 500, "bfloat16"),
    "unirep-64": Suited(2, 1024, 16, 1000),
    names.MINI: Suited(3, 1024, 16, 2000),
    "esm2_t6_8M_UR50D": Suited(4),
    "esm2_t12_35M_UR50D": Suited(8),
    "esm2_t30_150M_UR50D": Suited(20),
    "esm2_t33_650M_UR50D": Suited(24, 4096, 32, 6000),
    "esm2_t36_3B_UR50D": Suited(24, 4096, 32, 6000, "bfloat16"),
    "esm2_t48_15B_UR50D": Suited(32, 8192, 32, 6000, "bfloat16"),
}
"""By name of the model. ESM-2 8M and 650M have the layers of the InterPLM paper; the others' layers
are at the same relative depth."""


def suited(record: ModelRecord | None) -> Suited:
    """The settings that suit a model; for one outside the table, the layer at two thirds of its
    depth."""
    if record is None:
        return Suited(0)
    return SUITED.get(record.name, Suited(max(min(1, record.n_layers), record.n_layers * 2 // 3)))


def settle_model(
    run: Run, params: EmbedParameters, say: Callable[[str], None] = log.warning
) -> RunModel:
    """The run's model, chosen once and noted in `run.json`.

    `auto` becomes unirep-1900 where its weights are here or pip can fetch them, else esm2-mini; a
    run keeps its earlier choice. `say` gets one line where something is chosen. Raises
    PipelineError, or what `plm.inspect` raises for a model that is not available.
    """
    found = run.model()
    if params.arrays:
        from interplm_nb.readers.arrays import check_arrays

        path = Path(params.arrays).expanduser()
        check_arrays(path)
        return run.note_model(RunModel(f"arrays {path.name}", path.stem, None))
    asked = params.plm
    if found and found.asked == asked and not _is_here(asked):
        return found
    weights, record, sentence = _resolved(asked)
    say(sentence)
    return run.note_model(RunModel(asked, weights, record))


def _is_here(name: str) -> bool:
    """Whether a model is the user's own files, which may have changed."""
    return name not in names.KNOWN and Path(name).expanduser().exists()


def _resolved(asked: str) -> tuple[str, ModelRecord, str]:
    from interplm_nb import plm

    if asked != AUTO:
        record = plm.inspect(asked)
        return asked, record, f"model: {record.name}{_licence(record)}"
    try:
        record = plm.inspect(REAL)
    except ConnectionError as error:
        record = plm.inspect(STAND_IN)
        return STAND_IN, record, f"model: {STAND_IN}, because {REAL} cannot be fetched ({error})"
    text = f"model: {REAL}{_licence(record)}; for another one: -p embed.plm=NAME"
    return REAL, record, text


def _licence(record: ModelRecord) -> str:
    return f" (weights: {record.licence})" if record.licence else ""


def settled(run: Run, params: P) -> P:
    """A stage's parameters, completed from the run's model, which is chosen where none is yet."""
    if isinstance(params, ProteinsParameters):
        return params.model_copy(update={"max_residues": _longest(run, params)})
    if isinstance(params, EmbedParameters):
        model = settle_model(run, params)
        named = {} if params.arrays else {"plm": model.weights}
        return completed(params.model_copy(update=named), model)
    return completed(params, run.model())


def completed(params: P, model: RunModel | None) -> P:
    """A stage's parameters, with what suits the model in the fields that leave it open."""
    suits = suited(model.record if model else None)
    changes: dict[str, Any] = {}
    if isinstance(params, EmbedParameters):
        changes = {
            "layer": _layer(params, suits),
            "stored": suits.stored if params.stored == AUTO else params.stored,
        }
    elif isinstance(params, TrainParameters | CompareParameters):
        names = (*SIZES, "k") if isinstance(params, TrainParameters) else SIZES
        changes = {name: getattr(params, name) or getattr(suits, name) for name in names}
    return params.model_copy(update=changes)


def _layer(params: EmbedParameters, suits: Suited) -> int:
    """The layer that is read; of joined ones the deepest."""
    if params.joined:
        return params.joined[-1]
    return suits.layer if params.layer == OWN_LAYER else params.layer


def _longest(run: Run, params: ProteinsParameters) -> int:
    """The longest protein that stage 1 keeps: what the model reads in one pass, or less if asked.

    With windows the model reads any length, and only the asked limit counts.
    """
    if params.too_long == "window" and params.max_residues:
        return params.max_residues
    return min(params.max_residues or run.max_residues(), run.max_residues())
