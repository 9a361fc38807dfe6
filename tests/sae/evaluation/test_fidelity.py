"""Fidelity by every measure, one sequence at a time by the definition; quality against plain
variances."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from interplm_nb.plm.tokens import MASK
from interplm_nb.proteins import Proteins
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import ReLU, TopK
from interplm_nb.sae.evaluation.fidelity import (
    _masked_residues,
    fidelities,
    fidelity,
    probe,
)
from interplm_nb.sae.evaluation.measures import COLUMNS, measures_of, why_absent
from interplm_nb.sae.evaluation.quality import quality
from interplm_nb.sae.model import SAE
from tests.sae.evaluation.fitted import fitted
from tests.sae.fake_plm import FakePLM, FakeRecurrentPLM
from tests.sae.small_sae import any_sae


@pytest.fixture
def proteins() -> Proteins:
    letters = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), 200)
    lengths, sequences, at = [7, 30, 12, 3, 25], {}, 0
    for i, length in enumerate(lengths):
        sequences[f"P{i}"] = "".join(letters[at : at + length])
        at += length
    return Proteins.from_sequences(sequences)


def run(plm: FakePLM, tokens: Tensor, edit, layer: int = 1) -> Tensor:
    edits = {} if edit is None else {layer: edit}
    logits = plm.forward(tokens[None], edit=edits, logits=True).logits
    assert logits is not None
    return logits[0]


def ce(logits: Tensor, token: Tensor) -> float:
    return float(-torch.log(logits.double().exp()[token] / logits.double().exp().sum()))


def test_published_is_the_unmasked_loss_with_every_position_replaced(proteins):
    plm, sae = fitted(FakePLM(), proteins), any_sae(ReLU(), seed=3)
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
    assert (found.n_proteins, found.n_residues, found.measure, found.layer) == (
        5,
        77,
        "published",
        1,
    )


def masked_by_hand(plm: FakePLM, sae: SAE, proteins: Proteins, layer: int, masks_too: bool):
    """Per protein (CE original, CE sae, CE zero, KL) of each masked residue, [n, 4]; and the
    layer's vectors that were replaced. One sequence and one position at a time."""

    def reconstructed(x: Tensor) -> Tensor:
        return sae(x).x_hat

    rows, vectors = [], []
    for sequence, masked in zip(proteins.sequences, _masked_residues(proteins, 9), strict=True):
        tokens = plm.tokens([sequence])[0]
        hidden = tokens.clone()
        hidden[torch.from_numpy(masked) + 1] = MASK
        places = [i + 1 for i in range(len(sequence)) if masks_too or i not in masked]

        def put(h: Tensor, new, places: list[int] = places) -> Tensor:
            h = h.clone()
            for at in places:
                h[:, at] = new(h[:, at])
            return h

        edits = (
            None,
            lambda h, put=put: put(h, reconstructed),
            lambda h, put=put: put(h, torch.zeros_like),
        )
        original, with_sae, zero = (run(plm, hidden, edit, layer) for edit in edits)
        of_protein = []
        for i in masked + 1:
            p, q = original[i].double().softmax(-1), with_sae[i].double().softmax(-1)
            kl = float((p * (p / q).log()).sum())
            of_protein.append([*(ce(x[i], tokens[i]) for x in (original, with_sae, zero)), kl])
        rows.append(np.array(of_protein))
        vectors.append(plm.forward(hidden[None], [layer]).representations[layer][0][places])
    return rows, torch.cat(vectors)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("measure", ["strict", "including masked positions"])
def test_masked_is_the_loss_of_masked_residues_with_those_replaced_that_it_names(
    proteins, measure, layer
):
    plm, sae = fitted(FakePLM(), proteins), any_sae(TopK(5), seed=3)
    masks_too = measure != "strict"
    with torch.no_grad():
        by_protein, vectors = masked_by_hand(plm, sae, proteins, layer, masks_too)
    found = fidelity(sae, plm, proteins, measure, 9, 40, layer, progress=False)
    original, with_sae, zero, kl = np.concatenate(by_protein).mean(0)
    assert (found.ce_original, found.ce_sae, found.ce_zero) == pytest.approx(
        (original, with_sae, zero), rel=1e-5
    )
    assert found.kl == pytest.approx(kl, rel=1e-4, abs=1e-7)
    assert (found.n_residues, found.measure) == (sum(map(len, by_protein)), measure)
    assert found.sums.accessions == tuple(proteins.accessions)
    assert found.sums.n_residues == tuple(map(len, by_protein))
    for name, column in (("ce_original", 0), ("ce_sae", 1), ("ce_zero", 2), ("kl", 3)):
        sums = [rows[:, column].sum() for rows in by_protein]
        assert getattr(found.sums, name) == pytest.approx(sums, rel=1e-4, abs=1e-6)
    if (measure, layer) == ("strict", 1):  # the last layer: nothing visible reaches a masked one
        assert (zero, with_sae) == pytest.approx((original, original))
        assert found.loss_recovered is found.loss_recovered_low is None
    else:
        expected = 1 - (with_sae - original) / (zero - original)
        assert found.loss_recovered == pytest.approx(expected, rel=1e-4)
    which = "all" if masks_too else "visible"
    assert found.quality_on == f"{which} residues of masked sequences"
    assert found.quality.n_residues == len(vectors) == 77 - (0 if masks_too else found.n_residues)
    assert found.quality.fvu == pytest.approx(quality(sae, [vectors]).fvu, rel=1e-5)
    json.dumps(found.record(), allow_nan=False)


def test_what_an_sae_does_at_masks_does_not_count(proteins):
    """Two SAEs that agree on every letter and differ on <mask> alone."""
    plm, one = FakePLM(), any_sae(ReLU(), seed=3)
    mask = plm.embedding[MASK]

    class OtherAtMasks(SAE):
        def forward(self, x):
            f, x_hat = one(x)
            away = (x == mask).all(-1, keepdim=True)
            return type(one(x))(f, torch.where(away, x_hat + 100, x_hat))

    other = OtherAtMasks(one.d_in, one.d_sae, ReLU())
    strict, masks_too = (
        [fidelity(sae, plm, proteins, m, layer=0, progress=False).ce_sae for sae in (one, other)]
        for m in ("strict", "including masked positions")
    )
    assert strict[0] == strict[1] and abs(masks_too[0] - masks_too[1]) > 0.1


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
    for fake in (FakePLM(), FakeRecurrentPLM(start=True)):
        plm = fitted(fake, proteins)
        for measure in measures_of(plm, 0):
            all_kept, none_kept = (
                fidelity(sae, plm, proteins, measure, 9, layer=0, progress=False)
                for sae in (identity, SAE(6, 12, ReLU()))
            )
            assert all_kept.loss_recovered == pytest.approx(1, abs=1e-4)
            assert all_kept.kl == pytest.approx(0, abs=1e-4)
            assert none_kept.loss_recovered == pytest.approx(0, abs=1e-6)


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
    assert found.n_residues == 300


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


def test_a_measure_that_the_model_has_not_is_refused_with_those_that_it_has(proteins):
    sae = any_sae(ReLU())
    words = (
        "layer 1 of fake has fidelity by 'strict' and 'including masked positions' and "
        "'published', not by 'next residue, output'"
    )
    with pytest.raises(ValueError, match=words):
        fidelity(sae, FakePLM(), proteins, "next residue, output", layer=1)
    words = "layer 0 of fake-recurrent has fidelity by 'next residue, output', not by 'published'"
    with pytest.raises(ValueError, match=words):
        fidelity(sae, FakeRecurrentPLM(start=True), proteins, "published", layer=0)


def by_hand(plm: FakeRecurrentPLM, sequence: str, layer: int, way: str, new) -> Tensor:
    """Logits [T, 20] of one sequence, the recurrence written out; `new` replaces residues alone."""
    tokens = plm.tokens([sequence])[0]

    def changed(x: Tensor, t: int) -> Tensor:
        return new(x) if t >= plm.first_residue else x

    xs = [plm.embedding[token] for token in tokens]
    if layer == 0:
        xs = [changed(x, t) for t, x in enumerate(xs)]
    for n in (1, 2):
        h, out = torch.zeros(6), []
        for t, x in enumerate(xs):
            h = torch.tanh(x @ plm.A[n - 1] + h @ plm.B[n - 1])
            if n == layer and way == "recurrence":
                h = changed(h, t)
            out.append(h)
        xs = [changed(h, t) for t, h in enumerate(out)] if (n, way) == (layer, "output") else out
    return torch.stack(xs) @ plm.unembedding


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("way", ["output", "recurrence"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_next_residue_is_the_loss_of_each_residue_from_those_before_it(proteins, start, way, layer):
    plm, sae = fitted(FakeRecurrentPLM(start), proteins), any_sae(TopK(5), seed=3)
    measure = f"next residue, {way}"
    if measure not in measures_of(plm, layer):
        assert (layer, way) == (0, "recurrence")
        return
    losses, kls = [], []
    with torch.no_grad():
        for sequence in proteins.sequences:
            original, with_sae, zero = (
                by_hand(plm, sequence, layer, way, new)
                for new in (lambda x: x, lambda x: sae(x[None]).x_hat[0], torch.zeros_like)
            )
            for i, letter in enumerate(sequence):
                at = i - 1 + start
                if at < 0:
                    continue  # nothing stands before the first residue
                target = torch.tensor(plm.letters.index(letter))
                losses.append([ce(row[at], target) for row in (original, with_sae, zero)])
                p, q = original[at].double().softmax(-1), with_sae[at].double().softmax(-1)
                kls.append(float((p * (p / q).log()).sum()))
    found = fidelity(sae, plm, proteins, measure, layer=layer, tokens_per_batch=40, progress=False)
    original, with_sae, zero = np.mean(losses, axis=0)
    assert (found.ce_original, found.ce_sae, found.ce_zero) == pytest.approx(
        (original, with_sae, zero), rel=1e-5
    )
    assert found.loss_recovered == pytest.approx(
        1 - (with_sae - original) / (zero - original), rel=1e-4
    )
    assert found.kl == pytest.approx(np.mean(kls), rel=1e-4)
    assert (found.measure, found.n_residues) == (measure, 77 if start else 77 - 5)
    own = torch.cat([batch.layers[layer] for batch in plm.embed(proteins, [layer])])
    assert found.quality.fvu == pytest.approx(quality(sae, [own]).fvu, rel=1e-5)
    assert found.quality.n_residues == 77


def test_the_recurrence_sees_what_the_output_does_not(proteins):
    plm, sae = FakeRecurrentPLM(start=True), any_sae(TopK(5), seed=3)
    one, other = fidelities(sae, plm, proteins, layer=1, progress=False)
    assert one.ce_original == other.ce_original and one.quality.l0 == other.quality.l0
    assert one.ce_sae != pytest.approx(other.ce_sae, rel=1e-3)
    assert one.ce_zero == other.ce_zero  # zeros at every step are zeros in the output


def test_the_headline_comes_first():
    output, recurrence = "next residue, output", "next residue, recurrence"
    masked = ("strict", "including masked positions", "published")
    assert measures_of(FakePLM(), 0) == measures_of(FakePLM(), 1) == masked
    plm = FakeRecurrentPLM(start=True)
    assert measures_of(plm, 0) == (output,)
    assert measures_of(plm, 1) == (recurrence, output)
    assert measures_of(plm, 2) == (output, recurrence)
    plm.recurrent = False  # a causal transformer
    assert [measures_of(plm, layer) for layer in range(3)] == [(output,)] * 3
    assert len(set(COLUMNS.values())) == len(COLUMNS) == 5


@pytest.mark.parametrize(
    ("lacking", "why"),
    [
        ({"objective": None}, "fidelity is absent: fake is not known to predict residues"),
        ({"has_logits": False}, "fidelity is absent: fake came without its head"),
    ],
)
def test_a_model_that_predicts_nothing_has_no_fidelity_and_says_why(proteins, lacking, why):
    plm, sae = FakePLM(), any_sae(ReLU())
    assert why_absent(plm) == ""
    sae.about = SAEAbout("fake", "", 1, "imported")
    for name, value in lacking.items():
        setattr(plm, name, value)
    assert measures_of(plm, 1) == () and fidelities(sae, plm, proteins) == []
    assert probe(plm, proteins)(sae) == {} and plm.n_forward == 0
    assert why_absent(plm).startswith(why)
    with pytest.raises(ValueError, match=why):
        fidelity(sae, plm, proteins)


def test_a_probe_gives_the_headline(proteins):
    sae = any_sae(TopK(5), seed=3)
    plm = fitted(FakePLM(), proteins)
    for layer in (0, 1):
        sae.about = SAEAbout("fake", "", layer, "imported")
        strict, published = (
            fidelity(sae, plm, proteins, measure, seed=9, progress=False)
            for measure in ("strict", "published")
        )
        shares = {
            "loss_recovered": strict.loss_recovered,
            "loss_recovered_published": published.loss_recovered,
        }
        assert probe(plm, proteins, seed=9)(sae) == {
            **{name: share for name, share in shares.items() if share is not None},
            "ce": strict.ce_sae,
            "kl": strict.kl,
        }
    assert strict.loss_recovered is None  # the last layer: it was left out
    plm = fitted(FakeRecurrentPLM(start=True), proteins)
    for layer in (1, 2):
        sae.about = SAEAbout("fake-recurrent", "", layer, "imported")
        headline = fidelities(sae, plm, proteins, progress=False)[0]
        assert probe(plm, proteins)(sae) == {
            "loss_recovered": headline.loss_recovered,
            "ce": headline.ce_sae,
            "kl": headline.kl,
        }


def test_of_a_protein_that_is_too_long_the_first_residues_count(proteins):
    plm, sae = FakeRecurrentPLM(start=True), any_sae(ReLU())
    cut = Proteins.from_sequences(
        {a: s[:12] for a, s in zip(proteins.accessions, proteins.sequences, strict=True)}
    )
    expected = fidelity(sae, plm, cut, layer=2, progress=False)
    plm.max_residues = 12
    assert fidelity(sae, plm, proteins, layer=2, progress=False) == expected
    assert expected.n_residues == 7 + 12 + 12 + 3 + 12


def test_letters_without_a_class_do_not_count_and_nothing_counted_is_refused():
    plm, sae = FakePLM(), any_sae(ReLU())
    proteins = Proteins.from_sequences({"P0": "ACX", "P1": "XX", "P2": "DE"})
    everything = fidelity(sae, plm, proteins, "published", layer=1, progress=False)
    x = int(plm.tokens(["X"])[0, 1])
    plm.classes = lambda tokens: torch.where(tokens == x, -100, tokens)
    found = fidelity(sae, plm, proteins, "published", layer=1, progress=False)
    assert (everything.n_residues, found.n_residues) == (7, 4)
    parts = [
        fidelity(sae, plm, proteins.select([a]), "published", layer=1, progress=False).ce_original
        for a in ("P0", "P2")
    ]
    assert found.ce_original == pytest.approx(np.mean(parts))
    with pytest.raises(ValueError, match="predicts no residue of these proteins"):
        fidelity(sae, plm, proteins.select(["P1"]), "published", layer=1, progress=False)
