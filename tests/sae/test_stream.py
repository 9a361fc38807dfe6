"""Batches are a function of (seed, step): each epoch holds each residue at most once, and asking in any order gives the same."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.recipes import TrainConfig
from interplm_nb.sae.stream import StoredBatches, StreamedBatches
from interplm_nb.sae.train import train
from tests.sae.fake_plm import FakePLM


@pytest.fixture
def proteins() -> Proteins:
    return Proteins.from_sequences({f"P{i}": "ACDEFGHIKL"[: 3 + i % 7] * (1 + i % 3) for i in range(40)})


@pytest.fixture
def embeddings(tmp_path, proteins) -> Embeddings:
    """Column 0 of a row is the row's number."""
    arrays = {a: np.arange(proteins.rows(a).start, proteins.rows(a).stop, dtype=np.float32)[:, None] * [1, -1] for a in proteins.accessions}
    return Embeddings.from_arrays(tmp_path / "embeddings", proteins, arrays, "fake", 1)


def test_an_epoch_of_stored_batches_holds_each_row_once(proteins, embeddings):
    rows = proteins.rows_of(proteins.accessions[::2])
    batches = StoredBatches(embeddings, rows, batch_size=16, seed=3)
    per_epoch = len(rows) // 16
    assert batches.steps_per_epoch == per_epoch and batches.d_in == 2
    epochs = []
    for epoch in range(2):
        seen = torch.cat([batches.batch(epoch * per_epoch + step) for step in range(per_epoch)])
        assert seen.dtype == torch.float32 and seen.shape == (per_epoch * 16, 2)
        found = seen[:, 0].long().tolist()
        assert len(set(found)) == len(found) and set(found) <= set(rows.tolist())
        epochs.append(found)
    assert epochs[0] != epochs[1]


def test_stored_batches_are_a_function_of_seed_and_step(proteins, embeddings):
    rows = np.arange(proteins.n_residues)
    forwards, backwards = StoredBatches(embeddings, rows, 16, 3), StoredBatches(embeddings, rows[::-1], 16, 3)
    wanted = [forwards.batch(step) for step in range(60)]
    for step in reversed(range(60)):
        assert torch.equal(backwards.batch(step), wanted[step])
    other = StoredBatches(embeddings, rows, 16, 4)
    assert not torch.equal(other.batch(0), wanted[0])
    assert forwards.about == backwards.about != other.about
    assert forwards.about["plm"] == "fake" and forwards.about["layer"] == 1


@given(per_group=st.integers(5, 50), batch_size=st.integers(2, 12), seed=st.integers(0, 9))
def test_streamed_batches_hold_embedded_residues_once_and_by_group(per_group, batch_size, seed):
    proteins = Proteins.from_sequences({f"P{i}": "ACDEFGHIKL"[: 3 + i % 7] * (1 + i % 3) for i in range(40)})
    plm = FakePLM()
    numbered = torch.empty(proteins.n_residues, 6)
    for batch in plm.embed(proteins, [1]):
        numbered[torch.from_numpy(batch.rows)] = batch.layers[1]
    streamed = StreamedBatches(plm, proteins, 1, batch_size, seed, per_group)
    steps = streamed.steps_per_epoch
    assert steps >= proteins.n_residues // batch_size - -(-40 // per_group)
    seen = [streamed.batch(step) for step in range(2 * steps)]
    # Proteins share sequences, so residues are compared as a multiset of embeddings.
    allowed = {tuple(row): count for row, count in zip(*np.unique(numbered.numpy(), axis=0, return_counts=True), strict=True)}
    for epoch in range(2):
        rows, counts = np.unique(torch.cat(seen[epoch * steps : (epoch + 1) * steps]).numpy(), axis=0, return_counts=True)
        assert all(count <= allowed[tuple(row)] for row, count in zip(rows, counts, strict=True))
    again = StreamedBatches(plm, proteins, 1, batch_size, seed, per_group)
    for step in reversed(range(2 * steps)):
        assert torch.equal(again.batch(step), seen[step])


def test_a_group_is_embedded_once(proteins):
    plm = FakePLM()
    streamed = StreamedBatches(plm, proteins, 1, 8, 0, proteins_per_group=20)
    for step in range(streamed.steps_per_epoch):
        streamed.batch(step)
    assert plm.n_forward == 40


def test_training_from_a_stream(tmp_path, proteins):
    config = TrainConfig("topk", d_sae=20, steps=30, batch_size=16, k=3, lr=0.01)
    sae = train(StreamedBatches(FakePLM(), proteins, 1, 16, 0, 10), config, tmp_path, device="cpu", progress=False)
    assert sae.about is not None and (sae.about.plm, sae.about.layer, sae.about.plm_revision) == ("fake", 1, "sha256:fake")


def test_too_few_residues_and_a_missing_layer_are_refused(proteins, embeddings):
    with pytest.raises(ValueError, match="10 residues do not fill one batch of 16"):
        StoredBatches(embeddings, np.arange(10), 16, 0)
    with pytest.raises(ValueError, match="do not fill batches of 1000"):
        StreamedBatches(FakePLM(), proteins, 1, 1000, 0)
    with pytest.raises(ValueError, match=r"fake has no layer 5; its layers are 0 \(embedding\) to 1"):
        StreamedBatches(FakePLM(), proteins, 5, 16, 0)
