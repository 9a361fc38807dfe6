"""The benchmark of clusters compares equal results, and counts the turns that it says."""

from pathlib import Path

import pytest

from benchmarks import scale_count, scale_sides
from interplm_nb.concepts.resumed import count_resumed


def test_two_processes_count_what_a_cluster_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_count, "N_RESIDUES", 20_000)
    scale_count.write(tmp_path)
    halves = [scale_count._half(tmp_path, half) for half in (0, 1)]
    whole = count_resumed(scale_count._counting(tmp_path), tmp_path / "counts", residues=5_000)
    scale_count.check_equal(whole, halves[0] + halves[1])
    assert min(half.active.sum() for half in halves) > 0
    with pytest.raises(AssertionError):
        scale_count.check_equal(whole, halves[0])


def test_the_first_turn_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    times = iter([100.0, 50.0, 1.0, 10.0, 2.0, 30.0, 4.0, 20.0])

    def timed(work: object) -> float:
        assert callable(work)
        work()
        return next(times)

    monkeypatch.setattr(scale_sides, "seconds", timed)
    sides = {"a": lambda: asked.append("a"), "b": lambda: asked.append("b")}
    rates = scale_sides.in_turns(sides, 60, lambda: asked.append("rest"))
    assert rates == {"a": 30.0, "b": 3.0}
    assert asked == ["a", "rest", "b", "rest"] * 4
