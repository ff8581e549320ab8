"""Pictures of several people, composed of photos that show one each, with exact labels."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

LEAST_MARGIN = 12  # columns beside a person of which a background can be made
MOST_MARGIN = 0.05  # of the photo's height: in a narrow strip no bystander is whole
LEAST_SCALE = 0.25  # of a person beside the tallest
GAPS = (0.02, 0.3)  # between two people, of the height of the taller one
ASPECTS = (0.7, 1.4)  # of a picture with a small person: its width, of its height
HEIGHTS = (0.5, 0.9)  # how much of what is free is above such a person
FADE = 0.5  # share of a person's zone in which its background passes into the next one's


class Cutout(NamedTuple):
    """A person's box of a photo: pixels (h, w, 3), labels and outline (h, w); the photo's columns beside it.

    `frame` is the part of the photo that holds the person.
    """

    image: np.ndarray
    label: np.ndarray
    outline: np.ndarray
    margin: np.ndarray  # (H, at least `LEAST_MARGIN`, 3)
    frame: tuple[slice, slice]


class Composition(NamedTuple):
    """A picture (H, W, 3), its label map (H, W) and, for each person, a number from 1 on in `people` (H, W).

    `scales` are the persons' sizes beside those in their photos, `frames` parts of the picture that hold one each.
    """

    image: np.ndarray
    label: np.ndarray
    people: np.ndarray
    scales: list[float]
    frames: list[tuple[slice, slice]]


def cut_out(image: np.ndarray, label: np.ndarray, outline: np.ndarray) -> Cutout | None:
    """The person of a photo (H, W, 3) with a label map and an outline (H, W); None where nothing stands beside it."""
    x, y, width, height = cv2.boundingRect(outline.astype(np.uint8))
    left, right = max(0, x - 3), image.shape[1] - (x + width + 3)  # columns beside the person
    if max(left, right) < LEAST_MARGIN or not height:
        return None
    strip = min(max(left, right), round(MOST_MARGIN * len(image)))
    margin = image[:, :strip] if left >= right else image[:, -strip:]
    box = slice(y, y + height), slice(x, x + width)
    frame = frame_of(box, (0, image.shape[1]), len(image))
    return Cutout(image[box], label[box], outline[box].astype(np.uint8), margin, frame)


def compose(cutouts: Sequence[Cutout], rng: np.random.Generator) -> Composition:
    """Set people side by side, the tallest at its own size; sizes, gaps and surroundings are drawn from `rng`."""
    sizes = np.exp(rng.uniform(np.log(LEAST_SCALE), 0, len(cutouts)))
    sizes = sizes / sizes.max() * max(len(one.label) for one in cutouts)  # heights in pixels
    scales = [float(size / len(one.label)) for size, one in zip(sizes, cutouts, strict=True)]
    people = [_resized(one, scale) for one, scale in zip(cutouts, scales, strict=True)]
    tallest = sizes.max()
    gaps = [round(rng.uniform(*GAPS) * max(pair)) for pair in itertools.pairwise(sizes)]
    sides = [round(rng.uniform(0.1, 0.5) * tallest) for _ in range(2)]
    height = round(tallest * rng.uniform(1.1, 1.6))
    floor = height - round(rng.uniform(0.02, 0.1) * tallest)
    boxes, left = [], sides[0]
    for one, gap in zip(people, [*gaps, sides[1]], strict=True):
        rows, columns = one.label.shape
        foot = floor - round(rng.uniform(0, 0.3) * (tallest - rows))  # who is small stands further back
        boxes.append((slice(max(0, foot - rows), max(0, foot - rows) + rows), slice(left, left + columns)))
        left += columns + gap
    middles = [(a[1].stop + b[1].start) // 2 for a, b in itertools.pairwise(boxes)]
    image = _background([one.margin for one in cutouts], [0, *middles, left], height)
    label, outlines = np.zeros(image.shape[:2], np.uint8), np.zeros(image.shape[:2], np.uint8)
    for number, (one, box) in enumerate(zip(people, boxes, strict=True), start=1):
        _paste(image, one, box)
        label[box], outlines[box] = one.label, one.outline * number
    zones = itertools.pairwise([0, *middles, left])
    frames = [frame_of(box, zone, height) for box, zone in zip(boxes, zones, strict=True)]
    return Composition(image, label, outlines, scales, frames)


def set_small(one: Cutout, margin: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture (H, W, 3) and its label map (H, W): a person who takes that share of the height, anywhere in a
    background of another photo's margin (H', columns, 3)."""
    rows, columns = one.label.shape
    height = round(max(rows, columns) / share)
    width = max(columns, round(height * rng.uniform(*ASPECTS)))
    image, label = _background([margin], [0, width], height), np.zeros((height, width), np.uint8)
    top = round((height - rows) * rng.uniform(*HEIGHTS))
    left = round((width - columns) * rng.uniform(0, 1))
    box = slice(top, top + rows), slice(left, left + columns)
    _paste(image, one, box)
    label[box] = one.label
    return image, label


def _paste(image: np.ndarray, one: Cutout, box: tuple[slice, slice]) -> None:
    share = cv2.GaussianBlur(one.outline.astype(np.float32), (0, 0), 0.7)[..., None] * one.outline[..., None]
    image[box] = np.round(share * one.image + (1 - share) * image[box])


def _resized(one: Cutout, scale: float) -> Cutout:
    size = [max(1, round(side * scale)) for side in one.label.shape[::-1]]
    image = cv2.resize(one.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    label, outline = (cv2.resize(part, size, interpolation=cv2.INTER_NEAREST) for part in (one.label, one.outline))
    return one._replace(image=image, label=label, outline=outline)


def _background(margins: Sequence[np.ndarray], ends: Sequence[int], height: int) -> np.ndarray:
    """Each person's zone shows its photo's margin, mirrored over and over; neighbouring zones fade into each other."""
    width = ends[-1]
    whole, total = np.zeros((height, width, 3), np.float32), np.zeros((1, width, 1), np.float32)
    columns = np.arange(width)
    for margin, (start, end) in zip(margins, itertools.pairwise(ends), strict=True):
        scaled = cv2.resize(margin, (max(1, round(margin.shape[1] * height / len(margin))), height))
        tile = np.concatenate([scaled, scaled[:, ::-1]], axis=1)
        reach = FADE * (end - start)
        share = np.clip(np.minimum(columns - start, end - columns) / reach + 1, 1e-6, 1)[None, :, None]
        whole += share * tile[:, columns % tile.shape[1]]
        total += share
    picture: np.ndarray = np.round(whole / total).astype(np.uint8)
    return picture


def frame_of(box: tuple[slice, slice], ends: tuple[int, int], height: int) -> tuple[slice, slice]:
    """A box with a tenth of its height around it, up to half the way to the neighbours."""
    rows, columns = box
    around = (rows.stop - rows.start) // 10
    return (
        slice(max(0, rows.start - around), min(height, rows.stop + around)),
        slice(max(ends[0], columns.start - around), min(ends[1], columns.stop + around)),
    )
