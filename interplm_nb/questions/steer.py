"""An experiment of `steering.experiments` in a run: its inputs from the run, its tables saved."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.experiment_table import EXPERIMENTS, Experiment
from interplm_nb.pipeline.parameters import complaint, unknown_name
from interplm_nb.pipeline.recipes import Recipe
from interplm_nb.pipeline.run import Run
from interplm_nb.saving import write_parquet

if TYPE_CHECKING:
    from interplm_nb.steering.experiments.settings import ExperimentResult, ExperimentSettings


class Done(NamedTuple):
    """A finished experiment and the recipe that repeats it."""

    result: "ExperimentResult"
    recipe: Recipe


def experiment(
    run: Run,
    kind: str,
    settings: Mapping[str, Any],
    source: str = "sae",
    device: str = "auto",
    made_with: Mapping[str, str] | None = None,
) -> Done:
    """Run an experiment in a run.

    Parameters
    ----------
    kind
        A key of `EXPERIMENTS`.
    settings
        Fields of its settings; what is left out has its default.
    source
        Which of the run's SAEs is changed.
    made_with
        Of a recipe that is repeated: refuse another model, SAE or other proteins.

    Raises
    ------
    PipelineError
        For an unknown experiment or setting, and where the run lacks what it needs.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> run = ipn.Run.open("runs/demo")                                 # doctest: +SKIP
    >>> done = ipn.steer(run, "dose", {"features": [691]})              # doctest: +SKIP
    >>> done.result.sentence, done.result.tables()["features"]          # doctest: +SKIP
    >>> print(done.recipe.toml())                                       # doctest: +SKIP
    """
    record = experiment_named(kind)
    checked = checked_settings(kind, settings)
    recipe = Recipe(
        kind=kind,
        run=str(run.folder),
        source=source,
        settings=checked.model_dump(mode="json"),
        made_with=_made_with(run, source),
    )
    Recipe(kind=kind, run=str(run.folder), made_with=dict(made_with or {})).check_made_with(
        recipe.made_with
    )
    return Done(record.load("function")(run, checked, source, device), recipe)


def experiment_named(kind: str) -> Experiment:
    """The record of an experiment; PipelineError for an unknown name."""
    if kind not in EXPERIMENTS:
        raise PipelineError(unknown_name(kind, list(EXPERIMENTS), "experiment"))
    return EXPERIMENTS[kind]


def checked_settings(kind: str, settings: Mapping[str, Any]) -> "ExperimentSettings":
    """The settings of an experiment; PipelineError, with what was wanted, for a wrong one."""
    model = experiment_named(kind).load("settings")
    unknown = [key for key in settings if key not in model.model_fields]
    if unknown:
        raise PipelineError(
            f"{kind}: {unknown_name(unknown[0], list(model.model_fields), 'setting')}"
        )
    try:
        return model(**settings)
    except ValidationError as error:
        raise PipelineError(complaint(kind, model, error)) from None


def save(done: Done, out: Path) -> list[Path]:
    """Write the tables of an experiment and its recipe to a folder; return the files."""
    about = {"type": "Experiment", "version": 1, "kind": done.recipe.kind, **done.recipe.made_with}
    files = []
    for name, table in done.result.tables().items():
        files.append(out / f"{name}.parquet")
        write_parquet(table, files[-1], about)
    done.recipe.write(out / "recipe.toml")
    return [*files, out / "recipe.toml"]


def _made_with(run: Run, source: str) -> dict[str, str]:
    import interplm_nb

    sae = run.sae(source)
    about = {"plm": sae.about.plm, "plm_revision": sae.about.plm_revision} if sae.about else {}
    return {
        "package": interplm_nb.__version__,
        **about,
        "sae": sae.weight_hash,
        "proteins": run.proteins().sequence_hash,
    }
