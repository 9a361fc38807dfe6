"""The multiplicative LSTM of UniRep (Krause et al. 2016; Alley et al. 2019).

Time-major: [T, B, width].

For each position, with x the input, h and c the state, and each weight matrix normalised:

    m = (x @ wmx) * (h @ wmh)
    z = x @ wx + m @ wh + b;  i, f, o, u = the four quarters of z
    c = sigmoid(f) * c + sigmoid(i) * tanh(u);  h = sigmoid(o) * tanh(c)

Products run in the layer's dtype; h, c and the gates in `state_dtype`, float32 or wider.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FEW_ROWS = 16
"""Up to here a CPU multiplies faster with weights transposed in memory (measured)."""
GATE_LANES = 32
"""Lanes whose gates a CPU thread computes together: they fit its cache at 1,900 units."""
BLOCK_STEPS = 128
"""Steps whose input products are computed at once."""


class State(NamedTuple):
    """State of a layer; both [B, H], in the layer's `state_dtype`."""

    h: Tensor
    c: Tensor

    def at(self, index: int | slice | Tensor) -> "State":
        """The state of some lanes, or at a position."""
        return State(self.h[index], self.c[index])


Inputs = Callable[[int], tuple[Tensor, Tensor]]
"""A step's products of its input: (x @ wmx [B, H], x @ wx + b [B, 4H]), in the layer's dtype.

The caller may overwrite both; they are valid until the next step."""


class Product:
    """x @ w for w [K, N]."""

    def __init__(self, w: Tensor) -> None:
        self.w = w
        self._transposed: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """[n, K] -> [n, N]."""
        return F.linear(x, self._rows()) if self._few(x) else x @ self.w

    def add_to(self, z: Tensor, x: Tensor) -> None:
        """Add x @ w to z, in place."""
        if self._few(x):
            z.add_(F.linear(x, self._rows()))
        else:
            z.addmm_(x, self.w)

    def _few(self, x: Tensor) -> bool:
        return len(x) <= FEW_ROWS and self.w.device.type == "cpu"

    def _rows(self) -> Tensor:
        if self._transposed is None:
            with torch.inference_mode(False), torch.no_grad():
                self._transposed = self.w.t().contiguous()
        return self._transposed


class Layer:
    """One layer's normalised weights; its output comes from `inputs` and a scan."""

    def __init__(
        self, weights: Mapping[str, Tensor], n: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        """`weights` are raw, with the names of the published files: `mlstm.<n>.wx` and so on."""
        at = device if device.type == "meta" else torch.device("cpu")
        w = {
            k: weights[f"mlstm.{n}.{k}"].to(at, torch.float64)
            for k in ("wx", "wh", "wmx", "wmh", "gx", "gh", "gmx", "gmh", "b")
        }
        self.dtype, self.state_dtype = dtype, torch.promote_types(dtype, torch.float32)
        self.wx, self.wh, self.wmx, self.wmh, self.b = (
            value.to(device, self.state_dtype)
            for value in (
                *(_normalised(w[k], w["g" + k[1:]]) for k in ("wx", "wh", "wmx", "wmh")),
                w["b"],
            )
        )
        self.units = self.wmh.shape[0]
        self.by_h, self.by_m = Product(self.wmh.to(dtype)), Product(self.wh.to(dtype))

    def zero(self, lanes: int) -> State:
        """The state before the first token."""
        return State(*self.b.new_zeros(2, lanes, self.units))

    def tables(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """`inputs` of each token: ([tokens, H], [tokens, 4H])."""
        xm, xz = embedding @ self.wmx, embedding @ self.wx + self.b
        return xm.to(self.dtype), xz.to(self.dtype)

    def inputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Products of an input, [..., in] -> ([..., H], [..., 4H])."""
        x = x.to(self.dtype)
        xm, xz = x @ self.wmx.to(self.dtype), x @ self.wx.to(self.dtype)
        return xm, xz + self.b.to(self.dtype)


def looked_up(tables: tuple[Tensor, Tensor], tokens: Tensor) -> Inputs:
    """Inputs of tokens, int64 [T, B], from the layer's tables, in reused buffers."""
    xm, xz = (t.new_empty(tokens.shape[1], t.shape[1]) for t in tables)

    def at(t: int) -> tuple[Tensor, Tensor]:
        """`Inputs` of step t: rows of the tables."""
        torch.index_select(tables[0], 0, tokens[t], out=xm)
        torch.index_select(tables[1], 0, tokens[t], out=xz)
        return xm, xz

    return at


def multiplied(layer: Layer, x: Tensor, block: int = BLOCK_STEPS) -> Inputs:
    """Inputs of x, [T, B, in], computed for a block of steps at a time."""
    held: list[tuple[Tensor, Tensor]] = []

    def at(t: int) -> tuple[Tensor, Tensor]:
        """`Inputs` of step t, from those of its block."""
        if t % block == 0 or not held:
            held[:] = [layer.inputs(x[t - t % block : t - t % block + block])]
        xm, xz = held[0]
        return xm[t % block], xz[t % block]

    return at


def scan(
    layer: Layer,
    inputs: Inputs,
    state: State,
    h: Tensor,
    c: Tensor | None = None,
    begins: Mapping[int, Tensor] | None = None,
    start: State | None = None,
) -> State:
    """Run `len(h)` steps into `h` [T, B, H], and the cell's state into `c` if given; no gradient.

    At a step in `begins`, its lanes (int64) restart from `start`, [1, H]. Returns the last state.
    """
    wide = layer.dtype == layer.state_dtype
    before, cell = state.h.clone(), state.c.clone()
    narrow = before if wide else before.to(layer.dtype)
    step = _gates(layer, cell)
    for t in range(len(h)):
        lanes = begins.get(t) if begins else None
        if lanes is not None and start is not None:
            cell[lanes] = start.c
            narrow = narrow.clone()
            narrow[lanes] = start.h.to(layer.dtype)
        xm, z = inputs(t)
        layer.by_m.add_to(z, layer.by_h(narrow).mul_(xm))
        step(z, h[t])
        narrow = h[t] if wide else narrow.copy_(h[t])
        if c is not None:
            c[t] = cell
    return State(h[-1].clone() if len(h) else before, cell)


def _gates(layer: Layer, cell: Tensor) -> Callable[[Tensor, Tensor], None]:
    """A function of (z, h) that writes the new state to `cell` [B, H] and h.

    It takes some lanes at a time, which stay in the processor's nearest cache.
    """
    lanes, units = cell.shape
    most = GATE_LANES * torch.get_num_threads() if cell.device.type == "cpu" else lanes
    parts = [slice(k, min(k + most, lanes)) for k in range(0, lanes, most)]
    squashed = cell.new_empty(min(most, lanes), units)
    gates = cell.new_empty(min(most, lanes), 4 * units)

    def step(z: Tensor, h: Tensor) -> None:
        """The new state from z [B, 4H], which may be overwritten, into `cell` and h [B, H]."""
        for part in parts:
            n = part.stop - part.start
            g = z[part] if z.dtype == cell.dtype else gates[:n].copy_(z[part])
            g[:, : 3 * units].sigmoid_()
            g[:, 3 * units :].tanh_()
            i, f, o, u = g.chunk(4, 1)
            c = cell[part].mul_(f).addcmul_(i, u)
            torch.mul(o, torch.tanh(c, out=squashed[:n]), out=h[part])

    return step


def scan_with_gradient(
    layer: Layer,
    inputs: tuple[Tensor, Tensor],
    state: State,
    step_edit: Callable[[Tensor, int], Tensor] | None = None,
) -> Tensor:
    """The output, [T, B, H], by the equations: gradients flow, nothing is overwritten.

    `step_edit(h, t)` returns the h that replaces the step's, in the output and in later steps.
    """
    h, c = state
    out: list[Tensor] = []
    for t, (xm, xz) in enumerate(zip(*inputs, strict=True)):
        m = xm * layer.by_h(h.to(layer.dtype))
        i, f, o, u = (xz + layer.by_m(m)).to(layer.state_dtype).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(u)
        h = torch.sigmoid(o) * torch.tanh(c)
        if step_edit is not None:
            h = step_edit(h, t)
        out.append(h)
    return torch.stack(out)


def joined(states: Sequence[State]) -> State:
    """States of single lanes, each [H], as one state [B, H]."""
    return State(torch.stack([s.h for s in states]), torch.stack([s.c for s in states]))


def _normalised(w: Tensor, gain: Tensor) -> Tensor:
    """Each column divided by its L2 norm, times its gain; the floor is for a column of zeros.

    In float64: an error here recurs at every step, and grows tenfold over a thousand steps.
    """
    return w / w.norm(dim=0, keepdim=True).clamp_min(1e-12) * gain
