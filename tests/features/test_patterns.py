"""Activation patterns on planted tracks, and the numbers against a loop over proteins."""

from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.features import patterns
from interplm_nb.features.patterns import LAGS, PATTERNS, activation_patterns
from interplm_nb.proteins import Proteins


def classified(tracks: list[np.ndarray], threshold: float = 0.15) -> dict[str, Any]:
    """The row of one feature with these tracks, one per protein."""
    proteins = Proteins.from_sequences(
        {f"P{i}": "A" * len(track) for i, track in enumerate(tracks)}
    )
    values = np.concatenate(tracks).astype(np.float32)[:, None]
    return activation_patterns(
        FeatureActivations.from_dense(values, proteins, "max"), threshold=threshold
    ).row(0, named=True)


def planted(spans: list[tuple[int, int]], length: int = 200, value: float = 0.9) -> np.ndarray:
    track = np.zeros(length)
    for first, last in spans:
        track[first:last] = value
    return track


def test_planted_patterns() -> None:
    rng = np.random.default_rng(0)
    places = rng.integers(0, 140, 12).tolist()
    cases = {
        "point": [planted([(i, i + 1)]) for i in places],
        "motif": [planted([(i, i + 9)]) for i in places],
        "domain": [planted([(i, i + 45)]) for i in places],
        "whole protein": [planted([(0, 90), (95, 200)]) for _ in places],
        "periodic": [planted([(i, i + 3) for i in range(start % 7, 200, 7)]) for start in places],
        "too few": [planted([(i, i + 9)]) for i in places[:4]] + [planted([(3, 9)], value=0.4)] * 9,
        "mixed": [planted([(9, 10)])] * 4 + [planted([(9, 19)])] * 4 + [planted([(9, 60)])] * 4,
    }
    for pattern, tracks in cases.items():
        assert classified(tracks)["pattern"] == pattern
    assert set(classified(cases["periodic"])) == set(PATTERNS)
    row = classified(cases["periodic"])
    assert (row["period"], row["period_strength"]) == (7, pytest.approx(1, abs=1e-9))
    row = classified(cases["domain"])
    assert (
        row["run_length"],
        row["coverage"],
        row["agreement"],
        row["onsets"],
        row["n_proteins"],
    ) == (45, 0.225, 1, 1, 12)
    assert classified(cases["too few"])["n_proteins"] == 4
    assert classified(cases["mixed"])["agreement"] == pytest.approx(1 / 3)


def test_a_helix_is_a_period_that_falls_between_residues() -> None:
    """Every 3.6 residues: 18 is five turns."""
    onsets = np.round(np.arange(0, 180, 3.6)).astype(int)
    row = classified([planted([(i + s, i + s + 1) for i in onsets]) for s in range(6)])
    assert row["pattern"] == "periodic"
    assert row["period"] == 18


def test_points_at_random_are_no_period() -> None:
    rng = np.random.default_rng(1)
    row = classified([(rng.random(400) < 0.06) * 0.8 for _ in range(20)])
    assert row["pattern"] == "point"
    assert row["period_strength"] < 0.1


def test_a_domain_flickers_and_points_stay_apart() -> None:
    flickering = planted([(10, 22), (25, 40), (41, 60)])
    assert classified([flickering] * 5)["run_length"] == 50
    assert classified([flickering] * 5)["pattern"] == "domain"
    assert classified([planted([(10, 11), (12, 13)])] * 5)["run_length"] == 1


def test_what_is_at_the_threshold_is_silent() -> None:
    track = planted([(5, 15)])
    track[15:40] = 0.25
    assert classified([track] * 5, threshold=0.25)["run_length"] == 10
    assert classified([track] * 5, threshold=0.2)["run_length"] == 35
    assert classified([planted([(5, 15)], value=patterns.STRONG)] * 5)["n_proteins"] == 0


@st.composite
def activations(draw: st.DrawFn) -> tuple[Proteins, np.ndarray]:
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=5))
    proteins = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(lengths)})
    seed = draw(st.integers(0, 1000))
    values = np.random.default_rng(seed).choice(
        [0.0, 0.1, 0.3, 0.6, 1.0], (sum(lengths), 3), p=[0.4, 0.1, 0.2, 0.2, 0.1]
    )
    return proteins, values.astype(np.float32)


def stretches(track: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) of each unbroken stretch above 0.15."""
    found, i = [], 0
    for active, run in groupby(track > 0.15):
        n = len(list(run))
        found += [(i, i + n - 1)] if active else []
        i += n
    return found


def top_run(track: np.ndarray) -> int:
    """Length of the run that holds the first maximum."""
    runs: list[list[tuple[int, int]]] = []
    for stretch in stretches(track):
        last = runs[-1][-1] if runs else None
        size = stretch[1] - stretch[0] + 1
        if last is not None and stretch[0] - last[1] - 1 < min(size, last[1] - last[0] + 1):
            runs[-1].append(stretch)
        else:
            runs.append([stretch])
    peak = int(track.argmax())
    return next(run[-1][1] - run[0][0] + 1 for run in runs if run[0][0] <= peak <= run[-1][1])


@given(activations(), st.booleans())
def test_the_numbers_equal_a_loop_over_proteins(
    drawn: tuple[Proteins, np.ndarray], some: bool
) -> None:
    proteins, values = drawn
    chosen = proteins.accessions[::2] if some else None
    table = activation_patterns(FeatureActivations.from_dense(values, proteins, "max"), chosen)
    for f, row in enumerate(table.iter_rows(named=True)):
        tracks = [values[proteins.rows(a), f] for a in chosen or proteins.accessions]
        tracks = [track for track in tracks if track.max() > 0.5]
        assert row["n_proteins"] == len(tracks)
        if not tracks:
            assert (
                row["run_length"],
                row["coverage"],
                row["onsets"],
                row["period"],
                row["period_strength"],
            ) == (0, 0, 0, 0, 0)
            continue
        assert row["run_length"] == np.median([top_run(track) for track in tracks])
        assert row["coverage"] == pytest.approx(
            np.median([(track > 0.15).mean() for track in tracks])
        )
        assert row["onsets"] == np.median([len(stretches(track)) for track in tracks])
        onsets = [[first for first, _ in stretches(track)] for track in tracks]
        followed = []
        for lag in range(2, LAGS + 1):
            room = sum(
                i + lag < len(track)
                for track, firsts in zip(tracks, onsets, strict=True)
                for i in firsts
            )
            pairs = sum(i + lag in firsts for firsts in onsets for i in firsts)
            followed.append(pairs / max(room, sum(map(len, onsets)) / 2))
        top, mean = max(followed), np.mean(followed)
        assert row["period_strength"] == pytest.approx((top - mean) / (1 - mean))
        assert row["period"] == (
            next(i for i, r in enumerate(followed, 2) if r >= 0.9 * top) if top else 0
        )


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    proteins = Proteins.from_sequences({f"P{i}": "A" * 60 for i in range(20)})
    source = FeatureActivations.from_dense(
        (rng.random((1200, 4)) * (rng.random((1200, 4)) < 0.4)).astype(np.float32), proteins, "max"
    )
    whole = activation_patterns(source)
    by_feature = source.by_feature
    monkeypatch.setattr(
        source, "by_feature", lambda chosen, features: by_feature(chosen, 100, features)
    )
    assert activation_patterns(source).equals(whole)
    assert all(a <= b for a, b in pairwise(whole["feature"]))


def test_another_unit_is_refused() -> None:
    proteins = Proteins.from_sequences({"P": "AAA"})
    with pytest.raises(
        ValueError,
        match=r"fractions of each feature's maximum \(unit 'max'\), not unit 'raw'; "
        "use relative_to",
    ):
        activation_patterns(FeatureActivations.from_dense(np.ones((3, 1)), proteins))
