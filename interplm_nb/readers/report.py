"""What a reader kept, what it skipped, and why."""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

EXAMPLES = 1000
"""Records kept per reason, to bound a report's memory; the counts continue."""


class InputError(ValueError):
    """A file that cannot be read; the message says where, what was wanted, and what to do."""


@dataclass(eq=False)
class ReadReport:
    """Records kept from one file, and notes on the others, by reason.

    A note is about a valid record that was changed or skipped (a fuzzy position, a filter). A
    rejection is about an invalid record: with `strict` it stops the reading with an `InputError`,
    otherwise it is a note too.

    Examples
    --------
    >>> report = ReadReport("mine.fasta")
    >>> report.reject("no sequence", "P1", "the record is empty", "add its residues", line=3)
    >>> report.counts(), report.records("no sequence")
    ({'no sequence': 1}, ['P1'])
    >>> print(report)
    mine.fasta: 0 proteins kept
              1  no sequence (P1: the record is empty (line 3))
    """

    file: Path | str
    strict: bool = False
    """Stop at the first invalid record instead of skipping it."""
    kept: int = 0
    """How many were kept."""
    rejected: int = 0
    """Invalid records skipped."""
    what: str = "proteins"
    """What is kept."""
    _counts: dict[str, int] = field(default_factory=dict, repr=False)
    _examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict, repr=False)

    def note(self, reason: str, record: str, detail: str = "", n: int = 1) -> None:
        """Count a record (or `n` rows of it) under a reason."""
        self._counts[reason] = self._counts.get(reason, 0) + n
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append((record, detail))

    def reject(
        self, reason: str, record: str, detail: str, wanted: str, line: int | None = None
    ) -> None:
        """Note an invalid record, or raise `InputError` if strict; `wanted` says how to fix it."""
        place = f" (line {line})" if line is not None else ""
        if self.strict:
            raise InputError(
                f"{self.file}: {record}{place}: {reason}: {detail}; {wanted}, or read without "
                "strict to skip it"
            )
        self.rejected += 1
        self.note(reason, record, detail + place)

    def add(self, other: "ReadReport") -> None:
        """Count what another report has counted too."""
        self.rejected += other.rejected
        for reason, n in other._counts.items():
            self._counts[reason] = self._counts.get(reason, 0) + n
            examples = self._examples.get(reason, []) + other._examples[reason]
            self._examples[reason] = examples[:EXAMPLES]

    def counts(self) -> dict[str, int]:
        """Notes by reason."""
        return dict(self._counts)

    def records(self, reason: str) -> list[str]:
        """The records noted under a reason (the first 1,000)."""
        return [record for record, _ in self._examples.get(reason, [])]

    def table(self) -> pl.DataFrame:
        """One row per reason, most frequent first.

        Columns: reason, n, records (list of the first 1,000 names), example (the first detail).
        """
        rows = [
            {
                "reason": reason,
                "n": n,
                "records": self.records(reason),
                "example": self._examples[reason][0][1],
            }
            for reason, n in self._counts.items()
        ]
        schema = {
            "reason": pl.String,
            "n": pl.Int64,
            "records": pl.List(pl.String),
            "example": pl.String,
        }
        return pl.DataFrame(rows, schema=schema).sort("n", descending=True, maintain_order=True)

    def __str__(self) -> str:
        lines = [f"{self.file}: {self.kept:,} {self.what} kept"]
        for reason, n, records, example in self.table().iter_rows():
            first = f"{records[0]}: {example}" if example else records[0]
            lines.append(f"  {n:>9,}  {reason} ({first}{', ...' if n > 1 else ''})")
        return "\n".join(lines)
