"""Files as they should not be: bytes, lines and cells of a good file changed at random."""

import gzip
import random
import re
from collections.abc import Callable, Sequence

LARGEST = 2 << 20
"""Bytes of a mutated file."""

_SEPARATORS = (b"\t", b",", b" ", b";")
_NUMBERS = (b"-1", b"0", b"999999999999999999999", b"1e400", b"nan", b"5.0", b"\xc2\xb2", b"1-Mar")
_CONTROL = (
    b"\x00",
    b"\x1b[31m",
    b"\r",
    b"\x0b",
    b"\x1c",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\x85",
)
_BRACKETS = (b"[", b"{", b"(", b"<a>", b'"', b"'", b"[[")

Mutation = Callable[[bytes, random.Random], bytes]


def _place(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Start and end of a part, short ones more often."""
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + int(rng.expovariate(1 / 40)))


def flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(min(len(data), rng.choice((1, 1, 2, 8)))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def dropped(data: bytes, rng: random.Random) -> bytes:
    start, end = _place(data, rng)
    return data[:start] + data[end:]


def doubled(data: bytes, rng: random.Random) -> bytes:
    start, end = _place(data, rng)
    return data[:end] + data[start:]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    start, end = _place(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def noise(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 30))) + data[at:]


def control(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_CONTROL) + data[at:]


def number(data: bytes, rng: random.Random) -> bytes:
    """A number made another."""
    found = list(re.finditer(rb"\d+", data[:100_000]))
    if not found:
        return data
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(_NUMBERS) + data[match.end() :]


def nested(data: bytes, rng: random.Random) -> bytes:
    """Brackets opened many times."""
    at = rng.choice((0, rng.randrange(len(data) + 1)))
    return data[:at] + rng.choice(_BRACKETS) * rng.choice((1, 200, 100_000)) + data[at:]


def lines(data: bytes, rng: random.Random) -> bytes:
    """A line dropped, doubled, moved, emptied, or joined to the next."""
    rows = data.split(b"\n")
    i, j = rng.randrange(len(rows)), rng.randrange(len(rows))
    match rng.randrange(5):
        case 0:
            del rows[i]
        case 1:
            rows.insert(j, rows[i])
        case 2:
            rows[i], rows[j] = rows[j], rows[i]
        case 3:
            rows[i] = rng.choice((b"", b" ", b"\t\t"))
        case _:
            rows[i : i + 2] = [b"".join(rows[i : i + 2])]
    return b"\n".join(rows)


def cells(data: bytes, rng: random.Random) -> bytes:
    """A cell of a line swapped with another, dropped, emptied, made long, or quoted."""
    rows = data.split(b"\n")
    i = rng.randrange(len(rows))
    separator = rng.choice([s for s in _SEPARATORS if s in rows[i]] or [b"\t"])
    row = rows[i].split(separator)
    a, b = rng.randrange(len(row)), rng.randrange(len(row))
    match rng.randrange(5):
        case 0:
            row[a], row[b] = row[b], row[a]
        case 1:
            del row[a]
        case 2:
            row[a] = b""
        case 3:
            row[a] *= rng.choice((2, 100, max(1, 200_000 // (len(row[a]) + 1))))
        case _:
            row[a] = b'"' + row[a] + rng.choice((b"", b'"'))
    rows[i] = separator.join(row)
    return b"\n".join(rows)


def encoded(data: bytes, rng: random.Random) -> bytes:
    """The text in another encoding, with a mark, or with other line ends."""
    text = data.decode("utf-8", "replace")
    match rng.randrange(5):
        case 0:
            return text.encode("utf-16")
        case 1:
            return text.replace("a", "ä").encode("latin-1", "replace")
        case 2:
            return b"\xef\xbb\xbf" + data
        case 3:
            return data.replace(b"\n", b"\r\n")
        case _:
            return data.replace(b"\n", b"\r")


def packed(data: bytes, rng: random.Random) -> bytes:
    """Compressed once or twice, and then perhaps damaged."""
    for _ in range(rng.choice((1, 1, 1, 2))):
        data = gzip.compress(data, 1, mtime=0)
    damage = rng.choice((None, cut, flipped, doubled))
    return damage(data, rng) if damage else data


BYTES: tuple[Mutation, ...] = (flipped, cut, dropped, doubled, zeroed, noise)
TEXT: tuple[Mutation, ...] = (*BYTES, control, number, nested, lines, cells, lines, cells, encoded)


def mutated(
    seeds: Sequence[bytes], kinds: Sequence[Mutation], rng: random.Random, compress: bool
) -> bytes:
    """One of the good files with one to four changes, or joined with another."""
    data = rng.choice(seeds)
    if rng.random() < 0.05:
        data += rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(kinds)(data or b"\n", rng)[:LARGEST]
    return packed(data, rng) if compress and rng.random() < 0.1 else data
