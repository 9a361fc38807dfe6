"""Settings of the experiments with variants."""

from typing import ClassVar, Literal

from pydantic import Field

from interplm_nb.steering.experiments.settings import ExperimentSettings

Method = Literal["masked marginals", "wild-type marginals"]
"""How a masked model's log-likelihood ratio is taken; a next-residue model's is exact."""


class VariantsSettings(ExperimentSettings):
    """What a mutational scan, or one mutation, is read with."""

    kind: ClassVar[str] = "variants"

    n: int = Field(5000, ge=4, le=1_000_000, description="Most variants, drawn by seed.")
    method: Method = Field(
        "masked marginals", description="A masked model's log-likelihood ratio; others: not used."
    )
    least: float = Field(
        0.25,
        gt=0,
        le=100,
        description="A feature is lost or gained from this change on, in units of its maximum.",
    )
    other_sites: int = Field(
        20, ge=1, le=1000, description="Other sites that get the same substitution, as a null."
    )
    wild_type_score: float = Field(
        0, description="The wild type's score: above it variants are stabilising, below it not."
    )
    tolerated: float | None = Field(
        None, description="Variants from this score on are tolerated; none: from the median on."
    )
    chosen: int = Field(
        20, ge=1, le=10_000, description="Features chosen on half of the positions."
    )
    resamples: int = Field(1000, ge=100, le=100_000, description="Resamples of each interval.")


DEFAULTS = VariantsSettings.model_validate({})
"""Every setting at its default."""
