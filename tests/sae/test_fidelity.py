"""Fidelity in both conventions, one sequence at a time by the definition; quality against plain variances."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from interplm_nb.plm.tokens import MASK
from interplm_nb.proteins import Proteins
from interplm_nb.sae.architectures import ReLU, TopK
from interplm_nb.sae.checkpoint import SAEAbout
from interplm_nb.sae.fidelity import _masked_residues, fidelity, loss_recovered, quality
from interplm_nb.sae.model import SAE
from tests.sae.fake_plm import FakePLM
from tests.sae.small_sae import any_sae


@pytest.fixture
def proteins() -> Proteins:
    letters = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), 200)
    lengths, sequences, at = [7, 30, 12, 3, 25], {}, 0
    for i, length in enumerate(lengths):
        sequences[f"P{i}"] = "".join(letters[at : at + length])
        at += length
    return Proteins.from_sequences(sequences)


def run(plm: FakePLM, tokens: Tensor, edit) -> Tensor:
    logits = plm.forward(tokens[None], edit={} if edit is None else {1: edit}, logits=True).logits
    assert logits is not None
    return logits[0]


def ce(logits: Tensor, token: Tensor) -> float:
    return float(-torch.log(logits.double().exp()[token] / logits.double().exp().sum()))


def test_published_is_the_unmasked_loss_with_every_position_replaced(proteins):
    plm, sae = FakePLM(), any_sae(ReLU(), seed=3)
    with torch.no_grad():
        losses = []
        for sequence in proteins.sequences:
            tokens = plm.tokens([sequence])[0]
            logits = [
                run(plm, tokens, edit) for edit in (None, lambda h: sae(h).x_hat, torch.zeros_like)
            ]
            losses.append(
                [
                    np.mean([ce(row[i], tokens[i]) for i in range(1, len(sequence) + 1)])
                    for row in logits
                ]
            )
    original, with_sae, zero = np.mean(losses, axis=0)
    found = fidelity(sae, plm, proteins, "published", layer=1, tokens_per_batch=40, progress=False)
    assert (found.ce_original, found.ce_sae, found.ce_zero) == pytest.approx(
        (original, with_sae, zero), rel=1e-5
    )
    assert found.loss_recovered == pytest.approx(
        np.clip(1 - (with_sae - original) / (zero - original), 0, 1), rel=1e-4
    )
    assert (found.n_proteins, found.n_residues, found.convention, found.layer) == (
        5,
        77,
        "published",
        1,
    )


def test_strict_is_the_masked_loss_with_residues_replaced(proteins):
    plm, sae = FakePLM(), any_sae(TopK(5), seed=3)
    losses, kls, n = [], [], 0
    with torch.no_grad():
        for sequence, masked in zip(
            proteins.sequences, _masked_residues(proteins, seed=9), strict=True
        ):
            tokens = plm.tokens([sequence])[0]
            hidden = tokens.clone()
            hidden[torch.from_numpy(masked) + 1] = MASK

            def only_residues(h: Tensor, new: Tensor) -> Tensor:
                return torch.cat([h[:, :1], new[:, 1:-1], h[:, -1:]], dim=1)

            edits = (
                None,
                lambda h: only_residues(h, sae(h).x_hat),
                lambda h: only_residues(h, torch.zeros_like(h)),
            )
            original, with_sae, zero = (run(plm, hidden, edit) for edit in edits)
            for i in masked + 1:
                losses.append([ce(row[i], tokens[i]) for row in (original, with_sae, zero)])
                p, q = original[i].double().softmax(-1), with_sae[i].double().softmax(-1)
                kls.append(float((p * (p / q).log()).sum()))
                n += 1
    expected = np.mean(losses, axis=0)
    found = fidelity(sae, plm, proteins, seed=9, layer=1, tokens_per_batch=40, progress=False)
    assert (found.ce_original, found.ce_sae, found.ce_zero) == pytest.approx(
        tuple(expected), rel=1e-5
    )
    assert found.loss_recovered == pytest.approx(
        1 - (expected[1] - expected[0]) / (expected[2] - expected[0]), rel=1e-4
    )
    assert found.kl == pytest.approx(np.mean(kls), rel=1e-4)
    assert (found.n_residues, found.convention) == (n, "strict")
    json.dumps(found.record(), allow_nan=False)


def test_fifteen_percent_of_the_residues_are_masked(proteins):
    masked = _masked_residues(proteins, 0)
    assert [len(m) for m in masked] == [1, 4, 2, 1, 4]
    assert all(
        len(set(m)) == len(m) and (np.asarray(m) < length).all()
        for m, length in zip(masked, proteins.lengths, strict=True)
    )
    assert any((a != b).any() for a, b in zip(masked, _masked_residues(proteins, 1), strict=True))


def test_batches_do_not_change_the_result(proteins):
    plm, sae = FakePLM(), any_sae(ReLU(), seed=1)
    one, many = (
        fidelity(sae, plm, proteins, layer=0, tokens_per_batch=n, progress=False)
        for n in (1, 10_000)
    )
    assert one.ce_sae == pytest.approx(many.ce_sae, rel=1e-5) and one.quality.fvu == pytest.approx(
        many.quality.fvu, rel=1e-5
    )


def test_a_perfect_sae_recovers_all_and_zeros_none(proteins):
    identity = SAE(6, 12, ReLU())
    with torch.no_grad():
        identity.W_enc.copy_(torch.cat([torch.eye(6), -torch.eye(6)], dim=1))
        identity.W_dec.copy_(identity.W_enc.T)
    for convention in ("published", "strict"):
        assert fidelity(
            identity, FakePLM(), proteins, convention, layer=1, progress=False
        ).loss_recovered == pytest.approx(1, abs=1e-4)
        nothing = fidelity(
            SAE(6, 12, ReLU()), FakePLM(), proteins, convention, layer=1, progress=False
        )
        assert nothing.loss_recovered == pytest.approx(0, abs=1e-6)
    assert loss_recovered(1.0, 5.0, 2.0, clip=False) == -3
    assert loss_recovered(1.0, 5.0, 2.0, clip=True) == 0
    assert loss_recovered(2.0, 3.0, 2.0, clip=False) == 0


def test_quality_is_the_plain_variances():
    sae = any_sae(TopK(5), seed=2)
    x = torch.randn(300, 6, generator=torch.Generator().manual_seed(0)) + 2
    with torch.no_grad():
        f, x_hat = sae(x)
    found = quality(sae, [x[:100], x[100:].numpy()])
    assert found.variance_explained == pytest.approx(
        1 - float((x - x_hat).var(0).sum() / x.var(0).sum()), rel=1e-4
    )
    assert found.fvu == pytest.approx(
        float(((x - x_hat) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()), rel=1e-4
    )
    assert found.l0 == pytest.approx((f > 0).sum().item() / 300)
    assert (found.dead, found.n_residues) == (int((~(f > 0).any(0)).sum()), 300)


def test_an_imported_sae_is_checked_by_its_plms_name_alone(proteins):
    sae = any_sae(ReLU())
    sae.about = SAEAbout("fake", "", 1, "imported")
    assert fidelity(sae, FakePLM(), proteins, progress=False).layer == 1


def test_another_plm_or_layer_is_refused(proteins):
    sae = any_sae(ReLU())
    with pytest.raises(ValueError, match="give layer="):
        fidelity(sae, FakePLM(), proteins)
    sae.about = SAEAbout("esm2-mini", "sha256:1", 1, "topk")
    with pytest.raises(ValueError, match="trained on 'esm2-mini', the PLM given is 'fake'"):
        fidelity(sae, FakePLM(), proteins)
    sae.about = SAEAbout("fake", "sha256:1", 1, "topk")
    with pytest.raises(ValueError, match="fake has other weights"):
        fidelity(sae, FakePLM(), proteins)
    sae.about = SAEAbout("fake", "sha256:fake", 1, "topk")
    with pytest.raises(ValueError, match="is for layer 1, not layer 0"):
        fidelity(sae, FakePLM(), proteins, layer=0)
    sae.about = SAEAbout("fake", "", 2, "imported")
    with pytest.raises(ValueError, match="this SAE is for layer 2, fake has layers 0 to 1"):
        fidelity(sae, FakePLM(), proteins)
    sae.about = SAEAbout("fake", "", 1, "imported", hook="mlp")
    with pytest.raises(
        ValueError, match="trained on hook 'mlp' of layer 1, fake gives hook 'residual'"
    ):
        fidelity(sae, FakePLM(), proteins)
    with pytest.raises(ValueError, match="takes 5 values per residue, fake has 6"):
        fidelity(any_sae(ReLU(), d_in=5), FakePLM(), proteins, layer=1)
    with pytest.raises(ValueError, match="'published' or 'strict', not 'both'"):
        fidelity(sae, FakePLM(), proteins, "both")  # pyright: ignore[reportArgumentType]
