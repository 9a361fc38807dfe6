"""Slurm's commands for tests where Slurm cannot be had: jobs are processes of this machine.

A copy of this file by the name of a command is that command: sbatch, squeue, scancel, scontrol,
srun. Jobs are kept in the folder STANDIN_SLURM. What it knows of Slurm: job scripts with #SBATCH
lines, from a file or the standard input; --parsable, --output, --array=1-N,
--dependency=afterok:ID; requeue. Partition "refused" refuses a job, "held" never starts one.
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

JOBS = Path(os.environ["STANDIN_SLURM"])
END = ("COMPLETED", "FAILED", "CANCELLED")


def sbatch(words: list[str]) -> None:
    files = [word for word in words if not word.startswith("-")]
    script = Path(files[0]).read_text() if files else sys.stdin.read()
    options = dict(_option(word) for word in [*_directives(script), *words] if word[:1] == "-")
    if "refused" in options.values():
        sys.exit("sbatch: error: Batch job submission failed: Invalid partition name specified")
    with (JOBS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        number = 1 + sum(path.suffix == ".sh" for path in JOBS.iterdir())
        job = JOBS / f"{number}.sh"
        job.write_text(script)
    job.chmod(0o755)
    _state(number, "PENDING")
    subprocess.Popen(
        [sys.executable, Path(__file__).with_name("standin.py"), "run", str(number), repr(options)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _say(number if "parsable" in options else f"Submitted batch job {number}")


def _directives(script: str) -> list[str]:
    """What #SBATCH lines ask for, each as one word."""
    lines = re.findall(r"^#SBATCH (.*)$", script, re.MULTILINE)
    return [re.sub(r"^-(\w) ", r"-\1=", line) for line in lines]


def _option(word: str) -> tuple[str, str]:
    name, _, value = word.lstrip("-").partition("=")
    return {"o": "output", "e": "error", "p": "partition"}.get(name, name), value


def run(words: list[str]) -> None:
    number, options = int(words[0]), eval(words[1])  # its own repr
    (JOBS / f"{number}.pid").write_text(str(os.getpid()))
    kind, _, before = options.get("dependency", "").partition(":")
    assert kind in ("", "afterok")
    while before and _state(int(before)) not in END:
        time.sleep(0.1)
    if before and _state(int(before)) != "COMPLETED":
        _state(number, "CANCELLED")
        return
    if "held" not in options.values():  # a partition that never starts a job
        while _ended(number, options, restart := int(_read(number, "restarts") or 0)) == "REQUEUED":
            (JOBS / f"{number}.restarts").write_text(str(restart + 1))
    else:
        time.sleep(600)


def _ended(number: int, options: dict[str, str], restart: int) -> str:
    _state(number, "RUNNING")
    first, _, last = options.get("array", "0").partition("-")
    tasks = range(int(first), int(last or first) + 1)
    processes = [_started(number, task, options, restart) for task in tasks]
    codes = [process.wait() for process in processes]
    if _state(number) == "RUNNING":
        _state(number, "FAILED" if any(codes) else "COMPLETED")
    return _state(number)


def _started(number: int, task: int, options: dict[str, str], restart: int) -> subprocess.Popen:
    log = options.get("output", str(JOBS / "%j.log"))
    for mark, value in (("%j", number), ("%J", number), ("%A", number), ("%a", task)):
        log = log.replace(mark, str(value))
    environment = {
        **os.environ,
        "SLURM_JOB_ID": str(number),
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_RESTART_COUNT": str(restart),
    }
    with open(log, "a") as stream:
        return subprocess.Popen(
            [JOBS / f"{number}.sh"], stdout=stream, stderr=stream, env=environment
        )


def squeue(words: list[str]) -> None:
    asked = next((w.partition("=")[2].split(",") for w in words if w.startswith("--jobs=")), None)
    _say("JOBID STATE NODELIST(REASON)")
    for path in sorted(JOBS.glob("*.state")):
        state = path.read_text()
        if state not in END and (asked is None or path.stem in asked):
            _say(f"{path.stem} {state} (Resources)")


def scancel(words: list[str]) -> None:
    number = int(words[-1])
    if _state(number) not in END:
        _state(number, "CANCELLED")
        os.killpg(int(_read(number, "pid")), signal.SIGKILL)


def scontrol(words: list[str]) -> None:
    if words[:2] == ["show", "hostnames"]:
        _say("127.0.0.1")
    elif words[0] == "requeue":
        _state(int(words[1]), "REQUEUED")
    else:
        sys.exit(f"scontrol: error: {words}")


def srun(words: list[str]) -> None:
    command = words[next(i for i, word in enumerate(words) if not word.startswith("-")) :]
    os.execvp(command[0], command)


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")


def _state(number: int, new: str = "") -> str:
    path = JOBS / f"{number}.state"
    if new:
        draft = JOBS / f"{number}.{os.getpid()}.draft"
        draft.write_text(new)
        draft.rename(path)
    return path.read_text()


def _read(number: int, what: str) -> str:
    path = JOBS / f"{number}.{what}"
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    name = Path(__file__).name
    if name.endswith(".py"):
        run(sys.argv[2:])
    else:
        globals()[name](sys.argv[1:])
