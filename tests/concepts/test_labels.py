"""Labels of some rows against sets of rows."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.labels import Labels
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({"C": "M" * 10, "A": "GG", "D": "W", "B": "M" * 6})
LEVELS = {"Helix": "instance", "Kinase": "instance", "Zinc": "residue"}


@st.composite
def some_segments(draw: st.DrawFn) -> list[tuple[str, str, int, int, int]]:
    rows = []
    for instance in range(draw(st.integers(0, 8))):
        accession, concept = (
            draw(st.sampled_from(PROTEINS.accessions)),
            draw(st.sampled_from(list(LEVELS))),
        )
        for _ in range(draw(st.integers(1, 2))):
            start = draw(st.integers(1, len(PROTEINS.sequence(accession))))
            rows.append(
                (
                    accession,
                    concept,
                    start,
                    draw(st.integers(start, len(PROTEINS.sequence(accession)))),
                    instance,
                )
            )
    return rows


def annotated(segments: list[tuple[str, str, int, int, int]]) -> Annotations:
    schema = {
        "accession": pl.String,
        "concept": pl.String,
        "start": pl.Int32,
        "end": pl.Int32,
        "instance": pl.UInt32,
    }
    level = pl.col("concept").replace_strict(LEVELS, return_dtype=pl.String)
    return Annotations(
        pl.DataFrame(segments, schema=schema, orient="row").with_columns(
            category=pl.lit("x"), level=level
        ),
        PROTEINS,
    )


def spans(
    segments: list[tuple[str, str, int, int, int]], chosen: set[str], overlap: str
) -> dict[tuple[str, int], set[int]]:
    """The rows of each instance of each concept."""
    found: dict[tuple[str, int], set[int]] = {}
    for accession, concept, start, end, instance in segments:
        if accession in chosen:
            first = PROTEINS.rows(accession).start
            found.setdefault((concept, instance), set()).update(
                range(first + start - 1, first + end)
            )
    if overlap == "overwrite":
        for (concept, instance), rows in found.items():
            rows.difference_update(
                *(other for (c, i), other in found.items() if c == concept and i > instance)
            )
    return found


@pytest.mark.parametrize("overlap", ["keep", "overwrite"])
@settings(max_examples=60, deadline=None)
@given(
    segments=some_segments(),
    chosen=st.sets(st.sampled_from(PROTEINS.accessions)),
    rows=st.sets(st.integers(0, 18)),
)
def test_labels_of_any_rows_are_those_of_the_spans(
    overlap: Any, segments: list[Any], chosen: set[str], rows: set[int]
) -> None:
    annotations = annotated(segments)
    labels = Labels.of(annotations, chosen, overlap)
    held, names = spans(segments, chosen, overlap), annotations.concepts
    asked = np.array(sorted(rows), np.int64)
    carried, members, concept_of = labels.on(asked)
    wanted = np.array(
        [[any(r in s for (c, _), s in held.items() if c == name) for r in asked] for name in names],
        int,
    )
    assert_array_equal(carried.toarray(), wanted.reshape(len(names), len(asked)))
    there = [(c, s) for (c, _), s in sorted(held.items()) if LEVELS[c] == "instance" and s & rows]
    assert_array_equal(
        members.toarray(),
        np.array([[r in s for r in asked] for _, s in there], int).reshape(len(there), len(asked)),
    )
    assert [names[c] for c in concept_of] == [c for c, _ in there]
    assert_array_equal(labels.carried[asked].toarray().T, carried.toarray())
    assert_array_equal(
        labels.members[asked][:, np.flatnonzero(labels.members[asked].sum(axis=0))].toarray().T,
        members.toarray(),
    )


@settings(max_examples=60, deadline=None)
@given(segments=some_segments(), chosen=st.sets(st.sampled_from(PROTEINS.accessions)))
def test_sizes_count_each_residue_once_and_overwritten_instances_too(
    segments: list[Any], chosen: set[str]
) -> None:
    annotations = annotated(segments)
    held = spans(segments, chosen, "keep")
    for overlap in ("keep", "overwrite"):
        for name, n_residues, n_instances in (
            Labels.of(annotations, chosen, overlap)
            .concepts.select("concept", "n_residues", "n_instances")
            .rows()
        ):
            own = [s for (c, _), s in held.items() if c == name]
            assert (n_residues, n_instances) == (len(set().union(*own)), len(own))
