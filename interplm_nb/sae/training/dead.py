"""Features that never fire, given a new direction."""

import torch
from torch import Tensor

from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.initial import FIRST_THRESHOLD

NOISE = 0.01
"""Standard deviation of what "resample at random" adds to each value of an input."""


@torch.no_grad()
def resample(
    sae: SAE,
    x: Tensor,
    dead: Tensor,
    optimizer: torch.optim.Optimizer,
    seed: int,
    by_error: bool = True,
) -> int:
    """Give dead features (bool [d_sae]) the directions of inputs x [B, d_in]; returns how many. At most as many as there are inputs.

    `by_error`, as InterPLM's first release: inputs are drawn in proportion to ||x - x_hat||; atom = x / ||x||, encoder = x * 0.2 * mean norm of the
    living encoders. Else, as its later one: inputs are drawn evenly and get noise; encoder = atom = x / ||x||. In both b_enc is 0, a threshold or
    gate as at the start, and the optimizer's moments of these features are 0 (the later release forgets that).
    """
    error = (x - sae(x).x_hat).norm(dim=1) if by_error else torch.ones(len(x), device=x.device)
    n = min(int(dead.sum()), len(x), int((error > 0).sum()))
    if n == 0 or bool(dead.all()) or not bool(error.isfinite().all()):
        return 0
    generator = torch.Generator().manual_seed(seed)
    chosen = x[torch.multinomial(error.cpu(), n, generator=generator).to(x.device)]
    features = dead.nonzero()[:n, 0]
    if by_error:
        encoders = chosen * sae.W_enc[:, ~dead].norm(dim=0).mean() * 0.2
    else:
        chosen = chosen + NOISE * torch.randn(chosen.shape, generator=generator).to(chosen)
        encoders = chosen / chosen.norm(dim=1, keepdim=True)
    sae.W_enc[:, features] = encoders.T
    sae.W_dec[features] = chosen / chosen.norm(dim=1, keepdim=True)
    _begin_again(sae, features, optimizer)
    return n


def _begin_again(sae: SAE, features: Tensor, optimizer: torch.optim.Optimizer) -> None:
    first = {"b_enc": 0.0, "threshold": FIRST_THRESHOLD, "r_mag": 0.0, "b_gate": 0.0}
    for name, weight in sae.named_parameters():
        if name in first:
            weight[features] = first[name]
        at = (slice(None), features) if name == "W_enc" else (features,)
        if name != "b_dec" and weight in optimizer.state:
            for moment in ("exp_avg", "exp_avg_sq"):
                optimizer.state[weight][moment][at] = 0
