"""Sequences end to end in lanes of nearly equal length, to fill every step of a recurrent model.

Padded batches waste part of every step, and a step of few lanes costs nearly as much as one of
many.
"""

import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Block(NamedTuple):
    """Some steps of the lanes that have not ended by the first of them."""

    tokens: np.ndarray
    """uint8 [T, B]; 0 after a lane's end."""
    rows: np.ndarray
    """int64 [T, B]: each token's row of the residue axis; -1 after a lane's end."""
    begins: dict[int, np.ndarray]
    """Step of the block -> lanes in which a sequence starts there."""


def n_lanes(lengths: Sequence[int], most: int) -> int:
    """Number of lanes that can be full, at most `most`: no more end before the longest sequence."""
    return max(1, min(most, len(lengths), -(-sum(lengths) // max(lengths))))


def packed(lengths: Sequence[int], lanes: int) -> list[list[int]]:
    """Indices of the sequences of each lane, longest lane first.

    Each sequence, longest first, goes to the shortest lane.
    """
    heap = [(0, lane) for lane in range(lanes)]
    held: list[list[int]] = [[] for _ in range(lanes)]
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        load, lane = heapq.heappop(heap)
        held[lane].append(i)
        heapq.heappush(heap, (load + lengths[i], lane))
    return sorted(held, key=lambda lane: -sum(lengths[i] for i in lane))


def blocks(
    lanes: Sequence[Sequence[int]],
    tokens: Sequence[np.ndarray],
    rows: Sequence[np.ndarray],
    tokens_per_block: int,
) -> Iterator[Block]:
    """The lanes' steps in order, in blocks of at most `tokens_per_block` tokens (or one step).

    `tokens` and `rows` are per sequence. Lanes come longest first, so that a block has the first
    lanes of the block before it.
    """
    joined = [np.concatenate([tokens[i] for i in lane]) for lane in lanes]
    at = [np.concatenate([rows[i] for i in lane]) for lane in lanes]
    begins = [np.cumsum([0, *(len(tokens[i]) for i in lane[:-1])]) for lane in lanes]
    ends = np.array([len(lane) for lane in joined])
    first = 0
    while (width := int((ends > first).sum())) > 0:
        last = min(int(ends[0]), first + max(1, tokens_per_block // width))
        block = Block(
            np.zeros((last - first, width), np.uint8),
            np.full((last - first, width), -1, np.int64),
            {},
        )
        for lane in range(width):
            stop = min(last, int(ends[lane]))
            block.tokens[: stop - first, lane] = joined[lane][first:stop]
            block.rows[: stop - first, lane] = at[lane][first:stop]
        here = [(int(s) - first, k) for k in range(width) for s in begins[k] if first <= s < last]
        for step in sorted({step for step, _ in here}):
            block.begins[step] = np.array([k for s, k in here if s == step])
        yield block
        first = last
