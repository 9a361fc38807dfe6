"""Proteins of a run with which others are compared, whole or in stretches."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack

from interplm_nb.activations import FeatureActivations
from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins

MOST_STRETCHES = 200
"""Stretches that a background has at most: each is read by the model."""


class Background(NamedTuple):
    """Proteins with which a family, or your own proteins, are compared."""

    maxima: csr_array
    """float32 [n_proteins, n_features], unit "max": each feature's maximum on each protein, or on
    a stretch of it."""
    accessions: list[str]
    description: str
    """The background in words, for captions."""


def stored(run: Run, source: str) -> FeatureActivations:
    """A source's stored activations in unit "max"; PipelineError for one that has none."""
    values = run.scored(source, "strict") if source in run.with_activations() else None
    if not isinstance(values, FeatureActivations):
        raise PipelineError(
            f"source {source!r} of {run.folder} has no stored activations to compare proteins "
            "with; use source 'sae'"
        )
    return values


def stretches(encoder: Encoder, members: Proteins, seed: int = 0) -> Background:
    """Random stretches of the run's proteins, as long as random members, read as members are.

    Longer proteins reach higher maxima by their length alone, so the stretches have the members'
    lengths; a protein that is shorter counts whole. A model that reads a part of a protein sees a
    sequence begin and end there, and features of an end fire in any part: so a stretch is
    read by itself, as a member is, not taken from its protein's activations. At most
    `MOST_STRETCHES` proteins, drawn at random. Those that contain a whole member are left out;
    distant relatives of the members stay, which makes them look less special than they are.
    """
    proteins = encoder.run.proteins()
    random = np.random.default_rng(seed)
    others = np.flatnonzero(~_holding(members, proteins))
    kept = np.sort(random.permutation(others)[:MOST_STRETCHES])
    lengths = np.minimum(random.choice(members.lengths, len(kept)), proteins.lengths[kept])
    first = (random.random(len(kept)) * (proteins.lengths[kept] - lengths + 1)).astype(np.int64)
    accessions = [proteins.accessions[i] for i in kept.tolist()]
    cut = {
        accession: proteins.sequence(accession)[start : start + n]
        for accession, start, n in zip(accessions, first.tolist(), lengths.tolist(), strict=True)
    }
    maxima = protein_maxima(encoder.activations(Proteins.from_sequences(cut)))
    n_holding = len(proteins) - len(others)
    left_out = f", without {n_holding} that contain a member" if n_holding else ""
    text = (
        f"a stretch of each of {len(kept):,} proteins of the run{left_out}, "
        "as long as a random member and read by itself, as members are"
    )
    return Background(maxima, accessions, text)


def whole(values: FeatureActivations, others: Proteins) -> Background:
    """Each protein of `values` (unit "max") that does not contain one of `others`.

    Whole, because they are compared with whole proteins.
    """
    kept = np.flatnonzero(~_holding(others, values.proteins))
    maxima = csr_array(protein_maxima(values)[kept])
    accessions = [values.proteins.accessions[i] for i in kept.tolist()]
    return Background(maxima, accessions, f"{len(kept):,} proteins of the run")


def protein_maxima(found: FeatureActivations) -> csr_array:
    """float32 [n_proteins, n_features]: each feature's maximum on each protein."""
    offsets, parts = found.proteins.offsets, []
    for block in found.blocks():
        values = block.values
        rows = np.arange(block.first_row, block.first_row + len(values.indptr) - 1)
        place = np.searchsorted(offsets, rows, side="right") - 1
        cell = (
            np.repeat(place - place[0], np.diff(values.indptr)).astype(np.int64) * found.n_features
            + values.indices
        )
        dense = np.zeros((place[-1] - place[0] + 1) * found.n_features, np.float32)
        np.maximum.at(dense, cell, values.data)
        parts.append(csr_array(dense.reshape(-1, found.n_features)))
    return csr_array(vstack(parts, format="csr"))


def _holding(members: Proteins, proteins: Proteins) -> np.ndarray:
    """bool [n_proteins]: which contain the whole sequence of a member."""
    text = "\n".join(proteins.sequences)
    starts = proteins.offsets[:-1] + np.arange(len(proteins))
    holding = np.zeros(len(proteins), bool)
    for sequence in set(members.sequences):
        place = text.find(sequence)
        while place >= 0:
            holding[np.searchsorted(starts, place, side="right") - 1] = True
            place = text.find(sequence, place + 1)
    return holding
