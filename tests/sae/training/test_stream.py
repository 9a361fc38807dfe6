"""Batches are a function of (seed, step): each epoch holds each residue at most once, and asking in
any order gives the same."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training import stream
from interplm_nb.sae.training.buffer import ShuffleBuffer, groups_of
from interplm_nb.sae.training.stream import StoredBatches, StreamedBatches
from interplm_nb.sae.training.train import train
from tests.sae.fake_plm import FakePLM
from tests.sae.gaussian_training import on_cpu
from tests.sae.residue_batches import JoinedBatches

PROTEINS = Proteins.from_sequences(
    {f"P{i}": "ACDEFGHIKL"[: 3 + i % 7] * (1 + i % 3) for i in range(40)}
)


@pytest.fixture
def embeddings(tmp_path) -> Embeddings:
    """Column 0 of a row is the row's number."""
    rows = {a: PROTEINS.rows(a) for a in PROTEINS.accessions}
    arrays = {
        a: np.arange(r.start, r.stop, dtype=np.float32)[:, None] * [1, -1] for a, r in rows.items()
    }
    return Embeddings.from_arrays(tmp_path / "embeddings", PROTEINS, arrays, "fake", 1)


def numbers(batch: dict[int, torch.Tensor]) -> list[int]:
    return batch[1][:, 0].long().tolist()


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=30),
    residues=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_groups_hold_every_unit_once_and_close_when_full(lengths, residues, seed):
    order = np.random.default_rng(seed).permutation(len(lengths))
    groups = groups_of(np.array(lengths), order, residues)
    assert np.concatenate([g.units for g in groups]).tolist() == order.tolist()
    first = 0
    for group in groups:
        sizes = [lengths[u] for u in group.units]
        assert (group.first, group.n) == (first, sum(sizes))
        assert sum(sizes[:-1]) < residues, "the last unit filled it"
        assert sum(sizes) >= residues or group is groups[-1]
        first += group.n


def test_a_buffer_gives_copies_in_the_order_asked_for():
    buffer = ShuffleBuffer(10, {3: 2}, torch.device("cpu"))
    values = torch.arange(20.0).view(10, 2)
    buffer.write(3, slice(0, 8), values[:8])
    buffer.write(3, np.array([9, 8]), values[8:])
    read = buffer.read(np.array([2, 0, 9]))[3]
    torch.testing.assert_close(read, values[[2, 0, 8]])
    buffer.write(3, slice(0, 10), -values)
    torch.testing.assert_close(read, values[[2, 0, 8]])


@pytest.mark.parametrize("buffer_residues", [20, 60, 10_000])
def test_an_epoch_of_stored_batches_holds_each_row_once(embeddings, buffer_residues):
    rows = PROTEINS.rows_of(PROTEINS.accessions[::2])
    batches = StoredBatches(
        embeddings, rows, batch_size=16, seed=3, buffer_residues=buffer_residues
    )
    per_epoch = len(rows) // 16
    assert batches.steps_per_epoch == per_epoch
    epochs = []
    for epoch in range(3):
        seen = [batches.batch(epoch * per_epoch + step) for step in range(per_epoch)]
        assert all(b[1].dtype == torch.float32 and b[1].shape == (16, 2) for b in seen)
        found = [n for batch in seen for n in numbers(batch)]
        assert len(set(found)) == len(found) and set(found) <= set(rows.tolist())
        epochs.append(found)
    assert epochs[0] != epochs[1] != epochs[2]
    assert any(abs(a - b) > 1 for a, b in zip(epochs[0][:15], epochs[0][1:16], strict=True)), (
        "shuffled"
    )


@given(
    order=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    buffer_residues=st.sampled_from([20, 50, 10_000]),
)
def test_stored_batches_are_a_function_of_seed_and_step(tmp_path_factory, order, buffer_residues):
    folder = tmp_path_factory.mktemp("e")
    arrays = {
        a: np.arange(PROTEINS.rows(a).start, PROTEINS.rows(a).stop, dtype=np.float32)[:, None]
        for a in PROTEINS.accessions
    }
    embeddings = Embeddings.from_arrays(folder / "embeddings", PROTEINS, arrays, "fake", 1)
    rows = np.arange(PROTEINS.n_residues)
    jumping = StoredBatches(embeddings, rows[::-1], 16, 3, buffer_residues=buffer_residues)
    for step in order:
        fresh = StoredBatches(embeddings, rows, 16, 3, buffer_residues=buffer_residues)
        assert torch.equal(jumping.batch(step)[1], fresh.batch(step)[1])
    other = StoredBatches(embeddings, rows, 16, 4, buffer_residues=buffer_residues)
    assert not torch.equal(other.batch(0)[1], jumping.batch(0)[1])
    assert (
        jumping.about(1)
        == StoredBatches(embeddings, rows, 16, 3, buffer_residues=buffer_residues).about(1)
        != other.about(1)
    )
    assert jumping.about(1)["plm"] == "fake" and jumping.about(1)["layer"] == 1


def test_blocks_are_neighbouring_rows(monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_ROWS", 3)
    rows = np.array([0, 1, 2, 3, 7, 8, 20])
    assert stream._block_bounds(rows, np.array([0, 30])).tolist() == [0, 3, 4, 6, 7]
    assert stream._block_bounds(rows, np.array([0, 2, 8, 30])).tolist() == [0, 2, 4, 5, 6, 7], (
        "no block crosses a shard's end"
    )


@given(buffer_residues=st.integers(10, 300), batch_size=st.integers(2, 12), seed=st.integers(0, 9))
def test_streamed_batches_hold_embedded_residues_once(buffer_residues, batch_size, seed):
    plm = FakePLM()
    numbered = torch.empty(PROTEINS.n_residues, 6)
    for batch in plm.embed(PROTEINS, [1]):
        numbered[torch.from_numpy(batch.rows)] = batch.layers[1]
    streamed = StreamedBatches(plm, PROTEINS, 1, batch_size, seed, buffer_residues=buffer_residues)
    steps = streamed.steps_per_epoch
    assert steps == PROTEINS.n_residues // batch_size
    seen = [streamed.batch(step)[1] for step in range(2 * steps)]
    # Proteins share sequences, so residues are compared as a multiset of embeddings.
    allowed = {
        tuple(row): count
        for row, count in zip(*np.unique(numbered.numpy(), axis=0, return_counts=True), strict=True)
    }
    for epoch in range(2):
        rows, counts = np.unique(
            torch.cat(seen[epoch * steps : (epoch + 1) * steps]).numpy(), axis=0, return_counts=True
        )
        assert all(count <= allowed[tuple(row)] for row, count in zip(rows, counts, strict=True))
    again = StreamedBatches(plm, PROTEINS, 1, batch_size, seed, buffer_residues=buffer_residues)
    for step in reversed(range(2 * steps)):
        assert torch.equal(again.batch(step)[1], seen[step])


def test_one_run_of_the_plm_serves_all_layers():
    one, both = FakePLM(), FakePLM()
    single = StreamedBatches(one, PROTEINS, 1, 8, 0, buffer_residues=100)
    several = StreamedBatches(both, PROTEINS, [0, 1], 8, 0, buffer_residues=100)
    for step in range(single.steps_per_epoch):
        alone, batch = single.batch(step), several.batch(step)
        assert torch.equal(alone[1], batch[1])
        assert batch[0].shape == batch[1].shape and not torch.equal(batch[0], batch[1])
    assert one.n_forward == both.n_forward == 40, "each protein once"


def test_shares_together_are_all_residues(embeddings, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_ROWS", 64)
    rows = np.arange(PROTEINS.n_residues)
    shares = [StoredBatches(embeddings, rows, 16, 3, (rank, 2), 50) for rank in range(2)]
    joined = JoinedBatches(shares)
    first, second = (set(numbers(b)) for b in (shares[0].batch(0), shares[1].batch(0)))
    assert len(first) == len(second) == 8 and not first & second
    assert set(numbers(joined.batch(0))) == first | second
    assert (
        shares[0].about(1)
        == shares[1].about(1)
        == joined.about(1)
        != StoredBatches(embeddings, rows, 16, 3, buffer_residues=50).about(1)
    )
    ever = [{n for step in range(60) for n in numbers(share.batch(step))} for share in shares]
    assert not ever[0] & ever[1], "a process has its own residues for good"
    with pytest.raises(ValueError, match="2 processes cannot share a batch of 15 residues evenly"):
        StoredBatches(embeddings, rows, 15, 3, (0, 2))


def test_a_plm_batch_that_does_not_fit_is_halved_and_said(caplog):
    class Small(FakePLM):
        tokens_per_batch = 256

        def embed(self, proteins, layers, tokens_per_batch=None, progress=True):
            if (tokens_per_batch or self.tokens_per_batch) > 100:
                raise torch.OutOfMemoryError("made up")
            yield from super().embed(proteins, layers, tokens_per_batch, progress)

    found = StreamedBatches(Small(), PROTEINS, 1, 16, 0).batch(3)[1]
    assert torch.equal(found, StreamedBatches(FakePLM(), PROTEINS, 1, 16, 0).batch(3)[1])
    assert (
        "out of memory with 256 tokens at once; continuing with 128" in caplog.text
        and "with 128 tokens at once; continuing with 64" in caplog.text
    )
    Small.tokens_per_batch = 40
    Small.embed = lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("made up"))
    with pytest.raises(
        torch.OutOfMemoryError,
        match="does not fit cpu with one protein at once; take a smaller PLM",
    ):
        StreamedBatches(Small(), PROTEINS, 1, 16, 0).batch(0)


def test_training_many_from_one_stream(tmp_path):
    plm = FakePLM()
    configs = [
        SAEConfig.recipe(recipe, 20, k=3, lr=0.01, layer=layer)
        for layer in (0, 1)
        for recipe in ("topk", "interplm-paper")
    ]
    saes = train(plm, PROTEINS, configs, tmp_path, 30, 16, on_cpu())
    assert set(saes) == {p.name for p in tmp_path.iterdir()} == {c.label for c in configs}
    for config in configs:
        about = saes[config.label].about
        assert about is not None and (about.plm, about.layer, about.plm_revision) == (
            "fake",
            config.layer,
            "sha256:fake",
        )
    forwards = plm.n_forward
    train(plm, PROTEINS, configs, tmp_path, 30, 16, on_cpu())
    assert plm.n_forward == forwards, "finished ones are loaded"
    more = [*configs, SAEConfig.recipe("gated", 20, lr=0.01, layer=1)]
    assert len(train(plm, PROTEINS, more, tmp_path, 30, 16, on_cpu())) == 5
    with pytest.raises(
        ValueError,
        match=r"two SAEs are called 'layer_00-topk-k3-d20-s0'; give each its own SAEConfig\.name",
    ):
        train(plm, PROTEINS, [configs[0], configs[0]], tmp_path, steps=30)
    with pytest.raises(ValueError, match=r"has no layer; give SAEConfig\(layer=...\)"):
        train(plm, PROTEINS, [SAEConfig.recipe("topk", 20, k=3)], tmp_path, steps=30)


def test_too_few_residues_and_a_missing_layer_are_refused(embeddings):
    with pytest.raises(ValueError, match="10 residues do not fill one batch of 16"):
        StoredBatches(embeddings, np.arange(10), 16, 0)
    with pytest.raises(ValueError, match="do not fill one batch of 1000"):
        StreamedBatches(FakePLM(), PROTEINS, 1, 1000, 0)
    with pytest.raises(
        ValueError, match=r"fake has no layer 5; its layers are 0 \(embedding\) to 1"
    ):
        StreamedBatches(FakePLM(), PROTEINS, 5, 16, 0)
