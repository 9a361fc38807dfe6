"""One cluster of two processes for all tests of this folder."""

from collections.abc import Iterator

import pytest

from interplm_nb.scale.address import workers_at
from interplm_nb.scale.shard_task import Workers


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    with workers_at("local:2") as found:
        yield found
