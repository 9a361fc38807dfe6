"""`make demo` after installing: the whole path on the embedded proteins, by the clock and by memory.

There is no other side to run; the goal is a bound: 8 minutes and 2 GiB on 2 cores.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figure
from interplm_nb.pipeline.layout import STAGES
from interplm_nb.pipeline.run import Run
from interplm_nb.saving import read_json

SECONDS, GIB = 480.0, 2.0


def run() -> list[Figure]:
    """Seconds of `interplm-nb run demo` from start to end, and the highest of its stages' peaks of anonymous memory."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "interplm_nb.cli", "run", "demo", "--out", str(out)], check=True
        )
        seconds = time.perf_counter() - start
        manifests = {
            stage: read_json(Run.open(out).manifest_path(stage), "Manifest", 1) for stage in STAGES
        }
    peak = max(manifest["peak_memory_bytes"] for manifest in manifests.values()) / 2**30
    parts = ", ".join(
        f"{stage} {manifest['seconds']:.0f} s" for stage, manifest in manifests.items()
    )
    memory = "RssAnon summed over the process tree, sampled; other: the bound"
    return [
        Figure.compare(
            "demo: time",
            seconds,
            SECONDS,
            "s",
            1,
            "at most",
            note=f"other: the bound; stages: {parts}",
        ),
        Figure.compare("demo: memory", peak, GIB, "GiB", 1, "at most", note=memory),
    ]
