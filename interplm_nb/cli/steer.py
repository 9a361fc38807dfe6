"""`interplm-nb steer`: change features of a run's layer, and measure what follows."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interplm_nb.cli.arguments import add_device
from interplm_nb.cli.paths import a_path

_EXAMPLES = """\
examples:
  interplm-nb steer generation --run runs/demo
  interplm-nb steer generation --run runs/demo -s feature=691 -s 'strengths=[0.5]' -s seed=1
  interplm-nb steer runs/demo/steered/generation/recipe.toml --out again     the same once more

experiments:
{experiments}

Every setting has a default; `interplm-nb steer EXPERIMENT --settings` lists them. Tables and a
recipe, which repeats the experiment exactly, go to --out. docs/steering.md defines the experiments.
"""


def add_steer_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `steer` to the commands; `add` makes a parser, `say` prints a text."""
    from interplm_nb.pipeline.experiment_table import EXPERIMENTS

    asks = "\n".join(f"  {kind:<20}{one.asks}" for kind, one in EXPERIMENTS.items())
    command = add(
        commands,
        "steer",
        "change features inside the model, and measure what follows, with controls",
        _EXAMPLES.format(experiments=asks),
    )
    command.add_argument(
        "what", metavar="EXPERIMENT", help=f"{', '.join(EXPERIMENTS)}, or a recipe.toml"
    )
    command.add_argument("--run", type=a_path, metavar="RUN", help="folder of a finished run")
    command.add_argument("--source", metavar="NAME", help="which of the run's SAEs (default: sae)")
    command.add_argument(
        "-s",
        dest="settings",
        action="append",
        default=[],
        metavar="name=value",
        help="set a setting; can be repeated",
    )
    command.add_argument(
        "--settings", dest="list", action="store_true", help="list the settings, and run nothing"
    )
    command.add_argument(
        "--out",
        type=a_path,
        metavar="DIR",
        help="write tables and the recipe here (default: steered/EXPERIMENT in the run)",
    )
    add_device(command)
    command.set_defaults(do=lambda options: say(_steer(options)))


def _steer(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.errors import PipelineError
    from interplm_nb.pipeline.recipes import Recipe
    from interplm_nb.pipeline.run import Run
    from interplm_nb.pipeline.run_files import STEERED
    from interplm_nb.questions.steer import checked_settings, experiment, save

    recipe = (
        Recipe.read(Path(options.what))
        if options.what.endswith(".toml")
        else Recipe(kind=options.what)
    )
    if options.list:
        return _listed(recipe.kind)
    settings = recipe.settings | dict(_setting(text) for text in options.settings)
    checked_settings(recipe.kind, settings)
    folder = options.run or recipe.run
    if not folder:
        raise PipelineError("give the run whose features are changed: --run runs/demo")
    run = Run.open(folder)
    done = experiment(
        run,
        recipe.kind,
        settings,
        options.source or recipe.source,
        options.device,
        recipe.made_with,
    )
    files = save(done, options.out or run.folder / STEERED / recipe.kind)
    tables = ", ".join(file.name for file in files[:-1])
    return f"{done.result.sentence}\n\nwritten: {files[-1]} (repeats this), {tables}"


def _setting(text: str) -> tuple[str, Any]:
    from interplm_nb.pipeline.errors import PipelineError
    from interplm_nb.pipeline.profiles import typed

    name, equals, value = text.partition("=")
    if not (equals and name.strip()):
        raise PipelineError(f"-s {text}: expected name=value, such as -s strength=0.5")
    return name.strip(), typed(value)


def _listed(kind: str) -> str:
    from interplm_nb.questions.steer import checked_settings

    settings = checked_settings(kind, {})
    return "\n".join(
        f"{name} = {getattr(settings, name)!r}\n    {field.description}"
        for name, field in type(settings).model_fields.items()
    )
