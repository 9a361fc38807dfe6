"""How much of the PLM an SAE keeps: the PLM's own predictions with its representation replaced by
the reconstruction.

    loss recovered = 1 - (CE_sae - CE_original) / (CE_zero - CE_original)

The share is not defined where zeros cost the PLM under 0.01 nats per residue: then there is nothing
to recover, and the figure is None. The costs themselves are always given.

Masked models. "strict" is what the PLM was trained on: 15 % of the residues are masked, CE is the
mean over all masked residues, nothing is clipped, and the KL divergence says how far the
predictions moved even where CE did not. The visible residues alone are replaced: an SAE is trained
on residues, and has never seen what the layer holds at a <mask>. (At the last layer nothing visible
reaches a masked prediction, so zeros cost nothing and the share is not defined.)
"including masked positions" is the same with the <mask> positions replaced too. "published" is
InterPLM's measure: no residue is masked, the representation is replaced at every position (<cls>,
<eos> and padding too), CE is the mean over the residues of a sequence, then over sequences, and the
result is clipped to 0..1.

Next-residue models. CE is the mean over all residues, each predicted from the position before it,
so that a protein's first residue counts only behind a start token. Only residues are replaced,
nothing is clipped. "next residue, output" replaces the layer's whole output, which the layers above
see. "next residue, recurrence" replaces a recurrent layer's state step by step, so that its own
later steps see it too; the rest of the layer's state (the cell of an LSTM) is not replaced. Zeros
replace the representation in the same way as the reconstruction does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from interplm_nb.plm.protocol import PLM
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.fidelity_sums import FidelitySums, loss_recovered
from interplm_nb.sae.evaluation.measures import Measure, measures_of, why_absent
from interplm_nb.sae.evaluation.quality import Moments, Quality
from interplm_nb.sae.evaluation.replaced import three_logits
from interplm_nb.sae.model import SAE

MASKED_FRACTION = 0.15

QualityOn = Literal[
    "residues of unmasked sequences",
    "visible residues of masked sequences",
    "all residues of masked sequences",
]
_QUALITY_ON: dict[Measure, QualityOn] = {
    "strict": "visible residues of masked sequences",
    "including masked positions": "all residues of masked sequences",
}
"""Measures that mask residues, and what their `quality` is on."""
_NO_CLASS = -100


@dataclass(frozen=True)
class Fidelity:
    """Cross entropies in nats, and the share of the loss that the reconstruction recovers (1 is
    all; times 100 is the paper's percent)."""

    measure: Measure
    layer: int
    n_proteins: int
    n_residues: int
    """Residues whose prediction counts: the masked ones, or all that are predicted."""
    ce_original: float
    ce_sae: float
    ce_zero: float
    loss_recovered: float | None
    """None where zeros cost under `measures.LEAST_COST`."""
    loss_recovered_low: float | None
    """95 % over proteins: `FidelitySums.interval`."""
    loss_recovered_high: float | None
    kl: float
    """Mean KL divergence of the predictions with the SAE from those without, nats per residue that
    counts."""
    quality: Quality
    """On the model's own embeddings of the residues that are replaced: `quality_on`. Those of a
    masked sequence are not what the SAE was trained on."""
    quality_on: QualityOn
    sums: FidelitySums = field(repr=False)
    """What each protein adds."""

    def record(self) -> dict[str, Any]:
        """A JSON record for `fidelity.json`."""
        return {**asdict(self), "type": "Fidelity", "version": 3}


@torch.inference_mode()
def fidelity(
    sae: SAE,
    plm: PLM,
    proteins: Proteins,
    measure: Measure | None = None,
    seed: int = 0,
    tokens_per_batch: int = 8192,
    layer: int | None = None,
    progress: bool = True,
) -> Fidelity:
    """Run the PLM three times on `proteins`: as it is, with the SAE's reconstruction at its layer,
    and with zeros there.

    `measure` is the headline of `measures_of` unless given. `layer` is the SAE's own (`sae.about`)
    unless given. Which residues are masked depends only on `seed`, not on the batches.
    A protein longer than the model reads is cut to its first `plm.max_residues` residues.

    Raises ValueError for an SAE of another PLM or layer, for a model without fidelity
    (`why_absent`), and for a measure that does not exist for its layer.
    """
    layer = layer_of(sae, plm, layer)
    measure = _chosen(plm, layer, measure)
    sae, proteins = sae.to(plm.device), _cut(proteins, plm.max_residues)
    moments = Moments(sae.d_in, plm.device)
    masked = measure in _QUALITY_ON
    masks = _masked_residues(proteins, seed) if masked else None
    sums = np.zeros((5, len(proteins)))
    with progress_bar(
        total=proteins.n_residues,
        unit=" residues",
        unit_scale=True,
        desc=f"fidelity, {measure}",
        disable=not progress,
    ) as bar:
        for places in _batches(proteins.lengths, tokens_per_batch):
            sequences = [proteins.sequences[i] for i in places]
            tokens = plm.tokens(sequences)
            residues = _positions(plm, tokens, [np.arange(len(s)) for s in sequences])
            given, counted = tokens, residues
            if masks is not None:
                counted = _positions(plm, tokens, [masks[i] for i in places])
                given = torch.where(counted, _mask_token(plm), tokens)
            replaced = _replaced(measure, residues, counted)
            logits = three_logits(sae, plm, layer, measure, given, replaced, residues, moments)
            sums[:, places] = _losses(plm, logits, tokens, counted)
            bar.update(int(residues.sum()))
    return _read(measure, layer, _sums_of(proteins, sums), moments.quality())


def fidelities(
    sae: SAE, plm: PLM, proteins: Proteins, layer: int | None = None, progress: bool = True
) -> list[Fidelity]:
    """Fidelity by every measure that exists for the SAE's layer, the headline first; empty if
    absent (`why_absent`)."""
    layer = layer_of(sae, plm, layer)
    return [
        fidelity(sae, plm, proteins, measure, layer=layer, progress=progress)
        for measure in measures_of(plm, layer)
    ]


def probe(plm: PLM, proteins: Proteins, seed: int = 0) -> Callable[[SAE], dict[str, float]]:
    """What `train_on(evaluate=...)` takes: loss_recovered, ce and kl by the headline measure of the
    SAE's layer, on `proteins`; of a masked model loss_recovered_published too. A loss recovered
    that is not defined is left out. A model without fidelity gives an empty dictionary."""

    def measured(sae: SAE) -> dict[str, float]:
        """The figures of one SAE by name; empty for a model without fidelity."""
        layer = layer_of(sae, plm)
        names = measures_of(plm, layer)
        if not names:
            return {}
        headline = fidelity(sae, plm, proteins, names[0], seed, layer=layer, progress=False)
        found = {"ce": headline.ce_sae, "kl": headline.kl}
        shares = {"loss_recovered": headline.loss_recovered}
        if "published" in names:
            published = fidelity(sae, plm, proteins, "published", seed, layer=layer, progress=False)
            shares["loss_recovered_published"] = published.loss_recovered
        return found | {name: share for name, share in shares.items() if share is not None}

    return measured


def layer_of(sae: SAE, plm: PLM, layer: int | None = None) -> int:
    """The layer that an SAE is for: its own, or `layer` where it does not say.

    Raises ValueError for an SAE of another PLM, layer, hook or width, with both values.
    """
    if sae.about is not None and sae.about.plm != plm.name:
        raise ValueError(
            f"this SAE was trained on {sae.about.plm!r}, the PLM given is {plm.name!r}; load the "
            "SAE's own PLM"
        )
    if sae.about is not None and sae.about.plm_revision not in ("", plm.revision):
        raise ValueError(
            f"{plm.name} has other weights ({plm.revision[:19]}) than those the SAE was trained on "
            f"({sae.about.plm_revision[:19]})"
        )
    own = sae.about.layer if sae.about is not None else layer
    if own is None:
        raise ValueError("this SAE does not say which layer it is for; give layer=")
    if layer not in (None, own):
        raise ValueError(f"this SAE is for layer {own}, not layer {layer}")
    if not 0 <= own <= plm.n_layers:
        raise ValueError(
            f"this SAE is for layer {own}, {plm.name} has layers 0 to {plm.n_layers}; load the "
            "SAE's own PLM"
        )
    sae.check_reconstructs(f"replacing a layer of {plm.name}")
    sae.check_place(plm.widths[own], plm.name)
    return own


def _chosen(plm: PLM, layer: int, measure: Measure | None) -> Measure:
    known = measures_of(plm, layer)
    if not known:
        raise ValueError(why_absent(plm))
    if measure not in (None, *known):
        raise ValueError(
            f"layer {layer} of {plm.name} has fidelity by {' and '.join(map(repr, known))}, not by "
            f"{measure!r}"
        )
    return measure or known[0]


def _losses(
    plm: PLM, three: tuple[Tensor, Tensor, Tensor], tokens: Tensor, counted: Tensor
) -> Tensor:
    """float64 [5, n_sequences]: sums over `counted` (bool [B, T]) of CE original, CE sae, CE zero
    and KL, and how many counted."""
    targets = plm.classes(tokens)
    counted = counted & (targets != _NO_CLASS)
    if plm.objective == "next residue":
        three = (three[0][:, :-1], three[1][:, :-1], three[2][:, :-1])
        targets, counted = targets[:, 1:], counted[:, 1:]
    log_p, log_q = three[0].log_softmax(-1), three[1].log_softmax(-1)
    rows = [
        cross_entropy(logits.transpose(1, 2), targets, reduction="none", ignore_index=_NO_CLASS)
        for logits in three
    ]
    rows += [(log_p.exp() * (log_p - log_q)).sum(-1), torch.ones_like(rows[0])]
    return torch.stack(
        [torch.where(counted, row, 0).sum(1, dtype=torch.float64) for row in rows]
    ).cpu()


def _sums_of(proteins: Proteins, sums: np.ndarray) -> FidelitySums:
    """`sums`, float64 [5, n_proteins]: CE original, CE sae, CE zero, KL, and how many count."""
    if not sums[4].any():
        raise ValueError(
            "the model predicts no residue of these proteins; give longer proteins, of letters "
            "that it knows"
        )
    original, with_sae, zero, kl = (tuple(row.tolist()) for row in sums[:4])
    counts = tuple(sums[4].astype(int).tolist())
    return FidelitySums(tuple(proteins.accessions), counts, original, with_sae, zero, kl)


def _read(measure: Measure, layer: int, sums: FidelitySums, quality: Quality) -> Fidelity:
    published = measure == "published"
    ce_original, ce_sae, ce_zero, kl = sums.means(per_protein=published)
    recovered = loss_recovered(ce_original, ce_sae, ce_zero, clip=published)
    low, high = (
        (None, None) if recovered is None else sums.interval(per_protein=published, clip=published)
    )
    return Fidelity(
        measure=measure,
        layer=layer,
        n_proteins=len(sums.accessions),
        n_residues=sum(sums.n_residues),
        ce_original=ce_original,
        ce_sae=ce_sae,
        ce_zero=ce_zero,
        loss_recovered=recovered,
        loss_recovered_low=low,
        loss_recovered_high=high,
        kl=kl,
        quality=quality,
        quality_on=_QUALITY_ON.get(measure, "residues of unmasked sequences"),
        sums=sums,
    )


def _replaced(measure: Measure, residues: Tensor, masked: Tensor) -> Tensor:
    """bool [B, T]: the positions whose representation is replaced."""
    if measure == "published":
        return torch.ones_like(residues)
    return residues & ~masked if measure == "strict" else residues


def _cut(proteins: Proteins, longest: int) -> Proteins:
    if proteins.lengths.max(initial=0) <= longest:
        return proteins
    cut = (sequence[:longest] for sequence in proteins.sequences)
    return Proteins.from_sequences(dict(zip(proteins.accessions, cut, strict=True)))


def _masked_residues(proteins: Proteins, seed: int) -> list[np.ndarray]:
    """Per protein, the places (from 0) of 15 % of its residues, at least one."""
    generator = np.random.default_rng(seed)
    return [
        np.sort(generator.choice(n, max(1, round(MASKED_FRACTION * n)), replace=False))
        for n in proteins.lengths.tolist()
    ]


def _batches(lengths: np.ndarray, tokens_per_batch: int) -> Iterator[list[int]]:
    """Places of proteins in batches of like length, padded size at most `tokens_per_batch` (or one
    protein)."""
    batch: list[int] = []
    for i in np.argsort(-lengths, kind="stable").tolist():
        if batch and (len(batch) + 1) * (int(lengths[batch[0]]) + 2) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _positions(plm: PLM, tokens: Tensor, places: Sequence[np.ndarray]) -> Tensor:
    """bool [B, T]: the positions of these residues (from 0 within each protein)."""
    at = np.zeros(tokens.shape, dtype=bool)
    for row, residues in zip(at, places, strict=True):
        row[plm.first_residue + residues] = True
    return torch.from_numpy(at).to(tokens.device)


def _mask_token(plm: PLM) -> Tensor:
    """The id of <mask>, as the PLM's own tokenizer writes it."""
    return plm.tokens(["<mask>"])[0, plm.first_residue]
