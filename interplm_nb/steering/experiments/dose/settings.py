"""Settings of the dose-response experiment."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from interplm_nb.steering.experiments.settings import ExperimentSettings


class DoseSettings(ExperimentSettings):
    """Settings of `dose_response`.

    >>> DoseSettings(strengths=(0.5, 1.0), tested=1.0).n_controls
    50
    """

    kind: ClassVar[str] = "dose"

    features: tuple[int, ...] = Field(
        (),
        description="Features asked about; empty: those best linked to concepts, and random ones.",
    )
    n_concepts: int = Field(
        6, ge=1, le=200, description="Concepts whose best features are asked about."
    )
    n_random: int = Field(
        6, ge=0, le=1000, description="Features drawn at random that are asked about beside them."
    )
    letters: str = Field(
        "", description="Letters whose odds are followed; empty: each feature's own, by rule."
    )
    second: str = Field(
        "", description="Another SAE of the run's layer to repeat effects on; empty: none."
    )
    strengths: tuple[float, ...] = Field(
        (0.0, 0.5, 1.0, 2.0),
        min_length=1,
        description="Values of the features, as multiples of their maximum.",
    )
    tested: float = Field(2.0, description="The strength whose effect is tested; one of strengths.")
    how: Literal["clamp", "add"] = Field(
        "clamp", description="Set the feature to the value, or add the value to it."
    )
    edited: Literal["maximum", "all"] = Field(
        "maximum", description="Change the residue of the protein's maximum, or all residues."
    )
    n_proteins: int = Field(
        12, ge=5, le=2000, description="Most proteins per feature, drawn from those it fires on."
    )
    longest: int = Field(
        300, ge=20, le=2000, description="Longest sequence that is run, in residues."
    )
    reach: int = Field(
        8, ge=1, le=200, description="Farthest predicted residue whose change is the effect."
    )
    furthest: int = Field(
        24, ge=2, le=500, description="Farthest predicted residue that is looked at."
    )
    n_letters: int = Field(3, ge=1, le=10, description="Letters of a target found by rule.")
    n_controls: int = Field(
        50, ge=5, le=500, description="Matched features per feature, at the tested strength."
    )
    n_directions: int = Field(
        10, ge=1, le=500, description="Random directions per feature, at the tested strength."
    )
    n_shown: int = Field(
        5, ge=1, le=100, description="Controls of each kind at the other strengths."
    )
    n_resamples: int = Field(
        1000, ge=100, le=100_000, description="Resamples of homology clusters per interval."
    )
    alpha: float = Field(
        0.05, gt=0, lt=1, description="Largest q of an effect, and p of its repetition."
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.tested not in self.strengths:
            raise ValueError(
                f"the tested strength must be one of strengths; got {self.tested:g}, not in "
                f"{self.strengths}"
            )
        if self.furthest <= self.reach:
            raise ValueError(
                f"furthest must be above reach, so that something lies behind it; got "
                f"{self.furthest} and {self.reach}"
            )
        return self
