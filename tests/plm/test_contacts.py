"""Contacts by the categorical Jacobian: the definition in loops, planted contacts, refusals."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interplm_nb.plm import contacts
from interplm_nb.plm.contacts import average_product_corrected, contact_scores
from interplm_nb.plm.record import Objective
from interplm_nb.plm.residue_tokens import STANDARD as AMINO_ACIDS
from tests.plm.coupled_plm import CoupledPLM
from tests.plm.toy_esm2 import toy
from tests.sae.fake_plm import FakePLM, FakeRecurrentPLM


def by_definition(plm, sequence: str) -> np.ndarray:
    """One sequence after the other, one pair after the other."""
    n = len(sequence)
    classes = plm.classes(plm.tokens([AMINO_ACIDS]))[0, plm.first_residue :][:20]

    def logits(text: str) -> np.ndarray:
        found = plm.forward(plm.tokens([text]), logits=True).logits[0]
        return found[plm.first_residue :][:n, classes].detach().double().numpy()

    jacobian = np.zeros((n, 20, n, 20))
    for i, (a, letter) in itertools.product(range(n), enumerate(AMINO_ACIDS)):
        jacobian[i, a] = logits(sequence[:i] + letter + sequence[i + 1 :]) - logits(sequence)
    for axis in range(4):
        jacobian = jacobian - jacobian.mean(axis=axis, keepdims=True)
    symmetric = np.zeros_like(jacobian)
    for i, j, a, b in itertools.product(range(n), range(n), range(20), range(20)):
        symmetric[i, a, j, b] = (jacobian[i, a, j, b] + jacobian[j, b, i, a]) / 2
    scores = np.zeros((n, n))
    for i, j in itertools.permutations(range(n), 2):
        scores[i, j] = np.sqrt((symmetric[i, :, j, :] ** 2).sum())
    corrected = np.zeros((n, n))
    for i, j in itertools.permutations(range(n), 2):
        corrected[i, j] = scores[i, j] - scores[i].sum() * scores[:, j].sum() / scores.sum()
    return corrected


@settings(max_examples=12, deadline=None)
@given(st.text("ACDEFGHIKLMNPQRSTVWYX", min_size=2, max_size=7), st.booleans(), st.integers(1, 3))
def test_scores_are_the_definition_in_memory_and_on_disk(
    sequence: str, on_disk: bool, tile: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contacts, "IN_MEMORY", 0 if on_disk else 2**30)
        patch.setattr(contacts, "_TILE", tile)
        for plm in (FakePLM(1), toy()):
            found = contact_scores(plm, sequence, progress=False)
            np.testing.assert_allclose(found, by_definition(plm, sequence), atol=2e-4, rtol=1e-3)


def test_batches_do_not_matter() -> None:
    class Slow(FakePLM):
        tokens_per_batch = 1

    sequence = "MKVLAAGWHT"
    slow, fast = (contact_scores(plm, sequence, progress=False) for plm in (Slow(2), FakePLM(2)))
    np.testing.assert_allclose(slow, fast, atol=1e-5)


def test_planted_contacts_are_the_highest() -> None:
    pairs = [(0, 30), (3, 28), (7, 39), (11, 24)]
    random = np.random.default_rng(0)
    sequence = "".join(random.choice(list(AMINO_ACIDS), 40))
    scores = contact_scores(CoupledPLM(pairs), sequence, progress=False)
    order = np.argsort(-np.triu(scores, 1), axis=None)[: len(pairs)]
    assert {tuple(map(int, np.unravel_index(o, scores.shape))) for o in order} == set(pairs)


def test_what_a_whole_sequence_shares_is_no_contact() -> None:
    """Composition couples all pairs alike; the average product takes it away."""
    scores = contact_scores(CoupledPLM([(0, 9)]), "MKVLAAGWHT", progress=False)
    rest = np.abs(np.delete(np.delete(scores, [0, 9], 0), [0, 9], 1))
    assert scores[0, 9] > 10 * rest.max()


def test_a_matrix_of_zeros_stays_one() -> None:
    assert not average_product_corrected(np.zeros((3, 3))).any()


def test_models_that_have_none() -> None:
    with pytest.raises(ValueError, match=r"predicts the next residue .* half of the Jacobian is 0"):
        contact_scores(FakeRecurrentPLM(start=True), "MKV")

    class Headless(FakePLM):
        objective: Objective | None = None

    with pytest.raises(ValueError, match="has no head that predicts residues"):
        contact_scores(Headless(), "MKV")


@pytest.mark.parametrize("sequence", ["", "M", "M" * 1023])
def test_sequences_that_do_not_fit(sequence: str) -> None:
    with pytest.raises(ValueError, match=f"2 to 1,022 residues.*this one has {len(sequence):,}"):
        contact_scores(FakePLM(), sequence)


def test_an_edit_is_made_in_the_sequence_and_in_its_mutants() -> None:
    """What is added to a layer everywhere cancels; what replaces it leaves no contact."""
    plm, sequence = CoupledPLM([(0, 5)]), "MKVLAAGW"
    own = contact_scores(plm, sequence, progress=False)
    added = contact_scores(plm, sequence, {1: lambda h: h + 2}, progress=False)
    np.testing.assert_allclose(added, own, atol=1e-5)
    assert not contact_scores(plm, sequence, {1: torch.zeros_like}, progress=False).any()
