"""Alignments of sites against written ones; which example is taken; what else is annotated at a
place.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.discovery.discover import candidates
from interplm_nb.concepts.discovery.evidence import WIDEST, Window, align_windows, with_evidence
from interplm_nb.proteins import Proteins

PAIR = pl.DataFrame(
    {"concept": ["Nudix"], "category": ["Motif"], "feature": [0], "threshold": [0.5]}
)
SITE = "GWCHWPGGHWE"
BEFORE = "MKTAYIAKQRQISFVKSHFS"


def test_an_alignment_says_where_it_lies_and_how_alike_it_is() -> None:
    found = align_windows(Window("A", 11, "MMMWCHWPPGHWMMM"), Window("B", 101, "KKWCHWGHWKKK"))
    assert (found.aligned, found.other) == ("WCHWPPGHW", "WCHW--GHW") or found.aligned == "WCHW"
    assert (found.start, found.other_start) == (14, 103)
    assert found.identity == 1.0 and found.n_aligned == sum(b != "-" for b in found.other)


def test_a_gap_is_bridged_where_both_sides_are_long_enough() -> None:
    left, right = "WCHWDPWYFW", "HWCYWMDPWK"
    found = align_windows(Window("A", 1, left + "GG" + right), Window("B", 1, left + right))
    assert found == (found.score, 1, 1, left + "GG" + right, left + "--" + right)
    assert (found.n_aligned, found.identity) == (20, 1.0)


def test_letters_that_the_matrix_lacks_stay_what_they_are() -> None:
    found = align_windows(Window("A", 1, "WWUWOW"), Window("B", 1, "WWCWKW"))
    assert (found.aligned, found.other, found.identity) == (
        "WWUWOW",
        "WWCWKW",
        pytest.approx(4 / 6),
    )


def test_nothing_alike_is_an_empty_alignment() -> None:
    found = align_windows(Window("A", 4, "WWW"), Window("B", 7, "DDD"))
    assert (found.aligned, found.n_aligned, found.identity) == ("", 0, 0.0)


def family() -> tuple[FeatureActivations, Annotations]:
    """P0 lacks the label; P1's site is far from its, P2's differs in one letter, P3's is
    the strongest and shares half.
    """
    sites = [SITE, "DEDKDEDKDEA", "GWCHWPGGHWK", "GWCHWAAAAAA"]
    proteins = Proteins.from_sequences(
        {f"P{i}": BEFORE + site + BEFORE for i, site in enumerate(sites)}
    )
    values = np.zeros((proteins.n_residues, 1), np.float32)
    for i, strength in enumerate((0.7, 0.8, 0.6, 0.9)):
        first = proteins.rows(f"P{i}").start + len(BEFORE)
        values[first : first + len(SITE), 0] = strength
    values[[proteins.rows("P0").start, proteins.rows("P0").stop - 1], 0] = 0.55
    rows = [(f"P{i}", "Nudix", "Motif", "instance", 21, 31, i) for i in (1, 2, 3)]
    rows += [
        ("P0", "Helix", "Helix", "instance", 31, 40, 0),
        ("P0", "Turn", "Turn", "instance", 32, 33, 0),
        ("P0", "Domain", "Domain", "instance", 1, 51, 0),
    ]
    schema = ["accession", "concept", "category", "level", "start", "end", "instance"]
    return FeatureActivations.from_dense(values, proteins, "max"), Annotations(
        pl.DataFrame(rows, schema=schema, orient="row"), proteins
    )


def test_the_example_that_aligns_best_is_named_and_the_place_described() -> None:
    source, annotations = family()
    found = candidates(source, annotations, PAIR, ["P1", "P2"])
    (row,) = with_evidence(
        found, source, annotations, {"P0": Path("models/P0.pdb"), "other": Path("x.pdb")}
    ).to_dicts()
    assert (row["start"], row["end"]) == (21, 31)
    assert (row["alike"], row["also_alike"]) == ("P2", "P3;P1")
    assert row["aligned_site"] == BEFORE[-10:] + SITE + BEFORE[:10]
    assert row["aligned_alike"] == BEFORE[-10:] + "GWCHWPGGHWK" + BEFORE[:10]
    assert (row["identity"], row["n_aligned"], row["aligned_start"], row["alike_start"]) == (
        pytest.approx(30 / 31),
        31,
        11,
        11,
    )
    assert (row["sites"], row["positions"]) == ("1-1;21-31;51-51", "1;21;51")
    assert (row["other_concepts"], row["structure"]) == ("Domain;Helix", "P0.pdb")


def test_only_the_strongest_examples_are_compared() -> None:
    source, annotations = family()
    found = candidates(source, annotations, PAIR, ["P1", "P2"])
    (row,) = with_evidence(found, source, annotations, {}, examples=1).to_dicts()
    assert (row["alike"], row["also_alike"], row["structure"]) == ("P3", None, None)


def test_without_an_example_the_alignment_is_empty() -> None:
    source, annotations = family()
    bare = Annotations(
        annotations.table.filter(pl.col("accession") == "P1").with_columns(
            start=pl.lit(1), end=pl.lit(2)
        ),
        source.proteins,
    )
    rows = with_evidence(candidates(source, bare, PAIR, ["P1"]), source, bare, {})
    assert rows.height == 4 and rows["alike"].null_count() == 4 and rows["sites"].null_count() == 0


def test_of_a_long_site_the_part_around_its_maximum_is_aligned() -> None:
    proteins = Proteins.from_sequences(
        {"long": "A" * 300 + SITE + "A" * 100, "short": BEFORE + SITE}
    )
    values = np.zeros((proteins.n_residues, 1), np.float32)
    values[: proteins.rows("long").stop, 0] = 0.6
    values[303, 0] = 0.9
    values[proteins.rows("short").start + 20 :, 0] = 0.6
    source = FeatureActivations.from_dense(values, proteins, "max")
    table = pl.DataFrame(
        [("short", "Nudix", "Motif", "instance", 21, 31, 0)],
        schema=["accession", "concept", "category", "level", "start", "end", "instance"],
        orient="row",
    )
    annotations = Annotations(table, proteins)
    (row,) = with_evidence(
        candidates(source, annotations, PAIR, ["short"]), source, annotations, {}
    ).to_dicts()
    assert (row["start"], row["end"], row["position"]) == (1, 411, 304)
    assert SITE in row["aligned_site"] and len(row["aligned_site"]) <= WIDEST
