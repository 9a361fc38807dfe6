"""`make demo` after installing: time and memory of the whole path on the embedded proteins.

There is no other side to run; the goals are bounds on 2 cores, with the model that `auto` chooses
here: 10 minutes, 3 GiB of memory and 4 GB of disk.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figure
from interplm_nb.pipeline.memory import MEASURE
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import REQUIRED
from interplm_nb.saving import read_json

SECONDS, GIB, GB = 600.0, 3.0, 4.0


def run() -> list[Figure]:
    """Seconds of `interplm-nb run demo` from start to end, the highest of its stages' peaks of
    anonymous memory, and the disk that the run takes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "interplm_nb", "run", "demo", "--out", str(out)],
            check=True,
        )
        seconds = time.perf_counter() - start
        disk = sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) / 1e9
        model = Run.open(out).model()
        manifests = {
            stage: read_json(Run.open(out).manifest_path(stage), "Manifest", 1)
            for stage in REQUIRED
        }
    peak = max(manifest["peak_memory_bytes"] for manifest in manifests.values()) / 2**30
    parts = ", ".join(
        f"{stage} {manifest['seconds']:.0f} s" for stage, manifest in manifests.items()
    )
    name = model.name if model else ""
    return [
        Figure.within("demo: time", seconds, SECONDS, "s", f"{name}; stages: {parts}"),
        Figure.within("demo: memory", peak, GIB, "GiB", MEASURE),
        Figure.within("demo: disk", disk, GB, "GB"),
    ]
