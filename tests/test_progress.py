"""Progress where nobody watches: a line a minute, and no line that is written over."""

import io

import pytest

from interplm_nb import progress
from interplm_nb.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def worked(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, seconds: float) -> str:
    """What a hundred steps write that take `seconds` together, by our own clock."""
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    monkeypatch.setattr("sys.stderr", stream)
    bar = progress_bar(range(100), desc="work", file=stream)
    for _ in bar:
        now[0] += seconds / 100
    return stream.getvalue()


def test_a_file_gets_nothing_of_short_work_and_a_line_a_minute_of_long_work(monkeypatch):
    assert worked(monkeypatch, io.StringIO(), 50) == ""
    lines = [line for line in worked(monkeypatch, io.StringIO(), 600).splitlines() if line]
    assert 9 <= len(lines) <= 12 and all(line.startswith("work: ") for line in lines)
    assert lines[-1].startswith("work: 100%")


def test_no_line_is_written_over_in_a_file(monkeypatch):
    assert "\r" not in worked(monkeypatch, io.StringIO(), 600)


def test_a_terminal_gets_a_bar(monkeypatch):
    assert worked(monkeypatch, Terminal(), 50).count("\rwork: ") > 5


def test_a_kernel_is_a_notebook_and_a_terminal_is_not(monkeypatch):
    assert not progress.in_notebook()
    shell = type("Shell", (), {"kernel": object()})()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    assert progress.in_notebook()
