"""Preloaded by the workers of a job with several GPUs: each takes one, before it imports torch."""

import os
from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by a worker when it starts. Dask names the workers of a job NAME-0, NAME-1, ..."""
    number = int(str(worker.name).rpartition("-")[2])
    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    os.environ["CUDA_VISIBLE_DEVICES"] = given[number] if given else str(number)
