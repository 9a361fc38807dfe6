"""Part 4 of the GPU benchmark: the demo's notebooks with device "auto", and the CPU's times.

The demo runs on the embedded small model, which needs no network.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.gpu_rows import Clock, Measurement, Row, Setting
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import REQUIRED
from interplm_nb.saving import read_json

PART = "notebooks"
PLM = "esm2-mini"


def measurements(setting: Setting) -> list[Measurement]:
    """One run on the device, and one on the CPU in the time that is left."""
    return [Measurement("stages of the demo", lambda clock: _stages(setting, clock))]


def _stages(setting: Setting, clock: Clock) -> list[Row]:
    """A row per stage; RuntimeError with the runner's last line if no stage ended."""
    if setting.tiny:
        return [Row(PART, "stages of the demo", note="left out at the tiny size")]
    device = "auto" if setting.device.type == "cuda" else str(setting.device)
    with tempfile.TemporaryDirectory() as folder:
        ours, said = staged(Path(folder) / "device", device, clock.left)
        if not ours:
            raise RuntimeError(said)
        other, said_by_cpu = {}, "no time left"
        if clock.left > 10 and setting.device.type != "cpu":
            other, said_by_cpu = staged(Path(folder) / "cpu", "cpu", clock.left)
    rows = []
    for stage in REQUIRED:
        found, cpu = ours.get(stage), other.get(stage)
        note = f"on {found[1]}; other: the CPU's" if found else f"did not end: {said}"
        note += "" if cpu or not found else f", which did not end: {said_by_cpu}"
        times = (found[0] if found else None, cpu[0] if cpu else None)
        rows.append(Row(PART, f"demo on {PLM}, stage {stage}", "s", *times, note))
    return rows


def staged(out: Path, device: str, seconds: float) -> tuple[dict[str, tuple[float, str]], str]:
    """Seconds and device of each stage that ended in time, and the last line that the runner
    printed."""
    command = [sys.executable, "-m", "interplm_nb.cli.main", "run", "demo", "--out", str(out)]
    command += ["-p", f"embed.plm={PLM}", "--device", device]
    said = _last_line(command, seconds)
    if not (out / "run.json").exists():
        return {}, said
    run = Run.open(out)
    found = {
        stage: read_json(run.manifest_path(stage), "Manifest", 1)
        for stage in REQUIRED
        if run.manifest_path(stage).is_file()
    }
    return {stage: (about["seconds"], about["device"]) for stage, about in found.items()}, said


def _last_line(command: list[str], seconds: float) -> str:
    """The last line that a command prints, or that its time ran out; its kernel ends with it."""
    with tempfile.TemporaryFile() as said:
        started = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            started.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            return f"stopped after {seconds:.0f} s"
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"ended with status {started.returncode} and no word"
