"""Missing labels on a planted world, and candidates against their definition, site by site."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.calibration import Calibration
from interplm_nb.concepts.discovery.discover import (
    CANDIDATES,
    SITES_PER_STEP,
    among_unlabelled,
    candidates,
    discover,
)
from interplm_nb.concepts.discovery.evidence import EVIDENCE
from interplm_nb.concepts.discovery.sites import firing_sites
from interplm_nb.proteins import Proteins
from interplm_nb.spreadsheet import write_tsv
from tests.concepts.discovery.planted import MOTIF, world

WORLD = world()
PAIRS = pl.DataFrame(
    {
        "concept": ["Domain_Motif", "Domain_Motif"],
        "category": ["Domain"] * 2,
        "feature": [0, 1],
        "threshold": [0.5, 0.15],
    }
)


def test_the_protein_whose_label_was_taken_comes_first_with_its_evidence() -> None:
    missing = WORLD.of("test")[0]
    place = WORLD.places[missing]
    found = discover(
        WORLD.source,
        WORLD.annotations((missing,)),
        PAIRS,
        WORLD.of("train"),
        structures={missing: Path("somewhere/AF.cif.gz")},
    )
    (first,) = found.filter(rank=1).to_dicts()
    assert list(first) == [
        "rank",
        "accession",
        *[c for c in CANDIDATES if c not in ("rank", "accession")],
        *EVIDENCE,
    ]
    assert (first["accession"], first["concept"], first["feature"]) == (missing, "Domain_Motif", 0)
    assert (first["start"], first["end"], first["n_annotated"]) == (
        place,
        place + len(MOTIF) - 1,
        0,
    )
    assert (
        MOTIF in first["aligned_site"].replace("-", "")
        and first["alike"] != missing
        and first["identity"] > 0.5
    )
    assert first["structure"] == "AF.cif.gz"
    assert first["sites"].split(";")[-1] == f"{place}-{place + len(MOTIF) - 1}"
    assert (found["confidence"] >= 0.5).all() and found["rank"].to_list() == list(
        range(1, found.height + 1)
    )


def test_metadata_of_the_proteins_joins_the_table() -> None:
    missing = WORLD.of("test")[0]
    names = pl.DataFrame({"protein_name": [f"Protein {a}" for a in WORLD.proteins.accessions]})
    proteins = Proteins(pl.concat([WORLD.proteins.table, names], how="horizontal"))
    values = np.concatenate([block.values.toarray() for block in WORLD.source.blocks()])
    source = FeatureActivations.from_dense(values, proteins, "max")
    annotations = Annotations(WORLD.annotations((missing,)).table, proteins)
    found = discover(source, annotations, PAIRS, WORLD.of("train"))
    assert found.columns[:4] == ["rank", "accession", "protein_name", "concept"]
    assert found["protein_name"][0] == f"Protein {missing}"


def test_only_the_first_pairs_of_a_concept_are_used() -> None:
    missing = WORLD.of("test")[0]
    found = discover(
        WORLD.source,
        WORLD.annotations((missing,)),
        PAIRS.reverse(),
        WORLD.of("train"),
        min_confidence=0.0,
        per_concept=1,
    )
    assert found["feature"].unique().to_list() == [1]


def slow_candidates(
    source: FeatureActivations,
    annotations: Annotations,
    pairs: pl.DataFrame,
    train: list[str],
    among: list[str],
) -> list[dict]:
    proteins, found = source.proteins, {}
    for pair in pairs.iter_rows(named=True):
        concept = pair["concept"]
        sites = firing_sites(
            source, pair["feature"], pair["threshold"], annotations.mask(concept)
        ).to_dicts()
        own = [s for s in sites if proteins.accessions[s["protein"]] in train]
        strengths, carrying = (
            np.array([s["total"] for s in own]),
            np.array([s["annotated"] for s in own]),
        )
        fitted = (
            Calibration.fit(strengths, carrying, per_step=SITES_PER_STEP) if own else np.zeros_like
        )
        known = [s["total"] for s in sites if s["annotated"]]
        instances = {
            a: len(set(annotations.table.filter(accession=a, concept=concept)["instance"]))
            for a in among
        }
        for accession in among:
            there = [
                s
                for s in sites
                if proteins.accessions[s["protein"]] == accession and not s["annotated"]
            ]
            if not there:
                continue
            site = max(there, key=lambda s: (s["total"], -s["start"]))
            row = {k: site[k] for k in ("start", "end", "position", "maximum", "total")} | {
                k: pair[k] for k in ("feature", "threshold")
            }
            row |= {
                "accession": accession,
                "concept": concept,
                "confidence": float(fitted(np.array(site["total"]))),
            }
            row |= {
                "as_strong_as": sum(t <= site["total"] for t in known) / max(len(known), 1),
                "n_annotated": instances[accession],
            }
            best = found.get((concept, accession))
            if best is None or (row["confidence"], row["as_strong_as"]) > (
                best["confidence"],
                best["as_strong_as"],
            ):
                found[concept, accession] = row
    return sorted(
        found.values(),
        key=lambda r: (-r["confidence"], -r["as_strong_as"], r["concept"], r["accession"]),
    )


@given(st.integers(0, 10_000))
def test_candidates_equal_their_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    proteins = Proteins.from_sequences(
        {f"P{i}": "M" * int(n) for i, n in enumerate(rng.integers(3, 40, 8))}
    )
    values = rng.choice([0, 0, 0.2, 0.4, 0.9], (proteins.n_residues, 3)).astype(np.float32) * (
        rng.random((proteins.n_residues, 1)) < 0.2
    )
    rows = []
    for instance in range(9):
        accession = str(rng.choice(proteins.accessions))
        start, end = sorted(rng.integers(1, len(proteins.sequence(accession)) + 1, 2).tolist())
        rows.append((accession, ("A", "B")[instance % 2], "x", "instance", start, end, instance))
    schema = ["accession", "concept", "category", "level", "start", "end", "instance"]
    annotations = Annotations(pl.DataFrame(rows, schema=schema, orient="row"), proteins)
    pairs = pl.DataFrame(
        {
            "concept": ["A", "B", "A"],
            "category": "x",
            "feature": [0, 1, 2],
            "threshold": [0.15, 0.0, 0.5],
        }
    )
    source = FeatureActivations.from_dense(values, proteins, "max")
    train, among = proteins.accessions[:5], proteins.accessions[3:]
    found = candidates(source, annotations, pairs, train, among)
    expected = slow_candidates(source, annotations, pairs, train, among)
    assert found.schema == pl.Schema(CANDIDATES)
    assert found["rank"].to_list() == list(range(1, len(expected) + 1))
    for row, wanted in zip(found.to_dicts(), expected, strict=True):
        assert {k: row[k] for k in wanted} == pytest.approx(wanted), (row, wanted)


def test_the_order_does_not_depend_on_what_is_assumed_to_be_missing() -> None:
    confidence = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
    assert among_unlabelled(confidence, 0.2) == pytest.approx([0, 0.0625, 0.25, 1, 1])
    assert among_unlabelled(confidence, 0.0).tolist() == [0] * 5
    with pytest.raises(ValueError, match=r"from 0 to below 1, not 1\.0"):
        among_unlabelled(confidence, 1.0)


def test_what_a_confidence_is_worth_without_a_label_is_what_hiding_leaves() -> None:
    rng = np.random.default_rng(0)
    true = rng.random(400_000) < 0.6
    labelled = true & (rng.random(400_000) >= 0.3)
    assert true[~labelled].mean() == pytest.approx(
        among_unlabelled(np.array(labelled.mean()), 0.3), abs=0.005
    )


def test_the_table_goes_through_tsv(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"rank": [1, 2], "protein_name": ["a\tb", 'say "x"'], "alike": ["P1", None]}
    )
    write_tsv(table, tmp_path / "found.tsv")
    assert (tmp_path / "found.tsv").read_text().splitlines()[0] == "rank\tprotein_name\talike"
    shown = table.with_columns(pl.col("protein_name").str.replace("\t", r"\u0009", literal=True))
    assert pl.read_csv(tmp_path / "found.tsv", separator="\t").equals(shown)


def test_nothing_found_is_an_empty_table_with_all_columns() -> None:
    found = discover(
        WORLD.source, WORLD.annotations(), PAIRS.head(1), WORLD.of("train"), WORLD.of("test")
    )
    assert found.height == 0 and found.columns == [*CANDIDATES, *EVIDENCE]


def test_a_concept_without_an_instance_on_train_has_no_confidence() -> None:
    found = candidates(
        WORLD.source, WORLD.annotations(tuple(WORLD.of("train"))), PAIRS, WORLD.of("train")
    )
    assert found.height and (found["confidence"] == 0).all()


def test_what_cannot_be_discovered_is_refused() -> None:
    annotations, train = WORLD.annotations(), WORLD.of("train")
    with pytest.raises(ValueError, match=r"no pairs of concept and feature.*lower min_f1"):
        candidates(WORLD.source, annotations, PAIRS.clear(), train)
    with pytest.raises(ValueError, match=r"\['threshold'\] not among"):
        candidates(WORLD.source, annotations, PAIRS.drop("threshold"), train)
    with pytest.raises(
        ValueError,
        match="1 concepts of the pairs have no instance in the annotations, such as 'Zinc'",
    ):
        candidates(WORLD.source, annotations, PAIRS.with_columns(concept=pl.lit("Zinc")), train)
    with pytest.raises(ValueError, match="pairs name feature 3, but features are 0 to 2"):
        candidates(WORLD.source, annotations, PAIRS.with_columns(feature=pl.lit(3)), train)
    with pytest.raises(ValueError, match="the activations are of"):
        candidates(WORLD.source, world(20).annotations(), PAIRS, train)
    with pytest.raises(KeyError, match="no protein 'P999'"):
        candidates(WORLD.source, annotations, PAIRS, ["P999"])
    raw = FeatureActivations.from_dense(
        np.ones((WORLD.proteins.n_residues, 1), np.float32), WORLD.proteins
    )
    with pytest.raises(ValueError, match="unit 'raw'"):
        candidates(raw, annotations, PAIRS, train)
