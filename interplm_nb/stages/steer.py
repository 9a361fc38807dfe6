"""Stage `steer`: what the model writes while a feature is held, with controls."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import SteerParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import STEERED_TEXT
from interplm_nb.questions.steer import experiment
from interplm_nb.saving import atomic_path

if TYPE_CHECKING:
    from interplm_nb.steering.experiments.generation.result import GenerationResult
    from interplm_nb.steering.experiments.settings import ExperimentResult

TABLES = ("conditions", "kinds", "natural", "sequences", "pilot")
FIELDS = ("feature", "model", "rule", "rule_words", "probe")
"""Of `GenerationResult`, beside its settings."""


@dataclass(frozen=True)
class SteerStage:
    """What stage `steer` made."""

    said: str
    """The result in a sentence; or why nothing was generated."""
    generation: "GenerationResult | None"
    """None where nothing was generated."""
    more: "dict[str, ExperimentResult | str]"
    """Results of `SteerParameters.more`; of a run that is read, their sentences: it keeps those and
    the tables."""
    recipe: str
    """`08_steer/recipe.toml`, which repeats it: `interplm-nb steer FILE --run RUN`. A comment that
    says why, where nothing was generated."""


def steer(run: Run, params: SteerParameters) -> SteerStage:
    """Hold the best feature of a concept while the model generates sequences, and judge them."""
    if isinstance(run, RunToRead):
        return _made(run)
    manifest.begin(run, params)
    # First, as they are refused at once where the model cannot do them.
    more = {kind: _further(run, kind, params) for kind in params.more}
    said_of_more = {kind: found.sentence for kind, found in more.items()}
    concept = params.concept or _best_concept(run)
    why_not = _why_not(run, concept)
    if why_not:
        run.write_summary("steer", said=why_not, more=said_of_more, fields={}, settings={})
        _write(run, f"# {why_not}\n")
        return replace(_made(run), more=more)
    settings = {
        "concept": concept,
        "strengths": [params.strength],
        "controls_at": [params.strength],
        "n_sequences": params.n_sequences,
        "length": params.length,
        "temperature": params.temperature,
        "seed": params.seed,
    }
    done = experiment(run, "generation", settings, device=params.device)
    result: Any = done.result
    for name, table in result.tables().items():
        run.write_table("steer", name, table)
    run.write_summary(
        "steer",
        said=result.sentence,
        more=said_of_more,
        fields={name: getattr(result, name) for name in FIELDS},
        settings=done.recipe.settings,
    )
    _write(run, done.recipe.model_copy(update={"run": ""}).toml())
    return replace(_made(run), more=more)


def _further(run: Run, kind: str, params: SteerParameters) -> "ExperimentResult":
    found = experiment(run, kind, {"seed": params.seed}, device=params.device).result
    for name, table in found.tables().items():
        run.write_table("steer", f"{kind}_{name}", table)
    return found


def _write(run: Run, recipe: str) -> None:
    with atomic_path(run.folder / STEERED_TEXT) as draft:
        draft.write_text(recipe, encoding="utf-8")


def _best_concept(run: Run) -> str:
    """The concept that a rule can judge in letters and whose linked feature has the best F1 on
    validation; "" if no concept has both."""
    from interplm_nb.steering.rules import RULES

    judged = pl.col("concept").str.contains_any(list(RULES))
    found = run.links().table.filter(judged).sort("validation_f1_per_domain", descending=True)
    return found["concept"][0] if found.height else ""


def _why_not(run: Run, concept: str) -> str:
    """Why this run generates nothing, in a sentence; "": it can."""
    model = run.model()
    if model is None or model.record is None:
        return (
            "Nothing was generated: these embeddings were read from a file, so there is no model "
            "that could be changed."
        )
    if not model.record.has_logits or model.record.objective is None:
        return f"Nothing was generated: {model.name} has no head that predicts residues."
    linked = run.links().table["concept"].unique().sort().to_list()
    if not concept or concept not in linked:
        return (
            f"Nothing was generated: no feature is linked to {concept or 'a concept with a rule'}. "
            f"Linked are {', '.join(linked[:6]) or 'no concepts'}"
            f"{', ...' if len(linked) > 6 else ''}."
        )
    return ""


def _made(run: Run) -> SteerStage:
    """Read what the stage has made."""
    summary = run.summary("steer")
    recipe = (run.folder / STEERED_TEXT).read_text(encoding="utf-8")
    return SteerStage(summary["said"], _generation(run, summary), summary["more"], recipe)


def _generation(run: Run, summary: dict[str, Any]) -> "GenerationResult | None":
    from interplm_nb.steering.experiments.generation.result import GenerationResult
    from interplm_nb.steering.experiments.generation.settings import GenerationSettings

    if not summary["fields"]:
        return None
    tables: dict[str, Any] = {name: run.table("steer", name) for name in TABLES}
    settings = GenerationSettings.model_validate(summary["settings"])
    return GenerationResult(settings=settings, **summary["fields"], **tables)
