"""The vocabulary: every UniProt feature type, the concepts it gives, and their names.

`strict` naming is this project's; `published` is that of InterPLM's released parser: only the
columns it reads, named by the note alone.
"""

import re
from dataclasses import dataclass
from typing import Literal

Convention = Literal["strict", "published"]
Naming = Literal["options", "single"]
Level = Literal["residue", "instance"]


@dataclass(frozen=True)
class FeatureType:
    """One UniProt feature type."""

    key: str
    """Key in flat files and TSV cells, such as `BINDING`."""
    column: str
    """TSV column, such as `Binding site`."""
    xml: str
    """`type` in XML."""
    field: str | None
    """REST API field; None for a type that is obsolete or gives no concept."""
    naming: Naming | None = None
    """`options`: a concept per note or ligand, and `any`; `single`: one concept; None: none."""
    level: Level = "instance"
    published: Naming | None = None
    """`naming` in the `published` convention; `single` types are InterPLM's binary and paired."""
    paired: bool = False
    """A range `a..b` means its two ends, not the residues between them."""

    @property
    def category(self) -> str:
        """First part of the concepts' names: the column without ` [FT]`."""
        return self.column.removesuffix(" [FT]")

    def naming_in(self, convention: Convention) -> Naming | None:
        """How a convention names this type's concepts; None if it has none of this type."""
        return self.naming if convention == "strict" else self.published


FEATURE_TYPES = (
    FeatureType(
        "ACT_SITE", "Active site", "active site", "ft_act_site", "options", "residue", "options"
    ),
    # InterPLM's parser makes options of ligands and then looks for them in notes: it finds none.
    FeatureType("BINDING", "Binding site", "binding site", "ft_binding", "options"),
    FeatureType(
        "CARBOHYD",
        "Glycosylation",
        "glycosylation site",
        "ft_carbohyd",
        "options",
        "residue",
        "options",
    ),
    FeatureType(
        "MOD_RES",
        "Modified residue",
        "modified residue",
        "ft_mod_res",
        "options",
        "residue",
        "options",
    ),
    FeatureType(
        "LIPID",
        "Lipidation",
        "lipid moiety-binding region",
        "ft_lipid",
        "options",
        "residue",
        "single",
    ),
    FeatureType(
        "DISULFID",
        "Disulfide bond",
        "disulfide bond",
        "ft_disulfid",
        "single",
        "residue",
        "single",
        paired=True,
    ),
    FeatureType(
        "CROSSLNK", "Cross-link", "cross-link", "ft_crosslnk", "options", "residue", paired=True
    ),
    FeatureType(
        "SIGNAL", "Signal peptide", "signal peptide", "ft_signal", "single", "instance", "options"
    ),
    FeatureType(
        "TRANSIT",
        "Transit peptide",
        "transit peptide",
        "ft_transit",
        "options",
        "instance",
        "options",
    ),
    FeatureType("PROPEP", "Propeptide", "propeptide", "ft_propep", "single"),
    FeatureType("HELIX", "Helix", "helix", "ft_helix", "single", "instance", "single"),
    FeatureType("TURN", "Turn", "turn", "ft_turn", "single", "instance", "single"),
    FeatureType("STRAND", "Beta strand", "strand", "ft_strand", "single", "instance", "single"),
    FeatureType(
        "COILED", "Coiled coil", "coiled-coil region", "ft_coiled", "single", "instance", "single"
    ),
    FeatureType(
        "COMPBIAS",
        "Compositional bias",
        "compositionally biased region",
        "ft_compbias",
        "options",
        "instance",
        "options",
    ),
    FeatureType("DOMAIN", "Domain [FT]", "domain", "ft_domain", "options", "instance", "options"),
    FeatureType(
        "MOTIF", "Motif", "short sequence motif", "ft_motif", "options", "instance", "options"
    ),
    FeatureType(
        "REGION", "Region", "region of interest", "ft_region", "options", "instance", "options"
    ),
    FeatureType("REPEAT", "Repeat", "repeat", "ft_repeat", "options"),
    FeatureType(
        "ZN_FING",
        "Zinc finger",
        "zinc finger region",
        "ft_zn_fing",
        "options",
        "instance",
        "options",
    ),
    FeatureType("DNA_BIND", "DNA binding", "DNA-binding region", "ft_dna_bind", "options"),
    FeatureType("TRANSMEM", "Transmembrane", "transmembrane region", "ft_transmem", "options"),
    FeatureType("TOPO_DOM", "Topological domain", "topological domain", "ft_topo_dom", "options"),
    # Separate columns until UniProt 2022_03, which made them binding sites with a ligand.
    FeatureType("METAL", "Metal binding", "metal ion-binding site", None, "options", "residue"),
    FeatureType(
        "NP_BIND", "Nucleotide binding", "nucleotide phosphate-binding region", None, "options"
    ),
    FeatureType("CA_BIND", "Calcium binding", "calcium-binding region", None, "single"),
    # No concept: how a protein is cut, how sequences differ, what was mutated.
    FeatureType("INTRAMEM", "Intramembrane", "intramembrane region", None),
    FeatureType("CHAIN", "Chain", "chain", None),
    FeatureType("PEPTIDE", "Peptide", "peptide", None),
    FeatureType("INIT_MET", "Initiator methionine", "initiator methionine", None),
    FeatureType("SITE", "Site", "site", None),
    FeatureType("NON_STD", "Non-standard residue", "non-standard amino acid", None),
    FeatureType("MUTAGEN", "Mutagenesis", "mutagenesis site", None),
    FeatureType("VARIANT", "Natural variant", "sequence variant", None),
    FeatureType("VAR_SEQ", "Alternative sequence", "splice variant", None),
    FeatureType("CONFLICT", "Sequence conflict", "sequence conflict", None),
    FeatureType("NON_CONS", "Non-adjacent residues", "non-consecutive residues", None),
    FeatureType("NON_TER", "Non-terminal residue", "non-terminal residue", None),
    FeatureType("UNSURE", "Sequence uncertainty", "unsure residue", None),
)

BY_KEY = {kind.key: kind for kind in FEATURE_TYPES}
BY_KEY["VARSPLIC"] = BY_KEY["VAR_SEQ"]  # its name until 2006
BY_COLUMN = {kind.column.lower(): kind for kind in FEATURE_TYPES}
BY_XML = {kind.xml: kind for kind in FEATURE_TYPES}

COFACTOR_COLUMN = "Cofactor"
"""A column of comments: it names ligands without residues, so it gives no segment.

The residues are in `Binding site`.
"""

REST_FIELDS = (
    "accession",
    "reviewed",
    "id",
    "protein_name",
    "gene_names",
    "organism_name",
    "organism_id",
    "length",
    "sequence",
    *(kind.field for kind in FEATURE_TYPES if kind.field),
    "xref_alphafolddb",
)
"""Fields to request from UniProt's REST API for a table with every concept."""

# InterPLM searches the whole name of the concept for these words.
_PUBLISHED_RESIDUE = (
    "Active site",
    "Cofactor",
    "Glycosylation",
    "Modified residue",
    "amino_acid",
    "Disulfide bond",
)

_METALS = "Ag|Al|Ba|Ca|Cd|Co|Cr|Cs|Cu|Fe|Hg|K|La|Li|Mg|Mn|Mo|Na|Ni|Pb|Rb|Sr|Tb|V|W|Yb|Zn"
_METAL = re.compile(
    rf"(?:{_METALS})(?:\(\d?\+\)| cation)?|(?:a|an) (?:\w+ )?metal cation"
    r"|\[.*(?:Fe|Ni|Mo|V).*\] cluster"
)
_BASES = "A|C|G|I|T|U|X"
_NUCLEOTIDE = re.compile(
    rf"d?(?:{_BASES})[MDT]P|3',5'-cyclic (?:{_BASES})MP|NADP?(?:\(\+\)|H)|(?:FAD|FMN)(?:H2)?"
    r"|an? (?:ribo|deoxyribo)?nucleoside .*phosphate"
)
_EVIDENCE = re.compile(r"\.?\s*\{ECO:[^}]*\}")  # left in notes by converters of flat files
_ORDINAL = re.compile(r"[\s;,]*\b\d+[a-z]?$")
_NUMBER_ALONE = re.compile(r"[\d\s.,-]*(?:\d[a-z]?)?")


def level_of(concept: str, kind: FeatureType, convention: Convention) -> Level:
    """How recall counts a concept."""
    if convention == "strict":
        return kind.level
    return "residue" if any(words in concept for words in _PUBLISHED_RESIDUE) else "instance"


def option_of(
    kind: FeatureType, note: str, ligand: str, convention: Convention, merge_numbered: bool = False
) -> str:
    """The part of a concept's name after `_`; "" if the entry has none.

    `published`: the note up to the first `;`. `strict`: the ligand, or without one the note up to
    the first `;` outside brackets; a note that is only a number gives no name. `merge_numbered`
    makes `WD 1` and `WD 2` one concept, `WD`.

    Examples
    --------
    >>> option_of(BY_KEY["ZN_FING"], "C2H2-type 3; degenerate", "", "strict")
    'C2H2-type 3'
    >>> option_of(BY_KEY["ZN_FING"], "C2H2-type 3", "", "strict", merge_numbered=True)
    'C2H2-type'
    """
    if convention == "published":
        return note.partition(";")[0].strip()
    if ligand:
        return ligand
    option = _EVIDENCE.sub("", _until_semicolon(note)).strip().removesuffix(".")
    if merge_numbered:
        option = _ORDINAL.sub("", option)
    return "" if _NUMBER_ALONE.fullmatch(option) else option


def older_type_of(ligand: str, part: str) -> FeatureType | None:
    """Metal or nucleotide binding, if a site with this ligand was of that type until 2022."""
    if _METAL.fullmatch(ligand) or _METAL.fullmatch(part):
        return BY_KEY["METAL"]
    return BY_KEY["NP_BIND"] if _NUCLEOTIDE.fullmatch(ligand) else None


def _until_semicolon(note: str) -> str:
    """The note up to the first `;` outside brackets."""
    if ";" not in note:
        return note
    depth = 0
    for i, letter in enumerate(note):
        if letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == ";" and depth <= 0:
            return note[:i]
    return note
