"""What an SAE keeps of the contacts that a masked model knows, and which features they rest on.

Contacts are those of `plm.contacts`. A reconstruction replaces the layer on all residues; a feature
that is left out is subtracted there, and the rest of the layer stays, its error included. Both are
done to the sequence as it is and to every substitution.

Precision is the share of the top L/5, or L, pairs at least 24 residues apart that are in contact in
a structure: beta carbons (alpha carbons of glycine) within 8 angstrom. Pairs of which a residue has
no coordinates do not count.

Where the model has a head that reads contacts from attention, its precision is given too. The
layers up to the one that is edited attend as they did: the last layer's SAE changes nothing there.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from interplm_nb.plm.contacts import attention_scores, check_contacts, contact_scores
from interplm_nb.plm.protocol import PLM, Edit
from interplm_nb.readers.residue_coordinates import Placed, ResidueCoordinates
from interplm_nb.sae.evaluation.fidelity import layer_of
from interplm_nb.sae.model import SAE

FAR = 24
"""Residues between the ends of a long-range contact, at least."""
CONTACT = 8.0
"""Angstrom between beta carbons in contact."""

CONTACTS: dict[str, Any] = {
    "accession": pl.String,
    "layer": pl.String,
    "n_residues": pl.Int64,
    "n_pairs": pl.Int64,
    "precision_l5": pl.Float64,
    "precision_l": pl.Float64,
    "by_chance": pl.Float64,
    "attention_l5": pl.Float64,
    "attention_l": pl.Float64,
}
"""Columns of `contact_table`. `layer`: "as it is", "reconstructed" or "without feature 12".
`n_pairs`: long-range pairs with coordinates; `by_chance`: the share of them that is in contact,
which is the precision of a random order. `attention_l5` and `attention_l`: of contacts from
attention; null where the model has no head for them. All are null where the structure has no such
pair."""


class ContactPrecision(NamedTuple):
    """Precision of long-range contacts in a structure; NaN where it has no such pair."""

    n_pairs: int
    l5: float
    """Of the L/5 pairs with the highest scores."""
    l: float  # noqa: E741 - the field writes L
    """Of the L pairs with the highest scores."""
    by_chance: float
    """Of all pairs."""


def contact_precision(scores: np.ndarray, placed: Placed) -> ContactPrecision:
    """Compare scores, [L, L], with the contacts of a structure.

    Where there are fewer than L pairs, all are taken. Of equal scores the pair with the lower
    residues counts first.

    Examples
    --------
    >>> line = np.arange(30.0)[:, None] * [3.8, 0, 0]
    >>> line[29] = [-5, 0, 0]  # touches residue 1
    >>> scores = np.zeros((30, 30))
    >>> scores[0, 29] = 1
    >>> found = contact_precision(scores, Placed(np.arange(30), line, line))
    >>> found.n_pairs, found.l5, round(found.l, 3)
    (21, 0.16666666666666666, 0.048)
    """
    first, second = np.triu_indices(len(placed.index), 1)
    far = placed.index[second] - placed.index[first] >= FAR
    first, second = first[far], second[far]
    n = len(scores)
    if not len(first):
        return ContactPrecision(0, np.nan, np.nan, np.nan)
    distance = np.linalg.norm(placed.beta[first] - placed.beta[second], axis=1)
    order = np.argsort(-scores[placed.index[first], placed.index[second]], kind="stable")
    contact = (distance <= CONTACT)[order]
    return ContactPrecision(
        len(first),
        float(contact[: max(1, n // 5)].mean()),
        float(contact[:n].mean()),
        float(contact.mean()),
    )


def contact_table(
    plm: PLM,
    coordinates: ResidueCoordinates,
    sae: SAE | None = None,
    features: Iterable[int] = (),
    layer: int | None = None,
    progress: bool = True,
) -> pl.DataFrame:
    """Precision of a model's contacts in structures, with its layer as it is, reconstructed by an
    SAE, and without single features.

    Parameters
    ----------
    plm
        A model that predicts masked residues; see `check_contacts`.
    coordinates
        Structures; proteins that are longer than the model reads are left out.
    sae
        Of this model; its `layer` unless it says so itself.
    features
        Features to leave out, one at a time; each costs as much as the model's own contacts.
    progress
        Show a bar for each Jacobian.

    Returns
    -------
    pl.DataFrame
        Columns of `CONTACTS`.

    Raises
    ------
    ValueError
        For a model without such contacts, an SAE of another model, or a feature that it lacks.
    """
    check_contacts(plm)
    rows = []
    for accession in coordinates.accessions:
        sequence = coordinates.proteins.sequence(accession)
        if not 2 <= len(sequence) <= plm.max_residues:
            continue
        edits: dict[str, Mapping[int, Edit]] = {"as it is": {}}
        if sae is not None:
            at = layer_of(sae, plm, layer)
            sae = sae.to(plm.device)
            edits["reconstructed"] = {at: reconstructed(plm, sae, len(sequence))}
            for feature in features:
                removed = without_feature(plm, sae, feature, len(sequence))
                edits[f"without feature {feature}"] = {at: removed}
        for name, edit in edits.items():
            placed = coordinates.placed(accession)
            found = contact_precision(contact_scores(plm, sequence, edit, progress), placed)
            attended = (np.nan, np.nan)
            if plm.has_contact_head:
                by_attention = contact_precision(attention_scores(plm, sequence, edit), placed)
                attended = (by_attention.l5, by_attention.l)
            figures = (found.n_pairs, found.l5, found.l, found.by_chance)
            rows.append((accession, name, len(sequence), *figures, *attended))
    return pl.DataFrame(rows, CONTACTS, orient="row").fill_nan(None)


def reconstructed(plm: PLM, sae: SAE, n_residues: int) -> Edit:
    """Replaces a layer on the residues of a sequence by the SAE's reconstruction."""
    return _on_residues(plm, n_residues, lambda h: sae(h).x_hat)


def without_feature(plm: PLM, sae: SAE, feature: int, n_residues: int) -> Edit:
    """Subtracts what one feature adds to a layer on the residues of a sequence."""
    if not 0 <= feature < sae.d_sae:
        raise ValueError(f"features are numbered 0 to {sae.d_sae - 1}; got {feature}")
    chosen = torch.tensor([feature], device=sae.device)

    def less(h: Tensor) -> Tensor:
        """h [..., width] less what the feature adds, in the units of h."""
        return h - sae.encode(h, chosen) * sae.W_dec[feature] * sae.normed(h).scale

    return _on_residues(plm, n_residues, less)


def _on_residues(plm: PLM, n_residues: int, new: Edit) -> Edit:
    residues = slice(plm.first_residue, plm.first_residue + n_residues)

    def edit(h: Tensor) -> Tensor:
        """h [B, T, width] with `new` of its residues, in the type of h."""
        changed = h.clone()
        changed[:, residues] = new(h[:, residues].float()).to(h.dtype)
        return changed

    return edit
