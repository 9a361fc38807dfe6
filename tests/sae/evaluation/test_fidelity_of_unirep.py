"""Next-residue fidelity on the real UniRep code with small random weights, against its equations
written out for one sequence."""

import numpy as np
import pytest
import torch
from torch import Tensor

from interplm_nb.plm.unirep import UniRep
from interplm_nb.proteins import Proteins
from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.evaluation.fidelity import fidelities
from interplm_nb.sae.model import SAE
from tests.sae.small_sae import any_sae

UNITS, LAYERS = 6, 2


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"embedding": (26, 10), "dense.w": (UNITS, 25), "dense.b": (25,)}
    for n in range(LAYERS):
        d_in = UNITS if n else 10
        shapes |= {
            f"mlstm.{n}.wx": (d_in, 4 * UNITS),
            f"mlstm.{n}.wh": (UNITS, 4 * UNITS),
            f"mlstm.{n}.wmx": (d_in, UNITS),
            f"mlstm.{n}.wmh": (UNITS, UNITS),
            f"mlstm.{n}.gx": (4 * UNITS,),
            f"mlstm.{n}.gh": (4 * UNITS,),
            f"mlstm.{n}.gmx": (UNITS,),
            f"mlstm.{n}.gmh": (UNITS,),
            f"mlstm.{n}.b": (4 * UNITS,),
        }
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def proteins() -> Proteins:
    letters = "".join(np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), 60))
    return Proteins.from_sequences({"P0": letters[:9], "P1": letters[9:40], "P2": letters[40:]})


def by_hand(weights: dict[str, Tensor], tokens: Tensor, layer: int, inside: bool, new) -> Tensor:
    """Logits [T, 25] of one sequence behind its start token, by the published equations."""
    xs = [weights["embedding"][t] for t in tokens]
    for n in range(LAYERS):
        w = {k: weights[f"mlstm.{n}.{k}"] for k in ("wx", "wh", "wmx", "wmh")}
        g = {k: weights[f"mlstm.{n}.g{k[1:]}"] for k in w}
        w = {k: v / v.square().sum(0).sqrt() * g[k] for k, v in w.items()}
        h = c = torch.zeros(UNITS)
        out = []
        for t, x in enumerate(xs):
            m = (x @ w["wmx"]) * (h @ w["wmh"])
            i, f, o, u = (x @ w["wx"] + m @ w["wh"] + weights[f"mlstm.{n}.b"]).chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * u.tanh()
            h = o.sigmoid() * c.tanh()
            if n + 1 == layer and inside and t:
                h = new(h)
            out.append(h)
        replaced = n + 1 == layer and not inside
        xs = [new(h) if replaced and t else h for t, h in enumerate(out)]
    return torch.stack(xs) @ weights["dense.w"] + weights["dense.b"]


@pytest.mark.parametrize("layer", [1, 2])
def test_both_ways_are_the_equations_with_the_state_replaced(weights, proteins, layer):
    plm = UniRep(weights, "toy", "sha256:toy", "cpu", "float32")
    sae = any_sae(TopK(3), d_in=UNITS, seed=1)
    found = fidelities(sae, plm, proteins, layer, progress=False)
    names = ["next residue, recurrence", "next residue, output"]
    assert [f.measure for f in found] == (names if layer == 1 else names[::-1])
    for one in found:
        losses = []
        with torch.no_grad():
            for sequence in proteins.sequences:
                tokens = plm.tokens([sequence])[0]
                targets = plm.classes(tokens[None])[0, 1:]
                at = torch.arange(len(targets))
                new = (lambda h: h, lambda h: sae(h[None]).x_hat[0], torch.zeros_like)
                inside = one.measure == names[0]
                rows = [
                    -by_hand(weights, tokens, layer, inside, edit)[:-1].log_softmax(-1)[at, targets]
                    for edit in new
                ]
                losses.append(torch.stack(rows, 1))
        expected = torch.cat(losses).double().mean(0)
        assert (one.ce_original, one.ce_sae, one.ce_zero) == pytest.approx(
            tuple(expected.tolist()), rel=1e-4
        )
        assert one.n_residues == proteins.n_residues == 60


def test_a_perfect_sae_costs_nothing_at_any_layer(weights, proteins):
    plm = UniRep(weights, "toy", "sha256:toy", "cpu", "float32")
    for layer, width in enumerate(plm.widths):
        identity = SAE(width, 2 * width)
        with torch.no_grad():
            identity.W_enc.copy_(torch.cat([torch.eye(width), -torch.eye(width)], dim=1))
            identity.W_dec.copy_(identity.W_enc.T)
        found = fidelities(identity, plm, proteins, layer, progress=False)
        for one in found:
            assert one.ce_sae == pytest.approx(one.ce_original, abs=1e-5)
            assert one.kl == pytest.approx(0, abs=1e-5)
        assert len(found) == (2 if layer else 1)
