"""Peak memory: anonymous pages of the whole process tree."""

import subprocess
import sys
import time

import numpy as np
import pytest

from interplm_nb.pipeline.memory import PeakMemory

GROW = "b = bytearray(64 << 20); b[::4096] = b'1' * len(b[::4096]); import time; time.sleep(0.4)"


def test_a_childs_memory_is_counted():
    with PeakMemory(every=0.02) as alone:
        pass
    with PeakMemory(every=0.02) as both:
        subprocess.run([sys.executable, "-c", GROW], check=True)
    assert both.peak - alone.peak > 60 << 20


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_still_shares_its_parents_memory_is_not_counted_twice():
    held = np.ones(16 << 20, np.float64)  # 128 MiB
    with PeakMemory(every=0.2) as alone:
        time.sleep(0.5)
    with PeakMemory(every=0.2) as both:
        for _ in range(2):  # forked, then waits before it starts its program, as under load
            subprocess.run(["true"], check=True, preexec_fn=lambda: time.sleep(0.5))
    assert both.peak - alone.peak < held.nbytes / 2
