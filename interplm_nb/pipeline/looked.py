"""Where the features of a run of looked-at proteins come from (`questions.look`).

    looked/about.json           the SAE, its run and the background, as values and in sentences
    looked/enrichment.parquet   which features these proteins have more than the background
    looked/names/               a run: scores, best pairs and map of the SAE in its own run

It is separate, so that the run's own scores are only for its own proteins.
"""

from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import polars as pl

from interplm_nb.checksums import DamagedFileError
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import LOOKED
from interplm_nb.saving import read_json, read_parquet, write_json, write_parquet

PROFILE = "look"
"""The profile that `run.json` notes for such a run."""


class Looked(NamedTuple):
    """What `looked/` holds."""

    about: dict[str, Any]
    """plm, layer, sae (hash), run (the SAE's own, by name; null: none), threshold, background
    (number of proteins), left_out (number by reason); `names`, `enrichment` and `scale`: a
    sentence each, "" where there is nothing to say."""
    enrichment: pl.DataFrame
    """`concepts.enrich.ENRICHED`, the most enriched feature first; without a background feature,
    members and share alone, the most frequent first."""
    names: Run | None
    """The scores that name the features, as their own run; None: nothing names them."""


def looked(run: Run) -> Looked | None:
    """What `looked/` of a run holds; None for any other run."""
    folder = run.folder / LOOKED
    if not folder.is_dir():
        return None
    try:
        about = read_json(folder / "about.json", "Looked", 1)
        enrichment, _ = read_parquet(folder / "enrichment.parquet", "Enrichment", 1)
    except (DamagedFileError, FileNotFoundError, ValueError) as error:
        raise PipelineError(
            f"{folder} cannot be read ({error}); look at the proteins again: "
            f"interplm-nb look PROTEINS --out {quote(str(run.folder))}"
        ) from error
    names = names_folder(run)
    return Looked(about, enrichment, Run.open(names) if names.is_dir() else None)


def names_folder(run: Run) -> Path:
    """`looked/names/`, whether or not it is there."""
    return run.folder / LOOKED / "names"


def write_looked(run: Run, about: dict[str, Any], enrichment: pl.DataFrame) -> None:
    """Write what `looked` reads, except the names."""
    folder = run.folder / LOOKED
    write_parquet(enrichment, folder / "enrichment.parquet", {"type": "Enrichment", "version": 1})
    write_json({"type": "Looked", "version": 1, **about}, folder / "about.json")
