"""The proteins of a run as the search in the browser reads them."""

from typing import Any

import numpy as np

from interplm_nb.proteins import Proteins

MOST = 50_000
"""Proteins beyond which the browser gets none: their names alone would be larger than a page."""

COLUMNS = {
    "name": ("name", "protein_name", "description"),
    "organism": ("organism",),
    "gene": ("gene_names",),
    "entry": ("entry_name",),
    "family": ("family", "protein_families"),
}
"""What is searched besides the accession, and the columns of `Proteins` that may hold it."""


def protein_list(proteins: Proteins) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays of `packing.pack`: n, accession, and the `COLUMNS` that the run knows.

    Lists of texts, in the order of the residue axis; no lists beyond `MOST` proteins.
    """
    record: dict[str, Any] = {"n": len(proteins)}
    if len(proteins) > MOST:
        return record, {}
    record["accession"] = proteins.accessions
    for name, columns in COLUMNS.items():
        known = next((c for c in columns if c in proteins.table.columns), None)
        if known:
            record[name] = [str(text or "") for text in proteins.table[known]]
    return record, {}
