"""Features that never fire, given a new direction."""

import torch
from torch import Tensor

from interplm_nb.sae.model import SAE

NOISE = 0.01
"""Standard deviation of the noise that "resample at random" adds to each value of an input."""


@torch.no_grad()
def resample(
    sae: SAE,
    x: Tensor,
    dead: Tensor,
    optimizer: torch.optim.Optimizer,
    seed: int,
    by_error: bool = True,
    target: Tensor | None = None,
) -> int:
    """Give dead features (bool [d_sae]) the directions of inputs x [B, d_in]; returns how many, at
    most one per input.

    With `by_error`, as in InterPLM's first release: inputs are drawn in proportion to
    ||x - x_hat||; atom = x / ||x||, encoder = x * 0.2 * mean norm of the living encoders. Without,
    as in its later release: inputs are drawn evenly and get noise; encoder = atom = x / ||x||. In
    both, b_enc becomes 0, a threshold or gate starts again, and the optimizer's moments of these
    features become 0 (the later release does not reset them). A transcoder's atoms take the
    directions of `target` [B, d_out], and its error is to that.
    """
    target = x if target is None else target
    error = (target - sae(x).x_hat).norm(dim=1) if by_error else torch.ones(len(x), device=x.device)
    n = min(int(dead.sum()), len(x), int((error > 0).sum()))
    if n == 0 or bool(dead.all()) or not bool(error.isfinite().all()):
        return 0
    generator = torch.Generator().manual_seed(seed)
    rows = torch.multinomial(error.cpu(), n, generator=generator).to(x.device)
    chosen, atoms = x[rows], target[rows]
    features = dead.nonzero()[:n, 0]
    if by_error:
        encoders = chosen * sae.W_enc[:, ~dead].norm(dim=0).mean() * 0.2
    else:
        chosen = chosen + NOISE * torch.randn(chosen.shape, generator=generator).to(chosen)
        atoms = atoms if sae.transcodes else chosen
        encoders = chosen / chosen.norm(dim=1, keepdim=True)
    sae.W_enc[:, features] = encoders.T
    sae.W_dec[features] = atoms / atoms.norm(dim=1, keepdim=True)
    _begin_again(sae, features, optimizer)
    return n


def _begin_again(sae: SAE, features: Tensor, optimizer: torch.optim.Optimizer) -> None:
    own = sae.architecture.own_weights
    first = {"b_enc": 0.0} | {name: weight.first for name, weight in own.items()}
    for name, weight in sae.named_parameters():
        if name in first:
            weight[features] = first[name]
        at = (slice(None), features) if name == "W_enc" else (features,)
        if name not in ("b_dec", "b_in") and weight in optimizer.state:
            for moment in ("exp_avg", "exp_avg_sq"):
                optimizer.state[weight][moment][at] = 0
