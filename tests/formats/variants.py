"""Formats of mutational scans."""

from pathlib import Path

from interplm_nb.readers.variants import read_variants
from tests.formats.table import Example, Format, Read, Refused, written

WILD = "MKVLA"
ROWS = [("K2A", 0.5), ("K2A V3L", -1.5)]


def scan(content: str, wild_type: str = WILD, variant: str = "variant") -> Example:
    """Variant and score of each row."""

    def example(folder: Path) -> list[tuple]:
        read = read_variants(written(folder, "a.csv", content), wild_type, variant, strict=True)
        names = [" ".join(map(str, variant)) for variant in read.scan.variants]
        return list(zip(names, read.scan.scores.tolist(), strict=True))

    return example


def _from_fasta(folder: Path) -> list[tuple]:
    wild = written(folder, "wild.fasta", f">P1\n{WILD}\n")
    table = written(folder, "a.csv", "variant,score\nK2A,0.5\nK2A:V3L,-1.5\n")
    found = read_variants(table, wild, strict=True).scan
    names = [" ".join(map(str, variant)) for variant in found.variants]
    return list(zip(names, found.scores.tolist(), strict=True))


VARIANTS = [
    Format(
        "mutational scan: a table",
        "readers.variants",
        [
            Read(
                "CSV, TSV or Parquet with a column of variants, such as `K2A` or `K2A,V3L`, and "
                "one of scores; the names of the columns are parameters",
                scan('variant,score\nK2A,0.5\n"K2A,V3L",-1.5\n'),
                ROWS,
                (scan("mutant\tscore\nK2A\t0.5\nK2A:V3L\t-1.5\n", variant="mutant"),),
            ),
            Read("the wild type from a FASTA file", _from_fasta, ROWS),
            Read(
                "the wild type from a column",
                scan("variant;score;wild\nK2A;0.5;MKVLA\nK2A/V3L;-1.5;MKVLA\n", "wild"),
                ROWS,
            ),
        ],
        [
            Refused(
                "a letter that the wild type does not have there",
                "the wild type has K at 2, not A; is it another sequence, or another number for "
                "its first residue?",
                scan("variant,score\nA2C,1\n"),
            ),
            Refused(
                "a stop",
                "K2* has a stop; a variant has the 20 amino acids",
                scan("variant,score\nK2*,1\n"),
            ),
            Refused(
                "a deletion or another change",
                "is not a substitution; write the old letter, the position and the new letter",
                scan("variant,score\nK2del,1\n"),
            ),
            Refused(
                "a score that is no number",
                "score not a number",
                scan("variant,score\nK2A,high\n"),
            ),
        ],
    ),
]
