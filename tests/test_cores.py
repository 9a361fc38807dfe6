"""A container that grants fewer cores than its host has."""

import os
import subprocess
import sys

import pytest

from interplm_nb.cores import usable_cores


@pytest.mark.parametrize("granted", [1, 2])
def test_torch_takes_no_more_threads_than_cores_that_are_granted(granted: int) -> None:
    code = (
        "import torch; torch.set_num_threads(8)\n"
        "from interplm_nb.plm.devices import choose_device\n"
        "choose_device('cpu'); print(torch.get_num_threads())"
    )
    # Joblib's own switch: a real limit needs a container.
    environment = {**os.environ, "LOKY_MAX_CPU_COUNT": str(granted)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == min(granted, os.cpu_count() or 1)


def test_a_number_of_threads_that_fits_stays() -> None:
    import torch

    from interplm_nb.plm.devices import choose_device

    before = torch.get_num_threads()
    assert before <= usable_cores()  # tests/conftest.py
    choose_device("cpu")
    assert torch.get_num_threads() == before
