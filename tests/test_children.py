"""Commands end with the block, and with the process that started them, killed or not."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from interplm_nb.children import background, foreground

FAMILY = "sleep 600 & echo $! > {0}/grandchild; echo $$ > {0}/child; wait"
"""A shell that starts another process, as MMseqs2's workflows do."""
PARENT = """
import sys
from interplm_nb.children import background, foreground
command = ["sh", "-c", sys.argv[2]]
if sys.argv[1] == "background":
    with background(command) as process:
        process.wait()
else:
    foreground(command)
"""


def pids(folder: Path) -> list[int]:
    deadline = time.monotonic() + 20
    while True:
        paths = [folder / name for name in ("child", "grandchild")]
        if all(path.exists() and path.read_text().strip() for path in paths):
            return [int(path.read_text()) for path in paths]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, pid
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_block_ends_the_command_and_what_it_started(tmp_path):
    with background(["sh", "-c", FAMILY.format(tmp_path)]) as process:
        found = pids(tmp_path)
        assert all(map(is_alive, found)) and process.poll() is None
    for pid in found:
        wait_until_gone(pid)


@pytest.mark.parametrize(("code", "wanted"), [("exit 3", 3), ("kill -9 $$", 137), ("true", 0)])
def test_the_exit_code_and_the_output_are_the_commands(code, wanted):
    with background(["sh", "-c", f"echo said; {code}"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"said\n"
        assert process.wait() == wanted
    assert foreground(["sh", "-c", code]) == wanted


@pytest.mark.parametrize("how", ["background", "foreground"])
def test_a_killed_parent_takes_its_command_along(how, tmp_path):
    text = (
        FAMILY if how == "background" else "echo $$ | tee {0}/child {0}/grandchild; exec sleep 600"
    )
    command = [sys.executable, "-c", PARENT, how, text.format(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as parent:
        found = pids(tmp_path)
        parent.send_signal(signal.SIGKILL)
    for pid in found:
        wait_until_gone(pid)


def test_a_foreground_python_imports_nothing_of_its_folder(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemExit(7)")
    inner = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-m', 'evil']))"
    assert subprocess.call([sys.executable, "-m", "evil"], cwd=tmp_path) == 7
    assert foreground([sys.executable, "-m", "evil"], tmp_path) == 1
    assert foreground([sys.executable, "-c", inner], tmp_path) == 1
