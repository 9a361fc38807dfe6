"""The counts against their definition: three loops over concepts, features and thresholds, and sets of rows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts import source as source_module
from interplm_nb.concepts.count import THRESHOLDS, count
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({"C": "MKTAYIAKQR", "A": "GG", "D": "W", "B": "SWKLM"})
N_FEATURES = 3
LEVELS = {"Helix": "instance", "Active site": "residue", "Kinase": "instance"}


class Block(NamedTuple):
    first_row: int
    values: Any


@dataclass(frozen=True)
class DenseValues:
    """A dense source, one protein a block."""

    values: np.ndarray
    proteins: Proteins
    unit: str = "max"

    @property
    def n_features(self) -> int:
        return self.values.shape[1]

    def blocks(self, accessions: Iterable[str] | None = None) -> Iterator[Block]:
        for accession in self.proteins.accessions if accessions is None else accessions:
            rows = self.proteins.rows(accession)
            yield Block(rows.start, self.values[rows])


def sparse(values: np.ndarray, proteins: Proteins) -> FeatureActivations:
    return FeatureActivations.from_dense(values, proteins, "max")


def annotated(rows: list[tuple[str, str, int, int, int]], proteins: Proteins = PROTEINS) -> Annotations:
    """(accession, concept, start, end, instance) rows as annotations."""
    table = pl.DataFrame(rows, schema=["accession", "concept", "start", "end", "instance"], orient="row")
    levels = pl.col("concept").replace_strict(LEVELS, return_dtype=pl.String)
    return Annotations(table.with_columns(category=pl.lit("x"), level=levels), proteins)


def spans_of(annotations: Annotations, concept: str, chosen: set[str], overlap: str) -> dict[int, set[int]]:
    """The rows of each instance of a concept."""
    spans: dict[int, set[int]] = {}
    for accession, name, start, end, instance in annotations.table.select("accession", "concept", "start", "end", "instance").rows():
        if name == concept and accession in chosen:
            first = annotations.proteins.rows(accession).start
            spans.setdefault(instance, set()).update(range(first + start - 1, first + end))
    if overlap == "overwrite":
        later: set[int] = set()
        for instance in sorted(spans, reverse=True):
            spans[instance] -= later
            later |= spans[instance]
    return spans


def by_hand(values: np.ndarray, annotations: Annotations, chosen: set[str], overlap: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    concepts = annotations.concepts
    tp, hits = np.zeros((2, len(concepts), values.shape[1], len(THRESHOLDS)), int)
    active = np.zeros((values.shape[1], len(THRESHOLDS)), int)
    rows = set(annotations.proteins.rows_of(chosen).tolist())
    for f in range(values.shape[1]):
        for t, threshold in enumerate(THRESHOLDS):
            on = {row for row in rows if values[row, f] > np.float32(threshold)}
            active[f, t] = len(on)
            for c, concept in enumerate(concepts):
                spans = spans_of(annotations, concept, chosen, overlap)
                tp[c, f, t] = len(on & set().union(*spans.values()))
                if LEVELS[concept] == "instance":
                    hits[c, f, t] = sum(bool(on & span) for span in spans.values())
    return tp, hits, active


@st.composite
def some_annotations(draw: st.DrawFn) -> Annotations:
    rows = []
    for instance in range(draw(st.integers(1, 8))):
        concept, accession = draw(st.sampled_from(list(LEVELS))), draw(st.sampled_from(PROTEINS.accessions))
        length = len(PROTEINS.sequence(accession))
        # Some instances have two segments, as a disulfide bond has; they may overlap.
        for _ in range(draw(st.integers(1, 2))):
            start = draw(st.integers(1, length))
            rows.append((accession, concept, start, draw(st.integers(start, length)), instance))
    return annotated(rows)


# The thresholds themselves are drawn: a `>=` in place of `>` survives values that never equal one.
VALUES = st.lists(st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.5, 0.55, 0.6, 0.8, 0.9, 1.0, 1.3]), min_size=18 * N_FEATURES, max_size=18 * N_FEATURES).map(
    lambda drawn: np.array(drawn, np.float32).reshape(18, N_FEATURES)
)


@pytest.mark.parametrize("overlap", ["keep", "overwrite"])
@pytest.mark.parametrize("made", [sparse, DenseValues])
@given(
    annotations=some_annotations(),
    values=VALUES,
    chosen=st.sets(st.sampled_from(PROTEINS.accessions), min_size=1),
    entries=st.sampled_from([1, 20, 10**6]),
)
def test_counts_equal_the_triple_loop(
    overlap: Any, made: Callable[..., Any], annotations: Annotations, values: np.ndarray, chosen: set[str], entries: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_module, "_ENTRIES", entries)
        scores = count(made(values, PROTEINS), annotations, chosen, overlap=overlap)
    tp, hits, active = by_hand(values, annotations, chosen, overlap)
    assert_array_equal(scores.tp, tp)
    assert_array_equal(scores.instance_hits, hits)
    assert_array_equal(scores.active, active)
    spans = {c: spans_of(annotations, c, chosen, "keep") for c in annotations.concepts}
    assert scores.concepts["n_instances"].to_list() == [len(s) for s in spans.values()]
    assert scores.concepts["n_residues"].to_list() == [len(set().union(*s.values())) for s in spans.values()]
    assert all(np.issubdtype(a.dtype, np.integer) for a in (scores.tp, scores.instance_hits, scores.active))


@pytest.mark.parametrize("overlap", ["keep", "overwrite"])
@given(annotations=some_annotations(), values=VALUES, first=st.sets(st.sampled_from(PROTEINS.accessions)))
def test_the_counts_of_two_parts_add_up_to_those_of_the_whole(overlap: Any, annotations: Annotations, values: np.ndarray, first: set[str]) -> None:
    source = sparse(values, PROTEINS)
    whole = count(source, annotations, overlap=overlap)
    same(count(source, annotations, first, overlap=overlap) + count(source, annotations, set(PROTEINS.accessions) - first, overlap=overlap), whole)
    if first and first != set(PROTEINS.accessions):
        same(shard(values, annotations, first, overlap) + shard(values, annotations, set(PROTEINS.accessions) - first, overlap), whole)


def shard(values: np.ndarray, annotations: Annotations, accessions: set[str], overlap: Any) -> ConceptScores:
    """Counted on an axis of its own, with the concepts that are there."""
    proteins = PROTEINS.select(accessions)
    return count(sparse(values[PROTEINS.rows_of(accessions)], proteins), annotations.of(proteins), overlap=overlap)


def same(a: ConceptScores, b: ConceptScores) -> None:
    assert a.concepts.equals(b.concepts)
    for mine, other in ((a.tp, b.tp), (a.instance_hits, b.instance_hits), (a.active, b.active)):
        assert_array_equal(mine, other)


@pytest.mark.parametrize("made", [sparse, DenseValues])
def test_a_value_that_equals_a_threshold_is_not_above_it(made: Callable[..., Any]) -> None:
    proteins = Proteins.from_sequences({"A": "M" * 4})
    annotations = annotated([("A", "Helix", 1, 4, 1)], proteins)
    # float32(0.15) is above 0.15 and would be counted if the threshold were compared as float64.
    values = np.array([[0.0], [0.15], [0.5], [np.nextafter(np.float32(0.15), np.float32(1))]], np.float32)
    assert count(made(values, proteins), annotations).tp[0, 0].tolist() == [3, 2, 0, 0, 0]


def test_overlapping_instances_are_both_found_unless_overwritten() -> None:
    annotations = annotated([("C", "Helix", 1, 4, 1), ("C", "Helix", 1, 6, 2)])
    values = np.zeros((18, 1), np.float32)
    # Position 2 is under both, position 6 under the second alone: overwritten, both belong to the second.
    values[[1, 5]] = 1
    kept, overwritten = (count(sparse(values, PROTEINS), annotations, overlap=o) for o in ("keep", "overwrite"))
    assert kept.instance_hits[0, 0].tolist() == [2] * 5
    assert overwritten.instance_hits[0, 0].tolist() == [1] * 5
    # The overwritten instance still counts below the line, as in the reference (the highest running number).
    assert overwritten.concepts["n_instances"].to_list() == [2]


def test_a_disulfide_bond_is_hit_once_by_either_end() -> None:
    annotations = annotated([("C", "Kinase", 2, 2, 7), ("C", "Kinase", 9, 9, 7)])
    values = np.zeros((18, 1), np.float32)
    values[[1, 8]] = 1
    scores = count(sparse(values, PROTEINS), annotations)
    assert (scores.tp[0, 0, 0], scores.instance_hits[0, 0, 0], scores.concepts["n_instances"][0]) == (2, 1, 1)


def test_residues_outside_annotated_proteins_are_false_positives() -> None:
    scores = count(sparse(np.ones((18, 1), np.float32), PROTEINS), annotated([("A", "Helix", 1, 1, 1)]))
    assert scores.table()["fp"].to_list() == [17] * 5


def test_no_annotations_and_no_proteins_give_counts_of_nothing() -> None:
    source = sparse(np.ones((18, 1), np.float32), PROTEINS)
    assert count(source, Annotations.empty(PROTEINS)).active.tolist() == [[18] * 5]
    assert count(source, annotated([("A", "Helix", 1, 1, 1)]), []).tp.sum() == 0


def test_raw_activations_are_refused_with_the_way_out() -> None:
    raw = FeatureActivations.from_dense(np.ones((18, 1)), PROTEINS, "raw")
    with pytest.raises(ValueError, match=r"fraction of each feature's maximum.*relative_to\(maxima\)"):
        count(raw, annotated([("A", "Helix", 1, 1, 1)]))


def test_strangers_are_refused() -> None:
    source = sparse(np.ones((1, 1), np.float32), Proteins.from_sequences({"X": "M"}))
    with pytest.raises(ValueError, match=r"the activations are of Proteins\(1 proteins.*the annotations of Proteins\(4"):
        count(source, annotated([("A", "Helix", 1, 1, 1)]))
    with pytest.raises(KeyError, match="no protein 'Y'"):
        count(source, Annotations.empty(source.proteins), ["Y"])


@pytest.mark.parametrize("thresholds", [(), (0.5, 0.15), (-0.1, 0.5), (0.5, 0.5)])
def test_thresholds_ascend_from_zero(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="thresholds are not negative, ascend"):
        count(sparse(np.ones((18, 1), np.float32), PROTEINS), Annotations.empty(PROTEINS), thresholds=thresholds)


def test_an_instance_on_two_proteins_is_refused() -> None:
    with pytest.raises(ValueError, match="instance 1 of 'Helix' lies on 2 proteins"):
        count(sparse(np.ones((18, 1), np.float32), PROTEINS), annotated([("A", "Helix", 1, 1, 1), ("B", "Helix", 1, 1, 1)]))


def test_an_unknown_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap is 'keep' or 'overwrite', not 'last'"):
        count(sparse(np.ones((18, 1), np.float32), PROTEINS), Annotations.empty(PROTEINS), overlap="last")  # type: ignore[arg-type]
