"""What each stage takes: one strict model per stage.

The runner checks a profile against these before a kernel starts, and cell two of each notebook checks its own `parameters` cell, so that a
misspelt name or a wrong type is never ignored.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from interplm_nb.pipeline.errors import PipelineError

PLACE = ("run", "device")
"""Fields that say where a stage works, not what it makes: given by the runner, never part of what a result is keyed by."""

Recipe = Literal[
    "interplm-paper", "interplm-v1", "topk", "batchtopk", "jumprelu", "gated", "matryoshka"
]
"""Names of `sae.config.RECIPES`, which says what each is."""

L1_RECIPES = ("interplm-paper", "interplm-v1", "gated")
"""Recipes whose sparsity is set by the weight of an L1 term; the others' by k."""

MINI = Path(__file__).resolve().parents[1] / "data" / "esm2_mini"
"""The embedded model."""


class StageParameters(BaseModel):
    """Where a stage works; the models below add what it makes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    stage: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ()
    """Fields that are paths of files: their content counts, not their name. Empty text means none."""

    run: str = Field("runs/demo", description="Folder of the run.")
    device: str = Field("auto", description="Where torch works: auto, cpu, cuda, cuda:1 or mps.")

    @classmethod
    def checked(cls, values: Mapping[str, Any], where: str) -> Self:
        """The parameters in `values`; `where` (a file, a notebook) is named when they do not fit."""
        unknown = [name for name in values if name not in cls.model_fields]
        if unknown:
            raise PipelineError(
                f"{where}: {unknown_name(f'{cls.stage}.{unknown[0]}', [f'{cls.stage}.{n}' for n in cls.model_fields])}"
            )
        try:
            return cls(**values)
        except ValidationError as error:
            raise PipelineError(f"{where}: {_sentence(cls, error)}") from None

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """The parameters that a notebook's `parameters` cell (and papermill after it) left in `globals()`."""
        missing = [name for name in cls.model_fields if name not in namespace]
        if missing:
            raise PipelineError(
                f"the parameters cell of the {cls.stage} notebook has no {', '.join(missing)}; run that cell first"
            )
        return cls.checked(
            {name: namespace[name] for name in cls.model_fields},
            f"the parameters cell of the {cls.stage} notebook",
        )

    def made(self) -> dict[str, Any]:
        """What a result is keyed by: the parameters less the place, and less file names (their content is hashed instead)."""
        return self.model_dump(exclude={*PLACE, *self.paths()})

    def shown(self) -> dict[str, Any]:
        """The parameters for people: without the place, files by name alone."""
        return self.model_dump(exclude=set(PLACE)) | {
            field: path.name for field, path in self.paths().items()
        }

    def paths(self) -> dict[str, Path]:
        """Fields that name a file."""
        return {
            field: Path(getattr(self, field)).expanduser()
            for field in self.files
            if getattr(self, field)
        }

    def input_files(self) -> dict[str, Path]:
        """Files that the stage reads and that are no part of the run, by name; their content is part of the key."""
        return self.paths()


class ProteinsParameters(StageParameters):
    """Stage `proteins`: read, filter, annotate, cluster, split."""

    stage: ClassVar[str] = "proteins"
    files: ClassVar[tuple[str, ...]] = ("path", "labels")

    path: str = Field(
        "",
        description="FASTA, UniProt TSV, flat file or XML (.gz, .zst too). Empty: the embedded ones.",
    )
    format: Literal["auto", "fasta", "tsv", "text", "xml"] = Field(
        "auto", description="Format of the file; auto goes by its name."
    )
    labels: str = Field(
        "",
        description="Own labels, added to the file's: .tsv, .csv, .parquet, .gff3 or .bed.",
    )
    strict: bool = Field(
        False, description="Stop at the first bad record, in place of reporting and skipping it."
    )
    min_instances: int = Field(
        10, ge=1, description="Instances that a note or ligand needs for a concept of its own."
    )
    max_residues: int = Field(
        0,
        ge=0,
        description="Longest protein kept; 0, and at most: what the model reads at once.",
    )
    too_long: Literal["skip", "refuse", "window"] = Field(
        "skip", description="Longer proteins: skipped and counted, an error, or read in windows."
    )
    max_proteins: int = Field(
        0, ge=0, description="Keep so many proteins, drawn at random; 0 keeps all."
    )
    identity: float = Field(
        0.3, gt=0, le=1, description="Sequence identity from which two proteins are relatives."
    )
    coverage: float = Field(
        0.5, gt=0, le=1, description="Share of the shorter protein that their alignment covers."
    )
    train_share: float = Field(
        0.6, gt=0, lt=1, description="Share of proteins that the SAE learns from."
    )
    validation_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Share on which features are chosen; the rest is test.",
    )
    seed: int = Field(42, ge=0, description="Seed of the splits and of the draw.")


class EmbedParameters(StageParameters):
    """Stage `embed`: one vector per residue, from the PLM and from its shuffled control."""

    stage: ClassVar[str] = "embed"
    files: ClassVar[tuple[str, ...]] = ("arrays",)

    plm: str = Field(
        "auto",
        description="Model: a name, owner/name or files; auto: unirep-1900, else esm2-mini.",
    )
    layer: int = Field(
        -1, ge=-1, description="Layer that is read; 0 is the embedding, -1 what suits the model."
    )
    arrays: str = Field(
        "", description="Own embeddings (.npz, .safetensors, .h5) to read, without a model."
    )
    shuffled_seed: int = Field(42, ge=0, description="Seed of the control with shuffled weights.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Arithmetic of the PLM; auto: what suits the model and the device."
    )
    stored: Literal["float32", "bfloat16"] = Field(
        "float32", description="How embeddings are stored; bfloat16 takes half the disk."
    )
    tokens_per_batch: int = Field(
        0, ge=0, description="Tokens run at once; 0: what suits the device."
    )

    def paths(self) -> dict[str, Path]:
        """The arrays, and the weights where `plm` is a path and not a name."""
        path = Path(self.plm).expanduser()
        here = path.exists() and (path.suffix or len(path.parts) > 1)
        return super().paths() | ({"plm": path} if here else {})

    def input_files(self) -> dict[str, Path]:
        """The arrays. A model is known by its revision, which the run notes."""
        return super().paths()


class TrainParameters(StageParameters):
    """Stage `train`: the SAE, the same recipe on the shuffled PLM, and the random SAE."""

    stage: ClassVar[str] = "train"

    recipe: Recipe = Field(
        "topk",
        description="Or batchtopk, jumprelu, gated, matryoshka, interplm-paper, interplm-v1.",
    )
    d_sae: int = Field(2048, ge=1, description="Number of features.")
    steps: int = Field(3000, ge=1, description="Training steps.")
    batch_size: int = Field(2048, ge=1, description="Residues per step.")
    lr: float = Field(0.0, ge=0, description="Adam's learning rate; 0: the recipe's own.")
    k: int = Field(
        32,
        ge=1,
        description="Features active per residue; topk, batchtopk, matryoshka, and jumprelu's target.",
    )
    l1: float = Field(
        0.0,
        ge=0,
        description="Weight of the L1 term of recipes that have one; 0: the recipe's own.",
    )
    warmup_fraction: float = Field(
        0.05, ge=0, le=1, description="Share of the steps over which the learning rate rises."
    )
    resample_every: int = Field(
        0,
        ge=0,
        description="Steps between revivals of silent features; 0: the recipe's way.",
    )
    dead_after_tokens: int = Field(
        1_000_000,
        ge=1,
        description="Residues of silence after which AuxK revives a feature.",
    )
    seed: int = Field(0, ge=0, description="Seed of the weights and of the order of residues.")
    checkpoint_every: int = Field(
        1000, ge=1, description="Steps between checkpoints: what a killed run does again at most."
    )
    fidelity_proteins: int = Field(
        50, ge=1, description="Validation proteins on which fidelity is measured."
    )
    fidelity_every: int = Field(
        0,
        ge=0,
        description="Steps between measurements of fidelity while training; 0: after it alone.",
    )

    def made(self) -> dict[str, Any]:
        """How often it saves changes nothing in what it makes."""
        return {name: value for name, value in super().made().items() if name != "checkpoint_every"}


class CompareParameters(StageParameters):
    """Stage `compare`, which runs where a profile asks for it: SAEs over layers, recipes, sparsities, learning rates and seeds, side by side."""

    stage: ClassVar[str] = "compare"

    layers: list[int] = Field([], description="Layers of the PLM; empty: the one that is embedded.")
    recipes: list[Recipe] = Field(
        ["topk"], min_length=1, description="Recipes, as train.recipe has them."
    )
    sparsities: list[int] = Field(
        [],
        description="k, or jumprelu's target; empty: the recipe's own.",
    )
    l1s: list[float] = Field(
        [],
        description="Weights of the L1 term; empty: the recipe's own.",
    )
    lrs: list[float] = Field([], description="Learning rates; empty: the recipe's own.")
    seeds: list[int] = Field(
        [0],
        min_length=1,
        description="Seeds of the weights; two or more show which features recur.",
    )
    d_sae: int = Field(2048, ge=1, description="Number of features.")
    steps: int = Field(3000, ge=1, description="Training steps.")
    batch_size: int = Field(2048, ge=1, description="Residues per step; all SAEs see the same.")
    scaling: Literal["own", "none", "scalar", "dimension"] = Field(
        "own", description="Scaling of the inputs; own: the recipe's."
    )
    dead_after_tokens: int = Field(
        1_000_000,
        ge=1,
        description="Residues of silence after which AuxK revives a feature.",
    )
    checkpoint_every: int = Field(
        1000, ge=1, description="Steps between checkpoints: what a killed run does again at most."
    )
    fidelity_proteins: int = Field(
        50, ge=1, description="Validation proteins on which fidelity is measured."
    )
    fidelity_every: int = Field(
        0,
        ge=0,
        description="Steps between measurements of fidelity while training; 0: after it alone.",
    )
    tuning_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of validation on which SAEs and their features are chosen.",
    )
    min_instances: int = Field(
        10,
        ge=1,
        description="Instances that a concept needs on the tuning part and on test.",
    )
    maxima_residues: int = Field(
        200_000, ge=0, description="Train residues on which features' maxima are measured; 0: all."
    )

    def made(self) -> dict[str, Any]:
        """How often it saves changes nothing in what it makes."""
        return {name: value for name, value in super().made().items() if name != "checkpoint_every"}


class ActivationsParameters(StageParameters):
    """Stage `activations`: every feature on every residue, once."""

    stage: ClassVar[str] = "activations"

    max_l0: float = Field(
        256.0,
        gt=0,
        description="Refuse an SAE with more active features per residue than this.",
    )


class ConceptsParameters(StageParameters):
    """Stage `concepts`: which features match which annotated concepts, beside the controls."""

    stage: ClassVar[str] = "concepts"

    min_instances: int = Field(
        10, ge=1, description="A concept needs so many instances on validation and on test."
    )
    bootstrap: int = Field(
        1000,
        ge=0,
        description="Resamples of the homology clusters behind the 95 % intervals; 0: none.",
    )
    null_draws: int = Field(
        1000, ge=0, description="Draws of each null behind the q values; 0: none."
    )
    link_f1: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Least F1 on validation of a link to a concept; its best is kept always.",
    )
    links_per_concept: int = Field(
        10, ge=1, description="So many features speak for a concept at most."
    )
    merge_repeats: bool = Field(
        False,
        description="Count Sushi 1 and Sushi 2 as one concept too, in a second table.",
    )
    seed: int = Field(0, ge=0, description="Seed of resamples, draws and probes.")


def unknown_name(name: str, known: list[str]) -> str:
    """A sentence that refuses a name and offers the nearest known ones."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return (
        f"unknown parameter {name!r}; did you mean {' or '.join(near)}?"
        if near
        else f"unknown parameter {name!r}; known are {', '.join(known)}"
    )


def _sentence(model: type[StageParameters], error: ValidationError) -> str:
    """The first complaint of pydantic, with what the parameter is for."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    about = model.model_fields[name].description if name in model.model_fields else None
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{model.stage}.{name} = {first.get('input')!r}: {first['msg'][0].lower()}{first['msg'][1:]}{more}. {about or ''}".rstrip()
