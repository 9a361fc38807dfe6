import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.proteins import Proteins
from interplm_nb.readers.concepts import BY_KEY
from interplm_nb.readers.features import Feature, SegmentBuilder
from interplm_nb.readers.report import InputError, ReadReport

LENGTH = 30


def build(*features, convention="strict", min_instances=1, strict=False):
    report = ReadReport("file", strict)
    builder = SegmentBuilder(convention, min_instances, False, report)
    builder.add(0, "P", LENGTH, features)
    return builder.annotations(Proteins.from_sequences({"P": "A" * LENGTH})), report


def segments(annotations):
    return [
        (concept, start, end)
        for concept, start, end in annotations.table.select("concept", "start", "end").iter_rows()
    ]


def test_options_any_and_single_concepts():
    annotations, _ = build(
        Feature("DOMAIN", "2..9", "SH3"), Feature("HELIX", "3..5"), Feature("DOMAIN", "12..20")
    )
    assert segments(annotations) == [
        ("Domain_SH3", 2, 9),
        ("Domain_any", 2, 9),
        ("Helix", 3, 5),
        ("Domain_any", 12, 20),
    ]
    assert annotations.table["category"].to_list() == ["Domain", "Domain", "Helix", "Domain"]


def test_rare_notes_are_in_any_alone_and_counted():
    features = [
        Feature("DOMAIN", "2..9", "SH3"),
        Feature("DOMAIN", "12..20", "SH3"),
        Feature("DOMAIN", "22..25", "PH"),
        Feature("DOMAIN", "26"),
    ]
    annotations, report = build(*features, min_instances=2)
    assert annotations.summary().select("concept", "n_instances").rows() == [
        ("Domain_SH3", 2),
        ("Domain_any", 4),
    ]
    assert report.counts() == {
        "Domain: note or ligand with fewer than 2 instances: kept in Domain_any alone": 1,
        "Domain: no note or ligand: kept in Domain_any alone": 1,
    }
    published, report = build(*features, min_instances=2, convention="published")
    assert published.summary().select("concept", "n_instances").rows() == [
        ("Domain_SH3", 2),
        ("Domain_any", 2),
    ]
    assert sum(report.counts().values()) == 2


def test_a_disulfide_bond_and_a_two_ended_cross_link_are_two_residues_of_one_instance():
    annotations, _ = build(
        Feature("DISULFID", "5..20"),
        Feature("DISULFID", "7", "Interchain"),
        Feature("CROSSLNK", "9..12", "Cyclopeptide"),
    )
    bonds = annotations.only(["Disulfide bond"]).table
    assert bonds.select("start", "end").rows() == [(5, 5), (7, 7), (20, 20)]
    assert bonds["instance"][0] == bonds["instance"][2] != bonds["instance"][1]
    assert bonds["level"].unique().to_list() == ["residue"]
    assert [(s, e) for c, s, e in segments(annotations) if c == "Cross-link_any"] == [
        (9, 9),
        (12, 12),
    ]
    assert (
        annotations.summary().filter(concept="Cross-link_Cyclopeptide")["n_instances"].item() == 1
    )


UNSURE = {
    "<1..20": "position before a known end left out (<)",
    "1..>30": "position after a known end left out (>)",
    "?..20": "unknown position left out",
    "?5..20": "unknown position left out",
    "?": "unknown position left out",
    "P12345-2:3..9": "position on an isoform left out",
}


@pytest.mark.parametrize("location", UNSURE)
def test_unsure_positions_are_left_out_and_counted_never_guessed(location):
    annotations, report = build(Feature("HELIX", location), strict=True)
    assert len(annotations) == 0
    assert report.counts() == {UNSURE[location]: 1}


@pytest.mark.parametrize(("location", "span"), [("<1..20", (1, 20)), ("1..>30", (1, 30))])
def test_the_published_parser_strips_the_marks(location, span):
    annotations, report = build(Feature("HELIX", location), convention="published")
    assert segments(annotations) == [("Helix", *span)]
    assert report.counts() == {}


@pytest.mark.parametrize("location", ["?..20", "P12345-2:3..9"])
def test_the_published_parser_skips_unknown_and_isoform_positions(location):
    annotations, report = build(Feature("HELIX", location), convention="published")
    assert len(annotations) == 0
    assert sum(report.counts().values()) == 1


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (Feature("HELIX", "25..31"), "span past the end: HELIX 25..31; positions run from 1 to 30"),
        (Feature("DISULFID", "5..31"), "span past the end: DISULFID 5..31"),
        (Feature("HELIX", "9..3"), "span backwards or before 1: HELIX 9..3"),
        (Feature("HELIX", "0..3"), "span backwards or before 1"),
        (
            Feature("HELIX", "three"),
            "unreadable position: HELIX three; write positions as 5 or 10..17",
        ),
        (Feature("HELIX", ""), "unreadable position"),
        (
            Feature("HELICES", "3..5"),
            "unknown feature type: HELICES 3..5; the feature types are ACT_SITE, ",
        ),
    ],
)
def test_wrong_features_are_left_out_and_counted_or_stop_a_strict_reading(feature, message):
    annotations, report = build(feature, Feature("TURN", "1..2"))
    assert segments(annotations) == [("Turn", 1, 2)]
    assert report.counts() == {message.partition(":")[0]: 1}
    with pytest.raises(InputError, match=f"file: P: {message}"):
        build(feature, strict=True)


def test_types_without_a_concept_are_counted():
    annotations, report = build(Feature("CHAIN", "1..30"), Feature("VARIANT", "7"), strict=True)
    assert len(annotations) == 0
    assert report.counts() == {
        "no concept in the strict convention: Chain": 1,
        "no concept in the strict convention: Natural variant": 1,
    }
    assert (
        "no concept in the published convention: Repeat"
        in build(Feature("REPEAT", "1..9"), convention="published")[1].counts()
    )


def test_binding_sites_are_named_by_ligand_and_also_by_their_older_type():
    feature = Feature("BINDING", "4..6", "catalytic", "ATP")
    names = {
        "Binding site_ATP",
        "Binding site_any",
        "Nucleotide binding_ATP",
        "Nucleotide binding_any",
    }
    assert set(build(feature)[0].concepts) == names


@pytest.mark.parametrize("note", ["catalytic", ""])
@pytest.mark.parametrize("ligand", ["ATP", ""])
def test_no_dialect_has_binding_sites_in_published(note, ligand):
    annotations, report = build(Feature("BINDING", "4..6", note, ligand), convention="published")
    assert annotations.concepts == []
    assert report.counts() == {"no concept in the published convention: Binding site": 1}


kinds = st.sampled_from(["DOMAIN", "HELIX", "DISULFID", "CROSSLNK", "METAL", "SIGNAL", "LIPID"])
spans = st.tuples(st.integers(1, LENGTH), st.integers(1, LENGTH)).map(sorted)
features = st.lists(
    st.builds(lambda k, s, n: (k, *s, n), kinds, spans, st.sampled_from(["", "Alpha", "Beta"])),
    max_size=12,
)


def by_hand(features, convention, min_instances):
    """Each feature in turn: its concepts, its residues."""
    rows = []
    for place, (key, start, end, note) in enumerate(features):
        kind = BY_KEY[key]
        naming = kind.naming if convention == "strict" else kind.published
        if naming is None:
            continue
        frequent = (
            note
            and sum(key == other[0] and note == other[3] for other in features) >= min_instances
        )
        names = [kind.category] if naming == "single" else []
        if naming == "options" and frequent:
            names.append(f"{kind.category}_{note}")
        if naming == "options" and (frequent or convention == "strict"):
            names.append(f"{kind.category}_any")
        residues = {start, end} if kind.paired else set(range(start, end + 1))
        rows += [(name, place, residue) for name in names for residue in residues]
    return sorted(rows)


@given(features, st.sampled_from(["strict", "published"]), st.integers(1, 3))
def test_segments_equal_those_found_by_hand(features, convention, min_instances):
    built = [
        Feature(key, str(start) if start == end else f"{start}..{end}", note)
        for key, start, end, note in features
    ]
    annotations, _ = build(*built, convention=convention, min_instances=min_instances)
    expected = by_hand(features, convention, min_instances)
    found = annotations.residues().select("concept", "row", "instance")
    assert sorted(zip(found["concept"], found["row"] + 1, strict=True)) == sorted(
        (name, residue) for name, _, residue in expected
    )
    instances = (
        pl.DataFrame(expected, schema=["concept", "place", "residue"], orient="row")
        .group_by("concept")
        .agg(pl.col("place").n_unique())
    )
    assert dict(annotations.summary().select("concept", "n_instances").iter_rows()) == dict(
        instances.iter_rows()
    )
