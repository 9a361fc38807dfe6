"""SAE training as one would write it: autograd over the plain equations, torch's Adam."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


class DenseLoop:
    """`step` trains an SAE [d_in -> d_sae] of a kind: "relu", "topk", "batchtopk", "matryoshka"."""

    def __init__(
        self, kind: str, d_in: int, d_sae: int, k: int, device: torch.device, autocast: bool
    ) -> None:
        self.kind, self.k, self.autocast, self.device = kind, k, autocast, device
        generator = torch.Generator(device).manual_seed(0)
        atoms = normalize(torch.randn(d_sae, d_in, device=device, generator=generator), dim=1)
        weights = (
            atoms.T.clone(),
            torch.zeros(d_sae, device=device),
            atoms,
            torch.zeros(d_in, device=device),
        )
        self.parameters = [torch.nn.Parameter(w) for w in weights]
        self.W_enc, self.b_enc, self.W_dec, self.b_dec = self.parameters
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-4)

    def step(self, x: Tensor) -> None:
        """One step of Adam on x [B, d_in], atoms kept at norm 1."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            loss = self.loss(x)
        self.optimizer.zero_grad()
        loss.backward()
        assert self.W_dec.grad is not None
        with torch.no_grad():
            self.W_dec.grad -= (self.W_dec.grad * self.W_dec).sum(1, keepdim=True) * self.W_dec
            self.optimizer.step()
            self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True))

    def loss(self, x: Tensor) -> Tensor:
        """scalar: mean distance and L1 (relu), or mean squared distance; Matryoshka's over its
        prefixes d_sae / 16, / 8, / 4, / 2 and d_sae."""
        f = torch.relu((x - self.b_dec) @ self.W_enc + self.b_enc)
        if self.kind == "relu":
            distance = (x - self._decoded(f, f.shape[1])).norm(dim=1)
            return distance.mean() + 0.1 * f.abs().sum(1).mean()
        f = self._chosen(f)
        d_sae = f.shape[1]
        prefixes = [d_sae // s for s in (16, 8, 4, 2, 1)] if self.kind == "matryoshka" else [d_sae]
        losses = [(x - self._decoded(f, n)).square().sum(1).mean() for n in prefixes]
        return torch.stack(losses).mean()

    def _decoded(self, f: Tensor, n: int) -> Tensor:
        return f[:, :n] @ self.W_dec[:n] + self.b_dec

    def _chosen(self, f: Tensor) -> Tensor:
        """The k largest of each row, or the k * B largest of the batch; 0 elsewhere."""
        rows = f if self.kind == "topk" else f.flatten()[None]
        values, places = rows.topk(self.k if self.kind == "topk" else self.k * len(f), dim=1)
        return torch.zeros_like(rows).scatter(1, places, values).view_as(f)
