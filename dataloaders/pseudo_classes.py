"""Pseudo-classes: the parts of people that no base class names, sorted by place and look (docs/method.md, step 34).

A network that never hears of the novel classes learns to take all that it has no name for as one. Here such regions are
told apart by where they lie on the body, how large they are and how they look, without any label of theirs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from utils.constants import IGNORE

from .body import body_frame

Look = Callable[[Tensor], Sequence[Tensor]]
"""From a photo, RGB uint8 (3, H, W), feature maps (C, h, w) of any sizes."""

LEAST_SHARE = 0.002  # of the person's pixels that a region must take
RIDGE = 1.0  # added to the variances within the base classes, as a multiple of their mean
DIRECTIONS = 16  # of the signs in which the regions differ most


class Region(NamedTuple):
    """A part of a person: its class id, 0 where no base class names it; its pixels, rows and columns; and its signs."""

    class_id: int
    pixels: tuple[np.ndarray, np.ndarray]
    signs: np.ndarray


def regions(label: np.ndarray, foreground: np.ndarray, looks: Sequence[Tensor] = ()) -> list[Region]:
    """The regions of a photo's label map and foreground mask (H, W), large enough to count: one for each base class,
    and the connected ones of the person pixels of label 0. `looks` are feature maps of the photo (C, h, w)."""
    person = foreground == 1
    unlabelled = (person & (label == 0)).astype(np.uint8)
    opened = cv2.morphologyEx(unlabelled, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    count, numbered = cv2.connectedComponents(opened, connectivity=4)
    parts = [(0, numbered == number) for number in range(1, count)]
    parts += [(int(c), label == c) for c in np.unique(label) if c not in (0, IGNORE)]
    frame, area = body_frame(foreground), person.sum() + 1
    maps = [functional.interpolate(m[None], size=label.shape, mode="bilinear")[0].numpy() for m in looks]
    found = []
    for class_id, part in parts:
        rows, columns = np.nonzero(part)
        if len(rows) < LEAST_SHARE * area:
            continue
        height = (rows - frame.top) / frame.height
        width = np.abs(columns - frame.axis) / frame.height
        low, high = np.quantile(height, (0.05, 0.95))
        place = (2 * height.mean(), 2 * low, 2 * high, 3 * width.mean(), np.sqrt(len(rows) / area))
        means = [m[:, rows, columns].mean(axis=1) for m in maps]
        signs = np.concatenate([place, *(mean / max(np.linalg.norm(mean), 1e-6) for mean in means)])
        found.append(Region(class_id, (rows, columns), signs.astype(np.float32)))
    return found


def cluster(photos: Sequence[Sequence[Region]], count: int, by_look: bool) -> list[dict[int, int]]:
    """The pseudo-class, 0..count - 1, of each photo's regions of class 0, by their number: k-means over their signs,
    always the same. `by_look` where the signs hold looks: then they are weighed by the base classes first."""
    hidden = [(p, r) for p, photo in enumerate(photos) for r, region in enumerate(photo) if region.class_id == 0]
    signs = np.array([photos[p][r].signs for p, r in hidden], dtype=np.float32)
    if by_look and len(signs):
        signs = _weighed(signs, [region for photo in photos for region in photo if region.class_id])
    if count == 1 or len(signs) <= count:
        labels = np.zeros(len(signs), dtype=int)
    else:
        cv2.setRNGSeed(0)
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
        labels = cv2.kmeans(signs, count, None, criteria, 5, cv2.KMEANS_PP_CENTERS)[1][:, 0]  # type: ignore[call-overload]
    chosen: list[dict[int, int]] = [{} for _ in photos]
    for (p, r), pseudo in zip(hidden, labels.tolist(), strict=True):
        chosen[p][r] = pseudo
    return chosen


def _weighed(signs: np.ndarray, named: Sequence[Region]) -> np.ndarray:
    """Signs (N, S) in which what differs within one base class, such as its colour, counts less: divided by the spread
    of the signs of the `named` regions within their classes, and the directions kept in which they differ most."""
    within = np.zeros((signs.shape[1], signs.shape[1]))
    for class_id in {region.class_id for region in named}:
        of_class = np.array([region.signs for region in named if region.class_id == class_id], dtype=np.float64)
        off = of_class - of_class.mean(axis=0)
        within += off.T @ off / len(named)
    within += (RIDGE * np.trace(within) / len(within) + 1e-6) * np.eye(len(within))
    variances, axes = np.linalg.eigh(within)
    turned = (signs - signs.mean(axis=0)) @ (axes / np.sqrt(variances))
    left, values, _ = np.linalg.svd(turned, full_matrices=False)
    weighed: np.ndarray = (left[:, :DIRECTIONS] * values[:DIRECTIONS]).astype(np.float32)
    return weighed


def pseudo_map(shape: tuple[int, ...], photo: Sequence[Region], chosen: dict[int, int], first: int) -> Tensor:
    """A map uint8 (H, W) of the slots `first` + pseudo-class of a photo's regions; 255 elsewhere."""
    slots = np.full(shape, IGNORE, dtype=np.uint8)
    for number, pseudo in chosen.items():
        slots[photo[number].pixels] = first + pseudo
    return torch.from_numpy(slots)
