"""The persons of a photo: found by looking at it at several scales, or by the boxes of a detector; each has its place.

A network that learned from photos of one person each overlooks people who are small or beside the middle. It finds them
where it sees the photo larger, at the price of patches of background. So each patch is looked at again, cropped as a
photo of its own: of a person, both looks show the same outline, and the network sees the head above and the feet below.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from .boxes import Box, check_box
from .tiles import SlotMap

LOOKS = (1, 2, 3)  # times the network's size: how large it sees the photo
LEAST_SHARE = 0.02  # of the largest patch, in pixels: a person of a quarter of another's height has 0.06
LEAST_CELLS = 30  # of the feature at the last look: what is smaller shows nobody
MOST = 24  # patches that are looked at again
AGREEMENT = 0.6  # intersection over union of two looks' outlines from which on a patch is a person
FILLS = 0.6  # of a photo's longer side: a single person who takes that much of it is parsed with all of the photo
ATTEMPTS = 2  # to agree, each around what the one before has found
UPRIGHT = 0.975  # correlation of rows and heights on the body from which on a patch is a person
MARGIN = 0.15  # around a person's box, of its longer side: what the network sees with it
BEYOND = 0.05  # around a detector's box, of its longer side: how far the person may reach beyond it


Rectangle = tuple[int, int, int, int]
"""A box in whole pixels: x, y, width, height."""


class Sight(NamedTuple):
    """What a network sees of a photo: the probability of the foreground (h, w), and where it tells that, each pixel's
    height on the person (h, w), 0 at the head and 1 at the feet."""

    foreground: np.ndarray
    height: np.ndarray | None


Look = Callable[[np.ndarray, int], Sight]
"""Takes an RGB photo (H, W, 3) and how many pixels its longer side is to have."""


class Place(NamedTuple):
    """A person's place in a photo: the window to parse, as rows and columns, and which of its pixels may be theirs."""

    window: tuple[slice, slice]
    own: np.ndarray  # bool, of the window's size


class Apart(NamedTuple):
    """A photo parsed person by person: together, the person's number of each pixel (H, W), each person's scores (K,).

    Persons count from 1; pixels of nobody have 0.
    """

    together: SlotMap
    person_ids: np.ndarray
    scores: list[Tensor]


def find_people(rgb: np.ndarray, size: int, look: Look) -> list[Place]:
    """The persons of an RGB photo (H, W, 3), from left to right, for a network that sees photos of `size` pixels.

    Where no patch is a person for sure, all that the network sees in the photo is one.
    """
    maps = [look(rgb, size * times).foreground for times in LOOKS]
    height, width = maps[-1].shape
    seen = np.maximum.reduce([cv2.resize(one, (width, height)) for one in maps]) > 0.5
    _, patches, stats, _ = cv2.connectedComponentsWithStats(seen.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    least = max(LEAST_CELLS, LEAST_SHARE * areas[1:].max(initial=0))
    order = [int(number) for number in np.argsort(-areas) if number and areas[number] >= least][:MOST]
    cells = _nearest(np.where(np.isin(patches, order), patches, 0))
    ids = np.zeros((height, width), np.int32)
    for number in order:
        larger = np.isin(cells, [other for other in order if areas[other] > areas[number]])
        outline = _confirmed(rgb, patches == number, larger, size, look)
        if outline is not None:
            ids[outline & (ids == 0)] = number
    _join_parts(ids, [patches == number for number in range(1, len(stats))])
    places = _places(ids, rgb.shape[:2])
    whole = Place((slice(0, rgb.shape[0]), slice(0, rgb.shape[1])), np.ones(rgb.shape[:2], bool))
    if not places:
        return [whole] if maps[0].max() > 0.5 else []
    fills = max(part.stop - part.start for part in places[0].window) > FILLS * max(rgb.shape)
    return [whole] if len(places) == 1 and fills else places


def places_of_boxes(boxes: Sequence[Box], size: tuple[int, int]) -> list[Place]:
    """The places of the persons in the boxes of a photo of `size` (H, W), in their order.

    A pixel in several boxes goes to the one whose middle is nearest, in halves of its width and height.
    Raises `UserError` for a box outside the photo.
    """
    boxes = [check_box(box, size, "the photo") for box in boxes]
    rows, columns = (np.arange(length, dtype=np.float32) + 0.5 for length in size)
    best, ids = np.full(size, np.inf, np.float32), np.zeros(size, np.int32)
    for number, (x, y, width, height) in enumerate(boxes, start=1):
        beyond = BEYOND * max(width, height)
        away = np.maximum(
            (np.abs(rows - y - height / 2) / (height / 2 + beyond))[:, None],
            (np.abs(columns - x - width / 2) / (width / 2 + beyond))[None],
        )
        nearer = (away < best) & (away <= 1)
        best[nearer], ids[nearer] = away[nearer], number
    windows = [_window(_whole(box, size), size) for box in boxes]
    return [Place(window, ids[window] == number) for number, window in enumerate(windows, start=1)]


def apart(
    rgb: np.ndarray, whole: SlotMap, places: Sequence[Place], decode: Callable[[np.ndarray], SlotMap], others: bool
) -> Apart:
    """Parse the window of each place of an RGB photo (H, W, 3) as a photo of its own, and put the persons back.

    `whole` is the photo parsed at once. What it shows outside of the places stays where `others` count too.
    """
    parsed = whole if others else whole.blank()
    slots, foreground = parsed.slots.copy(), parsed.foreground.copy()
    person_ids = np.zeros(rgb.shape[:2], np.uint8 if len(places) < 256 else np.uint16)
    scores = []
    for number, (window, own) in enumerate(places, start=1):
        one = whole if own.shape == whole.slots.shape else decode(rgb[window])
        slots[window][own], foreground[window][own] = one.slots[own], one.foreground[own]
        person_ids[window][own & one.foreground] = number
        scores.append(one.scores)
    highest = torch.stack([parsed.scores, *scores]).amax(dim=0)
    return Apart(SlotMap(slots, foreground, highest), person_ids, scores)


def _confirmed(rgb: np.ndarray, outline: np.ndarray, others: np.ndarray, size: int, look: Look) -> np.ndarray | None:
    """The outline (h, w) of the person that two looks at a patch agree on, without what is `others`', or None."""
    for _ in range(ATTEMPTS):
        window = _window(_scaled(_box(outline), outline.shape, rgb.shape), rgb.shape[:2])
        x, y, width, height = _scaled(_box_of(window), rgb.shape, outline.shape)
        part, sight = np.s_[y : y + height, x : x + width], look(rgb[window], size)
        close = cv2.resize(sight.foreground, (width, height), interpolation=cv2.INTER_AREA) > 0.5
        again = np.zeros_like(outline)
        again[part] = _touching(close & ~others[part], outline[part])
        if (again & outline).sum() > AGREEMENT * (again | outline).sum():
            return again if _upright(sight.height, again[part]) else None
        if not again.any():
            return None
        outline = again
    return None


def _upright(heights: np.ndarray | None, outline: np.ndarray) -> bool:
    """Whether the heights on the body (h, w) rise with the rows of an outline, as far as the network tells them."""
    if heights is None:
        return True
    rows, columns = outline.nonzero()
    seen = cv2.resize(heights, outline.shape[::-1])[rows, columns]
    return bool(np.ptp(rows) > 0 and np.corrcoef(rows, seen)[0, 1] > UPRIGHT)


def _join_parts(ids: np.ndarray, patches: Sequence[np.ndarray]) -> None:
    """Give patches (h, w) that are nobody, such as a head or a bag cut off, to the person in whose window they reach.

    Those of less than `LEAST_SHARE` or more than half of the person stay nobody's. `ids` (h, w) has the persons'
    numbers, and is changed.
    """
    cells = _nearest(ids)
    for patch in patches:
        if ids[patch].any() or not cells.any():
            continue
        number = np.bincount(cells[patch]).argmax()
        near = _window(_box(ids == number), ids.shape)
        if patch[near].any() and LEAST_SHARE < patch.sum() / (ids == number).sum() < 0.5:
            ids[patch] = number


def _touching(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The connected parts of a mask that share a pixel with the other."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    shared = np.unique(parts[mask & other])
    return np.isin(parts, shared[shared > 0])


def _places(ids: np.ndarray, size: tuple[int, int]) -> list[Place]:
    """The places in a photo of `size` (H, W) of the persons whose numbers a smaller map (h, w) has, left to right."""
    boxes = {n: _box(ids == n) for n in np.unique(ids[ids > 0]).tolist()}
    cells = _nearest(ids)
    places = []
    for number, box in sorted(boxes.items(), key=lambda one: one[1][0]):
        window = _window(_scaled(box, ids.shape, size), size)
        rows, columns = (
            np.arange(part.start, part.stop) * short // long
            for part, short, long in zip(window, ids.shape, size, strict=True)
        )
        places.append(Place(window, cells[np.ix_(rows, columns)] == number))
    return places


def _nearest(ids: np.ndarray) -> np.ndarray:
    """For each pixel of a map (h, w) the number, above 0, that stands nearest to it; 0 in a map without any."""
    if not ids.any():
        return ids
    _, parts = cv2.distanceTransformWithLabels(
        (ids == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    number_of_part = np.zeros(parts.max() + 1, ids.dtype)
    number_of_part[parts[ids > 0]] = ids[ids > 0]
    return number_of_part[parts]


def _window(box: Rectangle, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a box with its margin, within a photo of `size` (H, W)."""
    x, y, width, height = box
    margin = round(MARGIN * max(width, height))
    return (
        slice(max(0, y - margin), min(size[0], y + height + margin)),
        slice(max(0, x - margin), min(size[1], x + width + margin)),
    )


def _whole(box: Box, size: tuple[int, int]) -> Rectangle:
    """A box in whole pixels, with at least a pixel of a photo of `size` (H, W) however small it is."""
    x, y, width, height = (round(value) for value in box)
    return min(x, size[1] - 1), min(y, size[0] - 1), max(1, width), max(1, height)


def _box(mask: np.ndarray) -> Rectangle:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return x, y, width, height


def _box_of(window: tuple[slice, slice]) -> Rectangle:
    rows, columns = window
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


def _scaled(box: Rectangle, old: Sequence[int], new: Sequence[int]) -> Rectangle:
    """A box of a picture of size `old` (H, W, ...) on the same picture of size `new`; at least a pixel each way."""
    x, y, width, height = box
    left, right = (v * new[1] // old[1] for v in (x, x + width - 1))
    top, bottom = (v * new[0] // old[0] for v in (y, y + height - 1))
    return left, top, max(1, right - left + 1), max(1, bottom - top + 1)
