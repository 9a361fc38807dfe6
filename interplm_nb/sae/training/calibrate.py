"""BatchTopK's threshold: it makes a residue's features independent of the batch it comes in."""

from collections.abc import Sequence

import torch
from torch import Tensor

from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.choice import batch_top_k_threshold, block_rows
from interplm_nb.sae.training.distributed import ALONE, World


@torch.no_grad()
def calibrated_threshold(
    sae: SAE, k: int, batches: Sequence[Tensor], world: World = ALONE
) -> float:
    """The threshold under which residues of these batches ([n, d_in], as the SAE takes them) have k
    active features on average.

    All their pre-activations are ranked together. The threshold lies just below the
    (k * n_residues)-th largest, so that exactly this number is above it, or all that are above 0
    where there are fewer.
    """
    n = sum(k * len(x) for x in batches)
    # Keeping twice a batch's share of the largest is nearly always enough; otherwise all are kept.
    for share in (2, sae.d_sae):
        kept = [_largest(sae, x, share * k * len(x)) for x in batches]
        lowest = batch_top_k_threshold(torch.cat(kept), n, world)
        cut = any(
            len(best) == share * k * len(x) and bool(best.min() > lowest)
            for best, x in zip(kept, batches, strict=True)
        )
        if not world.any(cut, lowest.device):
            break
    return float(torch.nextafter(lowest, torch.zeros_like(lowest)))


def _largest(sae: SAE, x: Tensor, n: int) -> Tensor:
    blocks = x.split(block_rows(sae.d_sae))
    positive = torch.cat([z[z > 0] for z in map(sae.pre_activation, blocks)])
    return positive.topk(min(len(positive), n), sorted=False).values
