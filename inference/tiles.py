"""Overlapping windows over a photo too large to be seen at once."""

from __future__ import annotations

import itertools
from typing import NamedTuple


class Tile(NamedTuple):
    """A window [top, bottom) x [left, right) and, within the photo, the part of it that is kept."""

    window: tuple[slice, slice]
    core: tuple[slice, slice]


def tiles(size: tuple[int, int], side: int, overlap: float = 0.25) -> list[Tile]:
    """Cover a photo of `size` (H, W) with windows of at most `side` pixels that overlap by the share `overlap`.

    The cores cover every pixel once: where two windows meet, each keeps its half of the overlap, since a network
    knows least about the rim of what it sees.
    """
    rows, columns = (_spans(length, side, overlap) for length in size)
    return [
        Tile((slice(*row), slice(*column)), (slice(*row_core), slice(*column_core)))
        for row, row_core in rows
        for column, column_core in columns
    ]


def _spans(length: int, side: int, overlap: float) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    side = min(side, length)
    step = max(1, int(side * (1 - overlap)))
    count = 1 + -(-(length - side) // step)
    starts = [round(i * (length - side) / max(count - 1, 1)) for i in range(count)]
    middles = [(a + side + b) // 2 for a, b in itertools.pairwise(starts)]
    cores = zip([0, *middles], [*middles, length], strict=True)
    return [((start, start + side), core) for start, core in zip(starts, cores, strict=True)]
