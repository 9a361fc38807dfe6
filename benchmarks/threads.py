"""The threads that every benchmark on a CPU takes, so that their figures compare."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def two_threads() -> Iterator[None]:
    """At most two threads of PyTorch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(min(2, threads))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
