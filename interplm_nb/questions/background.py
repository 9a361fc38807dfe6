"""Proteins of a run with which others are compared, whole or in stretches."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack

from interplm_nb.activations import FeatureActivations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins


class Background(NamedTuple):
    """Proteins with which a family, or proteins of one's own, are compared."""

    maxima: csr_array
    """float32 [n_proteins, n_features], unit "max": each feature's maximum on each protein, or on
    the part of it that counts."""
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


def windows(values: FeatureActivations, members: Proteins, seed: int = 0) -> Background:
    """A random stretch of each protein of `values` (unit "max"), as long as a random member.

    Longer proteins reach higher maxima by their length alone, so the stretches have the members'
    lengths; a protein that is shorter counts whole. Proteins that contain a whole member are left
    out; distant relatives of the members stay, which makes them look less special than they are.
    """
    proteins = values.proteins
    random = np.random.default_rng(seed)
    lengths = np.minimum(random.choice(members.lengths, len(proteins)), proteins.lengths)
    first = proteins.offsets[:-1] + (
        random.random(len(proteins)) * (proteins.lengths - lengths + 1)
    ).astype(np.int64)
    kept = np.flatnonzero(~_holding(members, proteins))
    maxima = csr_array(protein_maxima(values, first, first + lengths)[kept])
    left_out = (
        f", without {len(proteins) - len(kept)} that contain a member"
        if len(kept) < len(proteins)
        else ""
    )
    text = (
        f"a stretch of each of {len(kept):,} proteins of the run, "
        f"as long as a random member{left_out}"
    )
    return Background(maxima, [proteins.accessions[i] for i in kept.tolist()], text)


def whole(values: FeatureActivations, others: Proteins) -> Background:
    """Each protein of `values` (unit "max") that does not contain one of `others`.

    Whole, because features that fire at an end of the chain are missing from stretches.
    """
    kept = np.flatnonzero(~_holding(others, values.proteins))
    maxima = csr_array(protein_maxima(values)[kept])
    accessions = [values.proteins.accessions[i] for i in kept.tolist()]
    return Background(maxima, accessions, f"{len(kept):,} proteins of the run")


def protein_maxima(
    found: FeatureActivations, first: np.ndarray | None = None, last: np.ndarray | None = None
) -> csr_array:
    """float32 [n_proteins, n_features]: each feature's maximum on each protein.

    With `first` and `last`, int64 [n_proteins], only on rows `first` to `last` (excluded).
    """
    offsets = found.proteins.offsets
    first, last = (
        (offsets[:-1] if first is None else first),
        (offsets[1:] if last is None else last),
    )
    parts = []
    for block in found.blocks():
        values = block.values
        rows = np.arange(block.first_row, block.first_row + len(values.indptr) - 1)
        place = np.searchsorted(offsets, rows, side="right") - 1
        counts = np.diff(values.indptr)
        on = np.repeat((rows >= first[place]) & (rows < last[place]), counts)
        cell = (
            np.repeat(place - place[0], counts).astype(np.int64) * found.n_features + values.indices
        )
        dense = np.zeros((place[-1] - place[0] + 1) * found.n_features, np.float32)
        np.maximum.at(dense, cell[on], values.data[on])
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
