"""The command line as a process: plain text, an orderly end, homes and runs that are read-only."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from interplm_nb.cli import process
from interplm_nb.pipeline.run import Run
from tests.pipeline.fakes import write_fakes

PROGRAM = [sys.executable, "-m", "interplm_nb"]
SET_BY_HAND = (*process._CACHES, "XDG_CACHE_HOME")


def unprivileged() -> list[str]:
    """The words before a command that let permissions bind it, where this user is root."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere, and there is no setpriv to take that away")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]


def ask(*words: object, home: Path | str | None = "", **options) -> subprocess.CompletedProcess:
    """The program with a home folder; None: without one."""
    env = {name: value for name, value in os.environ.items() if name not in SET_BY_HAND}
    if home is None:
        del env["HOME"]
    elif home:
        env["HOME"] = str(home)
    command = [*unprivileged(), *PROGRAM, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=env, **options)


@pytest.fixture
def read_only(tmp_path):
    folder = tmp_path / "read only"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.fixture
def shared(tmp_path):
    """A run that this user may only read."""
    run = tmp_path / "shared"
    shutil.copytree(Run.shipped().folder, run)
    made = [run, *run.rglob("*")]
    for path in made:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield run
    for path in made:
        path.chmod(0o755)


@pytest.mark.parametrize("home", ["/dev/null/none", "/nonexistent"])
def test_without_a_home_caches_lie_in_a_temporary_folder(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    with process.place_for_caches():
        place = Path.home()
        assert place.is_dir() and str(place) == os.environ["HOME"]
        assert Path(os.environ["NUMBA_CACHE_DIR"]).parent == place
    assert not place.exists()


def test_a_home_that_can_be_written_to_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    before = dict(os.environ)
    with process.place_for_caches():
        assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []


WRITES = """
import os, sys
from pathlib import Path
from interplm_nb.cli.process import place_for_caches
with place_for_caches():
    import matplotlib, numba
    import nbformat
    from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir
    from interplm_nb.pipeline.notebooks import keep
    from interplm_nb.plm.unirep_weights import cache_folder
    keep(nbformat.v4.new_notebook(), Path(sys.argv[1]))
    numba.njit(cache=True)(lambda x: x + 1)(1)
    places = [matplotlib.get_cachedir(), jupyter_config_dir(), jupyter_data_dir()]
    places += [jupyter_runtime_dir(), cache_folder()]
    for place in map(Path, places):
        place.mkdir(parents=True, exist_ok=True)
        assert os.access(place, os.W_OK), place
    print(Path.home())
"""


@pytest.mark.slow
@pytest.mark.parametrize("absent", [True, False])
def test_what_packages_write_at_home_has_a_place(tmp_path, read_only, absent):
    home = "/dev/null/none" if absent else read_only
    env = {k: v for k, v in os.environ.items() if k not in SET_BY_HAND} | {"HOME": str(home)}
    script = tmp_path / "writes.py"  # a file, because numba caches nothing of a text
    script.write_text(WRITES)
    command = [*unprivileged(), sys.executable, str(script), str(tmp_path / "note.ipynb")]
    ended = subprocess.run(command, capture_output=True, text=True, env=env)
    assert ended.returncode == 0, ended.stderr
    assert (ended.stdout.strip() == str(read_only)) is not absent  # ~ is still the person's own
    assert "is not signed" not in ended.stderr and "matplotlib" not in ended.stderr.lower()
    assert (tmp_path / "note.ipynb").is_file() and list(read_only.iterdir()) == []


@pytest.mark.slow
def test_a_home_that_cannot_be_written_to_is_said_and_the_command_works(read_only):
    for home in (None, "/dev/null/none", read_only):
        ended = ask("data", home=home)
        assert ended.returncode == 0 and "UniProtKB (CC BY 4.0)" in ended.stdout
        said = "cannot be written to: caches and downloads are in "
        assert (said in ended.stderr) is (home is not None), ended.stderr
        assert ended.stderr.count("\n") == (home is not None)


@pytest.mark.slow
def test_a_read_only_run_is_read_and_what_would_write_says_so(shared, tmp_path):
    assert ask("score", shared, "--tsv").stdout.startswith("concept\t")
    assert ask("discover", shared).returncode == 0
    ended = ask("run", "demo", "--out", shared)
    assert (ended.returncode, ended.stderr) == (
        2,
        f"interplm-nb: {shared} cannot be written to (Permission denied); it can be read, but a "
        "stage or an evaluation needs your own folder: give one with --out, or copy the run\n",
    )


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_named_as_asked_for(shared, read_only, tmp_path):
    folder = tmp_path / "folder"
    (folder / "kept").mkdir(parents=True)
    for out, why in ((read_only / "x.tsv", "Permission denied"), (folder, "Is a directory")):
        ended = ask("discover", shared, "--out", out)
        assert (ended.returncode, ended.stderr) == (2, f"interplm-nb: {out}: {why}\n")
    assert (folder / "kept").is_dir()


def test_names_reach_the_terminal_plain(tmp_path):
    (tmp_path / "evil\x1b[2J.fasta").write_text(">P1\x1b]0;x\x07\u202e\nMKXU1V\n>P1\nM*K\n")
    ended = ask("data", "check", tmp_path / "evil\x1b[2J.fasta")
    assert "evil\\u001b[2J.fasta" in ended.stderr and "P1\\u001b]0;x\\u0007\\u202e" in ended.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(ended.stdout + ended.stderr)
    ended = ask("score", tmp_path / "\x1b[2J")
    assert ended.returncode == 2 and "\\u001b[2J is not a run" in ended.stderr


def test_a_fault_reaches_the_terminal_plain():
    code = (
        "import sys; from interplm_nb.cli import describe, main; sys.argv = ['x', 'data']; "
        "describe.describe_demo = lambda: [].index('\\x1b[2J\\u202e' + chr(0x9b)); "
        "sys.exit(main.program())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1 and "Traceback" in ended.stderr
    assert not {"\x1b", "\u202e", "\x9b"} & set(ended.stderr)


RUNNER = """
import signal
import sys
from pathlib import Path
from interplm_nb.cli.process import end_in_order
from interplm_nb.pipeline.runner import Request, run
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored in all that nohup starts, these tests too
end_in_order()
request = Request("demo", Path(sys.argv[1]), ["embed.plm=esm2-mini"], notebooks=Path(sys.argv[2]))
run(request, lambda text: print(text, flush=True))
"""
WORKER = """
import subprocess
from interplm_nb.children import background
from interplm_nb.scratch import scratch_folder
with scratch_folder(), background(["sh", "-c", "sleep 600 & echo begun; wait"]) as worker:
    (here.folder / "begun").write_text(str(worker.pid))
    worker.wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_runner_that_is_ended_leaves_no_process_and_no_folder(kind, tmp_path):
    lessons = write_fakes(tmp_path / "lessons", broken="embed", code=WORKER)
    temporary = Path(tempfile.mkdtemp(dir="/tmp"))  # short, for sockets
    command = [sys.executable, "-c", RUNNER, str(tmp_path / "run"), str(lessons)]
    env = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as runner:
        try:
            wait_for((tmp_path / "run" / "begun").exists)
            wait_for(lambda: "sleep 600" in commands_below(runner.pid))
            family = psutil.Process(runner.pid).children(recursive=True)
            assert any("kernel_main" in words for words in commands_below(runner.pid))
            runner.send_signal(kind)
            runner.wait(30)
        finally:
            runner.kill()
    wait_for(lambda: not any(map(is_alive, family)))
    assert bool(list(temporary.glob("inb-*"))) is (kind == signal.SIGKILL)
    long_ago = time.time() - 3600
    for folder in temporary.glob("inb-*"):
        os.utime(folder / "held", (long_ago, long_ago))
    starts_again = "from interplm_nb.scratch import remove_left; remove_left()"
    subprocess.run([sys.executable, "-c", starts_again], env=env, check=True)
    assert list(temporary.glob("inb-*")) == []
    shutil.rmtree(temporary)


def commands_below(pid: int) -> list[str]:
    family = psutil.Process(pid).children(recursive=True)
    return [" ".join(child.cmdline()) for child in family if is_alive(child)]


def wait_for(there) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(child: psutil.Process) -> bool:
    try:
        return child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
