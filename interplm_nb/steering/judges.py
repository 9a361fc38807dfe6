"""Models and searches that judge generated sequences, none of which knows the SAE.

Perplexity is of the model that generated them, without any change. A concept's linear probe reads
another layer or model. Distance to nature is MMseqs2's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.controls.linear_probe import linear_probes
from interplm_nb.plm.protocol import PLM
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.readers import mmseqs
from interplm_nb.scratch import scratch_folder
from interplm_nb.steering.intervene import MASK

E_VALUE = 1e-3
"""Highest E-value of a natural relative: MMseqs2's own cut-off."""
SIDE_BY_SIDE = 128
_NO_CLASS = -100


class TooFewToJudgeError(ValueError):
    """A split lacks the proteins that a concept's probe is fitted or tested on."""


@torch.no_grad()
def surprise(plm: PLM, sequences: Sequence[str]) -> np.ndarray:
    """float64 [n]: mean of -log P(residue), in nats, over each sequence's residues.

    Of a next-residue model, P is given all residues before: exp of it is the perplexity. Of a
    masked one, P is given all others, one mask at a time: exp is the pseudo-perplexity (Salazar et
    al. 2020).

    Raises ValueError for a model without a head.
    """
    if plm.objective is None:
        raise ValueError(f"{plm.name} does not predict residues, so it gives no perplexity")
    of = _next_residue if plm.objective == "next residue" else _masked
    return np.array(of(plm, sequences), np.float64)


def _next_residue(plm: PLM, sequences: Sequence[str]) -> list[float]:
    found: list[float] = []
    for start in range(0, len(sequences), SIDE_BY_SIDE):
        tokens = plm.tokens(sequences[start : start + SIDE_BY_SIDE])
        logits = plm.forward(tokens, logits=True).logits
        assert logits is not None
        found += _mean(logits[:, :-1], plm.classes(tokens)[:, 1:])
    return found


def _masked(plm: PLM, sequences: Sequence[str]) -> list[float]:
    return [_mean_masked(plm, sequence) for sequence in sequences]


def _mean_masked(plm: PLM, sequence: str) -> float:
    tokens = plm.tokens([sequence])
    mask = plm.tokens([MASK])[0, plm.first_residue]
    places = plm.first_residue + torch.arange(len(sequence), device=tokens.device)
    total = 0.0
    for some in places.split(max(1, plm.tokens_per_batch // tokens.shape[1])):
        many = tokens.repeat(len(some), 1)
        row = torch.arange(len(some), device=tokens.device)
        many[row, some] = mask
        logits = plm.forward(many, logits=True).logits
        assert logits is not None
        wanted = plm.classes(tokens)[0, some]
        total += float(cross_entropy(logits[row, some].float(), wanted, reduction="sum"))
    return total / len(sequence)


def _mean(logits: Tensor, classes: Tensor) -> list[float]:
    losses = cross_entropy(
        logits.flatten(0, 1).float(), classes.flatten(), reduction="none", ignore_index=_NO_CLASS
    )
    counted = (classes != _NO_CLASS).sum(1)
    return (losses.view(classes.shape).double().sum(1) / counted).tolist()


@dataclass(frozen=True)
class ProbeJudge:
    """A concept's linear probe: a sequence carries the concept where one residue is above the
    threshold.
    """

    plm: PLM
    layer: int
    concept: str
    weights: np.ndarray
    """float32 [width]"""
    intercept: float
    threshold: float
    """Log-odds, chosen on validation proteins (largest sensitivity - false positive rate)."""
    found: tuple[int, int]
    """Test proteins that carry the concept and are called, of how many."""
    wrong: tuple[int, int]
    """Test proteins that do not carry it and are called, of how many."""

    @property
    def name(self) -> str:
        """The probe in words."""
        return f"probe of {self.concept} on {self.plm.name}, layer {self.layer}"

    def scores(self, sequences: Sequence[str]) -> np.ndarray:
        """float64 [n]: the largest log-odds over each sequence's residues."""
        return _scores(self.plm, self.layer, self.weights, self.intercept, sequences)


def fit_judge(
    plm: PLM,
    layer: int,
    annotations: Annotations,
    splits: pl.DataFrame,
    concept: str,
    n_others: int = 200,
    seed: int = 0,
) -> ProbeJudge:
    """Fit a concept's probe on train, choose its threshold on validation, read it on test.

    Parameters
    ----------
    plm, layer
        Another model, or another layer, than the one that is steered.
    annotations, splits
        Of natural proteins; splits has the columns accession and split.
    n_others
        Proteins without the concept, drawn for each split beside all that carry it.

    Raises
    ------
    TooFewToJudgeError
        Where a split has no protein with the concept, or none without.
    """
    carriers = set(annotations.only([concept]).table["accession"])
    rng = np.random.default_rng(seed)
    parts: dict[str, tuple[list[str], list[str]]] = {}
    for split in ("train", "validation", "test"):
        names = splits.filter(pl.col("split") == split)["accession"].to_list()
        names = [a for a in names if len(annotations.proteins.sequence(a)) <= plm.max_residues]
        others = [name for name in names if name not in carriers]
        parts[split] = (
            [name for name in names if name in carriers],
            rng.permutation(others)[:n_others].tolist(),
        )
        if not all(parts[split]):
            raise TooFewToJudgeError(
                f"{split} has {len(parts[split][0])} proteins with {concept!r} and "
                f"{len(parts[split][1])} without; a probe of it needs both in each split"
            )
    train = annotations.proteins.select([a for part in parts["train"] for a in part])
    labels = annotations.only([concept]).of(train)
    with scratch_folder() as folder:
        embedded = embed_to(plm, train, [layer], lambda n: folder / str(n), progress=False)[layer]
        probe = linear_probes(embedded, labels, train.accessions)
    weights, intercept = probe.W[:, 0], float(probe.b[0])

    def scored(split: str) -> list[np.ndarray]:
        """Scores of a split's proteins with the concept, and of those without."""
        of = (annotations.proteins.select(part).sequences for part in parts[split])
        return [_scores(plm, layer, weights, intercept, sequences) for sequences in of]

    threshold = _threshold(*scored("validation"))
    found, wrong = ((int((s > threshold).sum()), len(s)) for s in scored("test"))
    return ProbeJudge(plm, layer, concept, weights, intercept, threshold, found, wrong)


def _threshold(carry: np.ndarray, others: np.ndarray) -> float:
    tried = np.sort(np.concatenate([carry, others]))
    gain = [(carry > t).mean() - (others > t).mean() for t in tried]
    return float(tried[int(np.argmax(gain))])


def _scores(
    plm: PLM, layer: int, weights: np.ndarray, intercept: float, sequences: Sequence[str]
) -> np.ndarray:
    proteins = Proteins.from_sequences({str(i): s for i, s in enumerate(sequences)})
    odds = np.empty(proteins.n_residues)
    for batch in plm.embed(proteins, [layer], progress=False):
        odds[batch.rows] = batch.layers[layer].cpu().numpy() @ weights + intercept
    return np.maximum.reduceat(odds, proteins.offsets[:-1])


def relatives(sequences: Sequence[str], natural: Proteins) -> pl.DataFrame:
    """The nearest natural protein of each sequence by MMseqs2, at an E-value up to 1e-3.

    Returns
    -------
    pl.DataFrame
        sequence (u32, its number), relative (accession), identity (over the alignment),
        query_coverage, e_value; only sequences with a relative.
    """
    queries = Proteins.from_sequences({str(i): s for i, s in enumerate(sequences)})
    hits = mmseqs.alignments(queries, natural, 0.0, E_VALUE)
    best = hits.sort("query", "e_value").unique("query", keep="first", maintain_order=True)
    names = pl.Series("relative", natural.accessions, pl.String)
    return best.select(
        pl.col("query").alias("sequence"),
        names.gather(best["target"].to_list()),
        "identity",
        "query_coverage",
        "e_value",
    )


def commonest_letter(sequence: str) -> tuple[str, float]:
    """The letter that a sequence has most of, and its share.

    >>> commonest_letter("ACCC")
    ('C', 0.75)
    """
    letter = max(sorted(set(sequence)), key=sequence.count)
    return letter, sequence.count(letter) / len(sequence)


def windows(proteins: Proteins, accessions: Collection[str], length: int, seed: int) -> list[str]:
    """A random window of each protein, or the whole of a shorter one."""
    rng = np.random.default_rng([seed, 2])
    found = []
    for accession in accessions:
        sequence = proteins.sequence(accession)
        start = int(rng.integers(0, max(len(sequence) - length, 0) + 1))
        found.append(sequence[start : start + length])
    return found
