"""Every published SAE of a run's PLM, scored on that run, into one table."""

from typing import TYPE_CHECKING, Any

import polars as pl

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.progress import progress_bar
from interplm_nb.questions.rescore import Settings, check, rescore
from interplm_nb.questions.rescore_table import RESCORED, own_rows

if TYPE_CHECKING:
    from interplm_nb.sae.model import SAE

SCORED: dict[str, Any] = RESCORED | {"why_not": pl.String}
"""Columns of `rescore_published`: an SAE that was not scored has a row with its reason in why_not,
and nulls except its name, layer and `of`."""


def rescore_published(
    run: Run, settings: Settings | None = None, device: str = "auto", keep: bool = False
) -> pl.DataFrame:
    """Download and score every SAE of `sae.published.PUBLISHED`; columns of `SCORED`.

    Those of another PLM than the run's are not downloaded. What cannot be fetched or read, or does
    not fit, is a row with its reason: a network that is away stops nothing. Arguments as in
    `rescore`; the SAEs are all in memory, and a layer is embedded once for all of them.
    """
    from interplm_nb.sae.published import PUBLISHED

    model = run.summary("embed")["plm"]
    asked = [(entry, layer) for entry in PUBLISHED for layer in entry.layers]
    saes: dict[str, SAE] = {}
    absent, unreachable = [], {}
    for entry, layer in progress_bar(asked, desc="fetch published SAEs", unit=" SAEs"):
        name = f"{entry.repository} layer {layer}"
        why = unreachable.get(entry.repository, "")
        if entry.plm != model:
            why = f"it is an SAE of {entry.plm}; score it on a run of that PLM"
        if not why:
            try:
                saes[name] = _fetched(run, name, entry.repository, layer)
            except ConnectionError as error:  # asking for its other layers would take as long
                why = unreachable[entry.repository] = str(error)
            except (OSError, ValueError, PipelineError) as error:
                why = str(error)
        if why:
            absent.append({"sae": name, "of": "published", "layer": layer, "why_not": why})
    scored = (
        rescore(run, saes, settings, device, keep)
        if saes
        else pl.DataFrame(own_rows(run), schema=RESCORED)
    )
    return pl.concat([scored, pl.DataFrame(absent, schema=SCORED)], how="diagonal")


def _fetched(run: Run, name: str, repository: str, layer: int) -> "SAE":
    from interplm_nb.sae import hub
    from interplm_nb.sae.importers.given import Given

    sae = hub.get(repository, Given(layer=layer))
    check(run, name, sae)
    return sae
