"""Profiles: a TOML file with one table per stage, checked before anything runs."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import PLACE, StageParameters, unknown_name
from interplm_nb.pipeline.stage_table import REQUIRED, STAGES
from interplm_nb.scale.address import absolute

_TOP_LEVEL = ("about", "required")


@dataclass(frozen=True)
class Profile:
    """The parameters of every stage, checked.

    `name` is the packaged name or the file's; `stages` holds the parameters of every required stage
    and of the optional ones that the profile asks for, in order.
    """

    name: str
    about: str
    stages: Mapping[str, StageParameters]

    def at(self, run: str, device: str, scheduler: str = "") -> dict[str, StageParameters]:
        """The same parameters, at a place; file names become absolute, because a notebook runs in
        the run's folder."""
        place = {"run": run, "device": device, "scheduler": absolute(scheduler)}
        return {
            name: type(p).checked(
                {
                    **p.model_dump(),
                    **{f: str(path.resolve()) for f, path in p.paths().items()},
                    **{name: place[name] for name in PLACE if name in type(p).model_fields},
                },
                self.name,
            )
            for name, p in self.stages.items()
        }


def packaged() -> dict[str, Path]:
    """Profiles that come with the package, by name."""
    folder = Path(str(resources.files("interplm_nb.pipeline") / "profiles"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def asking_for(stage: str) -> list[str]:
    """The packaged profiles that have a table for this stage."""
    read = {name: tomllib.loads(path.read_text("utf-8")) for name, path in packaged().items()}
    return [name for name, tables in read.items() if stage in tables]


def load(profile: str, settings: Sequence[str] = ()) -> Profile:
    """Read a packaged profile by name, or a `.toml` file, and override it with `settings`.

    >>> load("demo", ["train.steps=500"]).stages["train"].steps
    500
    """
    path = _find(profile)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows writes a mark
    # Besides its own: text that is not UTF-8, endless numbers, brackets in brackets.
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{path} is not a TOML file: {error}") from None
    _check_keys(tables, path)
    given = dict(setting_value(s) for s in settings)
    asked = {
        *REQUIRED,
        *tables,
        *(stage for stage, _ in given),
    }  # an optional stage runs where it has a table or a setting
    stages = {
        stage: _stage(record.parameters, tables.get(stage, {}), given, path)
        for stage, record in STAGES.items()
        if stage in asked
    }
    _check_required(tables.get("required", []), stages, path)
    name = profile if profile in packaged() else path.name
    return Profile(name, str(tables.get("about", "")), stages)


def setting_value(setting: str) -> tuple[tuple[str, str], Any]:
    """`stage.name=value` as ((stage, name), value); a value that is not TOML is a string.

    >>> setting_value("train.steps=500")
    (('train', 'steps'), 500)
    """
    key, equals, text = setting.partition("=")
    stage, dot, name = key.strip().partition(".")
    if not (equals and dot and stage and name):
        raise PipelineError(f"-p {setting}: expected stage.name=value, such as -p train.steps=500")
    if stage not in STAGES:
        raise PipelineError(f"-p {setting}: {unknown_name(f'{stage}.{name}', _all_names())}")
    return (stage, name), typed(text)


def typed(text: str) -> Any:
    """What a person writes after "=": a TOML value, or else a string.

    >>> typed("0.5"), typed("[1, 2]"), typed("Zinc finger")
    (0.5, [1, 2], 'Zinc finger')
    """
    try:
        value = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return value["value"] if set(value) == {"value"} else text


def _find(profile: str) -> Path:
    known = packaged()
    if profile in known:
        return known[profile]
    path = Path(profile).expanduser()
    if path.suffix != ".toml":
        raise PipelineError(
            f"no profile {profile!r}: packaged profiles are {', '.join(known)}; "
            "or give the path of a .toml file"
        )
    if not path.is_file():
        raise PipelineError(f"no profile file {path}; packaged profiles are {', '.join(known)}")
    return path


def _check_keys(tables: Mapping[str, Any], path: Path) -> None:
    required = tables.get("required", [])
    if not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        raise PipelineError(
            f"{path}: required = {required!r}: wanted a list of parameters, such as "
            '["proteins.path"]'
        )
    for key, value in tables.items():
        if key in _TOP_LEVEL:
            continue
        if key not in STAGES:
            raise PipelineError(f"{path}: {unknown_name(key, [*STAGES, *_TOP_LEVEL], 'key')}")
        if not isinstance(value, dict):
            raise PipelineError(
                f"{path}: {key} is a table, written [{key}] on its own line, not {value!r}"
            )
        placed = [name for name in PLACE if name in value]
        if placed:
            raise PipelineError(
                f"{path}: {key}.{placed[0]} does not belong in a profile; "
                "give --out, --device and --scheduler on the command line"
            )


def _stage(
    model: type[StageParameters],
    table: Mapping[str, Any],
    given: Mapping[tuple[str, str], Any],
    path: Path,
) -> StageParameters:
    model.checked(table, str(path))
    own = _of_stage(given, model.stage)
    placed = [name for name in PLACE if name in own]
    if placed:
        raise PipelineError(
            f"-p {model.stage}.{placed[0]}: use --out, --device and --scheduler instead"
        )
    return model.checked({**table, **own}, "-p" if own else str(path))


def _of_stage(given: Mapping[tuple[str, str], Any], stage: str) -> dict[str, Any]:
    return {name: value for (of, name), value in given.items() if of == stage}


def _check_required(
    required: Sequence[str], stages: Mapping[str, StageParameters], path: Path
) -> None:
    for key in required:
        stage, _, name = key.partition(".")
        if stage not in STAGES or name not in STAGES[stage].parameters.model_fields:
            raise PipelineError(f"{path}: required: {unknown_name(key, _all_names())}")
        if stage in stages and getattr(stages[stage], name) in ("", 0, []):
            about = STAGES[stage].parameters.model_fields[name].description
            raise PipelineError(
                f"profile {path.stem} needs {key}; give it with -p {key}=VALUE. {about}"
            )


def _all_names() -> list[str]:
    return [
        f"{stage}.{name}"
        for stage, record in STAGES.items()
        for name in record.parameters.model_fields
        if name not in PLACE
    ]
