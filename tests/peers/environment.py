"""The environment of the peers, which `make peers` makes: the mark of tests that need it, and a
process in it."""

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.harness import PEERS_PYTHON, ROOT

NEEDS_PEERS = [
    pytest.mark.peers,
    pytest.mark.skipif(not PEERS_PYTHON.exists(), reason="no .venv-peers: make peers makes it"),
]


def peers_python(*arguments: str | Path, **variables: str) -> str:
    """What the peers' Python prints, run in the repository with more environment variables."""
    done = subprocess.run(
        [PEERS_PYTHON, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
