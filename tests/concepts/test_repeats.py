"""Which numbered concepts are one, and that their instances stay apart."""

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.count import count
from interplm_nb.concepts.repeats import merge_repeats, numbered_repeats
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({"A": "M" * 40, "B": "M" * 40})
SEGMENTS = [
    ("A", "Domain_Sushi 1", 1, 5, 0),
    ("A", "Domain_Sushi 2", 6, 10, 0),
    ("B", "Domain_Sushi 1", 1, 5, 7),
    ("B", "Domain_Sushi 10", 11, 15, 0),
    ("B", "Domain_Sushi", 21, 25, 0),
    # Two segments of one instance, and another instance.
    ("B", "Disulfide 1", 1, 1, 3),
    ("B", "Disulfide 1", 9, 9, 3),
    ("B", "Disulfide 2", 30, 30, 3),
    # 1 and 2 on different proteins only; no 1; a number that is part of a word, or no number from
    # 1.
    ("A", "Region_Loop 1", 1, 5, 0),
    ("B", "Region_Loop 2", 1, 5, 0),
    ("A", "Domain_Annexin 7", 1, 5, 0),
    ("A", "Domain_Annexin 8", 6, 9, 0),
    ("A", "Domain_Cytochrome b5", 1, 5, 4),
    ("A", "Domain_Cytochrome b1", 6, 9, 4),
    ("A", "Motif_Box 0", 1, 2, 0),
    ("A", "Motif_Box 1", 3, 4, 0),
]


def annotations() -> Annotations:
    table = pl.DataFrame(
        SEGMENTS, schema=["accession", "concept", "start", "end", "instance"], orient="row"
    )
    return Annotations(table.with_columns(category=pl.lit("x"), level=pl.lit("instance")), PROTEINS)


def test_numbers_that_count_within_a_protein_are_left_out() -> None:
    merged = {f"Domain_Sushi {n}": "Domain_Sushi" for n in (1, 10, 2)} | {
        f"Disulfide {n}": "Disulfide" for n in (1, 2)
    }
    assert numbered_repeats(annotations()) == merged


def test_instances_of_a_merged_concept_stay_apart_and_all_else_stays() -> None:
    before, after = annotations(), merge_repeats(annotations())
    kept = {
        "Region_Loop 1",
        "Region_Loop 2",
        "Domain_Annexin 7",
        "Domain_Annexin 8",
        "Domain_Cytochrome b5",
        "Domain_Cytochrome b1",
    }
    kept |= {"Motif_Box 0", "Motif_Box 1"}
    assert set(after.concepts) == kept | {"Domain_Sushi", "Disulfide"}
    assert after.only(kept).table.equals(before.only(kept).table)
    counts = after.summary().filter(pl.col("concept").is_in(["Domain_Sushi", "Disulfide"]))
    assert counts.select("concept", "n_instances", "n_residues").rows() == [
        ("Disulfide", 2, 3),
        ("Domain_Sushi", 5, 25),
    ]
    bond = after.table.filter(concept="Disulfide").sort("start")["instance"].to_list()
    assert bond[0] == bond[1] != bond[2]
    assert sorted(after.table.filter(concept="Domain_Sushi")["instance"]) == [0, 1, 2, 3, 4]


def test_it_can_be_counted_both_ways() -> None:
    source = FeatureActivations.from_dense(np.ones((PROTEINS.n_residues, 1)), PROTEINS, "max")
    apart, together = count(source, annotations()), count(source, merge_repeats(annotations()))
    sushi = apart.concepts["concept"].str.contains("Sushi").to_numpy()
    place = together.concepts["concept"].to_list().index("Domain_Sushi")
    assert apart.instance_hits[sushi].sum() == together.instance_hits[place, 0].sum() == 5 * 5


def test_without_numbers_nothing_changes() -> None:
    plain = annotations().only(["Domain_Sushi", "Domain_Cytochrome b5"])
    assert merge_repeats(plain).table.equals(plain.table)
    assert len(merge_repeats(Annotations.empty(PROTEINS))) == 0
