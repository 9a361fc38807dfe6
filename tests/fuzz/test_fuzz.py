"""Damaged files of every kind: each is read as it stands, or refused in our own sentence."""

import os
from pathlib import Path

import pytest

from interplm_nb.readers.report import InputError
from tests.fuzz import arrays, labels, proteins, ring

READERS = {f.name: f for f in (*proteins.READERS, *labels.READERS, *arrays.READERS)}
SECONDS = 4.0
SEED = int(os.environ.get("FUZZ_SEED", 0))
"""The same files each time, so that a change is what fails; `scripts/build_reliability.py fuzz`
draws others."""


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_as_it_stands_or_refused(name):
    outcome = ring.run(READERS[name], SEED, SECONDS)
    assert outcome.tried and not outcome.faults, "\n".join(outcome.faults)


@pytest.mark.parametrize("name", READERS)
def test_a_good_file_is_read(tmp_path, name):
    """Else a ring would try refusals only."""
    fuzzed = READERS[name]
    for other, data in fuzzed.beside.items():
        (tmp_path / other).write_bytes(data)
    for seed in fuzzed.seeds:
        (tmp_path / fuzzed.file).write_bytes(seed)
        found = fuzzed.read(tmp_path / fuzzed.file)
        if fuzzed.check is not None:
            fuzzed.check(tmp_path / fuzzed.file, found)


@pytest.mark.parametrize(("name", "n"), [("label table, Parquet", 388)])
def test_a_fault_that_was_found_stays_mended(name, n):
    """388: a column of 0 of 4 rows was read as a table without rows."""
    outcome = ring.run(READERS[name], 0, 0.01, start=n)
    assert outcome.tried and not outcome.faults, "\n".join(outcome.faults)


def _wrong(path: Path) -> int:
    return {b"": 1}[path.read_bytes() + b"x"]


def _unnamed(path: Path) -> None:
    raise InputError("it cannot be read")


def _other_values(path: Path) -> None:
    assert path.suffix == ".no"


@pytest.mark.parametrize(
    ("read", "words"),
    [(_wrong, "KeyError"), (_unnamed, "names no file"), (_other_values, "AssertionError")],
)
def test_the_ring_sees_faults(read, words):
    outcome = ring.run(ring.Fuzzed("made up", "a.txt", [b"a", b"b c"], read), 0, 0.05)
    assert outcome.faults and all(words in fault for fault in outcome.faults)


def test_a_seed_gives_the_same_files_again():
    fuzzed = READERS["FASTA"]
    assert ring.damaged(fuzzed, 5, 3) == ring.damaged(fuzzed, 5, 3) != ring.damaged(fuzzed, 5, 4)
