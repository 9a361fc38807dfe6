"""Log-likelihood ratios of variants against the wild type, in nats.

A next-residue model gives a sequence an exact likelihood, and the ratio is

    sum over all residues t of log p(variant_t | variant_<t) - log p(wild_t | wild_<t)

whose terms before the first changed residue are 0. A masked model gives none; with M the mutated
positions, what is taken is (Meier et al. 2021)

    masked marginals      sum over t in M of log p(variant_t | x) - log p(wild_t | x),
                          x the wild type with all of M masked
    wild-type marginals   the same, x the wild type as it is
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from interplm_nb.plm.protocol import PLM
from interplm_nb.readers.variants import Variant, mutated
from interplm_nb.steering.experiments.variants.settings import Method
from interplm_nb.steering.experiments.variants.variant_rows import Rows, batches, check_variants
from interplm_nb.steering.intervene import MASK


@torch.no_grad()
def log_likelihood_ratios(
    plm: PLM,
    wild_type: str,
    variants: Sequence[Variant],
    method: Method = "masked marginals",
    progress: bool = False,
) -> np.ndarray:
    """float64 [n_variants], nats: how much more likely each variant is than the wild type.

    Parameters
    ----------
    plm
        With logits. A next-residue model's ratio is that of whole sequences: the wild type runs
        once, each variant from its first changed residue on.
    wild_type
        Residue letters.
    variants
        As `readers.variants.parse_variant` reads them.
    method
        Of a masked model.
    progress
        Show a progress bar.

    Raises
    ------
    ValueError
        For a model without logits, and letters that it lacks.

    Examples
    --------
    >>> from interplm_nb import plm
    >>> from interplm_nb.readers.variants import parse_variant
    >>> model = plm.load("esm2-mini", device="cpu")
    >>> variants = [parse_variant(text, "MKVLAAG") for text in ("K2R", "K2R,L4P")]
    >>> log_likelihood_ratios(model, "MKVLAAG", variants).shape
    (2,)
    """
    check_variants(variants)
    if plm.objective != "next residue":
        return masked_ratios(plm, wild_type, variants, method)
    if not plm.recurrent:
        return _whole_ratios(plm, wild_type, variants)
    running = SequenceRatios(plm, wild_type, variants)
    for batch in batches(plm, wild_type, variants, [plm.n_layers], progress):
        for rows in batch.rows:
            running.add(batch.index, rows)
    return running.ratios


class SequenceRatios:
    """Ratios of whole sequences, summed while the variants' rows come from a recurrent model."""

    def __init__(self, plm: PLM, wild_type: str, variants: Sequence[Variant]) -> None:
        check_logits(plm)
        self.plm = plm
        self._tokens = plm.tokens([wild_type])
        predicted = _predicted(plm, [wild_type])[0]
        self._classes = np.stack([classes(plm, mutated(wild_type, one)) for one in variants])
        wild = classes(plm, wild_type)
        self._wild = predicted[np.arange(len(wild)), wild]
        at = np.array([variant[0].position - 1 for variant in variants])
        new = self._classes[np.arange(len(variants)), at]
        self.at_site = predicted[at, new] - self._wild[at]
        """float64 [n_variants]: the term of the first mutated residue alone, which the model
        predicts from the wild type's residues before it."""
        self.ratios = self.at_site.copy()
        """float64 [n_variants]: complete once all rows are added."""

    @torch.no_grad()
    def add(self, index: np.ndarray, rows: Rows) -> None:
        """Add the residues that follow some rows of the variants `index`."""
        kept = np.flatnonzero(rows.residue < len(self._wild) - 1)
        if not len(kept):
            return
        h = rows.layers[self.plm.n_layers][kept][None]
        tokens = self._tokens[:, :1].expand(1, len(kept))
        logits = self.plm.forward(tokens, logits=True, given=(self.plm.n_layers, h)).logits
        assert logits is not None
        variant, following = index[rows.variant[kept]], rows.residue[kept] + 1
        found = _log_probabilities(logits[0])
        own = found[np.arange(len(kept)), self._classes[variant, following]]
        np.add.at(self.ratios, variant, own - self._wild[following])


def _whole_ratios(plm: PLM, wild_type: str, variants: Sequence[Variant]) -> np.ndarray:
    """Ratios of a next-residue model whose states cannot be resumed."""
    check_logits(plm)
    sequences = [wild_type, *(mutated(wild_type, one) for one in variants)]
    size = max(1, plm.tokens_per_batch // (len(wild_type) + 2))
    found = []
    for start in range(0, len(sequences), size):
        part = sequences[start : start + size]
        for sequence, p in zip(part, _predicted(plm, part), strict=True):
            found.append(p[np.arange(len(p)), classes(plm, sequence)].sum())
    return np.array(found[1:]) - found[0]


def _predicted(plm: PLM, sequences: Sequence[str]) -> np.ndarray:
    """float64 [B, L, n_classes]: log probabilities of each residue, from those before it."""
    first, length = plm.first_residue, len(sequences[0])
    with torch.no_grad():
        logits = plm.forward(plm.tokens(sequences), logits=True).logits
    assert logits is not None
    p = _log_probabilities(logits[:, max(0, first - 1) : first + length - 1])
    if first == 0:  # no start token: nothing predicts the first residue
        p = np.concatenate([np.zeros((len(p), 1, p.shape[2])), p], axis=1)
    return p


def masked_ratios(
    plm: PLM, wild_type: str, variants: Sequence[Variant], method: Method
) -> np.ndarray:
    """Ratios of a masked model; each set of mutated positions is run once."""
    check_logits(plm)
    positions = [tuple(mutation.position for mutation in variant) for variant in variants]
    hidden = sorted(set(positions)) if method == "masked marginals" else [()]
    place = {masked: i for i, masked in enumerate(hidden)}
    found = np.zeros(len(variants))
    of_set: list[list[int]] = [[] for _ in hidden]
    for i, these in enumerate(positions):
        of_set[place.get(these, 0)].append(i)
    size = max(1, plm.tokens_per_batch // (len(wild_type) + 2))
    letters = {a for variant in variants for m in variant for a in (m.before, m.after)}
    letter = {a: int(classes(plm, a)[0]) for a in letters}
    for start in range(0, len(hidden), size):
        sequences = [_masked(wild_type, masked) for masked in hidden[start : start + size]]
        with torch.no_grad():
            logits = plm.forward(plm.tokens(sequences), logits=True).logits
        assert logits is not None
        for row, of in zip(logits, of_set[start : start + size], strict=True):
            residues = row[plm.first_residue : plm.first_residue + len(wild_type)]
            p = _log_probabilities(residues)
            for i in of:
                found[i] = sum(
                    p[m.position - 1, letter[m.after]] - p[m.position - 1, letter[m.before]]
                    for m in variants[i]
                )
    return found


def classes(plm: PLM, sequence: str) -> np.ndarray:
    """int64 [L]: each residue's class in the logits."""
    tokens = plm.tokens([sequence])
    first = plm.first_residue
    return plm.classes(tokens)[0, first : first + len(sequence)].cpu().numpy()


def check_logits(plm: PLM) -> None:
    """Raise ValueError for a model that predicts no residues."""
    if plm.objective is None or not plm.has_logits:
        raise ValueError(
            f"{plm.name} predicts no residues, so variants have no likelihood; take a model with "
            "its head, or read the features alone"
        )


def _log_probabilities(logits: Tensor) -> np.ndarray:
    """float64, of the same shape."""
    return torch.log_softmax(logits.double(), -1).cpu().numpy()


def _masked(sequence: str, positions: Sequence[int]) -> str:
    hidden = set(positions)
    return "".join(MASK if i in hidden else a for i, a in enumerate(sequence, 1))
