"""A process that hands out shards and is killed leaves what was made to the next one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interplm_nb.activations import MAX_L0
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.checkpoint import load, save
from interplm_nb.sae.encode import encode_to
from interplm_nb.sae.encode_shards import EncodeShards
from tests.scale.test_encoding import alone, embeddings, files, proteins, sae_of

__all__ = ["alone", "embeddings", "proteins"]  # fixtures

CHILD = """
import sys
from pathlib import Path
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.checkpoint import load
from interplm_nb.sae.encode import encode_to
sae, embeddings, proteins, store = map(Path, sys.argv[1:])
if __name__ == "__main__":
    encode_to(
        load(sae), Embeddings.open(embeddings), Proteins.load(proteins), store, scale="local:2"
    )
"""


@pytest.mark.slow
def test_shards_of_a_killed_driver_are_taken(
    tmp_path: Path, embeddings: Embeddings, proteins: Proteins, alone: dict[str, bytes]
) -> None:
    sae, store = sae_of(4), tmp_path / "activations"
    assert sae.about is not None
    save(sae, tmp_path / "sae", sae.about)
    proteins.save(tmp_path / "proteins.parquet")
    names = [tmp_path / "sae", embeddings.path, tmp_path / "proteins.parquet", store]
    command = [sys.executable, "-c", CHILD, *map(str, names)]
    task = EncodeShards(load(tmp_path / "sae"), embeddings, proteins, store, MAX_L0)
    with subprocess.Popen(command, start_new_session=True) as child:
        while len(task.missing()) == task.n_shards:
            assert child.poll() is None
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.2))
        os.killpg(child.pid, signal.SIGKILL)
    assert len(task.missing()) < task.n_shards or store.exists()
    encode_to(sae, embeddings, proteins, store, progress=False)
    assert files(store) == alone
