"""The dose-response experiment in a run: which features, on which proteins, repeated on what."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.steering.experiments.dose.dose_response import DoseResult, Split, dose_response
from interplm_nb.steering.experiments.dose.settings import DoseSettings
from interplm_nb.steering.experiments.dose.sites import random_alive
from interplm_nb.steering.steered_layer import SteeredLayer


def dose_in_run(
    run: Run, settings: DoseSettings, source: str = "sae", device: str = "auto"
) -> DoseResult:
    """Targets are found on train, predictions are changed on test, intervals are over the run's
    homology clusters."""
    at = steered_layer(run, source, device)
    clusters = dict(run.splits().select("accession", "cluster").iter_rows())
    features = features_asked(run, at, settings, source)
    return dose_response(
        at,
        run.activations(source),
        Split(run.accessions("train"), run.accessions("test"), clusters),
        features,
        settings,
        dict.fromkeys(features, settings.letters) if settings.letters else None,
        _second(run, at, settings.second) if settings.second else None,
    )


def features_asked(
    run: Run, at: SteeredLayer, settings: DoseSettings, source: str = "sae"
) -> dict[int, str]:
    """The features asked about, each with its concept, "" for one drawn at random.

    Those named; else the feature with the highest validation F1 of each concept, of the
    `n_concepts` whose validation F1 is highest (test is left for the experiment), and `n_random`
    that are alive and linked to no concept.
    """
    links = run.links(source).table.sort(
        "validation_f1_per_domain", "concept", descending=[True, False]
    )
    concept_of = dict(
        links.unique("feature", keep="first", maintain_order=True)
        .select("feature", "concept")
        .iter_rows()
    )
    if settings.features:
        return {feature: concept_of.get(feature, "") for feature in settings.features}
    best = links.unique("concept", keep="first", maintain_order=True)
    best = best.unique("feature", keep="first", maintain_order=True).head(settings.n_concepts)
    asked = {int(f): str(c) for f, c in best.select("feature", "concept").iter_rows()}
    linked = links["feature"].cast(pl.Int64).to_list()
    drawn = random_alive(at, settings.n_random, settings.seed, linked)
    return asked | dict.fromkeys(drawn, "")


def _steerable(run: Run) -> list[str]:
    """Sources whose activations are stored: the SAE, its further seeds, and controls."""
    known = dict.fromkeys([*SOURCES["sae"].members, *run.with_activations()])
    return [source for source in known if run.of_source(source, "activations").is_dir()]


def _second(run: Run, at: SteeredLayer, name: str) -> SteeredLayer:
    """Another SAE of the run, or the SAE of another run of the same model."""
    if name in _steerable(run):
        found = steered_layer(run, name, str(at.plm.device))
    elif Run(Path(name).expanduser()).record.is_file():
        found = steered_layer(Run.open(name), "sae", str(at.plm.device))
    else:
        raise PipelineError(
            f"{name!r} is neither a source of {run.folder} nor the folder of a run; give one of "
            f"{', '.join(_steerable(run))}, or a run of the same model"
        )
    if found.plm.revision != at.plm.revision:
        raise PipelineError(
            f"{name} is of {found.plm.name}, {run.folder} of {at.plm.name}; an effect is repeated "
            "on the same model"
        )
    return replace(found, plm=at.plm)
