"""Mutational scans: what is read, and what is refused with its words."""

import gzip
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplm_nb.readers.report import InputError
from interplm_nb.readers.variants import Mutation, mutated, parse_variant, read_variants

WILD = "MKVLAAGHWT"


def table(**columns: list) -> pl.DataFrame:
    return pl.DataFrame(columns)


@pytest.mark.parametrize(
    "text", ["K2A,L4V", "L4V:K2A", "K2A/L4V", "K2A L4V", "K2A; L4V", "K2A+L4V"]
)
def test_mutations_are_read_however_they_are_joined(text: str) -> None:
    variant = parse_variant(text, WILD)
    assert variant == (Mutation("K", 2, "A"), Mutation("L", 4, "V"))
    assert mutated(WILD, variant) == "MAVVAAGHWT"


@pytest.mark.parametrize("text", ["", " ", "WT", "wt", "wild-type", "_wt"])
def test_the_wild_type_has_no_mutation(text: str) -> None:
    assert parse_variant(text, WILD) == ()


def test_positions_follow_the_number_of_the_first_residue() -> None:
    assert parse_variant("M126A", WILD, first=126) == (Mutation("M", 1, "A"),)
    assert parse_variant("M-1A,K0C", WILD, first=-1)[1] == Mutation("K", 2, "C")


@pytest.mark.parametrize(
    ("text", "first", "why"),
    [
        ("K2", 1, "'K2' is not a substitution; write the old letter"),
        ("k2a", 1, "'k2a' is not a substitution"),
        ("K2*", 1, "K2* has a stop; a variant has the 20 amino acids ACDEFGHIKLMNPQRSTVWY"),
        ("K2X", 1, "K2X has the letter X"),
        ("T11A", 1, "T11A is outside the wild type, whose residues are 1 to 10"),
        ("T136A", 126, "T136A is outside the wild type, whose residues are 126 to 135"),
        ("M0A", 1, "outside the wild type"),
        ("A2C", 1, "A2C: the wild type has K at 2, not A; is it another sequence, or another"),
        ("K2K", 1, "K2K changes nothing; leave it out"),
        ("K2A,K2C", 1, "'K2A,K2C' has two mutations at 2; give a position one"),
    ],
)
def test_what_is_no_variant_is_refused(text: str, first: int, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_variant(text, WILD, first)


@pytest.mark.parametrize("ending", ["tsv", "csv", "csv.gz", "parquet", "frame"])
def test_every_format_gives_the_same_scan(ending: str, tmp_path: Path) -> None:
    given = table(Mutant=["K2A", "K2A,L4V"], DMS_score=[0.5, -1.25], more=["x", "y"])
    path = tmp_path / f"scan.{ending}"
    if ending == "parquet":
        given.write_parquet(path)
    elif ending != "frame":
        text = given.write_csv(separator="," if "csv" in ending else "\t", quote_style="necessary")
        path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    scan, report = read_variants(given if ending == "frame" else path, WILD, "mutant", "DMS_score")
    assert [" ".join(map(str, variant)) for variant in scan.variants] == ["K2A", "K2A L4V"]
    assert scan.scores.tolist() == [0.5, -1.25] and scan.wild_type == WILD
    assert report.kept == 2 and not report.counts() and "2 variants kept" in str(report)
    assert repr(scan) == "VariantScan(wild type, 10 residues: 2 variants)"


def test_rows_that_are_no_scored_variant_are_reported() -> None:
    given = table(
        variant=["WT", "K2*", "A2C", "K2A", "V3A", "L4A", "K2A", "W9Y"],
        score=["0", "-3", "-1", "0.5", "NA", "#N/A", "0.7", "1_0"],
    )
    scan, report = read_variants(given, WILD)
    assert [str(*variant) for variant in scan.variants] == ["K2A"]
    assert scan.scores.tolist() == [0.5]
    assert report.counts() == {
        "wild type left out": 1,
        "not a variant of the wild type": 2,
        "score not a number": 3,
        "variant with two scores": 1,
    }
    with pytest.raises(InputError, match=r"K2\* \(line 2\): not a variant of the wild type"):
        read_variants(given, WILD, strict=True)


def test_the_wild_type_comes_from_fasta_or_a_column(tmp_path: Path) -> None:
    fasta = tmp_path / "wild.fasta"
    fasta.write_text(f">sp|P1|NAME mine\n{WILD}\n")
    given = table(variant=["K2A", "V3A"], score=[1, 2], wild_type=[WILD, WILD])
    scan, _ = read_variants(given, fasta)
    assert (scan.name, scan.wild_type) == ("P1", WILD)
    assert read_variants(given, str(fasta)).scan.name == "P1"
    assert len(read_variants(given.drop("wild_type"), 100 * WILD).scan.wild_type) == 1000
    assert read_variants(given, "wild_type").scan.wild_type == WILD
    fasta.write_text(f">P1\n{WILD}\n>P2\n{WILD}\n")
    with pytest.raises(InputError, match=r"2 proteins; give a file with the wild type alone"):
        read_variants(given, fasta)


@pytest.mark.parametrize(
    ("given", "wild_type", "why"),
    [
        (table(variant=["K2A"], fitness=[1]), WILD, "['score'] not among ['variant', 'fitness']"),
        (table(variant=["K2C"], score=[1]), "MXK-", "'MXK-', neither a sequence of residues"),
        (table(variant=["K2C"], score=[1]), 500 * "mkv", "neither a sequence of residues"),
        (table(variant=["K2C"], score=[1]), "no.fasta", "nor a FASTA file, nor a column"),
        (table(variant=["K2C"], score=[1]), "", "neither a sequence of residues"),
        (table(variant=["A2C"], score=[1]), WILD, "no row with a variant of the wild type and"),
        (
            table(variant=["K2A", "K2C"], score=[1, 2], seq=[WILD, "MK"]),
            "seq",
            "the column seq holds 2 wild types; one is needed",
        ),
    ],
)
def test_a_table_without_a_scan_is_refused(given: pl.DataFrame, wild_type: str, why: str) -> None:
    with pytest.raises(InputError, match=re.escape(why)):
        read_variants(given, wild_type)


def test_variants_are_drawn_by_seed_in_their_order() -> None:
    letters = "ACDEFGHIKLNPQRSTVWY"
    given = table(variant=[f"M1{a}" for a in letters], score=list(range(19)))
    scan, _ = read_variants(given, WILD)
    drawn = scan.drawn(5, seed=3)
    assert drawn.scores.tolist() == sorted(drawn.scores.tolist()) and len(drawn.variants) == 5
    assert [letters[int(s)] for s in drawn.scores] == [v[0].after for v in drawn.variants]
    assert np.array_equal(drawn.scores, scan.drawn(5, seed=3).scores)
    assert not np.array_equal(drawn.scores, scan.drawn(5, seed=4).scores)
    assert scan.drawn(19) is scan
