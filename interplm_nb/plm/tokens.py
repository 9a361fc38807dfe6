"""ESM-2's alphabet: sequences to token ids.

The ids are fair-esm's (`Alphabet.from_architecture("ESM-1b")`).
"""

from collections.abc import Sequence

import numpy as np

ALPHABET = (
    "<cls>",
    "<pad>",
    "<eos>",
    "<unk>",
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    "<null_1>",
    "<mask>",
)
"""Token of each id, 0 to 32."""
CLS, PAD, EOS, UNK, MASK = (
    ALPHABET.index(t) for t in ("<cls>", "<pad>", "<eos>", "<unk>", "<mask>")
)

_NONE = 255
_IDS = np.full(256, _NONE, np.uint8)
for _id, _token in enumerate(ALPHABET):
    if len(_token) == 1:
        _IDS[ord(_token)] = _id
# "<mask>" becomes one character that no alphabet uses, so that one table look-up is enough.
_MASK_CHARACTER = "\x01"
_IDS[ord(_MASK_CHARACTER)] = MASK


def residue_ids(sequence: str) -> np.ndarray:
    """uint8 [L]: the ids of a sequence's residues; `<mask>` counts as one residue.

    Raises ValueError for an unknown letter.

    Examples
    --------
    >>> residue_ids("MK<mask>").tolist()
    [20, 15, 32]
    """
    text = sequence.replace("<mask>", _MASK_CHARACTER)
    ids = _IDS[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)]
    unknown = np.flatnonzero(ids == _NONE)
    if len(unknown):
        at = int(unknown[0])
        raise ValueError(
            f"ESM-2 has no token for {text[at]!r} (position {at + 1} of {sequence[:20]!r}...); it "
            f"knows {''.join(ALPHABET[4:29])} and <mask>"
        )
    return ids


def token_ids(sequences: Sequence[str]) -> np.ndarray:
    """int64 [B, T]: <cls>, residues, <eos>, then <pad> to the batch's longest sequence."""
    ids = [residue_ids(sequence) for sequence in sequences]
    tokens = np.full((len(ids), 2 + max((len(i) for i in ids), default=0)), PAD, np.int64)
    for row, residues in zip(tokens, ids, strict=True):
        row[0] = CLS
        row[1 : 1 + len(residues)] = residues
        row[1 + len(residues)] = EOS
    return tokens
