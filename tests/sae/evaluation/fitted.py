"""Fakes that predict: with random logits, zeros would do better than the model."""

from typing import TypeVar

import torch
from torch.nn.functional import cross_entropy

from interplm_nb.plm.tokens import MASK
from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.fidelity import _masked_residues
from tests.sae.fake_plm import FakePLM, FakeRecurrentPLM

Fake = TypeVar("Fake", bound=FakePLM | FakeRecurrentPLM)


def fitted(plm: Fake, proteins: Proteins) -> Fake:
    """The fake with its map from the last layer to logits fitted to these proteins, masked and
    not, or to each next residue."""
    vectors, targets = [], []
    masks = _masked_residues(proteins, 9)
    for sequence, masked in zip(proteins.sequences, masks, strict=True):
        tokens = plm.tokens([sequence])
        if plm.objective == "next residue":
            vectors.append(plm.forward(tokens, [2]).representations[2][0, :-1])
            targets.append(plm.classes(tokens)[0, 1:])
            continue
        hidden = tokens.clone()
        hidden[0, torch.from_numpy(masked) + 1] = MASK
        for given in (tokens, hidden):
            vectors.append(plm.forward(given, [1]).representations[1][0])
            targets.append(tokens[0])
    x, y = torch.cat(vectors), torch.cat(targets)
    logits = plm.unembedding = torch.zeros_like(plm.unembedding).requires_grad_()
    optimiser = torch.optim.LBFGS([logits], max_iter=50)

    def loss() -> float:
        optimiser.zero_grad()
        value = cross_entropy(x @ logits, y) + 1e-3 * logits.square().mean()
        value.backward()
        return float(value.detach())

    optimiser.step(loss)
    plm.unembedding = logits.detach()
    return plm
