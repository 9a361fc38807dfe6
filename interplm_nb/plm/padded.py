"""`embed` of models that read padded batches: proteins of like length together, longest first."""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from tqdm.auto import tqdm

from interplm_nb.plm.batches import by_length, positions_of, rows_of
from interplm_nb.plm.lengths import pieces
from interplm_nb.plm.protocol import PLM, EmbeddedBatch
from interplm_nb.plm.record import check_layer
from interplm_nb.proteins import Proteins


def embed_padded(
    plm: PLM,
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
    """Every residue of every protein once, at `layers`.

    `tokens_per_batch` bounds a batch's padded size; by default what suits the device. Proteins over
    `max_residues` (default: the model's own) are refused, or with `long="window"` run in windows
    that overlap by at least `overlap` (default: half a window), each residue from the window whose
    centre is nearer.
    """
    for layer in layers:
        check_layer(plm, layer)
    width = max_residues or plm.max_residues
    parts = list(pieces(proteins, long, width, width // 2 if overlap is None else overlap))
    with tqdm(
        total=proteins.n_residues,
        desc=f"embedding with {plm.name}",
        unit=" residues",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        for batch in by_length(parts, tokens_per_batch or plm.tokens_per_batch):
            tokens = plm.tokens([proteins.sequences[p.protein][p.start : p.stop] for p in batch])
            with torch.inference_mode():
                found = plm.forward(tokens, layers).representations
            rows = rows_of(batch, proteins)
            places = positions_of(batch, tokens.shape[1], plm.first_residue)
            at = torch.from_numpy(places).to(plm.device)
            # Outside inference mode, so that what is handed on may take part in training.
            with torch.no_grad():
                residues = {
                    k: v.flatten(0, 1).index_select(0, at).to(dtype) for k, v in found.items()
                }
            yield EmbeddedBatch(rows, residues)
            bar.update(len(rows))
