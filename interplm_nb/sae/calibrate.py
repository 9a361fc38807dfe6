"""BatchTopK's threshold: what makes a residue's features its own, whatever batch it comes in."""

from collections.abc import Iterable

import torch
from torch import Tensor

from interplm_nb.sae.architectures import BatchTopK
from interplm_nb.sae.choice import CELLS, batch_top_k_threshold
from interplm_nb.sae.distributed import ALONE, World
from interplm_nb.sae.model import SAE


@torch.no_grad()
def calibrated_threshold(sae: SAE, batches: Iterable[Tensor], world: World = ALONE) -> float:
    """The threshold under which residues of these batches ([n, d_in], as the SAE takes them) have k active features on average.

    All their pre-activations are ranked together; it lies just below the (k * n_residues)-th largest, so that exactly so many are above it (all that
    are above 0, where those are fewer).
    """
    assert isinstance(sae.architecture, BatchTopK)
    best, n = [], 0
    for x in batches:
        positive = torch.cat([z[z > 0] for z in map(sae.pre_activation, x.split(max(1, CELLS // sae.d_sae)))])
        # No batch holds more than twice its share of the largest, for all that batches differ; it bounds what is kept.
        best.append(positive.topk(min(len(positive), 2 * sae.architecture.k * len(x)), sorted=False).values)
        n += sae.architecture.k * len(x)
    lowest = batch_top_k_threshold(torch.cat(best), n, world)
    return float(torch.nextafter(lowest, torch.zeros_like(lowest)))
