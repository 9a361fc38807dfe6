"""Where a feature fires: stretches of residues above a threshold, and whether an annotation already says so."""

from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations

BRIDGE = 10
"""Residues that are not active and still do not part a site, so that the marked residues of a motif, or of a helix once a turn, are one."""

SITES: dict[str, Any] = {
    "protein": pl.Int64, "start": pl.Int64, "end": pl.Int64, "position": pl.Int64, "maximum": pl.Float32, "total": pl.Float32,
    "annotated": pl.Boolean,
}  # fmt: skip
"""Columns of `firing_sites`."""


def firing_sites(
    source: FeatureActivations,
    feature: int,
    threshold: float,
    carried: np.ndarray,
    bridge: int = BRIDGE,
) -> pl.DataFrame:
    """The sites of one feature on all proteins: maximal runs of residues above `threshold`, with gaps of at most `bridge` residues bridged.

    carried: bool [n_residues], the residues that carry a concept. Columns of `SITES`, in the order of the axis: protein (its place, from 0); start,
    end (active residues, positions from 1, both included); position of the maximum (the first of equals); maximum and total (sum) of the activations
    above the threshold, in the unit of `source`; annotated (a residue from start to end carries the concept).
    """
    rows, values = source.feature(feature)
    on = values > np.float32(threshold)
    rows, values = rows[on], values[on]
    offsets = source.proteins.offsets
    protein = np.searchsorted(offsets, rows, side="right") - 1
    begins = np.ones(len(rows), bool)
    begins[1:] = (np.diff(protein) > 0) | (np.diff(rows) > bridge + 1)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(rows))[: len(first)] - 1
    # Sorted by site, then from the strongest residue: a site's first entry keeps its place.
    peak = np.lexsort((rows, -values, np.cumsum(begins)))[first]
    before = offsets[protein[first]] - 1
    until = np.concatenate([[0], np.cumsum(carried)])
    columns = {
        "protein": protein[first],
        "start": rows[first] - before,
        "end": rows[last] - before,
        "position": rows[peak] - before,
        "maximum": values[peak],
        "total": np.add.reduceat(values.astype(float), first) if len(first) else np.empty(0),
        "annotated": until[rows[last] + 1] > until[rows[first]],
    }
    return pl.DataFrame(columns, schema=SITES)
