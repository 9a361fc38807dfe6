"""Protein sequences from files, cleaned for `Proteins` or rejected with the reason."""

import re
from collections.abc import Collection

from interplm_nb.proteins import LETTERS, Proteins
from interplm_nb.readers.report import InputError, ReadReport

NUCLEOTIDES = "ACGTUN"
"""Letters of DNA and RNA, N for any; all are letters of residues too."""

_GOOD = re.compile(rf"[{LETTERS}]+")
_FAULTS = (
    (
        "gap in the sequence",
        re.compile(r"[-.]"),
        "remove the gaps (an alignment is not a sequence)",
    ),
    (
        "stop inside the sequence",
        re.compile(r"\*"),
        "only one final * is allowed; cut the sequence at the stop",
    ),
    ("digit in the sequence", re.compile(r"\d"), "remove numbers from the sequence lines"),
    ("blank in the sequence", re.compile(r"\s"), "remove the blanks"),
    ("letter that is not a residue", re.compile(rf"[^{LETTERS}]"), f"residues are {LETTERS}"),
)


def are_nucleotides(sequence: str) -> bool:
    """Whether these upper-case letters are DNA or RNA, not residues.

    They are from 30 letters on, with A, C, G, and T or U among them, if at least 95 % are of
    `NUCLEOTIDES` (the rest may be codes such as R and Y). In proteins that share stays below 80 %,
    except repeats of one or two residues, which lack one of the four.

    Examples
    --------
    >>> are_nucleotides("ATGACCGTTAAAGGCCATTGAACGATGACC"), are_nucleotides("GA" * 30)
    (True, False)
    """
    others = sequence.encode().translate(None, delete=NUCLEOTIDES.encode())
    return (
        len(sequence) >= 30
        and len(others) <= 0.05 * len(sequence)
        and set("ACG") <= set(sequence)
        and not set("TU").isdisjoint(sequence)
    )


def reject_nucleotides(
    sequence: str, report: ReadReport, record: str, line: int | None = None
) -> bool:
    """Whether `are_nucleotides`, which the report rejects."""
    if not are_nucleotides(sequence):
        return False
    report.reject(
        "nucleotides, not residues",
        record,
        f"{len(sequence):,} letters of A, C, G, T or U: translate them first",
        "give the protein",
        line,
    )
    return True


def short_nucleotides(sequences: Collection[str]) -> bool:
    """Whether sequences too short for `are_nucleotides` are DNA or RNA, taken together."""
    return max(map(len, sequences), default=0) < 30 and are_nucleotides("".join(sequences))


def refuse_nucleotides(proteins: Proteins) -> None:
    """`InputError` where a sequence is DNA or RNA, by `are_nucleotides`.

    For proteins that no reader of files checked.

    Examples
    --------
    >>> refuse_nucleotides(Proteins.from_sequences({"P1": "MKTAYIAKQR"}))
    """
    names, sequences = proteins.accessions, proteins.sequences
    found = [a for a, s in zip(names, sequences, strict=True) if are_nucleotides(s)]
    if not found and short_nucleotides(sequences):
        found = list(names)
    if found:
        raise InputError(
            f"{len(found):,} of {len(names):,} sequences are nucleotides, not residues, such as "
            f"{found[0]}: translate them first"
        )


def clean_sequence(
    raw: str, report: ReadReport, record: str, line: int | None = None
) -> str | None:
    """Upper-case letters of `LETTERS` without a final `*`; None if the record is rejected.

    Nucleotides are rejected too (`are_nucleotides`). Changes are noted in the report.

    Examples
    --------
    >>> report = ReadReport("mine.fasta")
    >>> clean_sequence("mkv*", report, "P1")
    'MKV'
    >>> clean_sequence("MK-V", report, "P2") is None
    True
    >>> sorted(report.counts())
    ['final * removed', 'gap in the sequence', 'lower case made upper case']
    """
    sequence = raw.removesuffix("*")
    # The upper case of some Unicode letters is another letter, or two: only ASCII is converted.
    sequence = sequence.upper() if sequence.isascii() else sequence
    if reject_nucleotides(sequence, report, record, line):
        return None
    if _GOOD.fullmatch(sequence):
        if raw.endswith("*"):
            report.note("final * removed", record)
        if not raw.isupper():
            report.note("lower case made upper case", record)
        return sequence
    if not sequence:
        report.reject(
            "no sequence",
            record,
            "the record is empty",
            "a record needs at least one residue",
            line,
        )
        return None
    for reason, fault, wanted in _FAULTS:
        found = fault.search(sequence)
        if found:
            report.reject(
                reason, record, f"{found.group()!r} at position {found.start() + 1}", wanted, line
            )
            return None
    raise AssertionError(f"unreachable: {sequence[:40]!r} is neither good nor faulty")


def is_repeat(
    known: str | None, sequence: str, report: ReadReport, record: str, line: int | None = None
) -> bool:
    """Whether this accession came before, with the sequence `known`.

    An identical sequence is noted, another one rejected.
    """
    if known is None:
        return False
    if known == sequence:
        report.note("identical duplicate left out", record)
    else:
        detail = f"{len(sequence)} residues, {len(known)} the first time"
        report.reject(
            "accession again with another sequence",
            record,
            detail,
            "give each sequence its own name",
            line,
        )
    return True
