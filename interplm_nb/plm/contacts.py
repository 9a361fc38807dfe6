"""Contacts that a masked model knows, by its categorical Jacobian (Zhang et al. 2024, PNAS 121,
e2406285121).

    J[i, a, j, b] = logit of amino acid b at residue j, with residue i replaced by a, less the same
                    of the sequence as it is

J is centred over each of its four axes, symmetrised, J = (J[i, a, j, b] + J[j, b, i, a]) / 2, and a
pair's score is the Frobenius norm over its 20 x 20 values, less the average product: S[i, j] -
S[i, .] S[., j] / S[., .], sums over rows and columns with an empty diagonal.

20 runs of the model per residue, and 400 L^2 values: 400 MB for 500 residues. They are centred and
summed in blocks, and above `IN_MEMORY` bytes they are in a temporary file.

Where the model has a head for it, `attention_scores` reads contacts from its attention, in one run
(`contact_head`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

from interplm_nb.plm.protocol import PLM, Attending, Edit
from interplm_nb.plm.record import ModelRecord
from interplm_nb.plm.residue_tokens import STANDARD
from interplm_nb.progress import progress_bar
from interplm_nb.scratch import scratch_folder

IN_MEMORY = 2**30
"""Bytes of a Jacobian above which it is in a temporary file."""
_TILE = 64
"""Residues on a side of the pairs that are summed at once."""


def contact_scores(
    plm: PLM, sequence: str, edit: Mapping[int, Edit] | None = None, progress: bool = True
) -> np.ndarray:
    """Score each pair of residues by how much one decides about the other.

    Parameters
    ----------
    plm
        A model that predicts masked residues.
    sequence
        One protein, no longer than the model reads.
    edit
        As in `PLM.forward`, for the sequence as it is and with substitutions alike.
    progress
        Show a bar.

    Returns
    -------
    np.ndarray
        float64 [L, L], symmetric, 0 on the diagonal; larger: more likely in contact.

    Raises
    ------
    ValueError
        For a model that has no such contacts (`check_contacts`), and a sequence that is too long.

    Examples
    --------
    >>> from interplm_nb.plm import load
    >>> scores = contact_scores(load("esm2-mini", device="cpu"), "MKVLAAGW", progress=False)
    >>> scores.shape, bool(np.allclose(scores, scores.T)), float(scores[0, 0])
    ((8, 8), True, 0.0)
    """
    check_contacts(plm)
    n = _check_length(plm, sequence)
    with _room(n) as jacobian:
        over_rows = np.zeros((20, n, 20))
        with progress_bar(
            total=n, unit=" residues", desc="categorical Jacobian", disable=not progress
        ) as bar:
            for first, block in jacobian_blocks(plm, sequence, edit):
                for axis in (1, 2, 3):
                    block -= block.mean(axis=axis, keepdims=True)
                over_rows += block.sum(axis=0, dtype=np.float64)
                jacobian[first : first + len(block)] = block
                bar.update(len(block))
        return average_product_corrected(_norms(jacobian, (over_rows / n).astype(np.float32)))


@torch.inference_mode()
def attention_scores(plm: PLM, sequence: str, edit: Mapping[int, Edit] | None = None) -> np.ndarray:
    """Contacts of a sequence by the head that reads them from attention.

    Parameters
    ----------
    plm
        A model that came with such a head.
    sequence
        One protein, no longer than the model reads.
    edit
        As in `PLM.forward`; attention reads it in the layers above.

    Returns
    -------
    np.ndarray
        float32 [L, L], symmetric: probabilities of contact.

    Raises
    ------
    ValueError
        For a model without the head (`no_attention_contacts`), and a sequence that is too long.
    """
    if why := no_attention_contacts(plm):
        raise ValueError(why)
    _check_length(plm, sequence)
    assert isinstance(plm, Attending)
    return plm.attention_contacts(plm.tokens([sequence]), edit)[0].cpu().numpy()


def no_attention_contacts(plm: PLM | ModelRecord) -> str:
    """Why a model has no contacts from attention; "" where it has a head that reads them."""
    if plm.has_contact_head:
        return ""
    return (
        f"{plm.name} has no contacts from attention: it came without a head that reads them; "
        "ESM-2's own files have one (beside a .pt file it is <name>-contact-regression.pt)"
    )


def check_contacts(plm: PLM | ModelRecord) -> None:
    """ValueError for a model whose contacts cannot be read off substitutions, with the reason."""
    if plm.objective == "next residue":
        raise ValueError(
            f"{plm.name} predicts the next residue from those before it: a substitution moves only "
            "later predictions, so that half of the Jacobian is 0 regardless of the fold; take a "
            "model that predicts masked residues, such as esm2_t6_8M_UR50D"
        )
    if plm.objective is None or not plm.has_logits:
        raise ValueError(
            f"{plm.name} has no head that predicts residues, which contacts are read from; take a "
            "model with its head, such as esm2_t6_8M_UR50D"
        )


def _check_length(plm: PLM, sequence: str) -> int:
    n = len(sequence)
    if not 2 <= n <= plm.max_residues:
        raise ValueError(
            f"contacts are of a sequence of 2 to {plm.max_residues:,} residues, which {plm.name} "
            f"reads at once; this one has {n:,}; cut the domain that you need"
        )
    return n


@torch.inference_mode()
def jacobian_blocks(
    plm: PLM, sequence: str, edit: Mapping[int, Edit] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the Jacobian of a sequence, not centred, by residues that are replaced.

    The first residue, from 0, and float32 [k, 20, L, 20]: k residues replaced by each of
    `STANDARD`, and the change of the logits of each at every residue.
    """
    n, start = len(sequence), plm.first_residue
    letters = plm.tokens([STANDARD])
    classes = plm.classes(letters)[0, start : start + 20]
    base = plm.tokens([sequence])

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        """float32 [B, L, 20]: logits of `STANDARD` at each residue."""
        found = plm.forward(tokens, edit=edit, logits=True).logits
        assert found is not None  # `check_contacts` has seen to it
        return found[:, start : start + n].float()[..., classes]

    unchanged = logits(base)
    at_once = max(1, plm.tokens_per_batch // (20 * base.shape[1]))
    for first in range(0, n, at_once):
        k = min(at_once, n - first)
        tokens = base.repeat(20 * k, 1).view(k, 20, -1)
        for i in range(k):
            tokens[i, :, start + first + i] = letters[0, start : start + 20]
        # A model reads many sequences at once no faster than a few: a batch bounds its memory.
        rows = tokens.view(20 * k, -1).split(max(1, plm.tokens_per_batch // base.shape[1]))
        changed = torch.cat([logits(some) - unchanged for some in rows])
        yield first, changed.view(k, 20, n, 20).cpu().numpy()


@contextmanager
def _room(n: int) -> Iterator[np.ndarray]:
    """float32 [n, 20, n, 20], in memory or in a temporary file."""
    shape = (n, 20, n, 20)
    if 4 * 400 * n * n <= IN_MEMORY:
        yield np.empty(shape, np.float32)
        return
    with scratch_folder() as folder:
        yield np.memmap(folder / "jacobian", np.float32, "w+", shape=shape)


def _norms(jacobian: np.ndarray, over_rows: np.ndarray) -> np.ndarray:
    """float64 [n, n]: norms of the symmetrised blocks; `over_rows` [20, n, 20] is still to be
    taken from each row."""
    n = len(jacobian)
    norms = np.zeros((n, n))
    tiles = [slice(i, min(i + _TILE, n)) for i in range(0, n, _TILE)]
    for rows in tiles:
        for columns in (tile for tile in tiles if tile.start >= rows.start):
            there = jacobian[rows, :, columns] - over_rows[:, columns]
            back = jacobian[columns, :, rows] - over_rows[:, rows]
            both = (there + back.transpose(2, 3, 0, 1)).astype(np.float64) / 2
            norms[rows, columns] = np.sqrt(np.square(both).sum(axis=(1, 3)))
            norms[columns, rows] = norms[rows, columns].T
    return norms


def average_product_corrected(scores: np.ndarray) -> np.ndarray:
    """float64 [L, L]: symmetric scores less what their rows and columns explain (Dunn et al. 2008).

    Examples
    --------
    >>> average_product_corrected(np.array([[9.0, 1, 2], [1, 9, 3], [2, 3, 9]])).round(2)[0, 1]
    np.float64(0.0)
    """
    empty = scores.astype(np.float64)
    np.fill_diagonal(empty, 0)
    sums = empty.sum(axis=0)
    corrected = empty - np.outer(sums, sums) / max(sums.sum(), np.finfo(float).tiny)
    np.fill_diagonal(corrected, 0)
    return corrected
