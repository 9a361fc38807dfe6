"""Peak memory: anonymous pages of the whole process tree."""

import subprocess
import sys

from interplm_nb.pipeline.memory import PeakMemory

GROW = "b = bytearray(64 << 20); b[::4096] = b'1' * len(b[::4096]); import time; time.sleep(0.4)"


def test_a_childs_memory_is_counted():
    with PeakMemory(every=0.02) as alone:
        pass
    with PeakMemory(every=0.02) as both:
        subprocess.run([sys.executable, "-c", GROW], check=True)
    assert both.peak - alone.peak > 60 << 20
