"""A count that is killed and resumed gives the same integers as one that was not."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from interplm_nb.activations import ActivationBlock, FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.count import Counting, SparseSums, count
from interplm_nb.concepts.resumed import count_resumed
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.proteins import Proteins
from interplm_nb.sae.count_on_device import on_device

PROTEINS = Proteins.from_sequences(
    {f"P{i}": "M" * length for i, length in enumerate([5, 3, 8, 1, 6, 4, 7])}
)


class KilledError(Exception):
    """Stands for the end of the process."""


class Mortal:
    """A source that dies at the block with this number (None: never) and records requests."""

    def __init__(self, activations: FeatureActivations, dies_at: int | None) -> None:
        self._activations, self._dies_at = activations, dies_at
        self.unit, self.n_features, self.proteins = (
            activations.unit,
            activations.n_features,
            activations.proteins,
        )
        self.fingerprint = activations.fingerprint
        self.asked: list[str] = []

    def blocks(self, accessions: Iterable[str] | None = None) -> Iterator[ActivationBlock]:
        for accession in self.proteins.accessions if accessions is None else accessions:
            if len(self.asked) == self._dies_at:
                raise KilledError
            self.asked.append(accession)
            yield from self._activations.blocks([accession])


def values_of(seed: int) -> FeatureActivations:
    rng = np.random.default_rng(seed)
    return FeatureActivations.from_dense(
        rng.choice([0, 0, 0.15, 0.5, 0.7, 1], (PROTEINS.n_residues, 4)).astype(np.float32),
        PROTEINS,
        "max",
    )


def annotations_of(seed: int) -> Annotations:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(12):
        accession, concept = rng.choice(PROTEINS.accessions), rng.choice(["Helix", "Zinc"])
        start, end = np.sort(rng.integers(1, len(PROTEINS.sequence(accession)) + 1, 2))
        rows.append(
            (accession, concept, "x", "residue" if concept == "Zinc" else "instance", start, end, i)
        )
    return Annotations(
        pl.DataFrame(
            rows,
            schema=["accession", "concept", "category", "level", "start", "end", "instance"],
            orient="row",
        ),
        PROTEINS,
    )


def same(a: ConceptScores, b: ConceptScores) -> None:
    assert a.concepts.equals(b.concepts) and a.thresholds == b.thresholds
    for mine, other in ((a.tp, b.tp), (a.instance_hits, b.instance_hits), (a.active, b.active)):
        assert_array_equal(mine, other)


@pytest.mark.parametrize("sums", [SparseSums, on_device("cpu")], ids=["sparse", "device"])
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 99),
    deaths=st.lists(st.integers(0, 7), max_size=3),
    residues=st.integers(1, 40),
    chosen=st.sets(st.sampled_from(PROTEINS.accessions)),
    overlap=st.sampled_from(["keep", "overwrite"]),
)
def test_killed_anywhere_and_gone_on_with_it_gives_the_same_integers(
    tmp_path_factory: pytest.TempPathFactory,
    sums: Any,
    seed: int,
    deaths: list[int],
    residues: int,
    chosen: set[str],
    overlap: Any,
) -> None:
    state = tmp_path_factory.mktemp("source") / "counts"
    values, annotations = values_of(seed), annotations_of(seed)
    for dies_at in [*deaths, None]:
        try:
            counting = Counting(
                Mortal(values, dies_at), annotations, chosen, overlap=overlap, sums=sums
            )
            scores = count_resumed(counting, state, residues=residues, seconds=0)
        except KilledError:
            continue
        same(scores, count(values, annotations, chosen, overlap=overlap))
    assert list(state.parent.iterdir()) == []


def killed(state: Path) -> None:
    """Proteins 0 to 2 are counted, in parts of 8 residues; it dies at protein 5, in the part of 3
    to 5.
    """
    with pytest.raises(KilledError):
        resumed(Mortal(values_of(0), 5), state, seconds=0)


def resumed(source: Any, state: Path, seconds: float = 60) -> ConceptScores:
    return count_resumed(Counting(source, annotations_of(0)), state, residues=8, seconds=seconds)


def test_what_was_counted_is_not_read_again(tmp_path: Path) -> None:
    killed(tmp_path / "state")
    source = Mortal(values_of(0), None)
    same(resumed(source, tmp_path / "state"), count(values_of(0), annotations_of(0)))
    assert source.asked == ["P3", "P4", "P5", "P6"]


def test_a_state_is_kept_now_and_then_only(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        resumed(Mortal(values_of(0), 5), tmp_path / "state", seconds=3600)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        {"source": values_of(1)},
        {"annotations": annotations_of(1)},
        {"accessions": PROTEINS.accessions[:6]},
        {"thresholds": (0.0, 0.2)},
        {"overlap": "overwrite"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_state_of_another_count_is_not_taken(tmp_path: Path, other: dict[str, Any]) -> None:
    killed(tmp_path / "state")
    wanted = {"source": values_of(0), "annotations": annotations_of(0), **other}
    source = Mortal(wanted.pop("source"), None)
    found = count_resumed(Counting(source, **wanted), tmp_path / "state", residues=8)
    same(found, count(source, **wanted))
    assert "P0" in source.asked


@pytest.mark.parametrize("content", [b"", b"not Parquet at all", None])
def test_a_state_that_cannot_be_read_is_begun_anew(tmp_path: Path, content: bytes | None) -> None:
    killed(tmp_path / "state")
    (saved,) = (tmp_path / "state").rglob("*.parquet")
    saved.write_bytes(saved.read_bytes()[:-8] if content is None else content)
    same(resumed(values_of(0), tmp_path / "state"), count(values_of(0), annotations_of(0)))
    assert list(tmp_path.iterdir()) == []


def test_activations_are_known_by_their_values_and_maxima() -> None:
    raw = FeatureActivations.from_dense(np.eye(PROTEINS.n_residues), PROTEINS)
    ones, twos = np.ones(PROTEINS.n_residues), np.full(PROTEINS.n_residues, 2)
    named = [values_of(0), values_of(1), raw, raw.relative_to(ones), raw.relative_to(twos)]
    assert len({a.fingerprint for a in named}) == len(named)
    assert (
        values_of(0).fingerprint == values_of(0).fingerprint
        and raw.relative_to(ones).fingerprint == named[3].fingerprint
    )
