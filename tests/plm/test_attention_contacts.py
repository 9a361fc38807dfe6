"""Contacts from attention: fair-esm's own, the definition in loops, edits, files, refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from interplm_nb import plm
from interplm_nb.plm import checkpoints, esm2
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.contacts import attention_scores, no_attention_contacts
from interplm_nb.plm.protocol import PLM, Attending
from interplm_nb.plm.record import ModelRecord, record_of
from tests.plm.test_checkpoints import official_state, write_official
from tests.plm.toy_esm2 import SHAPES, SMALL, fair_esm, random_head, random_weights, toy
from tests.sae.fake_plm import FakePLM

LETTERS = "ACDEFGHIKLMNPQRSTVWYX"
TOY = toy(contact_head=random_head())
SEQUENCE = "MKVLAAGWHTR"


@settings(max_examples=30, deadline=None)
@given(SHAPES, st.integers(2, 25), st.integers(0, 99))
def test_they_are_fair_esms(architecture: Architecture, length: int, seed: int) -> None:
    head = random_head(architecture, seed)
    model = toy(architecture, seed, contact_head=head)
    letters = np.random.default_rng(seed).choice(list(LETTERS), (3, length))
    sequences = ["".join(row) for row in letters]
    sequences[0] = "<mask>" + sequences[0][1:]
    tokens = model.tokens(sequences)
    with torch.no_grad():
        wanted = fair_esm(architecture, model.weights(), head).predict_contacts(tokens)
        found = model.attention_contacts(tokens)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    alone = attention_scores(model, sequences[1])
    np.testing.assert_allclose(alone, wanted[1].numpy(), rtol=1e-4, atol=1e-5)


def test_they_are_the_definition() -> None:
    """One map after the other, one pair after the other, from fair-esm's attention."""
    n, head = len(SEQUENCE), random_head()
    with torch.no_grad():
        theirs = fair_esm(SMALL, TOY.weights())(TOY.tokens([SEQUENCE]), need_head_weights=True)
    attention = theirs["attentions"][0, ..., 1:-1, 1:-1].double().numpy()
    wanted = np.full((n, n), float(head.bias))
    for layer in range(SMALL.n_layers):
        for h in range(SMALL.n_heads):
            both = attention[layer, h] + attention[layer, h].T
            for i in range(n):
                for j in range(n):
                    average = both[i].sum() * both[:, j].sum() / both.sum()
                    wanted[i, j] += float(head.weight[layer, h]) * (both[i, j] - average)
    found = attention_scores(TOY, SEQUENCE)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-wanted)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, found.T, atol=1e-6)
    assert found.std() > 0.05


@pytest.mark.parametrize("layer", range(SMALL.n_layers + 1))
def test_an_edit_changes_the_attention_above_it(layer: int) -> None:
    own = attention_scores(TOY, SEQUENCE)
    same = attention_scores(TOY, SEQUENCE, {layer: lambda x: x})
    np.testing.assert_array_equal(same, own)
    silent = attention_scores(TOY, SEQUENCE, {layer: torch.zeros_like})
    assert np.array_equal(silent, own) == (layer == SMALL.n_layers), "nothing reads the last layer"
    other = "GGRTWKLMNPQ"
    patch = TOY.forward(TOY.tokens([other]), [0]).representations[0]
    patched = attention_scores(TOY, SEQUENCE, {0: lambda _: patch})
    np.testing.assert_allclose(patched, attention_scores(TOY, other), atol=1e-6)


def test_in_half_precision_they_are_nearly_the_same() -> None:
    half = TOY.to("cpu", "bfloat16")
    assert half.has_contact_head
    found = attention_scores(half, SEQUENCE)
    assert np.abs(found - attention_scores(TOY, SEQUENCE)).mean() < 0.1


def test_the_head_is_read_from_every_layout_and_is_no_part_of_the_revision(tmp_path: Path) -> None:
    head = {
        "contact_head.regression.weight": random_head().weight.view(1, -1),
        "contact_head.regression.bias": random_head().bias.view(1),
    }
    (tmp_path / "apart").mkdir()
    write_official(tmp_path / "apart" / "toy.pt")
    bare = checkpoints.read(tmp_path / "apart" / "toy.pt")
    torch.save({"model": head}, tmp_path / "apart" / "toy-contact-regression.pt")
    write_official(tmp_path / "within.pt", official_state() | head)
    checkpoints.write_safetensors(random_weights(), SMALL, "toy", tmp_path / "s", torch.float32)
    save_file(random_weights() | head, tmp_path / "s" / "model.safetensors")
    assert bare.contact_head is None
    for path in (tmp_path / "apart" / "toy.pt", tmp_path / "within.pt", tmp_path / "s"):
        found = checkpoints.read(path)
        assert found.revision == bare.revision
        assert found.contact_head is not None
        for part, wanted in zip(found.contact_head, random_head(), strict=True):
            assert torch.equal(part, wanted)
        model = plm.load(path, "cpu")
        np.testing.assert_allclose(
            attention_scores(model, SEQUENCE), attention_scores(TOY, SEQUENCE), atol=1e-6
        )


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ({"contact_head.regression.weight": torch.ones(1, 9)}, "lacks contact_head.*bias"),
        (
            {
                "contact_head.regression.weight": torch.ones(1, 8),
                "contact_head.regression.bias": torch.ones(1),
            },
            r"regression.weight has shape \(1, 8\), wanted \(1, 9\)",
        ),
        (
            {
                "contact_head.regression.weight": torch.full((1, 9), torch.nan),
                "contact_head.regression.bias": torch.ones(1),
            },
            "holds NaN or infinity",
        ),
        ({"lm_head.extra": torch.ones(1)}, "1 unexpected, such as 'lm_head.extra'"),
    ],
)
def test_a_damaged_head_is_refused(tmp_path: Path, held: dict, why: str) -> None:
    write_official(tmp_path / "toy.pt")
    torch.save({"model": held}, tmp_path / "toy-contact-regression.pt")
    with pytest.raises(ValueError, match=why):
        esm2.load(tmp_path / "toy.pt", "cpu")


def test_a_regression_file_that_is_none_is_named(tmp_path: Path) -> None:
    write_official(tmp_path / "toy.pt")
    beside = tmp_path / "toy-contact-regression.pt"
    for content, why in ((b"0", "can be read safely"), (None, "wanted a dictionary with 'model'")):
        if content is None:
            torch.save([1, 2], beside)
        else:
            beside.write_bytes(content)
        with pytest.raises(ValueError, match=rf"toy-contact-regression\.pt.*{why}"):
            esm2.load(tmp_path / "toy.pt", "cpu")


def test_a_model_declares_its_head() -> None:
    record = record_of(TOY)
    assert record.has_contact_head and ModelRecord.of_json(record.json()) == record
    assert not record_of(TOY.shuffled()).has_contact_head
    assert not record_of(toy()).has_contact_head
    assert isinstance(TOY, Attending) and isinstance(TOY, PLM)
    assert not isinstance(FakePLM(), Attending)


def test_what_they_refuse() -> None:
    for model in (toy(), FakePLM()):
        with pytest.raises(ValueError, match="no contacts from attention: it came without a head"):
            attention_scores(model, SEQUENCE)
        assert no_attention_contacts(record_of(model)).startswith(model.name)
    assert no_attention_contacts(record_of(TOY)) == ""
    with pytest.raises(ValueError, match="toy came without its contact head"):
        toy().attention_contacts(toy().tokens([SEQUENCE]))
    with pytest.raises(ValueError, match="of one length; got padding"):
        TOY.attention_contacts(TOY.tokens(["MKV", "MK"]))
    with pytest.raises(ValueError, match="no layer 4"):
        TOY.attention_contacts(TOY.tokens(["MKV"]), {4: torch.zeros_like})
    with pytest.raises(ValueError, match=r"2 to 1,022 residues.*this one has 1"):
        attention_scores(TOY, "M")
