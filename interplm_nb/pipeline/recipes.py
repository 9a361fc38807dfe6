"""A recipe: which experiment, in which run, with which settings, as a TOML file.

An experiment that is repeated from its recipe uses the same SAE on the same proteins, or is refused
with both names.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.saving import atomic_path


class Recipe(BaseModel):
    """What repeats an experiment.

    >>> print(Recipe(kind="dose", run="runs/demo", settings={"seed": 1}).toml(), end="")
    kind = "dose"
    run = "runs/demo"
    source = "sae"
    <BLANKLINE>
    [settings]
    seed = 1
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    """Name of the experiment, a key of `questions.steer.EXPERIMENTS`."""
    run: str = ""
    """Folder of the run; relative to where the command is given."""
    source: str = "sae"
    """Which of the run's SAEs."""
    settings: dict[str, Any] = Field(default_factory=dict)
    made_with: dict[str, str] = Field(default_factory=dict)
    """What made a result: the package, the PLM and its revision, hashes of the SAE and of the
    proteins. Empty in a recipe written by hand: any will do."""

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """The recipe in a TOML file; PipelineError for a file that is not one."""
        try:
            return cls(**tomllib.loads(path.read_text(encoding="utf-8-sig")))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise PipelineError(
                f"{path} is not a recipe of an experiment: {place}: {first['msg'].lower()}; it "
                "needs kind, run and a table [settings]"
            ) from None
        except (ValueError, RecursionError) as error:
            raise PipelineError(f"{path} is not a TOML file: {error}") from None

    def toml(self) -> str:
        """The recipe as TOML; a setting that is None is left out."""
        lines = [f"{name} = {_value(getattr(self, name))}" for name in ("kind", "run", "source")]
        for name in ("settings", "made_with"):
            table = {k: v for k, v in getattr(self, name).items() if v is not None}
            if table:
                lines += ["", f"[{name}]", *(f"{k} = {_value(v)}" for k, v in table.items())]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Write the recipe to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as draft:
            draft.write_text(self.toml(), encoding="utf-8")

    def check_made_with(self, here: Mapping[str, str]) -> None:
        """Raise PipelineError where the recipe was made with another model, SAE or proteins."""
        for name in ("plm_revision", "sae", "proteins"):
            was, now = self.made_with.get(name), here.get(name)
            if was is not None and was != now:
                raise PipelineError(
                    f"the recipe was made with {name} {was[:19]}, {self.run} has {now and now[:19]}"
                    ": this would be another experiment; give the run that made it, or remove the "
                    "table [made_with]"
                )


def _value(value: Any) -> str:
    """A value in TOML: strings, numbers, booleans and lists are written as in JSON, but for one
    control character that JSON leaves as it is; settings within settings as an inline table."""
    if isinstance(value, Mapping):
        own = (f"{k} = {_value(v)}" for k, v in value.items() if v is not None)
        return "{" + ", ".join(own) + "}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
