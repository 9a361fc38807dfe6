"""Proteins with a planted feature: it fires on the K of WxK, in proteins named "kinase"."""

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.interpret.known import Known
from interplm_nb.interpret.sampling import Sample, sample
from interplm_nb.proteins import Proteins

ALPHABET = "ACDEFGHILMNPQRSTVY"
"""Without W and K."""


def planted(n: int = 160, seed: int = 0) -> tuple[FeatureActivations, Known, np.ndarray]:
    """Every second protein has a site; feature 0 fires there (0.1 to 1), feature 1 anywhere.

    Sites are annotated. Two neighbours share a cluster. Also a concept that is nowhere near.
    """
    random = np.random.default_rng(seed)
    table, segments, values = [], [], []
    for i in range(n):
        letters = random.choice(list(ALPHABET), 60)
        track = np.zeros((60, 2), np.float32)
        if i % 2:
            at = int(random.integers(10, 50))
            letters[at - 2], letters[at] = "W", "K"
            track[at, 0] = 1.0 if i % 4 == 1 else random.uniform(0.1, 1)
            segments.append(segment(f"P{i}", "Active site_Lysine", at, at + 2, i))
        track[int(random.integers(60)), 1] = random.uniform(0.6, 1)
        segments.append(segment(f"P{i}", "Helix", 1, 3, 1000 + i))
        name = "Serine kinase subunit" if i % 2 else "Membrane protein"
        entry = {"accession": f"P{i}", "sequence": "".join(letters), "protein_name": name}
        table.append(entry | {"entry_name": f"X{i}_MADE", "organism": "Made <b>up</b>"})
        values.append(track)
    proteins = Proteins(pl.DataFrame(table))
    activations = FeatureActivations.from_dense(np.concatenate(values), proteins)
    known = Known(proteins, Annotations(pl.DataFrame(segments), proteins))
    return activations.relative_to(activations.largest()), known, np.arange(n) // 2


def segment(accession: str, concept: str, start: int, end: int, instance: int) -> dict[str, object]:
    """A row of annotations; positions from 1."""
    category = concept.partition("_")[0]
    about = {"accession": accession, "concept": concept, "category": category}
    return about | {"level": "instance", "start": start, "end": end, "instance": instance}


def drawn(activations: FeatureActivations, feature: int, clusters: np.ndarray) -> Sample:
    """The sample, which must be there."""
    found = sample(activations, feature, clusters)
    assert found is not None
    return found
