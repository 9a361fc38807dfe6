"""Settings of a generation."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from interplm_nb.steering.experiments.settings import ExperimentSettings

Order = Literal["confidence", "random"]
"""Which masks are filled in first: those whose drawn residue is most probable, or any."""

Strength = Annotated[float, Field(ge=-100, le=100)]


class DrawSettings(ExperimentSettings):
    """How sequences are drawn."""

    kind: ClassVar[str] = "draw"

    n_sequences: int = Field(
        default=32,
        ge=2,
        le=10_000,
        description="Sequences per condition and seed.",
    )
    n_seeds: int = Field(default=1, ge=1, le=100, description="Repeats with other random numbers.")
    length: int = Field(default=120, ge=20, le=2_000, description="Residues of a sequence.")
    temperature: float = Field(default=0.9, ge=0, le=10, description="Logits are divided by it.")
    prefix: str = Field(
        default="",
        max_length=1_000,
        description="Residues that sequences start with (next residue).",
    )
    stop: bool = Field(default=False, description="End at the model's stop token (next residue).")
    n_steps: int = Field(
        default=20,
        ge=1,
        le=2_000,
        description="Passes that fill in masks (masked).",
    )
    order: Order = Field(
        default="confidence",
        description="Which masks are filled in first (masked).",
    )
    n_shuffles: int = Field(
        default=20,
        ge=1,
        le=1_000,
        description="Shuffles of each sequence's letters.",
    )


class GenerationSettings(DrawSettings):
    """Settings of a generation under steering; the defaults are a small one with all controls."""

    kind: ClassVar[str] = "generation"

    concept: str = Field(
        default="Zinc finger_any",
        min_length=1,
        max_length=200,
        description="The concept whose best feature is steered, and whose rule and probe judge.",
    )
    feature: int | None = Field(
        default=None,
        ge=0,
        description="The feature to steer; none: chosen among the concept's best by a pilot draw.",
    )
    n_tried: int = Field(
        default=3,
        ge=1,
        le=50,
        description="Features of the concept, the best on validation, that the pilot tries.",
    )
    strengths: tuple[Strength, ...] = Field(
        default=(1.0,),
        min_length=1,
        max_length=50,
        description="Values to clamp it to, in its maximum.",
    )
    controls_at: tuple[Strength, ...] = Field(
        default=(1.0,),
        max_length=50,
        description="Strengths at which controls are drawn too.",
    )
    n_features: int = Field(default=3, ge=0, le=100, description="Matched random features.")
    n_directions: int = Field(default=3, ge=0, le=100, description="Random directions.")
    n_natural: int = Field(
        default=100,
        ge=2,
        le=100_000,
        description="Natural proteins of each base rate.",
    )
    n_judge: int = Field(
        default=80,
        ge=2,
        le=100_000,
        description="Proteins without the concept that the probe is fitted on, per split.",
    )


class ScanSettings(DrawSettings):
    """Settings of a scan: which of several features cause which concept."""

    kind: ClassVar[str] = "generation scan"

    strength: Strength = Field(default=1.0, description="Value to clamp each to, in its maximum.")
