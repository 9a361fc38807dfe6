"""How much of the PLM an SAE keeps: the PLM's own predictions with its representation replaced by the reconstruction.

    loss recovered = 1 - (CE_sae - CE_original) / (CE_zero - CE_original)

`published` is InterPLM's measure: no residue is masked, the representation is replaced at every position (<cls>, <eos> and padding too), CE is
the mean over the residues of a sequence, then over sequences, and the result is clipped to 0..1. `strict` is what the PLM was trained on: 15 %
of the residues are masked, only residues are replaced, CE is the mean over all masked residues, nothing is clipped, and the KL divergence says
how far the predictions moved even where CE did not.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.sae.company import check_place
from interplm_nb.sae.model import SAE

Convention = Literal["published", "strict"]
MASKED_FRACTION = 0.15


@dataclass(frozen=True)
class Quality:
    """How well an SAE reconstructs embeddings, and how sparsely."""

    n_residues: int
    variance_explained: float
    """1 - sum_d Var(x - x_hat)_d / sum_d Var(x)_d, as InterPLM has it: a constant error counts as none."""
    fvu: float
    """sum ||x - x_hat||^2 / sum ||x - mean(x)||^2: it counts."""
    l0: float
    """Mean active features per residue."""
    dead: int
    """Features that fire on none of these residues."""


@dataclass(frozen=True)
class Fidelity:
    """Cross entropies in nats, and the share of the loss that the reconstruction recovers (1 is all; times 100 is the paper's percent)."""

    convention: str
    layer: int
    n_proteins: int
    n_residues: int
    """Residues whose prediction counts: all of them, or the masked ones."""
    ce_original: float
    ce_sae: float
    ce_zero: float
    loss_recovered: float
    """0 where zeros do no harm, so that there is nothing to recover."""
    kl: float
    """Mean KL divergence of the predictions with the SAE from those without, nats per residue that counts."""
    quality: Quality
    """On the same residues' embeddings, all of them."""

    def record(self) -> dict[str, Any]:
        """A JSON record for `fidelity.json`."""
        return {**asdict(self), "type": "Fidelity", "version": 1}


@torch.inference_mode()
def fidelity(
    sae: SAE,
    plm: PLM,
    proteins: Proteins,
    convention: Convention = "strict",
    seed: int = 0,
    tokens_per_batch: int = 8192,
    layer: int | None = None,
    progress: bool = True,
) -> Fidelity:
    """Run the PLM three times on `proteins`: as it is, with the SAE's reconstruction at its layer, and with zeros there.

    `layer` is the SAE's own (`sae.about`) unless given. `seed` chooses the masked residues of `strict`, and only it does: not the batches.
    """
    if convention not in ("published", "strict"):
        raise ValueError(f"the convention is 'published' or 'strict', not {convention!r}")
    layer = _layer_of(sae, plm, layer)
    sae = sae.to(plm.device)
    total, moments = _Total(), _Moments(sae.d_in, sae.d_sae, plm.device)
    masks = (
        _masked_residues(proteins, seed)
        if convention == "strict"
        else [np.arange(length) for length in proteins.lengths]
    )
    with tqdm(
        total=proteins.n_residues,
        unit=" residues",
        unit_scale=True,
        desc=f"fidelity, {convention}",
        disable=not progress,
    ) as bar:
        for places in _batches(proteins.lengths, tokens_per_batch):
            sequences = [proteins.sequences[i] for i in places]
            tokens = plm.tokens(sequences)
            counted = _positions(tokens, [masks[i] for i in places])
            residues = _positions(tokens, [np.arange(len(s)) for s in sequences])
            total.add(
                _Patched(sae, plm, layer, convention, residues, moments).losses(tokens, counted)
            )
            bar.update(int(residues.sum()))
    ce_original, ce_sae, ce_zero, kl = total.means(per_sequence=convention == "published")
    return Fidelity(
        convention,
        layer,
        len(proteins),
        total.n_residues,
        ce_original,
        ce_sae,
        ce_zero,
        loss_recovered(ce_original, ce_sae, ce_zero, clip=convention == "published"),
        kl,
        moments.quality(),
    )


def loss_recovered(ce_original: float, ce_sae: float, ce_zero: float, clip: bool) -> float:
    """1 - (ce_sae - ce_original) / (ce_zero - ce_original); 0 where the denominator is about 0."""
    if np.isclose(ce_zero, ce_original):
        return 0.0
    recovered = 1 - (ce_sae - ce_original) / (ce_zero - ce_original)
    return float(np.clip(recovered, 0, 1)) if clip else recovered


@torch.inference_mode()
def quality(sae: SAE, batches: Iterable[Tensor | np.ndarray]) -> Quality:
    """Reconstruction and sparsity on batches of embeddings, float32 [n, d_in]; sums are kept in float64."""
    moments = _Moments(sae.d_in, sae.d_sae, sae.device)
    for batch in batches:
        x = torch.tensor(batch) if isinstance(batch, np.ndarray) else batch
        for part in x.to(sae.device).split(max(1, 2**23 // sae.d_sae)):
            moments.add(part, *sae(part))
    return moments.quality()


class _Patched:
    """The PLM's predictions on one batch with the representation at a layer left, replaced or zeroed."""

    def __init__(
        self,
        sae: SAE,
        plm: PLM,
        layer: int,
        convention: Convention,
        residues: Tensor,
        moments: "_Moments",
    ) -> None:
        self._sae, self._plm, self._layer, self._residues, self._moments = (
            sae,
            plm,
            layer,
            residues,
            moments,
        )
        self._everywhere = convention == "published"

    def losses(self, tokens: Tensor, counted: Tensor) -> Tensor:
        """float64 [4, n_sequences]: sums over `counted` (bool [B, T]) of CE original, CE sae, CE zero and KL; and their number, [5, n]."""
        masked = (
            tokens if self._everywhere else torch.where(counted, _mask_token(self._plm), tokens)
        )
        original, sae, zero = (
            self._logits(masked, edit) for edit in (None, self._reconstruct, self._zero)
        )
        log_p, log_q = original.log_softmax(-1), sae.log_softmax(-1)
        rows = [
            cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
            for logits in (original, sae, zero)
        ]
        rows += [(log_p.exp() * (log_p - log_q)).sum(-1), torch.ones_like(rows[0])]
        return torch.stack(
            [torch.where(counted, row, 0).sum(1, dtype=torch.float64) for row in rows]
        ).cpu()

    def _logits(self, tokens: Tensor, edit: Any) -> Tensor:
        logits = self._plm.forward(
            tokens, edit=None if edit is None else {self._layer: edit}, logits=True
        ).logits
        assert logits is not None
        return logits.float()

    def _reconstruct(self, h: Tensor) -> Tensor:
        f, x_hat = self._sae(h.float())
        self._moments.add(h[self._residues].float(), f[self._residues], x_hat[self._residues])
        return self._put(h, x_hat)

    def _zero(self, h: Tensor) -> Tensor:
        return self._put(h, torch.zeros_like(h))

    def _put(self, h: Tensor, new: Tensor) -> Tensor:
        new = new.to(h.dtype)
        return new if self._everywhere else torch.where(self._residues[..., None], new, h)


class _Total:
    """Sums per sequence, from all batches."""

    def __init__(self) -> None:
        self._sums: list[Tensor] = []

    def add(self, sums: Tensor) -> None:
        self._sums.append(sums)

    @property
    def n_residues(self) -> int:
        return int(sum(sums[4].sum().item() for sums in self._sums))

    def means(self, per_sequence: bool) -> list[float]:
        """CE original, CE sae, CE zero, KL: means over residues of each sequence and then sequences, or over all residues."""
        sums = torch.cat(self._sums, dim=1)
        means = (sums[:4] / sums[4]).mean(1) if per_sequence else sums[:4].sum(1) / sums[4].sum()
        return means.tolist()


class _Moments:
    """Sums over residues for variance explained, FVU, L0 and dead features."""

    def __init__(self, d_in: int, d_sae: int, device: torch.device) -> None:
        # MPS has no float64; sums of some 100,000 residues are then good to about 4 digits.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._n = 0
        self._x, self._x2, self._e, self._e2 = (
            torch.zeros(d_in, dtype=dtype, device=device) for _ in range(4)
        )
        self._active = torch.zeros(d_sae, dtype=torch.int64, device=device)

    def add(self, x: Tensor, f: Tensor, x_hat: Tensor) -> None:
        self._n += len(x)
        self._active += (f > 0).sum(0)
        x, e = x.to(self._x.dtype), (x - x_hat).to(self._x.dtype)
        for total, values in (
            (self._x, x),
            (self._x2, x.square()),
            (self._e, e),
            (self._e2, e.square()),
        ):
            total += values.sum(0)

    def quality(self) -> Quality:
        if self._n < 2:
            raise ValueError(f"quality takes at least 2 residues, not {self._n}")
        spread = (self._x2 - self._x.square() / self._n).sum()
        error_spread = (self._e2 - self._e.square() / self._n).sum()
        dead = int((self._active == 0).sum())
        l0 = int(self._active.sum()) / self._n
        return Quality(
            self._n, float(1 - error_spread / spread), float(self._e2.sum() / spread), l0, dead
        )


def _layer_of(sae: SAE, plm: PLM, layer: int | None) -> int:
    if sae.about is not None and sae.about.plm != plm.name:
        raise ValueError(
            f"this SAE was trained on {sae.about.plm!r}, the PLM given is {plm.name!r}; load the SAE's own PLM"
        )
    if sae.about is not None and sae.about.plm_revision not in ("", plm.revision):
        raise ValueError(
            f"{plm.name} has other weights ({plm.revision[:19]}) than those the SAE was trained on ({sae.about.plm_revision[:19]})"
        )
    own = sae.about.layer if sae.about is not None else layer
    if own is None:
        raise ValueError("this SAE does not say which layer it is for; give layer=")
    if layer not in (None, own):
        raise ValueError(f"this SAE is for layer {own}, not layer {layer}")
    if not 0 <= own <= plm.n_layers:
        raise ValueError(
            f"this SAE is for layer {own}, {plm.name} has layers 0 to {plm.n_layers}; load the SAE's own PLM"
        )
    check_place(sae, plm.widths[own], plm.name)
    return own


def _masked_residues(proteins: Proteins, seed: int) -> list[np.ndarray]:
    """Per protein, the places (from 0) of 15 % of its residues, at least one."""
    generator = np.random.default_rng(seed)
    return [
        np.sort(generator.choice(n, max(1, round(MASKED_FRACTION * n)), replace=False))
        for n in proteins.lengths.tolist()
    ]


def _batches(lengths: np.ndarray, tokens_per_batch: int) -> Iterator[list[int]]:
    """Places of proteins in batches of like length, padded size at most `tokens_per_batch` (or one protein)."""
    batch: list[int] = []
    for i in np.argsort(-lengths, kind="stable").tolist():
        if batch and (len(batch) + 1) * (int(lengths[batch[0]]) + 2) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _positions(tokens: Tensor, places: Sequence[np.ndarray]) -> Tensor:
    """bool [B, T]: these residues; residue 0 stands behind <cls>."""
    at = np.zeros(tokens.shape, dtype=bool)
    for row, residues in zip(at, places, strict=True):
        row[1 + residues] = True
    return torch.from_numpy(at).to(tokens.device)


def _mask_token(plm: PLM) -> Tensor:
    """The id of <mask>, as the PLM's own tokenizer writes it."""
    return plm.tokens(["<mask>"])[0, 1]


def probe(plm: PLM, proteins: Proteins, seed: int = 0) -> Callable[[SAE], dict[str, float]]:
    """What `train_on(evaluate=...)` takes: loss_recovered, ce and kl of masked residues (`strict`) and loss_recovered_published, on `proteins`."""

    def measure(sae: SAE) -> dict[str, float]:
        strict, published = (
            fidelity(sae, plm, proteins, convention, seed, progress=False)
            for convention in ("strict", "published")
        )
        return {
            "loss_recovered": strict.loss_recovered,
            "loss_recovered_published": published.loss_recovered,
            "ce": strict.ce_sae,
            "kl": strict.kl,
        }

    return measure
