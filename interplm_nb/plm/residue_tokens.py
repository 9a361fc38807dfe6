"""One token per residue: found by probing a tokenizer; any other tokenizer is refused."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

STANDARD = "ACDEFGHIKLMNPQRSTVWY"
OTHERS = "XBUZOJ"
"""Letters besides the 20 amino acids that a model may have tokens for."""

NO_TOKEN = -1
"""Padding of a model without a token that means only padding."""

_MASK = "<mask>"
_WORD_MARKS = "▁Ġ#"
"""What tokenizers put before a token that starts or continues a word."""

# A natural protein, then every ordered pair of amino acids: a tokenizer that merges residues merges
# some pair.
_PAIRS = "".join(a + b for a in STANDARD for b in STANDARD)
_PROBES = (
    "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ",
    STANDARD,
    STANDARD[::-1],
    *(_PAIRS[i : i + 100] for i in range(0, len(_PAIRS), 100)),
    "W",
)


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    mask_token_id: int | None
    pad_token_id: int | None
    unk_token_id: int | None

    def encode(self, text: str) -> list[int]:
        """Ids, with the special tokens of the model's training."""
        ...

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        """The text of each token."""
        ...


@dataclass(frozen=True)
class ResidueTokens:
    """Ids of residues and of the special tokens around them."""

    ids: dict[str, int]
    """Letter -> id; ids are unique."""
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad: int
    """A token that means only padding; `NO_TOKEN` if the model has none."""
    mask: int | None

    @property
    def letters(self) -> str:
        """Residue letters that have a token."""
        return "".join(self.ids)

    def encode(self, sequences: Sequence[str], model: str) -> np.ndarray:
        """int64 [B, T]: prefix, residues, suffix, padding to the longest.

        `<mask>` counts as one residue. ValueError, which names the `model`, for a letter without a
        token.
        """
        rows = [self._row(sequence, model) for sequence in sequences]
        tokens = np.full((len(rows), max((len(r) for r in rows), default=0)), self.pad, np.int64)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = ids
        return tokens

    def _row(self, sequence: str, model: str) -> list[int]:
        parts = sequence.split(_MASK)
        if len(parts) > 1 and self.mask is None:
            raise ValueError(f"{model} has no mask token; give sequences without {_MASK}")
        row = list(self.prefix)
        for i, part in enumerate(parts):
            if i and self.mask is not None:
                row.append(self.mask)
            unknown = next((a for a in part if a not in self.ids), None)
            if unknown is not None:
                raise ValueError(
                    f"{model} has no token for {unknown!r} (position "
                    f"{sequence.index(unknown) + 1} of {sequence[:20]!r}...); it knows "
                    f"{self.letters}{f' and {_MASK}' if self.mask is not None else ''}"
                )
            row += [self.ids[a] for a in part]
        return [*row, *self.suffix]


def residue_tokens(tokenizer: Tokenizer, model: str) -> ResidueTokens:
    """Find the tokens of residues, in sequences without or with spaces between residues.

    Without spaces is tried first: with spaces, a model that merges residues would get tokens that
    it never saw. Raises ValueError, which names the `model`, unless L residues are L tokens between
    constant special tokens.

    Examples
    --------
    >>> class Letters:
    ...     mask_token_id, pad_token_id, unk_token_id = None, 0, 1
    ...     def encode(self, text):
    ...         return [2, *(ord(a) for a in text), 3]
    ...     def convert_ids_to_tokens(self, ids):
    ...         return [chr(i) for i in ids]
    >>> tokens = residue_tokens(Letters(), "toy")
    >>> tokens.encode(["MK", "M"], "toy").tolist()
    [[2, 77, 75, 3], [2, 77, 3, 0]]
    """
    _refuse_merging(tokenizer, model)
    for between in ("", " "):
        found = _aligned(tokenizer, between.join)
        if found is not None:
            return found
    ids = tokenizer.encode(_PROBES[0])
    raise ValueError(
        f"{model} lacks tokens for some of the 20 amino acids: {_PROBES[0][:8]!r} ... becomes "
        f"{_listed(tokenizer.convert_ids_to_tokens(ids)[:6])}; wanted a protein language model "
        "with one token per residue"
    )


def _refuse_merging(tokenizer: Tokenizer, model: str) -> None:
    for probe in _PROBES:
        ids = tokenizer.encode(probe)
        pieces: list[str] = []
        for token, i in zip(tokenizer.convert_ids_to_tokens(ids), ids, strict=True):
            residues = token.strip(_WORD_MARKS)
            if i == tokenizer.unk_token_id or not residues or not set(residues) <= set(STANDARD):
                continue
            pieces.append(residues)
            if len(residues) > 1:
                shown = pieces[-3:]
                raise ValueError(
                    f"{model} cannot be used: its tokens merge residues ({''.join(shown)!r} "
                    f"becomes {_listed(shown)}), so no vector belongs to one residue"
                )


def _aligned(tokenizer: Tokenizer, joined: Callable[[str], str]) -> ResidueTokens | None:
    """The tokens, if each probe of L residues is L tokens between constant others, else None."""
    coded = [(probe, tokenizer.encode(joined(probe))) for probe in _PROBES]
    extra = {len(ids) - len(probe) for probe, ids in coded}
    if len(extra) != 1 or min(extra) < 0:
        return None
    for first in range(extra.pop() + 1):
        found = _letters(coded, first)
        if found is None or tokenizer.unk_token_id in found.values():
            continue
        probe, coding = coded[0]
        prefix, suffix = tuple(coding[:first]), tuple(coding[first + len(probe) :])
        for letter, i in _others(tokenizer, joined, prefix, suffix, found):
            found[letter] = i
        taken = {*found.values(), *prefix, *suffix, tokenizer.mask_token_id}
        pad = tokenizer.pad_token_id
        pad = NO_TOKEN if pad is None or pad in taken else pad
        ids = {a: found[a] for a in STANDARD + OTHERS if a in found}
        return ResidueTokens(ids, prefix, suffix, pad, tokenizer.mask_token_id)
    return None


def _letters(coded: Sequence[tuple[str, list[int]]], first: int) -> dict[str, int] | None:
    """Letter -> id, if residues start at `first` and each letter has its own id."""
    found: dict[str, int] = {}
    around = set()
    for probe, ids in coded:
        residues = ids[first : first + len(probe)]
        around.add((*ids[:first], None, *ids[first + len(probe) :]))
        for letter, i in zip(probe, residues, strict=True):
            if found.setdefault(letter, i) != i:
                return None
    return found if len(around) == 1 and len(set(found.values())) == len(found) else None


def _others(
    tokenizer: Tokenizer,
    joined: Callable[[str], str],
    prefix: tuple[int, ...],
    suffix: tuple[int, ...],
    found: dict[str, int],
) -> Iterator[tuple[str, int]]:
    """Letters besides the 20 that have their own id within a sequence."""
    a, taken = found["A"], {*found.values(), *prefix, *suffix, tokenizer.unk_token_id}
    for letter in OTHERS:
        ids = tokenizer.encode(joined(f"A{letter}A"))
        i = ids[len(prefix) + 1] if len(ids) == len(prefix) + 3 + len(suffix) else None
        if i is not None and i not in taken and ids == [*prefix, a, i, a, *suffix]:
            taken.add(i)
            yield letter, i


def _listed(tokens: Sequence[str]) -> str:
    return ", ".join(map(repr, tokens))
