"""The parameters of each stage: one strict model per stage.

The runner checks a profile against these before a kernel starts, and the second cell of each
notebook checks its own `parameters` cell, so that a misspelt name or a wrong type is never ignored.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.scored_sources import MOST_SEEDS

PLACE = ("run", "device", "scheduler")
"""Fields that say where a stage works, not what it makes: set by the runner, and no part of the key
of a result."""

Sees = Literal["sequence", "names", "annotations"]
"""What `interpret.known` shows of a protein; each shows what those before it show."""

Recipe = Literal[
    "interplm-paper", "interplm-v1", "topk", "batchtopk", "jumprelu", "gated", "matryoshka"
]
"""Names in `sae.config.RECIPES`, which describes them."""

Further = Literal["dose", "mask", "attribution", "attribution-survey"]
"""Experiments of `experiment_table` that a run answers by itself, with their default settings."""

L1_RECIPES = ("interplm-paper", "interplm-v1", "gated")
"""Recipes whose sparsity is set by the weight of an L1 term; k sets the others'."""

COUNT = 1_000_000_000
"""Most proteins, residues of a draw, steps, instances or clusters: more is a typing error."""

TOKENS = 1_000_000_000_000
"""Most residues that a training counts."""

FEATURES = 1_000_000
"""Most features of an SAE, and residues of a step."""

LONGEST = 1_000_000
"""More residues than any protein has, and more layers than any model."""

DRAWS = 1_000_000
"""Most resamples, and draws from a null distribution."""

MOST_FLANK = 100
"""Most residues on each side of a motif."""

L1 = 1000.0
"""Largest weight of an L1 term; the recipes' own are below 1."""

SEED = 2**32 - 1
"""Largest seed that every generator takes."""

Layer = Annotated[int, Field(ge=0, le=LONGEST)]
Features = Annotated[int, Field(ge=1, le=FEATURES)]
L1Weight = Annotated[float, Field(gt=0, le=L1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=SEED)]

MINI = Path(__file__).resolve().parents[1] / "data" / "esm2_mini"
"""The model that comes with the package."""


class StageParameters(BaseModel):
    """Where a stage works; the models below add what it makes.

    >>> TrainParameters.checked({"steps": 500}, "here").steps
    500
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    stage: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ()
    """Fields that are file paths: their content counts, not their name. Empty: no file."""

    run: str = Field(
        "", description="Folder of the run to work in; empty: read the nearest finished one."
    )
    device: str = Field("auto", description="Where torch works: auto, cpu, cuda, cuda:1 or mps.")

    @classmethod
    def checked(cls, values: Mapping[str, Any], where: str) -> Self:
        """The parameters in `values`; errors name `where` (a file, a notebook)."""
        unknown = [name for name in values if name not in cls.model_fields]
        if unknown:
            known = [f"{cls.stage}.{name}" for name in cls.model_fields]
            raise PipelineError(f"{where}: {unknown_name(f'{cls.stage}.{unknown[0]}', known)}")
        try:
            return cls(**values)
        except ValidationError as error:
            raise PipelineError(f"{where}: {complaint(cls.stage, cls, error)}") from None

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """The parameters that a notebook's `parameters` cell, and papermill after it, set in
        `globals()`."""
        missing = [name for name in cls.model_fields if name not in namespace]
        if missing:
            raise PipelineError(
                f"the parameters cell of the {cls.stage} notebook has no {', '.join(missing)}; "
                "run that cell first"
            )
        return cls.checked(
            {name: namespace[name] for name in cls.model_fields},
            f"the parameters cell of the {cls.stage} notebook",
        )

    def made(self) -> dict[str, Any]:
        """What a result is keyed by: the parameters without the place and without file names, whose
        content is hashed instead."""
        return self.model_dump(exclude={*PLACE, *self.paths()})

    def shown(self) -> dict[str, Any]:
        """The parameters for people: without the place, and files without their folder."""
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
        """Files outside the run that the stage reads, by field; their content is part of the
        key."""
        return self.paths()


class ShardedParameters(StageParameters):
    """A stage whose shards can be computed by a cluster."""

    scheduler: str = Field(
        "", description="Who computes the shards; empty: this process, local:2: two, or a cluster."
    )


class ProteinsParameters(StageParameters):
    """Stage `proteins`: read, filter, annotate, cluster, split."""

    stage: ClassVar[str] = "proteins"
    files: ClassVar[tuple[str, ...]] = ("path", "labels")

    path: str = Field(
        "",
        description="FASTA, UniProt TSV, flat file or XML, plain, .gz or .zst; empty: the demo.",
    )
    format: Literal["auto", "fasta", "tsv", "text", "xml"] = Field(
        "auto", description="Format of the file; auto recognises it from the content."
    )
    labels: str = Field(
        "",
        description="Your own labels, added to the file's: .tsv, .csv, .parquet, .gff3 or .bed.",
    )
    strict: bool = Field(
        False, description="Stop at the first bad record instead of reporting and skipping it."
    )
    min_instances: int = Field(
        10,
        ge=1,
        le=COUNT,
        description="Instances that a note or ligand needs to be its own concept.",
    )
    max_residues: int = Field(
        1022,
        ge=0,
        le=LONGEST,
        description="Longest protein kept, up to the model's limit; 0: that limit.",
    )
    too_long: Literal["skip", "refuse", "window"] = Field(
        "skip", description="Longer proteins: skip and count, refuse, or read in windows."
    )
    max_proteins: int = Field(
        0, ge=0, le=COUNT, description="Number of proteins to keep, drawn at random; 0: all."
    )
    identity: float = Field(
        0.3, gt=0, le=1, description="Minimum sequence identity of homologs, which share a split."
    )
    coverage: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Minimum share of the shorter protein that the alignment covers.",
    )
    train_share: float = Field(
        0.6, gt=0, lt=1, description="Share of proteins that the SAE is trained on."
    )
    validation_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Share of proteins on which features are chosen; the rest is test.",
    )
    seed: int = Field(
        42, ge=0, le=SEED, description="Seed of the splits and of the drawn proteins."
    )

    @model_validator(mode="after")
    def _leave_a_test(self) -> Self:
        if self.shares[2] < 0.01 - 1e-9:  # 0.79 and 0.2 leave 0.00999...
            raise ValueError(
                f"train_share {self.train_share} and validation_share {self.validation_share} "
                "leave nothing for test; lower them so that their sum is at most 0.99"
            )
        return self

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of train, validation, and test, which is what they leave."""
        test = 1 - self.train_share - self.validation_share
        return self.train_share, self.validation_share, test


class EmbedParameters(ShardedParameters):
    """Stage `embed`: one vector per residue, from the PLM and from its shuffled control."""

    stage: ClassVar[str] = "embed"
    files: ClassVar[tuple[str, ...]] = ("arrays",)

    plm: str = Field(
        "auto",
        min_length=1,
        description="Model: a name, owner/name or files; auto: unirep-1900, else esm2-mini.",
    )
    layer: int = Field(
        -1,
        ge=-1,
        le=LONGEST,
        description="Layer to read; 0: the token embedding, -1: the one that suits the model.",
    )
    joined: list[Layer] = Field(
        [], description="Layers that a crosscoder reads together; empty: one layer."
    )
    arrays: str = Field(
        "",
        description="Your own embeddings (.npz, .safetensors, .h5), instead of a model's.",
    )
    shuffled_seed: int = Field(
        42, ge=0, le=SEED, description="Seed of the control with shuffled weights."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Arithmetic of the PLM; auto: what suits the model and the device."
    )
    stored: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="How embeddings are stored: float32, or bfloat16 in half the space."
    )
    tokens_per_batch: int = Field(
        0, ge=0, le=COUNT, description="Tokens in a batch; 0: what suits the device."
    )

    @model_validator(mode="after")
    def _join_layers_of_a_model(self) -> Self:
        layers = sorted(set(self.joined))
        if self.joined and (len(layers) < 2 or list(self.joined) != layers):
            raise ValueError(
                f"joined {self.joined} must be two or more different layers, in ascending order"
            )
        if self.joined and self.arrays:
            raise ValueError(
                "joined layers are read from a model, and arrays hold one layer; leave one of the "
                "two empty"
            )
        if self.joined and self.layer not in (-1, self.joined[-1]):
            raise ValueError(
                f"joined {self.joined} says which layers are read, so layer {self.layer} does not "
                "fit; leave layer at -1"
            )
        return self

    def paths(self) -> dict[str, Path]:
        """The arrays, and the weights where `plm` is a path, not a name."""
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
        description="topk, batchtopk, jumprelu, gated, matryoshka, interplm-paper or interplm-v1.",
    )
    d_sae: int = Field(
        0, ge=0, le=FEATURES, description="Number of features; 0: what suits the model."
    )
    steps: int = Field(0, ge=0, le=COUNT, description="Training steps; 0: what suits the model.")
    target: int = Field(
        -1,
        ge=-1,
        le=LONGEST,
        description="Layer that a transcoder writes; -1: what is read, as an SAE does.",
    )
    batch_size: int = Field(2048, ge=1, le=FEATURES, description="Residues per step.")
    lr: float = Field(0.0, ge=0, le=1, description="Adam's learning rate; 0: the recipe's own.")
    k: int = Field(
        0,
        ge=0,
        le=FEATURES,
        description="Active features per residue, without an L1 term; 0: what suits the model.",
    )
    l1: float = Field(
        0.0,
        ge=0,
        le=L1,
        description="Weight of the L1 term, for recipes with one; 0: the recipe's own.",
    )
    warmup_fraction: float = Field(
        0.05, ge=0, le=1, description="Share of the steps over which the learning rate rises."
    )
    resample_every: int = Field(
        0,
        ge=0,
        le=COUNT,
        description="Steps between resamplings of dead features; 0: the recipe's own way.",
    )
    dead_after_tokens: int = Field(
        0,
        ge=0,
        le=TOKENS,
        description="Residues without activation until AuxK; 0: a sixth of the training.",
    )
    seed: int = Field(
        0, ge=0, le=SEED, description="Seed of the weights and of the order of residues."
    )
    seeds: int = Field(
        1,
        ge=1,
        le=MOST_SEEDS,
        description="Number of seeds of the SAE, at most 3; tables show mean and range.",
    )
    checkpoint_every: int = Field(
        1000,
        ge=1,
        le=COUNT,
        description="Steps between checkpoints: the most that a killed run repeats.",
    )
    fidelity_proteins: int = Field(
        25,
        ge=1,
        le=COUNT,
        description="Validation proteins on which fidelity is measured, drawn at random.",
    )
    fidelity_every: int = Field(
        0,
        ge=0,
        le=COUNT,
        description="Steps between measurements of fidelity in training; 0: only at the end.",
    )

    def made(self) -> dict[str, Any]:
        """How often checkpoints are saved does not change the result."""
        return {name: value for name, value in super().made().items() if name != "checkpoint_every"}


class CompareParameters(StageParameters):
    """Stage `compare`, optional: SAEs over layers, recipes, sparsities, learning rates and seeds,
    side by side."""

    stage: ClassVar[str] = "compare"

    layers: list[Layer] = Field([], description="Layers of the PLM; empty: the embedded one.")
    recipes: list[Recipe] = Field(
        ["topk"], min_length=1, description="Recipes, named as in train.recipe."
    )
    sparsities: list[Features] = Field(
        [],
        description="k, or jumprelu's target; empty: the recipe's own.",
    )
    l1s: list[L1Weight] = Field(
        [],
        description="Weights of the L1 term; empty: the recipe's own.",
    )
    lrs: list[Rate] = Field([], description="Learning rates; empty: the recipe's own.")
    seeds: list[Seed] = Field(
        [0],
        min_length=1,
        description="Seeds of the weights; two or more show which features recur.",
    )
    d_sae: int = Field(
        0, ge=0, le=FEATURES, description="Number of features; 0: what suits the model."
    )
    steps: int = Field(0, ge=0, le=COUNT, description="Training steps; 0: what suits the model.")
    batch_size: int = Field(
        2048, ge=1, le=FEATURES, description="Residues per step; all SAEs see the same."
    )
    scaling: Literal["own", "none", "scalar", "dimension"] = Field(
        "own", description="Scaling of the inputs; own: the recipe's own."
    )
    dead_after_tokens: int = Field(
        0,
        ge=0,
        le=TOKENS,
        description="Residues without activation until AuxK; 0: a sixth of the training.",
    )
    checkpoint_every: int = Field(
        1000,
        ge=1,
        le=COUNT,
        description="Steps between checkpoints: the most that a killed run repeats.",
    )
    fidelity_proteins: int = Field(
        25,
        ge=1,
        le=COUNT,
        description="Validation proteins on which fidelity is measured, drawn at random.",
    )
    fidelity_every: int = Field(
        0,
        ge=0,
        le=COUNT,
        description="Steps between measurements of fidelity in training; 0: only at the end.",
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
        le=COUNT,
        description="Minimum instances of a concept, in the tuning part and in test.",
    )
    min_clusters: int = Field(
        5,
        ge=1,
        le=COUNT,
        description="Minimum homology clusters of test that hold a concept's instances.",
    )
    maxima_residues: int = Field(
        200_000,
        ge=0,
        le=TOKENS,
        description="Train residues on which features' maxima are measured; 0: all.",
    )

    def made(self) -> dict[str, Any]:
        """How often checkpoints are saved does not change the result."""
        return {name: value for name, value in super().made().items() if name != "checkpoint_every"}


class ActivationsParameters(ShardedParameters):
    """Stage `activations`: every feature on every residue, once."""

    stage: ClassVar[str] = "activations"

    max_l0: float = Field(
        256.0,
        gt=0,
        le=FEATURES,
        description="Maximum mean active features per residue; a denser SAE is refused.",
    )


class ConceptsParameters(ShardedParameters):
    """Stage `concepts`: which features match which annotated concepts, with the controls."""

    stage: ClassVar[str] = "concepts"

    min_instances: int = Field(
        10, ge=1, le=COUNT, description="Minimum instances of a concept, in validation and in test."
    )
    min_clusters: int = Field(
        5,
        ge=1,
        le=COUNT,
        description="Minimum homology clusters of test that hold a concept's instances.",
    )
    bootstrap: int = Field(
        1000,
        ge=0,
        le=DRAWS,
        description="Resamples of the homology clusters behind the 95 % intervals; 0: none.",
    )
    null_draws: int = Field(
        1000,
        ge=0,
        le=DRAWS,
        description="Draws from each null distribution behind the q values; 0: none.",
    )
    link_f1: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Minimum validation F1 of a link; a concept's best feature is always linked.",
    )
    links_per_concept: int = Field(
        10,
        ge=1,
        le=FEATURES,
        description="Maximum number of features that are linked to a concept.",
    )
    merge_repeats: bool = Field(
        False,
        description="Also score numbered repeats (Sushi 1, Sushi 2) as one concept.",
    )
    seed: int = Field(0, ge=0, le=SEED, description="Seed of resamples, draws and probes.")


class FeaturesParameters(ShardedParameters):
    """Stage `features`: what each feature is, beyond its concepts: statistics, motifs, families."""

    stage: ClassVar[str] = "features"
    files: ClassVar[tuple[str, ...]] = ("motifs",)

    threshold: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Fraction of a feature's maximum above which a residue is active.",
    )
    flank: int = Field(
        7, ge=0, le=MOST_FLANK, description="Residues of a motif on each side of a maximum."
    )
    shuffles: int = Field(
        1000,
        ge=0,
        le=DRAWS,
        description="Draws of shuffled maxima behind the motifs' q values; 0: none.",
    )
    motifs: str = Field(
        "", description="Known motifs to compare with: PROSITE patterns or MEME text."
    )
    neighbours: int = Field(
        10, ge=1, le=FEATURES, description="Neighbours of a feature to keep, of each kind."
    )
    correlated_residues: int = Field(
        100_000,
        ge=1,
        le=COUNT,
        description="Residues on which activations are correlated, drawn at random.",
    )
    seed: int = Field(0, ge=0, le=SEED, description="Seed of the draws.")


class InterpretParameters(StageParameters):
    """Stage `interpret`: descriptions of features, and how well they predict."""

    stage: ClassVar[str] = "interpret"
    files: ClassVar[tuple[str, ...]] = ("structures",)

    features: str = Field(
        "random:200",
        description="Features to describe: f1:0.5, random:200, ids:12;40, all.",
    )
    found: bool = Field(
        True, description="Describe features that match a concept too, apart from the others."
    )
    sees: Sees = Field(
        "annotations",
        description="What a describer sees: sequence, names, or annotations with names.",
    )
    judge_sees: Sees = Field(
        "names", description="What a judge sees, likewise; annotations as in the paper."
    )
    structures: str = Field(
        "",
        description="Table of structures (accession, file), to say where maxima lie; or none.",
    )
    per_bin: int = Field(
        2, ge=1, le=COUNT, description="Proteins of each half from each bin below the top one."
    )
    close: bool = Field(
        False, description="Take silent proteins first from clusters in which others fire."
    )
    twice: bool = Field(
        False, description="Let a language model describe each feature a second time."
    )
    seed: int = Field(0, ge=0, le=SEED, description="Seed of halves, draws and resamples.")

    def input_files(self) -> dict[str, Path]:
        """The table, and the structures that it lists, as far as they are there."""
        from interplm_nb.readers.structure_list import listed

        found = super().input_files()
        table = found.get("structures")
        if table is not None and table.is_file():
            folder = table.parent.resolve()
            files = {file for _, file, _ in listed(table) if file.is_file()}
            found |= {f"structures: {f.relative_to(folder)}": f for f in sorted(files)}
        return found


class SteerParameters(StageParameters):
    """Stage `steer`: what is generated while a feature is held, with controls."""

    stage: ClassVar[str] = "steer"

    concept: str = Field(
        "", description="Concept whose best feature is held; empty: the best that a rule can judge."
    )
    strength: float = Field(
        0.75, ge=-100, le=100, description="What the feature is held at, in its maximum."
    )
    n_sequences: int = Field(
        48, ge=2, le=10_000, description="Sequences to generate under each condition."
    )
    length: int = Field(120, ge=20, le=2000, description="Residues of each sequence.")
    temperature: float = Field(
        0.9, ge=0, le=10, description="Logits are divided by it; 0: the most probable residue."
    )
    seed: int = Field(0, ge=0, le=SEED, description="Seed of the random numbers.")
    more: list[Further] = Field(
        [], description="Further experiments to run: dose, mask, attribution, attribution-survey."
    )


def unknown_name(name: str, known: list[str], what: str = "parameter") -> str:
    """A sentence that refuses a name and offers the nearest known ones."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
    return f"unknown {what} {name!r}; {hint}"


def complaint(of: str, model: type[BaseModel], error: ValidationError) -> str:
    """The first complaint of pydantic about a `model`, with what the parameter is for; `of` is the
    name of its stage or experiment."""
    first = error.errors()[0]
    message = first["msg"][0].lower() + first["msg"][1:]
    if not first["loc"]:  # several parameters that do not go together
        return f"{of}: {message.removeprefix('value error, ')}"
    name = str(first["loc"][0])
    about = model.model_fields[name].description if name in model.model_fields else None
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    value = first.get("input")
    return f"{of}.{name} = {value!r}: {message}{more}. {about or ''}".rstrip()
