"""One cluster of two processes for all tests of this folder, and the threads that its workers have:
bits of small products depend on their number."""

from collections.abc import Iterator

import pytest
import torch

from interplm_nb.cores import usable_cores
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.shard_task import Workers

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
