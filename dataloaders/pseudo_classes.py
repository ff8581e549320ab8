"""Pseudo-classes: the parts of people that no base class names, sorted by place and look (docs/method.md, step 34).

A network that never hears of the novel classes learns to take all that it has no name for as one. Here such regions are
told apart by where they lie on the body, how large they are and how they look, without any label of theirs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from utils.constants import IGNORE

from .body import BodyFrame, body_frame
from .reading import ids_in

FeatureExtractor = Callable[[Tensor], Sequence[Tensor]]
"""From a photo, RGB uint8 (3, H, W), feature maps (C, h, w) of any sizes."""

Sorting = list[list[int]]
"""The pseudo-class, from 0, of each unlabelled region of each photo."""

LEAST_SHARE = 0.002  # of the person's pixels that a region must take
RIDGE = 1.0  # added to the variances within the base classes, as a multiple of their mean
DIRECTIONS = 16  # of the signs in which the regions differ most


class Region(NamedTuple):
    """A connected part of the unlabelled person pixels of a photo, rows and columns, and its signs."""

    pixels: tuple[np.ndarray, np.ndarray]
    signs: np.ndarray


class Parts(NamedTuple):
    """What a photo shows that is large enough to count: regions without a name, and class ids and signs of the rest."""

    unlabelled: list[Region]
    named: list[tuple[int, np.ndarray]]


def parts_of(label: np.ndarray, foreground: np.ndarray, looks: Sequence[Tensor] = ()) -> Parts:
    """The parts of the person of a photo with a label map and a foreground mask (H, W): the connected regions of the
    person pixels of label 0, and the pixels of each base class. `looks` are feature maps of the photo (C, h, w)."""
    person = foreground == 1
    unlabelled = (person & (label == 0)).astype(np.uint8)
    opened = cv2.morphologyEx(unlabelled, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    count, numbered = cv2.connectedComponents(opened, connectivity=4)
    frame, area = body_frame(foreground), int(person.sum()) + 1
    maps = [functional.interpolate(m[None], size=label.shape, mode="bilinear")[0].numpy() for m in looks]

    def large(parts: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, Region]]:
        for number, part in parts:
            pixels = part.nonzero()
            if len(pixels[0]) >= LEAST_SHARE * area:
                yield number, Region((pixels[0], pixels[1]), _signs(pixels[0], pixels[1], frame, area, maps))

    classes = ids_in(label)
    return Parts(
        [region for _, region in large((n, numbered == n) for n in range(1, count))],
        [(class_id, region.signs) for class_id, region in large((c, label == c) for c in classes)],
    )


def _signs(
    rows: np.ndarray, columns: np.ndarray, frame: BodyFrame, area: int, maps: Sequence[np.ndarray]
) -> np.ndarray:
    """The signs of some pixels of a person of `area` pixels: five of their place, then their mean of each map."""
    height = (rows - frame.top) / frame.height
    width = np.abs(columns - frame.axis) / frame.height
    low, high = np.quantile(height, (0.05, 0.95))
    place = (2 * height.mean(), 2 * low, 2 * high, 3 * width.mean(), np.sqrt(len(rows) / area))
    means = [m[:, rows, columns].mean(axis=1) for m in maps]
    return np.concatenate([place, *(mean / max(np.linalg.norm(mean), 1e-6) for mean in means)]).astype(np.float32)


def cluster(photos: Sequence[Parts], count: int, by_look: bool) -> Sorting:
    """The pseudo-class, 0..count - 1, of every unlabelled region of every photo: k-means over their signs, always the
    same. `by_look` where the signs hold looks: then they are weighed by the base classes first."""
    signs = np.array([region.signs for photo in photos for region in photo.unlabelled], dtype=np.float32)
    if by_look and len(signs):
        signs = _weighed(signs, [named for photo in photos for named in photo.named])
    if count == 1 or len(signs) <= count:
        labels = np.arange(len(signs)) % max(count, 1)
    else:
        cv2.setRNGSeed(0)
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
        labels = cv2.kmeans(signs, count, None, criteria, 5, cv2.KMEANS_PP_CENTERS)[1][:, 0]  # type: ignore[call-overload]
    chosen = iter(labels.tolist())
    return [[next(chosen) for _ in photo.unlabelled] for photo in photos]


def _weighed(signs: np.ndarray, named: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """Signs (N, S) in which what differs within one base class, such as its colour, counts less: divided by the spread
    of the `named` signs within their classes, and the directions kept in which they differ most."""
    within = np.zeros((signs.shape[1], signs.shape[1]))
    for class_id in {one for one, _ in named}:
        of_class = np.array([own for one, own in named if one == class_id], dtype=np.float64)
        off = of_class - of_class.mean(axis=0)
        within += off.T @ off / len(named)
    within += (RIDGE * np.trace(within) / len(within) + 1e-6) * np.eye(len(within))
    variances, axes = np.linalg.eigh(within)
    turned = (signs - signs.mean(axis=0)) @ (axes / np.sqrt(variances))
    left, values, _ = np.linalg.svd(turned, full_matrices=False)
    weighed: np.ndarray = (left[:, :DIRECTIONS] * values[:DIRECTIONS]).astype(np.float32)
    return weighed


def pseudo_map(shape: tuple[int, ...], photo: Parts, chosen: Sequence[int], first: int) -> Tensor:
    """A map uint8 (H, W) of the slots `first` + pseudo-class of a photo's unlabelled regions; 255 elsewhere."""
    slots = np.full(shape, IGNORE, dtype=np.uint8)
    for region, pseudo in zip(photo.unlabelled, chosen, strict=True):
        slots[region.pixels] = first + pseudo
    return torch.from_numpy(slots)
