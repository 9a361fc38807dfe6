"""Structures of many proteins into the cache, each from the first place that has one."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from interplm_nb.progress import progress_bar
from interplm_nb.readers.http import NoAnswerError
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structure_files import StructureFiles

FETCHED: dict[str, Any] = {
    "accession": pl.String,
    "origin": pl.String,
    "file": pl.String,
    "why_not": pl.String,
}
"""Columns of `fetch_structures`; origin: "here" (your own file, or the cache), "PDB" or "AlphaFold
DB", null where there is no structure and why_not says why."""


def fetch_structures(
    files: StructureFiles, accessions: Iterable[str], pdb: bool = False
) -> pl.DataFrame:
    """Download what is not on this computer; a row per protein, in order, columns of `FETCHED`.

    With `pdb`, the best entry of the PDB is taken where there is one, else AlphaFold DB's model.
    A server that does not answer is not asked again for the other proteins.
    """
    silent: dict[str, str] = {}
    rows = [
        _row(files, accession, pdb, silent)
        for accession in progress_bar(list(accessions), desc="structures", unit=" proteins")
    ]
    return pl.DataFrame(rows, schema=FETCHED, orient="row")


def _row(
    files: StructureFiles, accession: str, pdb: bool, silent: dict[str, str]
) -> tuple[str, str | None, str | None, str | None]:
    here = files.cached(accession, models=not pdb)
    if here is not None and not (files.refresh and not files.offline):
        return accession, "here", str(here), None
    places = {"PDB": files.best_entry} if pdb else {}
    reasons = []
    for origin, ask in {**places, "AlphaFold DB": files.model}.items():
        if origin not in silent:
            try:
                return accession, origin, str(ask(accession)), None
            except InputError as error:
                if isinstance(error.__cause__, NoAnswerError):
                    silent[origin] = str(error.__cause__)
                reasons.append(str(error))
        else:
            reasons.append(silent[origin])
    return accession, None, None, "; ".join(dict.fromkeys(reasons))
