"""What every experiment has: settings that a TOML recipe holds, and tables."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

SEED = 2**31 - 1


class ExperimentSettings(BaseModel):
    """Settings of one experiment: plain values, so that a recipe repeats it exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    """Name of the experiment in recipes."""

    seed: int = Field(default=0, ge=0, le=SEED, description="Seed of all draws.")


class ExperimentResult(Protocol):
    """What an experiment returns."""

    @property
    def sentence(self) -> str:
        """The result in a sentence, with its controls."""
        ...

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """Every table of the result, by name."""
        ...
