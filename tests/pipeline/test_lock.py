"""The lock: one process at a time, named by pid, gone with its process."""

import os
import signal
import subprocess
import sys
import time

import pytest

from interplm_nb.pipeline.errors import RunLockedError
from interplm_nb.pipeline.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from interplm_nb.pipeline.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_refused_with_the_pid_and_the_first_frees_it(tmp_path):
    with (
        locked(tmp_path / ".lock"),
        pytest.raises(RunLockedError, match=rf"in use by another run \(process {os.getpid()}\)"),
        locked(tmp_path / ".lock"),
    ):
        pass
    with locked(tmp_path / ".lock"):
        pass


def test_the_lock_dies_with_its_process(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / ".lock")], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(RunLockedError, match=f"process {holder.pid}"),
            locked(tmp_path / ".lock"),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with locked(tmp_path / ".lock"):
            pass


def test_a_child_that_inherited_the_lock_keeps_it(tmp_path):
    with locked(tmp_path / ".lock") as descriptor:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            pass_fds=(descriptor,),
        )
    with pytest.raises(RunLockedError), locked(tmp_path / ".lock"):
        pass
    child.communicate()
    time.sleep(0.05)
    with locked(tmp_path / ".lock"):
        pass
