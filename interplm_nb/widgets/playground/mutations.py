"""A sequence as a person types it, and substitutions in it, such as A12V."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import within_limit
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.sequences import clean_sequence
from interplm_nb.readers.variants import Mutation, parse_variant

_UNIPROT = re.compile(r"(?:sp|tr)\|([^|\s]+)\|")
NAME_LENGTH = 60


class _Refusal(ReadReport):
    """Stops at what is wrong, in words for somebody who typed it."""

    def reject(
        self, reason: str, record: str, detail: str, wanted: str, line: int | None = None
    ) -> None:
        """InputError, where a file's reader would note the record and go on."""
        raise InputError(f"{reason}: {detail}; {wanted}")


class Named(NamedTuple):
    """A sequence and its name in FASTA; the name is empty where it had none."""

    name: str
    sequence: str


def read_one(text: str, longest: int) -> Named:
    """One sequence, plain or as FASTA, in upper-case letters of `LETTERS`.

    InputError, with what to do, where there is no sequence or it has over `longest` residues.
    """
    header, _, rest = (
        text.strip().partition("\n") if text.lstrip().startswith(">") else ("", "", text)
    )
    if n := len(re.findall(r"^\s*>", rest, re.MULTILINE)):
        raise InputError(f"{n + 1} sequences: one is read at a time; keep one of them")
    words = header[1:].split(maxsplit=1)
    uniprot = _UNIPROT.match(words[0]) if words else None
    name = uniprot[1] if uniprot else words[0][:NAME_LENGTH] if words else ""
    report = _Refusal("the sequence", strict=True)
    sequence = clean_sequence("".join(rest.split()), report, name)
    assert sequence is not None  # what is wrong has been refused
    within_limit(Proteins.from_sequences({name or "sequence": sequence}), report, longest)
    return Named(name, sequence)


def read_mutations(written: Sequence[str], sequence: str) -> list[Mutation]:
    """Substitutions in `sequence`, by position.

    Parameters
    ----------
    written
        Such as "A12V": the letter there, its position from 1, the new letter.
    sequence
        The reference.

    Raises
    ------
    ValueError
        One is not written so, does not fit the sequence, or comes twice.

    Examples
    --------
    >>> read_mutations(["K3R", "M1V"], "MAK")
    [Mutation(before='M', position=1, after='V'), Mutation(before='K', position=3, after='R')]
    """
    found = sorted((_one(text, sequence) for text in written), key=lambda one: one.position)
    for one, other in pairwise(found):
        if one.position == other.position:
            raise ValueError(f"{one} and {other} change the same residue; keep one of them")
    return found


def _one(text: str, sequence: str) -> Mutation:
    if not sequence:
        raise ValueError(f"{text}: there is no sequence yet")
    mutations = parse_variant(text, sequence)
    if len(mutations) != 1:
        raise ValueError(f"a mutation is written as A12V, each by itself, not {text!r}")
    return mutations[0]
