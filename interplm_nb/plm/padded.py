"""Padded batches of proteins of similar length, longest first."""

from collections.abc import Iterator, Sequence

import torch

from interplm_nb.plm.batches import by_length, positions_of, rows_of
from interplm_nb.plm.lengths import Piece
from interplm_nb.plm.protocol import PLM, EmbeddedBatch
from interplm_nb.proteins import Proteins


def padded_batches(
    plm: PLM,
    proteins: Proteins,
    pieces: Sequence[Piece],
    layers: Sequence[int],
    tokens_per_batch: int | None,
) -> Iterator[EmbeddedBatch]:
    """Run pieces of proteins padded to one length; special tokens and padding are left out."""
    for batch in by_length(pieces, tokens_per_batch or plm.tokens_per_batch):
        tokens = plm.tokens([proteins.sequences[p.protein][p.start : p.stop] for p in batch])
        with torch.inference_mode():
            found = plm.forward(tokens, layers).representations
        places = positions_of(batch, tokens.shape[1], plm.first_residue)
        at = torch.from_numpy(places).to(plm.device)
        # Outside inference mode, so that the result can take part in training.
        with torch.no_grad():
            residues = {k: v.flatten(0, 1).index_select(0, at) for k, v in found.items()}
        yield EmbeddedBatch(rows_of(batch, proteins), residues)
