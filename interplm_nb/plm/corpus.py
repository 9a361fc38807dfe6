"""Sequences as masked-token training batches: random crops, corrupted like ESM-2's.

Lin et al. 2023, section A.2.2.
"""

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.tokens import CLS, EOS, MASK, PAD, residue_ids
from interplm_nb.proteins import Proteins

FIRST_RESIDUE, N_STANDARD = 4, 20
"""Ids 4 to 23 are the standard amino acids.

Letters after them (X, B, U, Z, O) may be masked, but never replace another residue.
"""

WIDTHS = (64, 128, 192, 256, 384, 512, 768, 1024)


class Corpus:
    """Token ids of all proteins end to end on one device; batches are padded crops.

    A protein is `<cls> residues <eos>`; of one longer than `crop` tokens, a random window is used.
    Proteins of similar length share batches. They are drawn in proportion to their length (up to
    four crops), so that every residue is seen about equally often.
    """

    def __init__(
        self,
        proteins: Proteins,
        crop: int,
        batch_tokens: int,
        held_out: int,
        seed: int,
        device: torch.device,
    ) -> None:
        if not 0 < held_out < len(proteins):
            raise ValueError(
                f"held_out must be between 1 and {len(proteins) - 1} (there are {len(proteins)} "
                f"proteins); got {held_out}"
            )
        self.ids = torch.from_numpy(
            np.concatenate([residue_ids(s) for s in proteins.sequences])
        ).to(device)
        self.starts = torch.from_numpy(proteins.offsets[:-1].copy()).to(device)
        self.lengths = torch.from_numpy(proteins.lengths).to(device)
        self.crop, self.batch_tokens, self.device = crop, batch_tokens, device
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(proteins))).to(device)
        self.held_out, self.train = order[:held_out].sort().values, order[held_out:].sort().values
        self._buckets = self._by_length()

    def _by_length(self) -> list[tuple[int, Tensor, Tensor]]:
        """(width, proteins, cumulative sampling weight) of each width with proteins."""
        widths = torch.tensor(
            [w for w in WIDTHS if w < self.crop] + [self.crop], device=self.device
        )
        bucket = torch.searchsorted(widths, (self.lengths[self.train] + 2).clamp(max=self.crop))
        members = [(int(width), self.train[bucket == i]) for i, width in enumerate(widths)]
        return [
            (w, m, self.lengths[m].clamp(max=4 * self.crop).double().cumsum(0))
            for w, m in members
            if len(m)
        ]

    def draw(self, generator: torch.Generator) -> Tensor:
        """int64 [B, width]: one batch of about `batch_tokens` tokens."""
        totals = torch.stack([weight[-1] for _, _, weight in self._buckets])
        width, members, weight = self._buckets[
            int(torch.multinomial(totals, 1, generator=generator))
        ]
        n = max(1, self.batch_tokens // width)
        at = torch.rand(n, generator=generator, device=self.device, dtype=torch.float64)
        at *= weight[-1]
        return self.crops(
            members[torch.searchsorted(weight, at).clamp(max=len(members) - 1)], width, generator
        )

    def crops(self, proteins: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """int64 [n, width]: one window of each protein, padded."""
        full = self.lengths[proteins] + 2
        spare = (full - width + 1).clamp(min=1)
        shift = (torch.rand(len(proteins), generator=generator, device=self.device) * spare).long()
        # Index within <cls> residues <eos>.
        at = torch.arange(width, device=self.device) + shift[:, None]
        residue = (at >= 1) & (at <= full[:, None] - 2)
        place = (self.starts[proteins][:, None] + at - 1).clamp(0, len(self.ids) - 1)
        tokens = torch.where(residue, self.ids[place].long(), PAD)
        return tokens.masked_fill(at == 0, CLS).masked_fill(at == full[:, None] - 1, EOS)

    def unigram_perplexity(self) -> float:
        """exp of the entropy of residue frequencies: the perplexity of a model without context."""
        share = torch.bincount(self.ids.int()).double() / len(self.ids)
        return float(torch.exp(-(share[share > 0] * share[share > 0].log()).sum()))


def corrupted(tokens: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(input, chosen): 15 % of residues are chosen, and corrupted for training.

    80 % of them become <mask>, 10 % a random amino acid, 10 % stay.
    """
    chosen = _chosen(tokens, generator)
    how = torch.rand(tokens.shape, generator=generator, device=tokens.device)
    other = torch.randint(
        FIRST_RESIDUE,
        FIRST_RESIDUE + N_STANDARD,
        tokens.shape,
        generator=generator,
        device=tokens.device,
    )
    shown = torch.where(chosen & (how < 0.8), MASK, tokens)
    return torch.where(chosen & (how >= 0.8) & (how < 0.9), other, shown), chosen


def masked(tokens: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(input, chosen): 15 % of residues are chosen and become <mask>; for evaluation."""
    chosen = _chosen(tokens, generator)
    return tokens.masked_fill(chosen, MASK), chosen


def _chosen(tokens: Tensor, generator: torch.Generator) -> Tensor:
    residues = (tokens >= FIRST_RESIDUE) & (tokens != MASK)
    return residues & (torch.rand(tokens.shape, generator=generator, device=tokens.device) < 0.15)
