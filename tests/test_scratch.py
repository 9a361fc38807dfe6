"""Temporary folders: gone with the block, or with the next start after a kill."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from interplm_nb.scratch import remove_left, scratch_folder

HOLD = """
import time
from interplm_nb.scratch import scratch_folder
with scratch_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_goes_with_its_block(temporary):
    with pytest.raises(ValueError), scratch_folder() as folder:
        (folder / "file").touch()
        raise ValueError
    assert list(temporary.iterdir()) == []


def test_only_what_a_dead_process_left_is_removed(temporary):
    with (
        subprocess.Popen(
            [sys.executable, "-c", HOLD],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        ) as holder,
        scratch_folder() as own,
    ):
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        long_ago = time.time() - 3600
        for folder in (left, own):
            os.utime(folder / "held", (long_ago, long_ago))
        foreign = temporary / "inb-foreign"  # without our mark
        foreign.mkdir()
        (temporary / "inb-link").symlink_to(left)
        remove_left()
        assert left.is_dir() and own.is_dir()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        remove_left()
        assert not left.exists() and own.is_dir() and foreign.is_dir()


def test_a_folder_that_was_just_made_is_left_alone(temporary):
    young = temporary / "inb-young"
    young.mkdir()
    (young / "held").touch()
    remove_left()
    assert young.is_dir()
