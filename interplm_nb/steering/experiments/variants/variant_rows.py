"""The residues that variants of one protein change, through a PLM.

A next-residue model reads from left to right: a variant's states before its first changed residue
are the wild type's, so it is run from there on only. Variants whose first changed residues are near
run together. A masked model sees both sides, and every residue may change.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from interplm_nb.plm.protocol import PLM
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.readers.variants import Variant, mutated

AT_ONCE = 128
"""Variants of a batch."""


class Rows(NamedTuple):
    """Some residues of the variants of a batch; their order means nothing."""

    variant: np.ndarray
    """int64 [n]: place of the variant in its batch."""
    residue: np.ndarray
    """int64 [n], from 0."""
    layers: dict[int, Tensor]
    """layer -> float32 [n, width], on the PLM's device."""


class Batch(NamedTuple):
    """Variants that run together."""

    index: np.ndarray
    """int64: which of the variants these are."""
    rows: Iterator[Rows]
    """Every residue that differs from the wild type's, or may, once."""


def embedded(plm: PLM, sequence: str, layers: Sequence[int]) -> dict[int, Tensor]:
    """layer -> float32 [L, width] of one sequence, from which a recurrent PLM resumes later."""
    proteins = Proteins.from_sequences({"sequence": sequence})
    found: dict[int, Tensor] = {}
    for rows, values in plm.embed(proteins, layers, progress=False):
        for layer, h in values.items():
            if layer not in found:
                found[layer] = h.new_empty(len(sequence), h.shape[1])
            found[layer][rows] = h
    return found


def batches(
    plm: PLM,
    wild_type: str,
    variants: Sequence[Variant],
    layers: Sequence[int],
    progress: bool = False,
) -> Iterator[Batch]:
    """All variants, those of like first position together.

    Read each batch's rows before the next batch is taken. Raises ValueError for a sequence that the
    PLM cannot read.
    """
    check_variants(variants)
    left_to_right = plm.objective == "next residue"
    first = np.array([variant[0].position - 1 for variant in variants], np.int64)
    order = np.argsort(first, kind="stable")
    starts = first if left_to_right else np.zeros(len(first), np.int64)
    embedded(plm, wild_type, layers)
    with progress_bar(
        total=len(variants), desc="variants", unit=" variants", disable=not progress
    ) as bar:
        for index in np.split(order, range(AT_ONCE, len(order), AT_ONCE)):
            sequences = [mutated(wild_type, variants[i]) for i in index]
            yield Batch(index, _rows(plm, sequences, starts[index], layers))
            bar.update(len(index))


def check_variants(variants: Sequence[Variant]) -> None:
    """Raise ValueError for no variant, and for one without a mutation."""
    if not variants or not all(variants):
        raise ValueError(
            f"{len(variants)} variants, {sum(not v for v in variants)} of them without a mutation; "
            "give at least one, each with a mutation"
        )


def _rows(
    plm: PLM, sequences: Sequence[str], starts: np.ndarray, layers: Sequence[int]
) -> Iterator[Rows]:
    proteins = Proteins.from_sequences({str(i): s for i, s in enumerate(sequences)})
    length = len(sequences[0])
    for rows, values in plm.embed(proteins, layers, progress=False):
        variant, residue = np.divmod(rows, length)
        kept = np.flatnonzero(residue >= starts[variant])
        if len(kept):
            yield Rows(variant[kept], residue[kept], {n: h[kept] for n, h in values.items()})
