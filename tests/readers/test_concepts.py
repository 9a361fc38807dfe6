import pytest

from interplm_nb.annotations import LEVELS
from interplm_nb.readers.concepts import (
    BY_KEY,
    FEATURE_TYPES,
    REST_FIELDS,
    level_of,
    older_type_of,
    option_of,
)

# reference/interplm.md 1.7: column, whether it has sub-concepts, level for recall
PUBLISHED = {
    "Active site": ("options", "residue"),
    "Glycosylation": ("options", "residue"),
    "Modified residue": ("options", "residue"),
    "Transit peptide": ("options", "instance"),
    "Compositional bias": ("options", "instance"),
    "Domain": ("options", "instance"),
    "Region": ("options", "instance"),
    "Zinc finger": ("options", "instance"),
    "Motif": ("options", "instance"),
    "Signal peptide": ("options", "instance"),
    "Turn": ("single", "instance"),
    "Helix": ("single", "instance"),
    "Beta strand": ("single", "instance"),
    "Coiled coil": ("single", "instance"),
    "Lipidation": ("single", "instance"),
    "Disulfide bond": ("single", "residue"),
}


def test_the_published_vocabulary_is_interplms():
    ours = {
        kind.category: (kind.published, level_of(kind.category, kind, "published"))
        for kind in FEATURE_TYPES
        if kind.published
    }
    assert ours == PUBLISHED


def test_the_strict_vocabulary_has_what_the_published_one_lacks():
    strict = {kind.category for kind in FEATURE_TYPES if kind.naming}
    added = {
        "Transmembrane",
        "Topological domain",
        "DNA binding",
        "Metal binding",
        "Nucleotide binding",
        "Calcium binding",
    }
    assert strict == set(PUBLISHED) | added | {"Binding site", "Repeat", "Propeptide", "Cross-link"}
    assert {kind.level for kind in FEATURE_TYPES} == set(LEVELS)


def test_names_are_unique():
    for name in ("key", "column", "xml", "category"):
        assert len({getattr(kind, name) for kind in FEATURE_TYPES}) == len(FEATURE_TYPES)
    assert len(set(REST_FIELDS)) == len(REST_FIELDS)
    assert {"accession", "sequence", "ft_binding"} <= set(REST_FIELDS)


@pytest.mark.parametrize(
    ("note", "ligand", "strict", "published"),
    [
        ("Phosphoserine; by PKA", "", "Phosphoserine", "Phosphoserine"),
        ("Removed (by A; then B); alternate", "", "Removed (by A; then B)", "Removed (by A"),
        ("", "ATP", "ATP", ""),
        ("shared with dimeric partner", "Zn(2+)", "Zn(2+)", "shared with dimeric partner"),
        ("Sushi 1", "", "Sushi 1", "Sushi 1"),
        ("12", "", "", "12"),
        ("1-2; approximate", "", "", "1-2"),
        ("3b", "", "", "3b"),
        ("A", "", "A", "A"),
        ("Helical; Name=1", "", "Helical", "Helical"),
        (
            "Helical. {ECO:0000255|HAMAP- Rule:MF_1}",
            "",
            "Helical",
            "Helical. {ECO:0000255|HAMAP- Rule:MF_1}",
        ),
        ("a) odd; bracket", "", "a) odd", "a) odd"),
    ],
)
def test_options(note, ligand, strict, published):
    kind = BY_KEY["BINDING"]
    assert option_of(kind, note, ligand, "strict") == strict
    assert option_of(kind, note, ligand, "published") == published


@pytest.mark.parametrize(
    ("note", "merged"),
    [
        ("Sushi 12", "Sushi"),
        ("EF-hand 1", "EF-hand"),
        ("C2H2-type", "C2H2-type"),
        ("WD 3a", "WD"),
        ("LRR", "LRR"),
    ],
)
def test_numbered_notes_can_be_merged(note, merged):
    assert option_of(BY_KEY["REPEAT"], note, "", "strict", merge_numbered=True) == merged
    assert option_of(BY_KEY["REPEAT"], note, "", "published", merge_numbered=True) == note


def test_the_published_level_goes_by_the_name():
    assert level_of("Region_Active site loop", BY_KEY["REGION"], "published") == "residue"
    assert level_of("Region_Active site loop", BY_KEY["REGION"], "strict") == "instance"


@pytest.mark.parametrize(
    "ligand",
    [
        "Zn(2+)",
        "Mg(2+)",
        "K(+)",
        "Fe cation",
        "a divalent metal cation",
        "[4Fe-4S] cluster",
        "[2Fe-2S] cluster",
    ],
)
def test_metals_are_known_by_name(ligand):
    assert older_type_of(ligand, "") is BY_KEY["METAL"]


@pytest.mark.parametrize(
    "ligand",
    [
        "ATP",
        "GTP",
        "dCTP",
        "NAD(+)",
        "NADPH",
        "FAD",
        "FMN",
        "3',5'-cyclic AMP",
        "a ribonucleoside 5'-triphosphate",
    ],
)
def test_nucleotides_are_known_by_name(ligand):
    assert older_type_of(ligand, "") is BY_KEY["NP_BIND"]


def test_other_ligands_are_neither():
    for ligand in (
        "substrate",
        "H(+)",
        "chloride",
        "heme b",
        "S-adenosyl-L-methionine",
        "phosphate",
        "Ca"[:1],
    ):
        assert older_type_of(ligand, "") is None
    assert older_type_of("heme b", "Fe") is BY_KEY["METAL"]
