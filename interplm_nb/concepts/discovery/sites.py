"""Sites where a feature fires: stretches of residues above a threshold, annotated or not."""

from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations

BRIDGE = 10
"""Longest gap within a site, in residues: it joins the residues of a motif, or of each helix
turn.
"""

SITES: dict[str, Any] = {
    "protein": pl.Int64,
    "start": pl.Int64,
    "end": pl.Int64,
    "position": pl.Int64,
    "maximum": pl.Float32,
    "total": pl.Float32,
    "annotated": pl.Boolean,
}
"""Columns of `firing_sites`."""


def firing_sites(
    source: FeatureActivations,
    feature: int,
    threshold: float,
    carried: np.ndarray,
    bridge: int = BRIDGE,
) -> pl.DataFrame:
    """The sites of one feature: maximal runs of active residues, with short gaps bridged.

    Parameters
    ----------
    source : FeatureActivations
        In either unit.
    feature : int
        The feature.
    threshold : float
        A residue is active strictly above it.
    carried : np.ndarray
        bool [n_residues]: the residues that carry a concept (`Annotations.mask`).
    bridge : int
        Longest gap within a site.

    Returns
    -------
    pl.DataFrame
        Columns of `SITES`, in the order of the axis: protein (index, from 0); start, end (active
        residues, positions from 1, both included); position of the maximum (the first of equals);
        maximum and total (sum) of the activations above the threshold; annotated (a residue from
        start to end carries the concept).

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKVLAG"})
    >>> values = np.array([[0.0], [0.9], [0.0], [0.6], [0.0], [0.0]])
    >>> source = FeatureActivations.from_dense(values, proteins, unit="max")
    >>> sites = firing_sites(source, 0, 0.5, carried=np.zeros(6, bool))
    >>> sites.select("start", "end", "position", "annotated").rows()
    [(2, 4, 2, False)]
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
    # Sorted by site, then by strength: a site's first entry is its peak.
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
