"""Concepts under two names: which ones are on the same residues, and which name they go by."""

from collections.abc import Collection

import numpy as np

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.labels import Labels

SAME = 0.95
"""Concepts whose residues have a Jaccard index above this are the same."""

_ROWS = 1 << 18
"""Residues whose labels are held in memory at a time."""


def same_residues(annotations: Annotations, concepts: Collection[str]) -> dict[str, str]:
    """Concepts that are on the residues of a more specific one, and the name of that one.

    Concepts are taken from the most specific to the least. Each is kept, unless its residues agree
    with those of a kept one: |a and b| / |a or b| > 0.95 over all annotated proteins. Then it goes
    by the name of the first of these. So no two of the concepts that stay agree, and each other one
    agrees with the one it goes by.

    The more specific of two concepts is one with a note or ligand before `<category>_any`, then the
    one on fewer residues, then the first by name.

    Parameters
    ----------
    annotations : Annotations
        The labels of all proteins, not of one split.
    concepts : collection of str
        The concepts to compare; others are left out.

    Returns
    -------
    dict of str to str
        Only concepts that go by another name, sorted.

    Examples
    --------
    >>> import polars as pl
    >>> from interplm_nb.proteins import Proteins
    >>> about = {"accession": "P1", "category": "Domain", "level": "instance", "instance": 0}
    >>> rows = [
    ...     about | {"concept": name, "start": 2, "end": 5}
    ...     for name in ("Domain_any", "Domain_SH3")
    ... ]
    >>> annotations = Annotations(pl.DataFrame(rows), Proteins.from_sequences({"P1": "MKVLAA"}))
    >>> same_residues(annotations, ["Domain_any", "Domain_SH3"])
    {'Domain_any': 'Domain_SH3'}
    """
    own = annotations.only(concepts)
    labels = Labels.of(own, own.proteins.accessions, "keep")
    names = labels.concepts["concept"].to_list()
    shared, size = _shared(labels), labels.concepts["n_residues"].to_numpy()
    same = shared > SAME * (size[:, None] + size - shared)
    general = [
        name == f"{category}_any"
        for name, category in labels.concepts.select("concept", "category").iter_rows()
    ]
    kept: list[int] = []
    goes_by = {}
    for c in sorted(range(len(names)), key=lambda c: (general[c], size[c], names[c])):
        other = next((k for k in kept if same[c, k]), None)
        if other is None:
            kept.append(c)
        else:
            goes_by[names[c]] = names[other]
    return dict(sorted(goes_by.items()))


def _shared(labels: Labels) -> np.ndarray:
    """int64 [n_concepts, n_concepts]: residues that carry both."""
    shared = np.zeros((labels.n_concepts, labels.n_concepts), np.int64)
    for first in range(0, labels.n_residues, _ROWS):
        carried = labels.on(np.arange(first, min(first + _ROWS, labels.n_residues)))[0]
        shared += (carried @ carried.T).toarray()
    return shared
