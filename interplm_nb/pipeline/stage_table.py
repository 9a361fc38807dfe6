"""The stages of a run, one record each.

    proteins -> embed -> train -> activations -> concepts -> features -> interpret
                      -> compare, and after concepts steer, where a profile asks for them

Adding a stage takes a record here, its parameters, its function, its notebook and its test.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import (
    ActivationsParameters,
    CompareParameters,
    ConceptsParameters,
    EmbedParameters,
    FeaturesParameters,
    InterpretParameters,
    ProteinsParameters,
    ShardedParameters,
    StageParameters,
    SteerParameters,
    TrainParameters,
)
from interplm_nb.pipeline.run_files import (
    COMPARISON,
    EMBEDDINGS,
    INTERPRETED,
    PROTEINS,
    SPLITS,
    STATISTICAL,
    STATISTICAL_FOUND,
    STEERED_TEXT,
    Content,
    annotations_file,
    source_file,
)
from interplm_nb.pipeline.scored_sources import (
    CONVENTIONS,
    COUNTED,
    DENSE,
    PROBES,
    PROJECTIONS,
    SAES,
    SEEDS,
)

_PROJECTION: tuple[Content, ...] = ("vectors", "projection", "about")


@dataclass(frozen=True)
class Stage:
    """One stage: its parameters, what it reads and makes, and the function that does it.

    >>> STAGES["train"].folder, STAGES["train"].reads
    ('03_train', ('proteins', 'embed'))
    """

    number: str
    """Place among the stages, as in the name of its notebook."""
    parameters: type[StageParameters]
    function: str
    """`module:function`, imported at the first call: its module may import slow packages."""
    reads: tuple[str, ...]
    """Stages whose outputs it reads."""
    outputs: tuple[str, ...]
    """Files and folders that it makes, relative to the run."""
    optional: bool = False
    """Whether it runs only where a profile has its table."""
    begun_by: str = ""
    """`module:function` that lists its shards for other processes; empty where none can help."""

    @property
    def name(self) -> str:
        """Name in profiles, commands and messages."""
        return self.parameters.stage

    @property
    def folder(self) -> str:
        """`NN_name`: its folder in a run, and the stem of its notebook."""
        return f"{self.number}_{self.name}"

    @property
    def call(self) -> Callable[..., Any]:
        """The stage's function: it takes a run and the stage's parameters."""
        return _imported(self.function)

    @property
    def begin(self) -> Callable[..., None]:
        """What lists the stage's shards; it takes the same. PipelineError where there is none."""
        if not self.begun_by:
            able = ", ".join(stage.name for stage in STAGES.values() if stage.begun_by)
            on_cluster = issubclass(self.parameters, ShardedParameters)
            hint = "; a Dask cluster computes them: run --scheduler ADDRESS" if on_cluster else ""
            raise PipelineError(
                f"`--begin` and `work` know no shards of stage {self.name!r}, only of: {able}{hint}"
            )
        return _imported(self.begun_by)


def _imported(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _files(sources: tuple[str, ...], *contents: Content) -> tuple[str, ...]:
    return tuple(source_file(source, content) for source in sources for content in contents)


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            number="01",
            parameters=ProteinsParameters,
            function="interplm_nb.stages.proteins:proteins",
            reads=(),
            outputs=(
                SPLITS,
                PROTEINS,
                *(annotations_file(convention) for convention in CONVENTIONS),
            ),
        ),
        Stage(
            number="02",
            parameters=EmbedParameters,
            function="interplm_nb.stages.embed:embed",
            reads=("proteins",),
            outputs=(EMBEDDINGS,),
            begun_by="interplm_nb.stages.embed:begin",
        ),
        Stage(
            number="03",
            parameters=TrainParameters,
            function="interplm_nb.stages.train:train",
            reads=("proteins", "embed"),
            outputs=_files(SEEDS, "sae", "config", "about", "metrics", "fidelity", "checkpoints"),
        ),
        Stage(
            number="03b",
            parameters=CompareParameters,
            function="interplm_nb.stages.compare:compare",
            reads=("proteins", "embed"),
            outputs=(COMPARISON,),
            optional=True,
        ),
        Stage(
            number="04",
            parameters=ActivationsParameters,
            function="interplm_nb.stages.activations:activations",
            reads=("proteins", "embed", "train"),
            outputs=(
                *_files((*SEEDS, *DENSE), "maxima"),
                *_files(SEEDS, "activations"),
                *_files(PROJECTIONS, *_PROJECTION),
                *_files(DENSE, "about"),
                source_file("sae", "atlas"),
            ),
        ),
        Stage(
            number="05",
            parameters=ConceptsParameters,
            function="interplm_nb.stages.concepts:concepts",
            reads=("proteins", "embed", "activations"),
            outputs=(
                *_files(COUNTED, "scores", "active", "concepts"),
                *_files(PROBES, *_PROJECTION),
                *_files(("sae",), "links", "calibration"),
            ),
        ),
        Stage(
            number="06",
            parameters=FeaturesParameters,
            function="interplm_nb.stages.features:features",
            reads=("proteins", "train", "activations", "concepts"),
            outputs=(
                *_files(SAES, "statistics", "motifs"),
                *_files(("sae",), "known", "neighbours", "matches", "clusters"),
                *_files(("sae", "random_sae"), "hierarchy"),
            ),
        ),
        Stage(
            number="07",
            parameters=InterpretParameters,
            function="interplm_nb.stages.interpret:interpret",
            reads=("proteins", "activations", "concepts"),
            outputs=(f"{INTERPRETED}/{STATISTICAL}", f"{INTERPRETED}/{STATISTICAL_FOUND}"),
        ),
        Stage(
            number="08",
            parameters=SteerParameters,
            function="interplm_nb.stages.steer:steer",
            reads=("proteins", "train", "activations", "concepts"),
            outputs=(STEERED_TEXT,),
            optional=True,
        ),
    )
}
"""By name, in the order in which they run."""

REQUIRED = tuple(stage.name for stage in STAGES.values() if not stage.optional)
"""Stages that every run has."""


def stage_named(name: str) -> Stage:
    """The record of a stage; PipelineError for an unknown name."""
    if name not in STAGES:
        raise PipelineError(f"no stage {name!r}; stages are {', '.join(STAGES)}")
    return STAGES[name]
