"""A generation under steering with a run's SAE: a concept's feature, rule and judges."""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.steered_layer import steered_layer

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.steering.experiments.generation.judging import Judging
    from interplm_nb.steering.experiments.generation.result import GenerationResult
    from interplm_nb.steering.experiments.generation.settings import GenerationSettings
    from interplm_nb.steering.steered_layer import SteeredLayer

JUDGE = "unirep-256"
"""The other model whose probe judges UniRep's sequences: of the same download."""
OTHER_JUDGE = "esm2-mini"
"""The judge of other models' sequences: it comes with the package."""


def generation_in_run(
    run: Run,
    settings: "GenerationSettings | None" = None,
    source: str = "sae",
    device: str = "auto",
) -> "GenerationResult":
    """Generate sequences with a concept's feature clamped, and judge them beside all controls.

    Parameters
    ----------
    run
        A run with its stage 'concepts'.
    settings
        By default a small generation of the zinc finger.
    source
        Which of the run's SAEs.
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps".

    Returns
    -------
    GenerationResult

    Raises
    ------
    PipelineError
        For a concept without a linked feature, or without a rule.
    """
    from interplm_nb.steering.experiments.generation.experiment import generation as generated
    from interplm_nb.steering.experiments.generation.settings import GenerationSettings

    settings = settings or GenerationSettings()
    at = steered_layer(run, source, device)
    judge = other_model(run, device)
    found = judging(run, settings.concept, source, judge, settings.n_judge)
    if settings.feature is not None:
        return generated(at, settings.feature, found, settings)
    pilot = tried(
        at, best_features(run, settings.concept, settings.n_tried, source), found, settings
    )
    result = generated(at, favoured(pilot), found, settings)
    return replace(result, pilot=pilot)


def best_features(run: Run, concept: str, n: int, source: str = "sae") -> list[int]:
    """The features linked to a concept, at most n, the best F1 on validation first."""
    return _linked(run, concept, source)["feature"].cast(pl.Int64).head(n).to_list()


def tried(
    at: "SteeredLayer", features: list[int], judging: "Judging", settings: "GenerationSettings"
) -> pl.DataFrame:
    """What each feature writes of its concept, with random numbers that the experiment does not
    use: columns of `scan.SCAN`."""
    from interplm_nb.steering.experiments.generation.scan import scan
    from interplm_nb.steering.experiments.generation.settings import DrawSettings, ScanSettings

    how = {name: getattr(settings, name) for name in DrawSettings.model_fields}
    fresh = {"seed": settings.seed + settings.n_seeds, "n_seeds": 1}
    draw = ScanSettings.model_validate(how | fresh | {"strength": settings.strengths[0]})
    rules = {settings.concept: judging.rule}
    return scan(at, dict.fromkeys(features, settings.concept), rules, draw).table


def favoured(pilot: pl.DataFrame) -> int:
    """The feature whose share is furthest above that of its own letters shuffled; of equals, the
    first."""
    margin = (pilot["rate"] - pilot["shuffled"]).to_list()
    return int(pilot["feature"][margin.index(max(margin))])


def judging(
    run: Run,
    concept: str,
    source: str = "sae",
    judge: "PLM | None" = None,
    n_others: int = 80,
) -> "Judging":
    """A concept's rule, its probe on `judge`'s last layer (None: no probe), and natural proteins.

    The probe is fitted on proteins of train with the concept and `n_others` without; a run that
    lacks either in a split has no probe.
    PipelineError for a concept without a rule.
    """
    from interplm_nb.steering.experiments.generation.judging import Judging
    from interplm_nb.steering.judges import TooFewToJudgeError, fit_judge
    from interplm_nb.steering.rules import RULES, rule_of

    rule = rule_of(concept)
    if rule is None:
        raise PipelineError(
            f"no rule finds {concept!r} in letters; there are rules for concepts that start with "
            f"{', '.join(RULES)}: give one of these, or a Judging with a rule of your own"
        )
    annotations = run.annotations()
    carriers = annotations.only([concept]).table["accession"].unique().to_list()
    probe = None
    if judge is not None:
        splits = run.splits()
        with suppress(TooFewToJudgeError):  # a run of few proteins does without
            probe = fit_judge(judge, judge.n_layers, annotations, splits, concept, n_others)
    related = _linked(run, concept, source)["feature"].to_list()
    return Judging(rule, run.proteins(), carriers, probe, related)


def other_model(run: Run, device: str = "auto") -> "PLM":
    """A model other than the run's, for probes: unirep-256 for UniRep, else esm2-mini."""
    from interplm_nb.plm import load

    model = run.model()
    name = model.record.name if model and model.record else ""
    judge = JUDGE if name.startswith("unirep") and name != JUDGE else OTHER_JUDGE
    return load(judge, device)


def _linked(run: Run, concept: str, source: str) -> pl.DataFrame:
    """The features linked to a concept, the best on validation first."""
    found = run.links(source).table.filter(pl.col("concept") == concept)
    if not found.height:
        names = run.links(source).table["concept"].unique().sort().to_list()
        raise PipelineError(
            f"no feature of {source!r} is linked to {concept!r}; linked concepts: "
            f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        )
    return found.sort("validation_f1_per_domain", descending=True, maintain_order=True)
