"""Overlapping windows over a photo too large to be seen at once, and the one label map that comes of them."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from networks import decoding
from networks.decoding import Maps
from networks.fast import cells


class Tile(NamedTuple):
    """A window [top, bottom) x [left, right) of the photo and, within the photo, the part of it that is kept."""

    window: tuple[slice, slice]
    core: tuple[slice, slice]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the window."""
        rows, columns = self.window
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def inner(self) -> tuple[slice, slice]:
        """The core as the window counts, from its own corner."""
        (top, left), (rows, columns) = (part.start for part in self.window), self.core
        return slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)


class SlotMap(NamedTuple):
    """A parsed photo: slots (H, W), uint8 or uint16, 0 the background; foreground (H, W) bool; scores (K,)."""

    slots: np.ndarray
    foreground: np.ndarray
    scores: Tensor

    def blank(self) -> "SlotMap":
        """The same photo with nobody in it."""
        return SlotMap(np.zeros_like(self.slots), np.zeros_like(self.foreground), torch.zeros_like(self.scores))

    def placed(self, window: tuple[slice, slice], size: tuple[int, int]) -> "SlotMap":
        """As the window of a photo of `size` (H, W) in which nobody else is."""
        slots, foreground = (np.zeros(size, dtype=part.dtype) for part in (self.slots, self.foreground))
        slots[window], foreground[window] = self.slots, self.foreground
        return SlotMap(slots, foreground, self.scores)


def tiles(size: tuple[int, int], side: int, overlap: float = 0.25) -> list[Tile]:
    """Cover a photo of `size` (H, W) with windows of at most `side` pixels that overlap by the share `overlap`.

    The cores cover every pixel once: each keeps its half of an overlap, since a network knows least about the rim.
    """
    rows, columns = (_spans(length, side, overlap) for length in size)
    pairs = itertools.product(rows, columns)
    return [Tile((row, column), (row_core, column_core)) for (row, row_core), (column, column_core) in pairs]


def join_tiles(windows: Sequence[Tile], maps: Sequence[Maps], min_score: float) -> SlotMap:
    """Decode the maps of all windows of a photo.

    A class whose score (`class_scores`) is below `min_score` is absent: its pixels go to the next best.
    """
    scores = decoding.class_scores(maps)
    height, width = (cores[-1].stop for cores in zip(*(tile.core for tile in windows), strict=True))
    parts = (cells.decode(one, scores >= min_score, tile.size) for tile, one in zip(windows, maps, strict=True))
    if len(windows) == 1:
        return SlotMap(*next(parts), scores)
    slots = np.zeros((height, width), dtype=cells.kind_of(maps[0]))
    foreground = np.zeros((height, width), dtype=bool)
    for tile, (labels, human) in zip(windows, parts, strict=True):
        slots[tile.core], foreground[tile.core] = labels[tile.inner], human[tile.inner]
    return SlotMap(slots, foreground, scores)


def _spans(length: int, side: int, overlap: float) -> list[tuple[slice, slice]]:
    side = min(side, length)
    step = max(1, int(side * (1 - overlap)))
    count = 1 + -(-(length - side) // step)
    starts = [round(i * (length - side) / max(count - 1, 1)) for i in range(count)]
    middles = [(a + side + b) // 2 for a, b in itertools.pairwise(starts)]
    cores = zip([0, *middles], [*middles, length], strict=True)
    return [(slice(start, start + side), slice(*core)) for start, core in zip(starts, cores, strict=True)]
