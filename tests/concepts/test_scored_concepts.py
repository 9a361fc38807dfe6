"""Which concepts are scored, against loops over proteins and clusters."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.same_residues import same_residues
from interplm_nb.concepts.scored_concepts import (
    SCORED,
    ScoredConcepts,
    is_amino_acid,
    scored_concepts,
)
from tests.concepts.some_labels import NAMES, PROTEINS, some_labels


@given(some_labels(), st.lists(st.integers(0, 4), min_size=9, max_size=9), st.data())
def test_enough_instances_in_enough_clusters(
    annotations: Annotations, clusters: list[int], data: st.DataObject
) -> None:
    split = data.draw(
        st.lists(st.sampled_from(["train", "validation", "test"]), min_size=9, max_size=9)
    )
    n, k = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    splits = pl.DataFrame({"accession": PROTEINS.accessions, "split": split, "cluster": clusters})
    scored = scored_concepts(annotations, splits, n, k)
    wanted = {}
    for concept in NAMES:
        held: dict[str, set[int]] = {"train": set(), "validation": set(), "test": set()}
        families = set()
        for row in annotations.table.iter_rows(named=True):
            if row["concept"] != concept:
                continue
            for accession, own, cluster in splits.iter_rows():
                if accession == row["accession"]:
                    held[own].add(row["instance"])
                    families |= {cluster} if own == "test" else set()
        sizes = (len(held["validation"]), len(held["test"]), len(families))
        if min(sizes[:2]) >= n and sizes[2] >= k and concept != "amino_acid_W":
            wanted[concept] = sizes
    goes_by = same_residues(annotations, list(wanted))
    assert scored.table.schema == pl.Schema(SCORED)
    assert scored.table.select(
        "concept", "n_validation", "n_instances", "n_clusters", "counted_under"
    ).rows() == [(c, *sizes, goes_by.get(c, c)) for c, sizes in sorted(wanted.items())]
    assert scored.names == [c for c in sorted(wanted) if c not in goes_by]


def test_it_says_what_is_scored_and_how_many_rest_on_few_clusters() -> None:
    rows = [("A", 9, "A"), ("B", 10, "B"), ("C", 3, "A"), ("D", 5, "D")]
    table = pl.DataFrame(
        [(name, "x", "instance", 10, 12, k, under) for name, k, under in rows],
        SCORED,
        orient="row",
    )
    scored = ScoredConcepts(table, 10, 3)
    assert scored.names == ["A", "B", "D"]
    assert scored.n_few_clusters == 2  # A and D; C is counted under A
    assert scored.words == (
        "at least 10 instances in validation and in test, and at least 3 homology clusters in test"
    )


def test_letters_of_the_sequence_are_not_scored() -> None:
    assert is_amino_acid("Amino_acid_W") and not is_amino_acid("Domain_amino acid kinase")
