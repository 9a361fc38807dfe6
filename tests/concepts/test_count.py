"""The counts against their definition: three loops over concepts, features and thresholds, and sets
of rows.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts import source as source_module
from interplm_nb.concepts.count import THRESHOLDS, SparseSums, count
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.proteins import Proteins
from interplm_nb.sae import count_on_device
from interplm_nb.sae.count_on_device import on_device

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


def annotated(
    rows: list[tuple[str, str, int, int, int]], proteins: Proteins = PROTEINS
) -> Annotations:
    """(accession, concept, start, end, instance) rows as annotations."""
    table = pl.DataFrame(
        rows, schema=["accession", "concept", "start", "end", "instance"], orient="row"
    )
    levels = pl.col("concept").replace_strict(LEVELS, return_dtype=pl.String)
    return Annotations(table.with_columns(category=pl.lit("x"), level=levels), proteins)


def spans_of(
    annotations: Annotations, concept: str, chosen: set[str], overlap: str
) -> dict[int, set[int]]:
    """The rows of each instance of a concept."""
    spans: dict[int, set[int]] = {}
    for accession, name, start, end, instance in annotations.table.select(
        "accession", "concept", "start", "end", "instance"
    ).rows():
        if name == concept and accession in chosen:
            first = annotations.proteins.rows(accession).start
            spans.setdefault(instance, set()).update(range(first + start - 1, first + end))
    if overlap == "overwrite":
        later: set[int] = set()
        for instance in sorted(spans, reverse=True):
            spans[instance] -= later
            later |= spans[instance]
    return spans


def by_hand(
    values: np.ndarray, annotations: Annotations, chosen: set[str], overlap: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
        concept, accession = (
            draw(st.sampled_from(list(LEVELS))),
            draw(st.sampled_from(PROTEINS.accessions)),
        )
        length = len(PROTEINS.sequence(accession))
        # Some instances have two segments, as a disulfide bond has; they may overlap.
        for _ in range(draw(st.integers(1, 2))):
            start = draw(st.integers(1, length))
            rows.append((accession, concept, start, draw(st.integers(start, length)), instance))
    return annotated(rows)


# The thresholds themselves are drawn: a `>=` instead of `>` survives values that never equal one.
VALUES = st.lists(
    st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.5, 0.55, 0.6, 0.8, 0.9, 1.0, 1.3]),
    min_size=18 * N_FEATURES,
    max_size=18 * N_FEATURES,
).map(lambda drawn: np.array(drawn, np.float32).reshape(18, N_FEATURES))


@pytest.mark.parametrize("sums", [SparseSums, on_device("cpu")], ids=["sparse", "device"])
@pytest.mark.parametrize("overlap", ["keep", "overwrite"])
@pytest.mark.parametrize("made", [sparse, DenseValues])
@settings(max_examples=40, deadline=None)
@given(
    annotations=some_annotations(),
    values=VALUES,
    chosen=st.sets(st.sampled_from(PROTEINS.accessions), min_size=1),
    entries=st.sampled_from([1, 20, 10**6]),
)
def test_counts_equal_the_triple_loop(
    sums: Any,
    overlap: Any,
    made: Callable[..., Any],
    annotations: Annotations,
    values: np.ndarray,
    chosen: set[str],
    entries: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_module, "_ENTRIES", entries)
        patch.setattr(count_on_device, "_CELLS", entries)
        scores = count(made(values, PROTEINS), annotations, chosen, overlap=overlap, sums=sums)
    tp, hits, active = by_hand(values, annotations, chosen, overlap)
    assert_array_equal(scores.tp, tp)
    assert_array_equal(scores.instance_hits, hits)
    assert_array_equal(scores.active, active)
    spans = {c: spans_of(annotations, c, chosen, "keep") for c in annotations.concepts}
    assert scores.concepts["n_instances"].to_list() == [len(s) for s in spans.values()]
    assert scores.concepts["n_residues"].to_list() == [
        len(set().union(*s.values())) for s in spans.values()
    ]
    assert all(
        np.issubdtype(a.dtype, np.integer) for a in (scores.tp, scores.instance_hits, scores.active)
    )


@pytest.mark.parametrize("overlap", ["keep", "overwrite"])
@settings(max_examples=40, deadline=None)
@given(
    annotations=some_annotations(),
    values=VALUES,
    first=st.sets(st.sampled_from(PROTEINS.accessions)),
)
def test_the_counts_of_two_parts_add_up_to_those_of_the_whole(
    overlap: Any, annotations: Annotations, values: np.ndarray, first: set[str]
) -> None:
    source = sparse(values, PROTEINS)
    whole = count(source, annotations, overlap=overlap)
    same(
        count(source, annotations, first, overlap=overlap)
        + count(source, annotations, set(PROTEINS.accessions) - first, overlap=overlap),
        whole,
    )
    if first and first != set(PROTEINS.accessions):
        same(
            shard(values, annotations, first, overlap)
            + shard(values, annotations, set(PROTEINS.accessions) - first, overlap),
            whole,
        )


def shard(
    values: np.ndarray, annotations: Annotations, accessions: set[str], overlap: Any
) -> ConceptScores:
    """Counted on its own axis, with the concepts that are there."""
    proteins = PROTEINS.select(accessions)
    return count(
        sparse(values[PROTEINS.rows_of(accessions)], proteins),
        annotations.of(proteins),
        overlap=overlap,
    )


def same(a: ConceptScores, b: ConceptScores) -> None:
    assert a.concepts.equals(b.concepts)
    for mine, other in ((a.tp, b.tp), (a.instance_hits, b.instance_hits), (a.active, b.active)):
        assert_array_equal(mine, other)


@pytest.mark.parametrize("made", [sparse, DenseValues])
def test_a_value_that_equals_a_threshold_is_not_above_it(made: Callable[..., Any]) -> None:
    proteins = Proteins.from_sequences({"A": "M" * 4})
    annotations = annotated([("A", "Helix", 1, 4, 1)], proteins)
    # float32(0.15) is above 0.15 and would be counted if the threshold were compared as float64.
    values = np.array(
        [[0.0], [0.15], [0.5], [np.nextafter(np.float32(0.15), np.float32(1))]], np.float32
    )
    assert count(made(values, proteins), annotations).tp[0, 0].tolist() == [3, 2, 0, 0, 0]


def test_overlapping_instances_are_both_found_unless_overwritten() -> None:
    annotations = annotated([("C", "Helix", 1, 4, 1), ("C", "Helix", 1, 6, 2)])
    values = np.zeros((18, 1), np.float32)
    # Position 2 is under both, position 6 under the second alone: overwritten, both belong to the
    # second.
    values[[1, 5]] = 1
    kept, overwritten = (
        count(sparse(values, PROTEINS), annotations, overlap=o) for o in ("keep", "overwrite")
    )
    assert kept.instance_hits[0, 0].tolist() == [2] * 5
    assert overwritten.instance_hits[0, 0].tolist() == [1] * 5
    # The overwritten instance still counts below the line, as in the reference (the highest running
    # number).
    assert overwritten.concepts["n_instances"].to_list() == [2]


def test_a_disulfide_bond_is_hit_once_by_either_end() -> None:
    annotations = annotated([("C", "Kinase", 2, 2, 7), ("C", "Kinase", 9, 9, 7)])
    values = np.zeros((18, 1), np.float32)
    values[[1, 8]] = 1
    scores = count(sparse(values, PROTEINS), annotations)
    assert (
        scores.tp[0, 0, 0],
        scores.instance_hits[0, 0, 0],
        scores.concepts["n_instances"][0],
    ) == (2, 1, 1)


def test_residues_outside_annotated_proteins_are_false_positives() -> None:
    scores = count(
        sparse(np.ones((18, 1), np.float32), PROTEINS), annotated([("A", "Helix", 1, 1, 1)])
    )
    assert scores.table()["fp"].to_list() == [17] * 5


def test_no_annotations_and_no_proteins_give_counts_of_nothing() -> None:
    source = sparse(np.ones((18, 1), np.float32), PROTEINS)
    assert count(source, Annotations.empty(PROTEINS)).active.tolist() == [[18] * 5]
    assert count(source, annotated([("A", "Helix", 1, 1, 1)]), []).tp.sum() == 0


def test_raw_activations_are_refused_with_the_way_out() -> None:
    raw = FeatureActivations.from_dense(np.ones((18, 1)), PROTEINS, "raw")
    with pytest.raises(
        ValueError, match=r"fractions of each feature's maximum.*relative_to\(maxima\)"
    ):
        count(raw, annotated([("A", "Helix", 1, 1, 1)]))


def test_strangers_are_refused() -> None:
    source = sparse(np.ones((1, 1), np.float32), Proteins.from_sequences({"X": "M"}))
    with pytest.raises(
        ValueError,
        match=r"the activations are of Proteins\(1 proteins.*the annotations of Proteins\(4",
    ):
        count(source, annotated([("A", "Helix", 1, 1, 1)]))
    with pytest.raises(KeyError, match="no protein 'Y'"):
        count(source, Annotations.empty(source.proteins), ["Y"])


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ((), "needs one or more thresholds"),
        ((-0.1, 0.5), r"from 0 to below 1 as float32.*not \(-0\.1, 0\.5\)"),
        ((0.5, 1.0), "from 0 to below 1"),
        ((0.5, 1 - 1e-9), "from 0 to below 1 as float32"),
        ((0.5, float("nan")), "from 0 to below 1"),
        ((0.5, 0.15), "ascend and differ as float32"),
        ((0.5, 0.5), "ascend and differ as float32"),
        ((0.5, 0.5 + 1e-9), "ascend and differ as float32"),
    ],
)
def test_thresholds_ascend_from_zero_to_below_one(
    thresholds: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        count(
            sparse(np.ones((18, 1), np.float32), PROTEINS),
            Annotations.empty(PROTEINS),
            thresholds=thresholds,
        )


@dataclass(frozen=True)
class GivenBlocks:
    """A source that yields what it was given, requested or not."""

    given: list[Block]
    proteins: Proteins = PROTEINS
    n_features: int = 2
    unit: str = "max"

    def blocks(self, accessions: Iterable[str] | None = None) -> Iterator[Block]:
        yield from self.given


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            [(0, 18, 3)],
            r"a block at row 0 has shape \(18, 3\); this source's blocks must be \[n, 2\]",
        ),
        (
            [(0, 17, 2)],
            r"rows 0 to 17 \(excluded\) does not hold whole proteins.*"
            r"not aligned to its Proteins\(4 proteins, 18 residues",
        ),
        ([(1, 17, 2)], r"rows 1 to 18 \(excluded\) does not hold whole proteins"),
        ([(0, 19, 2)], r"rows 0 to 19 \(excluded\) does not hold whole proteins"),
        ([(18, 5, 2)], r"rows 18 to 23 \(excluded\) does not hold whole proteins"),
        ([(-10, 10, 2)], r"rows -10 to 0 \(excluded\) does not hold whole proteins"),
        ([(0, 10, 2), (0, 10, 2)], "each once"),
        ([(10, 8, 2), (0, 10, 2)], "in order"),
        ([(0, 10, 2)], "gave no values for 3 of the 4 requested proteins, such as 'A'"),
    ],
)
@pytest.mark.parametrize("made", [np.ones, csr_array])
def test_blocks_that_do_not_fit_the_residue_axis_are_refused(
    made: Callable[..., Any], blocks: list[tuple[int, int, int]], message: str
) -> None:
    source = GivenBlocks(
        [Block(first, made((n, width), dtype=np.float32)) for first, n, width in blocks]
    )
    with pytest.raises(ValueError, match=message):
        count(source, annotated([("A", "Helix", 1, 1, 1)]))


def test_blocks_of_proteins_that_were_not_asked_for_are_refused() -> None:
    with pytest.raises(ValueError, match="of the requested ones"):
        count(
            GivenBlocks([Block(0, np.ones((18, 2), np.float32))]),
            annotated([("A", "Helix", 1, 1, 1)]),
            ["A"],
        )


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("made", [np.asarray, csr_array])
def test_values_that_are_no_numbers_are_refused(made: Callable[..., Any], odd: float) -> None:
    values = np.ones((18, 2), np.float32)
    values[12, 1] = odd
    with pytest.raises(
        ValueError,
        match="the block at row 10 contain NaN or infinity; check the embeddings and weights",
    ):
        count(
            GivenBlocks([Block(0, made(values[:10])), Block(10, made(values[10:]))]),
            annotated([("A", "Helix", 1, 1, 1)]),
        )


@pytest.mark.parametrize("sums", [SparseSums, on_device("cpu")], ids=["sparse", "device"])
def test_a_silent_feature_and_a_concept_that_a_split_lacks_are_zero(sums: Any) -> None:
    values = np.zeros((18, 2), np.float32)
    values[:, 1] = 1
    scores = count(
        sparse(values, PROTEINS),
        annotated([("A", "Helix", 1, 1, 1), ("B", "Kinase", 1, 2, 1)]),
        ["A", "C"],
        sums=sums,
    )
    assert scores.concepts.select("concept", "n_residues", "n_instances").rows() == [
        ("Helix", 1, 1),
        ("Kinase", 0, 0),
    ]
    assert scores.tp[:, :, 0].tolist() == [[0, 1], [0, 0]] and scores.instance_hits[
        :, :, 0
    ].tolist() == [[0, 1], [0, 0]]
    assert scores.active[:, 0].tolist() == [0, 12]
    for c in range(2):
        assert all(np.isfinite(values).all() for values in scores.measures(c))


def test_an_error_ends_all_threads_at_their_next_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "_ENTRIES", 1)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    proteins = Proteins.from_sequences({f"P{i}": "M" for i in range(100)})
    read = []

    class Counted(DenseValues):
        def blocks(self, accessions: Iterable[str] | None = None) -> Iterator[Block]:
            for block in super().blocks(accessions):
                read.append(block.first_row)
                yield block

    class Broken(SparseSums):
        def add(self, *_: object) -> None:
            raise MemoryError

    with pytest.raises(MemoryError):
        count(
            Counted(np.ones((100, 1), np.float32), proteins),
            Annotations.empty(proteins),
            sums=Broken,
        )
    # Each thread has added one; a block is read before the one in front of it is given.
    assert len(read) <= 4


def test_a_block_too_long_for_exact_counts_on_a_device_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(count_on_device, "_EXACT", 18)
    with pytest.raises(
        ValueError, match="a block has 18 residues; counts on a device are exact below 18"
    ):
        count(
            sparse(np.ones((18, 2), np.float32), PROTEINS),
            annotated([("A", "Helix", 1, 1, 1)]),
            sums=on_device("cpu"),
        )


def test_an_instance_on_two_proteins_is_refused() -> None:
    with pytest.raises(ValueError, match="instance 1 of 'Helix' is on 2 proteins"):
        count(
            sparse(np.ones((18, 1), np.float32), PROTEINS),
            annotated([("A", "Helix", 1, 1, 1), ("B", "Helix", 1, 1, 1)]),
        )


def test_an_unknown_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap must be 'keep' or 'overwrite', not 'last'"):
        count(
            sparse(np.ones((18, 1), np.float32), PROTEINS),
            Annotations.empty(PROTEINS),
            overlap="last",
        )  # type: ignore[arg-type]
