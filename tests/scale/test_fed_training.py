"""A training whose PLM runs on workers: the residues of a streamed one, the same weights however
many workers there are, a bounded number of parts ahead, and a resumed step equal to an unbroken
one."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from distributed import Future

from interplm_nb import plm
from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training import fed
from interplm_nb.sae.training.fed import FedBatches
from interplm_nb.sae.training.stream import StreamedBatches
from interplm_nb.sae.training.train import train_on
from interplm_nb.scale import cluster_watch, ordered
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.dask_workers import DaskWorkers
from interplm_nb.scale.errors import ClusterError
from tests.scale.own_cluster import own_cluster

RNG = np.random.default_rng(0)
PROTEINS = Proteins.from_sequences(
    {f"P{i}": "".join(RNG.choice(list("ACDEFGHIKLMNPQRSTVWY"), n)) for i, n in enumerate([40] * 30)}
)
SIZE, LAYERS, BUFFER = 64, [1, 3], 300


@pytest.fixture(scope="module")
def model() -> PLM:
    return plm.load("esm2-mini", "cpu")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fed, "PART_RESIDUES", 100)


def batches(workers: DaskWorkers, model: PLM, seed: int = 0) -> FedBatches:
    return FedBatches(workers, model, PROTEINS, LAYERS, SIZE, seed, buffer_residues=BUFFER)


def test_batches_are_those_of_a_streamed_training(workers: DaskWorkers, model: PLM) -> None:
    """Over an epoch's end, in any order of steps; the PLM gets other batches, so not bit by bit."""
    ours = batches(workers, model)
    plain = StreamedBatches(model, PROTEINS, LAYERS, SIZE, 0, buffer_residues=BUFFER)
    assert ours.steps_per_epoch == plain.steps_per_epoch == 18
    for step in [*range(20), 5, 6, 40]:
        for layer, values in ours.batch(step).items():
            torch.testing.assert_close(values, plain.batch(step)[layer], rtol=1e-4, atol=1e-5)
    ours.close()
    assert ours.about(3)["data"] != plain.about(3)["data"]
    assert {**ours.about(3), "data": ""} == {**plain.about(3), "data": ""}


def test_weights_do_not_depend_on_the_number_of_workers(
    workers: DaskWorkers, model: PLM, tmp_path: Path
) -> None:
    config = SAEConfig.recipe("topk", 256, k=8, layer=3)
    made = []
    with workers_at("local:1") as one:
        for name, chosen in (("two", workers), ("one", one)):
            assert isinstance(chosen, DaskWorkers)
            given = batches(chosen, model)
            plan = {tmp_path / name: config}
            (sae,) = train_on(given, plan, 5)
            given.close()
            made.append(sae)
    # Close, as the one worker has both cores' threads.
    torch.testing.assert_close(made[0].W_dec, made[1].W_dec, rtol=1e-4, atol=1e-5)


def test_no_more_than_two_parts_a_worker_are_under_way(workers: DaskWorkers) -> None:
    asked: list[int] = []

    def parts():
        for part in range(50):
            asked.append(part)
            yield part

    for number, found in enumerate(ordered.in_order(workers.client, _square, parts(), "")):
        assert found == number**2
        assert len(asked) <= number + 1 + ordered.AHEAD * 2


def test_a_part_that_fails_ends_in_a_sentence(workers: DaskWorkers) -> None:
    with pytest.raises(ClusterError, match="a worker failed: ZeroDivisionError"):
        list(ordered.in_order(workers.client, _inverse, [1, 0, 2], ""))


@pytest.mark.parametrize("tries", [1, 2])
def test_a_part_that_is_lost_is_sent_again(
    workers: DaskWorkers, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a scheduler starts anew: it knows nothing of what it had."""
    monkeypatch.setattr(ordered, "MOST_TRIES", tries)
    calls = ordered.in_order(workers.client, _slow_square, range(8), "Train again.")
    assert next(calls) == 0
    futures = [Future(key, workers.client) for key in list(workers.client.futures)]
    workers.client.cancel(futures)
    if tries == 2:
        assert list(calls) == [x**2 for x in range(1, 8)]
    else:
        with pytest.raises(
            ClusterError, match=r"the scheduler lost a part \(try 1 of 1\)\. Train again"
        ):
            list(calls)


def test_batches_that_were_closed_go_on(workers: DaskWorkers, model: PLM) -> None:
    ours = FedBatches(workers, model, PROTEINS, LAYERS, SIZE, 0, buffer_residues=10_000)
    first = ours.batch(0)  # all of an epoch is in the buffer
    ours.close()
    after = ours.batch(ours.steps_per_epoch)
    ours.close()
    assert first[1].shape == after[1].shape and not torch.equal(first[1], after[1])


def test_a_part_whose_worker_could_not_read_is_sent_again(
    workers: DaskWorkers, tmp_path: Path
) -> None:
    tried = str(tmp_path / "tried")
    calls = ordered.in_order(workers.client, _third_time, [tried], "Train again.")
    assert list(calls) == [3]
    calls = ordered.in_order(workers.client, _never, [tried], "Train again.")
    with pytest.raises(ClusterError, match=r"OSError: stale handle \(try 3 of 3\)\. Train again\."):
        list(calls)


def test_workers_that_are_gone_are_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for results that they have already."""
    monkeypatch.setattr(cluster_watch, "EVERY", 0.1)
    monkeypatch.setattr(cluster_watch, "PATIENCE", 1.0)
    with own_cluster(tmp_path) as cluster:
        cluster.add_workers(1)
        with workers_at(cluster.address) as found:
            assert isinstance(found, DaskWorkers)
            calls = ordered.in_order(found.client, _square, itertools.count(), "Train again.")
            assert next(calls) == 0
            cluster.end_worker()
            with pytest.raises(ClusterError, match=r"had no worker for .* Train again\."):
                list(calls)


def _square(x: int) -> int:
    return x**2


def _slow_square(x: int) -> int:
    time.sleep(0.2)
    return x**2


def _third_time(tried: str) -> int:
    with open(tried, "a+") as log:
        log.write("x")
        log.seek(0)
        times = len(log.read())
    return times if times == 3 else _never(tried)


def _never(_: str) -> int:
    raise OSError("stale handle")


def _inverse(x: int) -> float:
    return 1 / x
