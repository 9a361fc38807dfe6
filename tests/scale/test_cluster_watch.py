"""When a cluster is given up, and what is said then."""

from types import SimpleNamespace
from typing import Any

import pytest

from interplm_nb.scale import cluster_watch
from interplm_nb.scale.cluster_watch import ClusterWatch
from interplm_nb.scale.errors import ClusterError


class Cluster:
    """What `ClusterWatch` asks a client; time goes on as it is told."""

    status = "running"
    scheduler = SimpleNamespace(address="tcp://s:1")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **workers: Any) -> None:
        self.workers, self.now = workers, 0.0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(cluster_watch, "time", clock)

    def scheduler_info(self) -> dict[str, Any]:
        if self.workers.get("down"):
            raise OSError("connection closed")
        return {"workers": self.workers}

    def later(self, watch: ClusterWatch, seconds: float) -> bool:
        self.now += seconds
        return watch.look()


def worker(status: str = "running", executing: int = 0) -> dict[str, Any]:
    return {"status": status, "metrics": {"executing": executing}, "memory_limit": 2**31}


def test_it_looks_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, a=worker())
    watch = ClusterWatch(cluster)
    assert watch.workers == ["a"]
    cluster.workers["b"] = worker()
    assert not cluster.later(watch, cluster_watch.EVERY / 2)
    assert watch.workers == ["a"]
    assert cluster.later(watch, cluster_watch.EVERY / 2)
    assert watch.workers == ["a", "b"]


@pytest.mark.parametrize("busy", [worker(), worker("paused", 1)])
def test_workers_that_work_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, busy: dict[str, Any]
) -> None:
    cluster = Cluster(monkeypatch, a=busy)
    watch = ClusterWatch(cluster)
    for _ in range(10):
        assert cluster.later(watch, cluster_watch.PATIENCE)


def test_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    watch = ClusterWatch(cluster)
    assert cluster.later(watch, cluster_watch.PATIENCE)
    watch.something_ended()
    assert cluster.later(watch, cluster_watch.PATIENCE)
    with pytest.raises(ClusterError) as error:
        cluster.later(watch, cluster_watch.EVERY)
    assert str(error.value).startswith(
        "the scheduler at tcp://s:1 has had no worker for 5 minutes; start some with "
        "`dask worker tcp://s:1 --nthreads 1` (one without"
    )
    assert str(error.value).endswith("are kept; the same command goes on from them.")


def test_only_paused_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, a=worker("paused"), b=worker("paused"))
    watch = ClusterWatch(cluster)
    with pytest.raises(ClusterError, match="all 2 workers of tcp://s:1 have been paused for 5 min"):
        cluster.later(watch, cluster_watch.PATIENCE + 1)


def test_a_scheduler_that_is_away_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, a=worker())
    watch = ClusterWatch(cluster)
    cluster.workers["down"] = True
    assert cluster.later(watch, cluster_watch.EVERY)
    assert watch.workers == []
    cluster.workers = {"b": worker()}
    assert cluster.later(watch, cluster_watch.EVERY)
    assert watch.workers == ["b"]
    cluster.status = "closed"
    with pytest.raises(ClusterError, match="went away and did not come back; start it again"):
        cluster.later(watch, cluster_watch.EVERY)
    with pytest.raises(ClusterError, match="went away and did not come back; start it again"):
        watch.something_ended()  # what the client cancelled as it closed
