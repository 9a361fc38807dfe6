"""One cluster of two processes for all tests of this folder, and the threads that its workers have:
bits of small products depend on their number. And a queue: Slurm on this machine, or a stand-in for
its commands."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from interplm_nb.cores import usable_cores
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.shard_task import Workers

ROOT = Path(__file__).parents[2]
START = ROOT / "scripts" / "one_machine_slurm.sh"
STANDIN = Path(__file__).with_name("standin_slurm.py")
THREADS = max(1, usable_cores() // 2)


@pytest.fixture(scope="module", autouse=True)
def threads_of_a_worker() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    with workers_at("local:2") as found:
        yield found


@pytest.fixture(scope="session")
def one_machine_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables with which Slurm's commands speak to a cluster of this machine."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([START, "start", folder, "2"], capture_output=True, text=True)
    if started.returncode in (3, 4):  # not installed, or it does not start here
        pytest.skip(f"Slurm cannot be had here: {started.stderr.strip()}")
    assert started.returncode == 0, started.stderr
    yield {"SLURM_CONF": str(folder / "slurm.conf")}
    subprocess.run([START, "stop", folder], check=True)


@pytest.fixture(params=["stand-in", pytest.param("Slurm", marks=pytest.mark.slow)])
def slurm(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Which of the two this process's PATH has now. No job is left at the end."""
    if request.param == "Slurm":
        variables = request.getfixturevalue("one_machine_slurm")
    else:
        variables = _stand_in(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield request.param
    squeue = ["squeue", "--noheader", "--states=PENDING,RUNNING", "--format=%i"]
    left = subprocess.run(squeue, capture_output=True, text=True).stdout.split("\n")
    numbers = {line.split("_")[0].split()[0] for line in left if line[:1].isdecimal()}
    for number in numbers:
        subprocess.run(["scancel", number])
    assert not numbers


def _stand_in(folder: Path) -> dict[str, str]:
    commands, jobs = folder / "bin", folder / "slurm_jobs"
    commands.mkdir()
    jobs.mkdir()
    text = STANDIN.read_text()
    for name in ("sbatch", "squeue", "scancel", "scontrol", "srun"):
        command = commands / name
        command.write_text(f"#!{sys.executable}\n{text}")
        command.chmod(0o755)
    (commands / "standin.py").write_text(text)
    path = f"{commands}:{os.environ['PATH']}"
    return {"PATH": path, "STANDIN_SLURM": str(jobs)}
