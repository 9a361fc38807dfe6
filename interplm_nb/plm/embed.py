"""`embed` of every model here: checks, progress and dtype; a model says how it runs its batches."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import torch

from interplm_nb.plm.lengths import Piece, pieces
from interplm_nb.plm.protocol import PLM, EmbeddedBatch
from interplm_nb.plm.record import check_layer
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins


class RunsInBatches(PLM, Protocol):
    """A model that `embed` can drive."""

    def batches(
        self,
        proteins: Proteins,
        pieces: Sequence[Piece],
        layers: Sequence[int],
        tokens_per_batch: int | None,
    ) -> Iterator[EmbeddedBatch]:
        """The pieces' residues at `layers`, in any float dtype and any order."""
        ...


def embed(
    plm: RunsInBatches,
    proteins: Proteins,
    layers: Sequence[int],
    tokens_per_batch: int | None = None,
    progress: bool = True,
    *,
    long: Literal["refuse", "window"] = "refuse",
    max_residues: int | None = None,
    overlap: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Iterator[EmbeddedBatch]:
    """Embed every residue of every protein once.

    Parameters
    ----------
    proteins
        The residue axis.
    layers
        Layers to return; 0 is the embedding.
    tokens_per_batch
        Tokens that the model runs at once, padding included (default: what suits the device).
    progress
        Show a progress bar.
    long
        Proteins over `max_residues`: "refuse" raises ValueError, "window" runs overlapping windows
        and takes each residue from the window whose centre is nearest. A recurrent model reads a
        long protein whole.
    max_residues
        Longest protein, and width of a window (default: the model's own limit).
    overlap
        Smallest overlap of windows, in residues (default: half a window).
    dtype
        Of the returned tensors.

    Yields
    ------
    EmbeddedBatch
        `rows` of the residue axis, int64 [n], and `layers`: layer -> [n, width], without gradient.
        A protein may span batches.

    Examples
    --------
    >>> from interplm_nb import plm
    >>> model = plm.load("esm2-mini", device="cpu")
    >>> proteins = Proteins.from_sequences({"P1": "MKVLAAG"})
    >>> [rows, values] = next(model.embed(proteins, [3], progress=False))
    >>> rows.shape, values[3].shape
    ((7,), torch.Size([7, 192]))
    """
    for layer in layers:
        check_layer(plm, layer)
    width = max_residues or plm.max_residues
    parts = list(pieces(proteins, long, width, width // 2 if overlap is None else overlap))
    with progress_bar(
        total=proteins.n_residues,
        desc=f"embedding with {plm.name}",
        unit=" residues",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        for rows, found in plm.batches(proteins, parts, layers, tokens_per_batch):
            yield EmbeddedBatch(rows, {layer: v.to(dtype) for layer, v in found.items()})
            bar.update(len(rows))
