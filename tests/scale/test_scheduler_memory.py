"""What a scheduler keeps of shards that have ended does not grow with their number."""

from typing import Any

import pytest

from interplm_nb.scale.dask_workers import DaskWorkers
from interplm_nb.scale.shard_task import Update

N, LITTLE = 400, 100


class Nothing:
    """Shards without a result."""

    label = "nothing"

    def missing(self) -> list[int]:
        return list(range(N))

    def residues(self, shard: int) -> int:
        return 0

    def accessions(self, shard: int) -> list[str]:
        return [str(shard)]

    def compute(self, shard: int, update: Update) -> None:
        pass


def kept(dask_scheduler: Any) -> tuple[int, int]:
    """Names of tasks, and calls of `submit`, that a scheduler holds."""
    from dask.utils import key_split

    spans = dask_scheduler.extensions["spans"].spans.values()
    calls = sum(len(span.metadata["collections"]) for span in spans if span.metadata)
    return key_split.cache_info().currsize, calls


@pytest.mark.parametrize("every", [50, N + 1])
def test_what_is_kept_of_ended_shards(
    workers: DaskWorkers, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interplm_nb.scale.dask_workers.EVERY", every)
    before = workers.client.run_on_scheduler(kept)
    workers.complete(Nothing(), lambda _: None)
    after = workers.client.run_on_scheduler(kept)
    if every < N:
        assert max(after) < LITTLE
    else:  # as Dask does by itself: a change of Dask would make this module unnecessary
        assert all(now - then >= N - LITTLE for now, then in zip(after, before, strict=True))
