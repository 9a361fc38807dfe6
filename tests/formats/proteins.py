"""Formats of proteins and of alignments."""

import bz2
import gzip
import lzma
from pathlib import Path

import zstandard

from interplm_nb.readers.alignment import read_family
from interplm_nb.readers.http import Answer, Connection
from interplm_nb.readers.read import read
from interplm_nb.readers.uniprot_rest import UniProtREST
from tests.formats.table import Example, Format, Read, Refused, written

LETTERS = "MKTAYIAKQRHISFVKSCFSRQLEERLGLIEVQ"
FASTA = f">sp|P1|ONE_HUMAN first\n{LETTERS[:20]}\n{LETTERS[20:].lower()}*\n>b\nACD\n"
BOTH = {"P1": LETTERS, "b": "ACD"}
GENE = "ATGACCGTTAAAGGCCATTGAACGATGACC"
NOTE = 'BINDING 5; /ligand="ATP"'
GOLDEN = Path(__file__).parents[1] / "golden" / "uniprot"


def proteins(content: str | bytes, name: str = "mine") -> Example:
    """Sequences by accession."""

    def example(folder: Path) -> dict[str, str]:
        found = read(written(folder, name, content), min_instances=1).proteins
        return dict(zip(found.accessions, found.sequences, strict=True))

    return example


def concepts(content: str | bytes, name: str = "mine") -> Example:
    """Concept, start and end of each segment."""

    def example(folder: Path) -> list[tuple]:
        found = read(written(folder, name, content), min_instances=1).annotations
        return found.table.select("concept", "start", "end").sort("concept").rows()

    return example


def how_many(name: str) -> Example:
    """Proteins and whether there are annotations, of real UniProt entries."""
    content = gzip.decompress((GOLDEN / name).read_bytes())

    def example(folder: Path) -> tuple[int, bool]:
        found = read(written(folder, "mine", content), min_instances=1)
        return len(found.proteins), len(found.annotations) > 0

    return example


def family(content: str | bytes) -> Example:
    """Members, and the width of the alignment."""

    def example(folder: Path) -> tuple[dict[str, str], int | None]:
        found = read_family(written(folder, "mine", content))
        members = dict(zip(found.proteins.accessions, found.proteins.sequences, strict=True))
        return members, found.alignment and found.alignment.n_columns

    return example


class _Answers(Connection):
    """Stands for UniProt's server."""

    def get(self, url: str) -> Answer:
        return Answer(f"Entry\tSequence\nP69905\t{LETTERS}\n", {"x-total-results": "1"})


def _rest(folder: Path) -> dict[str, str]:
    rest = UniProtREST(folder, connection=_Answers(), fields=("accession", "sequence"))
    found = read(rest.accessions(["P69905"]).path).proteins
    return dict(zip(found.accessions, found.sequences, strict=True))


def _rest_offline(folder: Path) -> None:
    UniProtREST(folder, offline=True).accessions(["P69905"])


TABLE = f"Entry\tSequence\tBinding site\nP1\t{LETTERS}\t{NOTE}\n"
QUOTED = '"Entry";"Sequence";"Binding site"\n"P1";"{}";"{}"\n'.format(
    LETTERS, NOTE.replace('"', '""')
)
WANTED = [
    (f"{kind}_{ligand}", 5, 5)
    for kind in ("Binding site", "Nucleotide binding")
    for ligand in ("ATP", "any")
]
STOCKHOLM = "# STOCKHOLM 1.0\na MK-\nb MKV\n\na L\nb L\n//\n"
TWO = {"a": "MKL", "b": "MKVL"}

PROTEINS = [
    Format(
        "FASTA",
        "ipn.read",
        [
            Read("UniProt's headers, else the first word; any line length", proteins(FASTA), BOTH),
            Read("gzip", proteins(gzip.compress(FASTA.encode())), BOTH),
            Read("zstd", proteins(zstandard.compress(FASTA.encode())), BOTH),
            Read("comment lines (`;`, `#`)", proteins(f"# by me\n;x\n{FASTA}"), BOTH),
            Read(
                "files joined without a line end",
                proteins(f"{FASTA[:-1]}>c\nACDE\n"),
                BOTH | {"c": "ACDE"},
            ),
        ],
        [
            Refused("nucleotides", "translate them first", proteins(f">g\n{GENE}\n")),
            Refused("gaps", "gap in the sequence", proteins(">a\nMK-V\n")),
            Refused("PIR (NBRF)", "convert it to FASTA", proteins(">P1;HBA\nHemoglobin\nMVL*\n")),
            Refused("sequences alone", "format not recognised", proteins("MKV\n")),
            Refused(
                "bzip2, xz, zip",
                "decompress it, or use gzip or zstd",
                proteins(bz2.compress(FASTA.encode())),
                (proteins(lzma.compress(FASTA.encode())), proteins(b"PK\x03\x04" + bytes(40))),
            ),
            Refused(
                "compressed twice", "compressed twice", proteins(gzip.compress(gzip.compress(b"")))
            ),
            Refused("cut off", "truncated or damaged", proteins(gzip.compress(b"x" * 99)[:-9])),
        ],
    ),
    Format(
        "UniProt TSV, CSV",
        "ipn.read",
        [
            Read("columns of today", concepts(TABLE), WANTED),
            Read("saved again by a spreadsheet: quoted, `;`", concepts(QUOTED), WANTED),
            Read("columns and syntax of before 2022", how_many("before_2022.tsv.gz"), (16, True)),
            Read("empty cells cut off", proteins(f"{TABLE}b\tACD\n"), BOTH),
        ],
        [
            Refused(
                "without `Entry` or `Sequence`",
                "with the columns 'Entry' and 'Sequence'",
                proteins("Entry\tLength\nP1\t5\n"),
                (proteins("Length\tSequence\n5\tMKVLA\n"),),
            ),
            Refused(
                "workbooks (.xlsx, .xls, .ods)",
                "save the sheet as TSV",
                proteins(b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml"),
                (
                    proteins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99)),
                    proteins(b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/vnd.oasis"),
                ),
            ),
        ],
    ),
    Format(
        "UniProt flat file",
        "ipn.read",
        [
            Read("feature table of today", how_many("today.dat.gz"), (6, True)),
            Read("feature table of before 2019_11", how_many("old.dat.gz"), (10, True)),
        ],
        [
            Refused(
                "cut off",
                "ends inside the entry",
                proteins("ID   A_B   Reviewed;   3 AA.\nAC   P1;\n"),
            )
        ],
    ),
    Format(
        "UniProt XML",
        "ipn.read",
        [Read("today's", how_many("multi_ex.xml.gz"), (8, True))],
        [
            Refused(
                "cut off, damaged",
                "not well-formed XML",
                proteins("<uniprot><entry>"),
                (proteins("<uniprot><entry></uniprot></entry>"),),
            ),
            Refused(
                "with a document type or entities",
                "declares a document type",
                proteins("<!DOCTYPE uniprot []><uniprot/>"),
                (proteins('<!DOCTYPE a [<!ENTITY b "c">]><uniprot>&b;</uniprot>'),),
            ),
        ],
    ),
    Format(
        "UniProt REST",
        "UniProtREST",
        [Read("a query, or a list of accessions", _rest, {"P69905": LETTERS})],
        [Refused("offline, not in the cache", "not in the cache", _rest_offline)],
    ),
]

CLUSTAL = "{}\n\na  MK-\nb  MKV\n   ** \n\na  L\nb  L\n"

ALIGNMENTS = [
    Format(
        "Stockholm",
        "read_family",
        [Read("in blocks", family(STOCKHOLM), (TWO, 4))],
        [
            Refused("without its end", "has no end", family(STOCKHOLM[:-3])),
            Refused("several alignments", "with one alignment", family(STOCKHOLM * 2)),
            Refused("where sequences are wanted", "an alignment in Stockholm", proteins(STOCKHOLM)),
        ],
    ),
    Format(
        "Clustal",
        "read_family",
        [
            Read(
                "of Clustal, MUSCLE, MAFFT, T-Coffee, PROBCONS, Kalign",
                family(CLUSTAL.format("CLUSTAL W (1.83) multiple sequence alignment")),
                (TWO, 4),
                tuple(
                    family(CLUSTAL.format(first))
                    for first in (
                        "MUSCLE (3.8) multiple sequence alignment",
                        "CLUSTAL format alignment by MAFFT (v7.520)",
                        "CLUSTAL FORMAT for T-COFFEE Version_13.45, SCORE=981, Nseq=2, Len=4",
                        "PROBCONS version 1.12 multiple sequence alignment",
                        "Kalign (2.0) alignment in ClustalW format",
                    )
                ),
            )
        ],
        [Refused("other lines", "is not a row", family("CLUSTAL\n\na MK V L\n"))],
    ),
    Format(
        "A3M",
        "read_family",
        [
            Read(
                "of HH-suite and ColabFold; lower case is in no column",
                family(">q\nMKVL\n>h\nMKa-L\n"),
                ({"q": "MKVL", "h": "MKAL"}, 4),
                (
                    family("#4\t1\n>q\nMKVL\n>h\nMKa-L\n\0"),
                    family(">ss_pred\nHHHH\n>q\nMKVL\n>h\nMKa-L\n"),
                ),
            )
        ],
        [Refused("of a complex", "which are different proteins", family("#3,2\t1,1\n>a\nMKVLA\n"))],
    ),
    Format(
        "A2M, aligned FASTA",
        "read_family",
        [
            Read(
                "gaps `-`, `.`, `~`, `_`",
                family(">a\nMK-L\n>b\nMKVL\n"),
                (TWO, 4),
                tuple(family(f">a\nMK{gap}L\n>b\nMKVL\n") for gap in ".~_"),
            )
        ],
        [Refused("rows of unequal length", "equal length", family(">a\nMK-L\n>b\nMKVLLL\n"))],
    ),
    Format(
        "Others",
        "read_family",
        [],
        [
            Refused(name, f"this is {name}", family(first))
            for name, first in {
                "NEXUS": "#NEXUS\nbegin data;\n",
                "MEGA": "#mega\n",
                "MSF": "!!AA_MULTIPLE_ALIGNMENT 1.0\n",
                "PHYLIP": " 2 33\na MKV\n",
                "HHsuite result": "Query         x\n",
                "PIR": ">P1;HBA\nHemoglobin\nMVL*\n",
            }.items()
        ],
    ),
]
