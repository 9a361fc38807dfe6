"""Whatever happens on a cluster: equal bytes, nothing lost, nothing twice, nothing left over.

Moments are drawn anew each time; FAULT_SEED=N draws those of an earlier time.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

import interplm_nb
from interplm_nb import plm
from interplm_nb.plm import checkpoints
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.errors import ClusterError
from tests.plm.toy_esm2 import SMALL, random_weights
from tests.scale.own_cluster import (
    OwnCluster,
    driver,
    embedded_here,
    files_of,
    own_cluster,
    random_proteins,
    shards_in,
    until,
)
from tests.scale.own_work import N_SHARDS, made_in, prepare, process_of, work
from tests.scale.tasks import Greedy, Noisy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def moments() -> random.Random:
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"FAULT_SEED={seed}\n")
    return random.Random(seed)


@pytest.fixture(scope="module")
def proteins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("proteins") / "proteins.parquet"
    random_proteins().save(path)
    return path


@pytest.fixture(scope="module")
def whole(proteins: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed process makes."""
    found = embedded_here(Proteins.load(proteins), tmp_path_factory.mktemp("whole"))
    assert sum("shard_" in name for name in found) > 20
    return found


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[OwnCluster]:
    with own_cluster(tmp_path / "cluster", SCHEDULER__WORKER_TTL="3s") as found:
        yield found


def ends(address: str, folder: Path, proteins: Path) -> str:
    """What a driver says that runs to its end."""
    with driver(address, folder, proteins) as process:
        said = process.communicate()[0]
        assert process.returncode == 0, said
    return said


def test_workers_are_killed_and_paused(
    cluster: OwnCluster,
    proteins: Path,
    whole: dict[str, bytes],
    moments: random.Random,
    tmp_path: Path,
) -> None:
    cluster.add_workers(2)
    done = 0
    for _ in range(6):
        with driver(cluster.address, tmp_path / "out", proteins) as process:
            for _ in range(5):
                time.sleep(moments.uniform(0.3, 2.0))
                if process.poll() is not None or not (computing := cluster.computing()):
                    continue
                victim = moments.choice(computing)
                with contextlib.suppress(psutil.NoSuchProcess):
                    if moments.random() < 0.5:
                        victim.kill()
                    else:  # now and then for longer than the scheduler waits for a worker
                        victim.send_signal(signal.SIGSTOP)
                        time.sleep(moments.choice([0.2, 1.0, 5.0]))
                        victim.send_signal(signal.SIGCONT)
            said = process.communicate()[0]
        if process.returncode == 0:
            break
        assert "workers died while they computed it" in said
        assert shards_in(tmp_path / "out") >= done
        done = shards_in(tmp_path / "out")
    assert files_of(tmp_path / "out") == whole


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder)
    return folder


@pytest.mark.parametrize("kind", ["encoding", "counting"])
def test_workers_are_killed_while_they_encode_and_count(
    cluster: OwnCluster, prepared: Path, moments: random.Random, tmp_path: Path, kind: str
) -> None:
    """No shard is lost or added twice, and none is left over."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    work(kind, "", prepared, here)
    cluster.add_workers(2)
    with process_of(kind, cluster.address, prepared, there) as process:
        for after in sorted(moments.sample(range(1, N_SHARDS[kind] // 2), 2)):
            until(lambda: made_in(there) >= after)  # noqa: B023
            time.sleep(moments.uniform(0, 0.2))
            assert process.poll() is None, process.communicate()[0]
            moments.choice(cluster.computing()).kill()
        said = process.communicate()[0]
    assert process.returncode == 0, said
    assert files_of(there) == files_of(here)


def test_the_scheduler_is_started_anew(
    cluster: OwnCluster,
    proteins: Path,
    whole: dict[str, bytes],
    moments: random.Random,
    tmp_path: Path,
) -> None:
    cluster.add_workers(2)
    with driver(cluster.address, tmp_path / "out", proteins) as process:
        after = moments.randrange(1, 15)
        until(lambda: shards_in(tmp_path / "out") >= after)
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        time.sleep(moments.uniform(0, 3))
        cluster.start_scheduler()
        for worker in cluster.workers:  # Dask's workers end with their scheduler
            worker.wait(60)
        cluster.add_workers(1)
        said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "is tried again" in said
    assert files_of(tmp_path / "out") == whole


def test_a_scheduler_that_stays_away_is_given_up(
    cluster: OwnCluster, proteins: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    cluster.add_workers(1)
    with driver(cluster.address, tmp_path / "out", proteins) as process:
        until(lambda: shards_in(tmp_path / "out") >= 2)
        cluster.scheduler.kill()
        said = process.communicate()[0]
    assert process.returncode == 1
    assert f"the scheduler at {cluster.address} went away and did not come back" in said
    assert "the same command goes on from them." in said
    assert ends("", tmp_path / "out", proteins) == ""
    assert files_of(tmp_path / "out") == whole


def test_drivers_are_killed_and_the_next_has_other_workers(
    cluster: OwnCluster,
    proteins: Path,
    whole: dict[str, bytes],
    moments: random.Random,
    tmp_path: Path,
) -> None:
    cluster.add_workers(2)
    out = tmp_path / "out"
    for address in (cluster.address, "local:2", cluster.address, ""):
        with driver(address, out, proteins) as process:
            before = shards_in(out)
            after = before + moments.randrange(1, 7)
            until(lambda: process.poll() is not None or shards_in(out) >= after)  # noqa: B023
            time.sleep(moments.uniform(0, 0.5))
            if process.poll() is None:
                children = psutil.Process(process.pid).children(recursive=True)
                process.kill()
                _, left = psutil.wait_procs(children, timeout=20)
                assert not left
        assert shards_in(out) > before
    # Those on the cluster may still compute; the next driver is on fewer workers.
    cluster.end_worker()
    assert "Error" not in ends(cluster.address, out, proteins)
    assert files_of(out) == whole
    time.sleep(2)
    assert files_of(out) == whole


def test_two_drivers_fill_one_folder(
    cluster: OwnCluster,
    proteins: Path,
    whole: dict[str, bytes],
    moments: random.Random,
    tmp_path: Path,
) -> None:
    """`interplm-nb run` refuses the second; in Python each may end, or say that it failed."""
    cluster.add_workers(2)
    out = tmp_path / "out"
    with driver(cluster.address, out, proteins) as one:
        time.sleep(moments.uniform(0, 6))
        with driver(cluster.address, out, proteins) as other:
            said = [process.communicate()[0] for process in (one, other)]
    for process, text in zip((one, other), said, strict=True):
        assert process.returncode == 0 or "ClusterError" in text or "never written" in text, text
    assert 0 in (one.returncode, other.returncode), said
    assert files_of(out) == whole
    ends(cluster.address, out, proteins)
    assert files_of(out) == whole


def test_the_disk_of_one_worker_is_full(
    cluster: OwnCluster, proteins: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    full = tmp_path / "full.py"
    full.write_text(
        "import errno, os\n"
        "def _full(*_):\n"
        "    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "os.posix_fallocate = _full\n"
    )
    cluster.add_workers(1, "--preload", str(full))
    with driver(cluster.address, tmp_path / "alone", proteins) as process:
        said = process.communicate()[0]
    assert process.returncode == 1
    assert "OSError: [Errno 28] No space left on device" in said
    assert said.count("is tried again") >= 2
    cluster.add_workers(1)
    said = ends(cluster.address, tmp_path / "out", proteins)
    assert 1 <= said.count("is tried again") <= 6
    assert files_of(tmp_path / "out") == whole


def test_a_worker_with_another_version_is_refused(
    cluster: OwnCluster, proteins: Path, tmp_path: Path
) -> None:
    package = Path(interplm_nb.__file__).parent
    other = tmp_path / "other" / "interplm_nb"
    other.mkdir(parents=True)
    for part in package.iterdir():
        if part.name not in ("__init__.py", "__pycache__"):
            (other / part.name).symlink_to(part)
    first = (package / "__init__.py").read_text()
    assert f'"{interplm_nb.__version__}"' in first
    (other / "__init__.py").write_text(first.replace(f'"{interplm_nb.__version__}"', '"0.0.7"'))
    cluster.add_workers(1, PYTHONPATH=str(other.parent))
    with driver(cluster.address, tmp_path / "out", proteins) as process:
        said = process.communicate()[0]
    assert f"has interplm-nb 0.0.7 (here: {interplm_nb.__version__}); install the same" in said
    assert shards_in(tmp_path / "out") == 0


def test_a_worker_without_the_package_ends_and_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interplm_nb.scale.cluster_watch.PATIENCE", 3.0)
    monkeypatch.setattr("interplm_nb.scale.cluster_watch.EVERY", 0.5)
    without = tmp_path / "without.py"
    without.write_text("import sys\nsys.modules['interplm_nb'] = None\n")
    with own_cluster(tmp_path / "cluster") as cluster:
        cluster.add_workers(1, "--preload", str(without))
        with workers_at(cluster.address) as workers, pytest.raises(ClusterError) as error:
            workers.complete(Noisy(tmp_path), lambda _: None)
    assert "has had no worker for" in str(error.value)
    assert "one without this package ends at its first shard, as its own log says" in str(
        error.value
    )


def test_a_worker_with_other_weights_is_refused(tmp_path: Path) -> None:
    """Both hashes are named, and the first protein."""

    def saved(seed: int) -> Path:
        weights = random_weights(seed=seed)
        checkpoints.write_safetensors(weights, SMALL, "toy", tmp_path / "model", torch.float32)
        return tmp_path / "model"

    model = plm.load(saved(0), "cpu")
    other = plm.load(saved(1), "cpu").revision
    proteins = Proteins.from_sequences({"P1": "MKTAYIAK"})
    with workers_at("local:1") as workers, pytest.raises(ClusterError) as error:
        embed_to(model, proteins, [1], lambda _: tmp_path / "e", scale=workers, progress=False)
    said = str(error.value)
    assert f"has other weights on this machine ({other})" in said
    assert f"than where the work was started ({model.revision})" in said
    assert "(1 proteins, P1)" in said


def test_a_worker_starves(tmp_path: Path) -> None:
    """The nanny ends it, four times; with enough memory the same call goes on."""
    (tmp_path / "out").mkdir()
    with own_cluster(tmp_path / "cluster") as cluster:
        cluster.add_workers(1, "--memory-limit", "700MB")
        with workers_at(cluster.address) as workers:
            with pytest.raises(ClusterError) as error:
                workers.complete(Greedy(tmp_path / "out", 2_000_000_000), lambda _: None)
            assert "4 workers died while they computed it" in str(error.value)
            assert "It may need more memory than a worker has." in str(error.value)
            workers.complete(Greedy(tmp_path / "out", 1000), lambda _: None)
    assert len(files_of(tmp_path / "out")) == Greedy.n


def test_workers_that_are_paused_for_good_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between 80 and 95 % of its memory Dask gives a worker no work, and does not end it."""
    monkeypatch.setattr("interplm_nb.scale.cluster_watch.PATIENCE", 6.0)
    monkeypatch.setattr("interplm_nb.scale.cluster_watch.EVERY", 1.0)
    (tmp_path / "out").mkdir()
    with own_cluster(tmp_path / "cluster") as cluster:
        cluster.add_workers(1, "--memory-limit", "1500MB")
        with workers_at(cluster.address) as workers, pytest.raises(ClusterError) as error:
            workers.complete(Greedy(tmp_path / "out", 1_150_000_000, keep=True), lambda _: None)
    said = str(error.value)
    assert "all 1 workers of" in said and "have been paused" in said
    assert "80 % of its memory limit (1.4 GiB for the smallest)" in said


def test_workers_that_all_leave_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interplm_nb.scale.cluster_watch.PATIENCE", 3.0)
    monkeypatch.setattr("interplm_nb.scale.cluster_watch.EVERY", 0.5)
    (tmp_path / "out").mkdir()
    with own_cluster(tmp_path / "cluster") as cluster:
        cluster.add_workers(1)
        leaving = threading.Timer(3.0, cluster.workers[0].terminate)
        with workers_at(cluster.address) as workers:
            leaving.start()
            with pytest.raises(ClusterError, match="has had no worker for") as error:
                workers.complete(Noisy(tmp_path / "out", seconds=1.0), lambda _: None)
    leaving.join()
    assert f"dask worker {cluster.address} --nthreads 1" in str(error.value)


def test_no_clock_counts(
    cluster: OwnCluster, proteins: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Files from 1970 and from 2099, as of machines whose clocks differ."""
    cluster.add_workers(2)
    out = tmp_path / "out"
    with driver(cluster.address, out, proteins) as process:
        until(lambda: shards_in(out) >= 5)
        process.kill()
    for i, file in enumerate(sorted(out.rglob("*"))):
        at = (0, 4_070_908_800)[i % 2]
        os.utime(file, (at, at))
    ends(cluster.address, out, proteins)
    assert files_of(out) == whole


CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from interplm_nb.cli.main import program
if __name__ == "__main__":
    sys.exit(program())
"""


def test_ctrl_c_ends_a_run_with_how_to_resume(tmp_path: Path, moments: random.Random) -> None:
    """Ctrl-C, as a terminal sends it: to every process of the group. Nothing is left running."""
    run = tmp_path / "run"
    words = ["run", "demo", "--out", str(run), "--scheduler", "local:2", "-pembed.plm=esm2-mini"]
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        until(lambda: shards_in(run) >= 1, 120)
        time.sleep(moments.uniform(0, 2))
        children = psutil.Process(process.pid).children(recursive=True)
        assert sum("spawn_main" in " ".join(c.cmdline()) for c in children) >= 2
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert said.endswith("interplm-nb: stopped; give the same command again to resume\n")
    assert "Traceback" not in said
    _, left = psutil.wait_procs(children, timeout=20)
    assert not left
    shutil.rmtree(run)


LOCAL = """
import sys
from pathlib import Path
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.errors import ClusterError
from tests.scale.tasks import Noisy
if __name__ == "__main__":
    try:
        with workers_at("local:2") as workers:
            workers.complete(Noisy(Path(sys.argv[1]), fails=len(sys.argv) > 2), lambda _: None)
    except ClusterError as error:
        print(error)
"""


def test_workers_of_this_machine_are_heard_only_where_a_shard_fails(tmp_path: Path) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, "-c", LOCAL, str(tmp_path), *words]
        return subprocess.run(
            command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ).stdout

    assert said() == ""
    for file in tmp_path.iterdir():
        file.unlink()
    found = said("fails")
    assert "printed by a worker" in found
    assert "ValueError: as it was told" in found
    assert "printed in C" in found
