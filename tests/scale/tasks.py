"""Tasks of a few shards that need no model."""

import logging
import os
import sys
import time
from pathlib import Path

import numpy as np

from interplm_nb.scale.shard_task import Update


class FilesTask:
    """Each shard writes a file."""

    n = 6
    label = "writing"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def missing(self) -> list[int]:
        return [i for i in range(self.n) if not (self.folder / f"{i}").exists()]

    def residues(self, shard: int) -> int:
        return 1

    def accessions(self, shard: int) -> list[str]:
        return [f"P{shard}"]

    def compute(self, shard: int, update: Update) -> None:
        self.work(shard)
        (self.folder / f"{shard}").write_text(str(shard**2))

    def work(self, shard: int) -> None:
        """What a shard does before it writes."""


HELD: list[np.ndarray] = []
"""Memory that a worker never gives back."""


class Greedy(FilesTask):
    """Takes memory, and gives it back after a moment or never."""

    def __init__(self, folder: Path, size: int, keep: bool = False) -> None:
        super().__init__(folder)
        self.size, self.keep = size, keep

    def work(self, shard: int) -> None:
        if not HELD:
            HELD.append(np.ones(self.size, np.uint8))
            time.sleep(2)
        if not self.keep:
            HELD.clear()


class Noisy(FilesTask):
    """Prints, logs and warns."""

    def __init__(self, folder: Path, fails: bool = False, seconds: float = 0.0) -> None:
        super().__init__(folder)
        self.fails, self.seconds = fails, seconds

    def work(self, shard: int) -> None:
        time.sleep(self.seconds)
        sys.stderr.write("printed by a worker\n")
        sys.stderr.flush()
        logging.getLogger("elsewhere").error("logged by a worker")
        os.write(2, b"printed in C\n")
        if self.fails and shard == self.n - 1:
            raise ValueError("as it was told")
