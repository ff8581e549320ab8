"""Label maps of large photos from small logits, computed where two classes meet and nowhere else.

Bilinear resizing mixes four neighbouring cells with the same shares for every class. So in the square between them a
class cannot win that another class equals or beats in all four. Most squares are left with one class, and need no
resizing; most others with two, whose difference is all that is resized.
"""

import numpy as np
import torch
from torch import Tensor

from .. import decoding
from ..decoding import NEVER, Maps
from . import switches

AT_ONCE = 2**19  # values in memory at once: they should fit into the processor's cache


def decode(maps: Maps, kept: Tensor, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """As `decoding.decode`: label map of slots, uint8 or (from 256 classes on) uint16, and foreground bool, (H, W)."""
    maps, kept = Maps(maps.classes.float().cpu(), maps.coarse.float().cpu()), kept.cpu()
    cells = maps.coarse.shape[1:]
    if not switches.cells or min(cells) < 2 or size[0] < 2 * cells[0] or size[1] < 2 * cells[1]:
        labels, foreground = decoding.decode(maps, kept, size)
        return labels.numpy().astype(kind_of(maps)), foreground.numpy()
    coarse = maps.coarse[1] - maps.coarse[0]
    human = winner(torch.stack([torch.zeros_like(coarse), coarse]), size).view(bool)
    dropped = torch.cat([torch.zeros_like(kept[:1]), ~kept])
    near = (_corners(coarse) > 0).flatten(2).any(dim=2)  # squares that the person may reach
    return winner(maps.classes.masked_fill(dropped[:, None, None], NEVER), size, near) * human, human


def kind_of(maps: Maps) -> type[np.uint8 | np.uint16]:
    """The type of the label map."""
    return np.uint8 if len(maps.classes) <= 256 else np.uint16


def winner(logits: Tensor, size: tuple[int, int], wanted: Tensor | None = None) -> np.ndarray:
    """The slot with the highest of the logits (N, h, w), resized bilinearly with aligned corners, at each pixel (H, W).

    `size` is at least twice that of the logits. Squares that are not `wanted` (h - 1, w - 1) need not be right.
    """
    best = logits.argmax(dim=0)
    (rows, row_shares), (columns, column_shares) = map(_squares, best.shape, size)
    kind = np.uint8 if len(logits) <= 256 else np.uint16
    slot_map: np.ndarray = best.numpy().astype(kind)[:, columns][rows]  # right where all corners agree
    first_row, first_column = (np.searchsorted(of, np.arange(of[-1] + 2)) for of in (rows, columns))
    corners = _corners(logits).permute(1, 2, 3, 4, 0)  # (h - 1, w - 1, 2, 2, N)
    mixed = (_corners(best).flatten(2) != best[:-1, :-1, None]).any(dim=2)
    tops, lefts = (mixed if wanted is None else mixed & wanted).nonzero(as_tuple=True)
    for some, classes in _alike(corners[tops, lefts].flatten(1, 2)):
        chunk = max(1, AT_ONCE // (row_shares.shape[1] * column_shares.shape[1] * classes.shape[1]))
        for part, slots in zip(some.split(chunk), classes.split(chunk), strict=True):
            top, left = tops[part], lefts[part]
            values = corners[top, left].gather(3, slots[:, None, None].expand(-1, 2, 2, -1))
            patches = _won(values, row_shares[top], column_shares[left], slots)
            for patch, i, j in zip(patches, top.tolist(), left.tolist(), strict=True):
                (y, below), (x, right) = first_row[i : i + 2], first_column[j : j + 2]
                slot_map[y:below, x:right] = patch[: below - y, : right - x]
    return slot_map


def _won(values: Tensor, row_shares: Tensor, column_shares: Tensor, slots: Tensor) -> np.ndarray:
    """Winning slots of M squares, (M, y, x), from their corners (M, 2, 2, C) of C classes and the shares of these."""
    slots = slots.to(torch.uint8 if slots.max() < 256 else torch.int32)
    if values.shape[3] == 2:
        values = values[..., 1:] - values[..., :1]
    between = torch.einsum("mxc,mrcn->mrxn", column_shares, values)
    mixed = (row_shares @ between.flatten(2)).unflatten(2, between.shape[2:])
    if values.shape[3] == 1:
        return torch.where(mixed[..., 0] > 0, slots[:, -1, None, None], slots[:, 0, None, None]).numpy()
    return slots.gather(1, mixed.argmax(dim=3).flatten(1)).view(mixed.shape[:3]).numpy()


def _alike(corners: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Of squares (M, 4, N) those with equally many classes C that may win: their numbers (m,), the classes (m, C)."""
    beaten = torch.zeros(len(corners), corners.shape[2], dtype=torch.bool)
    for other in range(corners.shape[2]):
        compared = corners[..., other, None]
        equal = (corners == compared).all(dim=1)
        equal[:, other + 1 :] = False  # of equal classes the first wins
        beaten |= (corners <= compared).all(dim=1) & ~equal
    counts = (~beaten).sum(dim=1)
    groups = []
    for count in counts.unique().tolist():
        some = (counts == count).nonzero()[:, 0]
        groups.append((some, (~beaten[some]).nonzero()[:, 1].view(-1, count)))
    return groups


def _squares(cells: int, pixels: int) -> tuple[np.ndarray, Tensor]:
    """For each pixel along a side the square between two cells that it lies in, (P,); the shares of the two cells in
    each pixel of each square, (cells - 1, most pixels of a square, 2)."""
    places = np.arange(pixels) * ((cells - 1) / (pixels - 1))
    squares = np.minimum(places.astype(np.int64), cells - 2)
    starts = np.searchsorted(squares, np.arange(cells))
    taken = np.minimum(starts[:-1, None] + np.arange(np.diff(starts).max()), pixels - 1)
    shares = torch.from_numpy(places[taken] - np.arange(cells - 1)[:, None]).float()
    return squares, torch.stack([1 - shares, shares], dim=-1)


def _corners(cells: Tensor) -> Tensor:
    """(..., h, w) -> the corners of each square between cells, (..., h - 1, w - 1, 2, 2)."""
    return cells.unfold(-2, 2, 1).unfold(-2, 2, 1)
