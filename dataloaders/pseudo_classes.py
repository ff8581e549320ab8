"""Pseudo-classes: the parts of people that no base class names, sorted by shape and place (docs/method.md, step 34).

A network that never hears of the novel classes learns to take all that it has no name for as one. Here such regions are
told apart by where they lie on the body and how large they are, without any label.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .body import body_frame

LEAST_SHARE = 0.002  # of the person's pixels that a region must take


class Region(NamedTuple):
    """A connected part of the unlabelled person pixels of a photo, and its signs."""

    pixels: tuple[np.ndarray, np.ndarray]
    signs: tuple[float, ...]


def regions(label: np.ndarray, foreground: np.ndarray) -> list[Region]:
    """The regions of a photo's label map and foreground mask (H, W): person pixels of label 0."""
    person = foreground == 1
    unlabelled = (person & (label == 0)).astype(np.uint8)
    opened = cv2.morphologyEx(unlabelled, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    count, numbered = cv2.connectedComponents(opened, connectivity=4)
    frame, area = body_frame(foreground), person.sum() + 1
    found = []
    for number in range(1, count):
        rows, columns = np.nonzero(numbered == number)
        if len(rows) < LEAST_SHARE * area:
            continue
        height = (rows - frame.top) / frame.height
        width = np.abs(columns - frame.axis) / frame.height
        low, high = np.quantile(height, (0.05, 0.95))
        size = np.sqrt(len(rows) / area)
        found.append(Region((rows, columns), (2 * height.mean(), 2 * low, 2 * high, 3 * width.mean(), size)))
    return found


def cluster(photos: Sequence[Sequence[Region]], count: int) -> list[list[int]]:
    """The pseudo-class, 0..count - 1, of every region of every photo: k-means over their signs, always the same."""
    signs = np.array([region.signs for photo in photos for region in photo], dtype=np.float32)
    if count == 1 or len(signs) <= count:
        labels = np.zeros(len(signs), dtype=int)
    else:
        cv2.setRNGSeed(0)
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
        labels = cv2.kmeans(signs, count, None, criteria, 5, cv2.KMEANS_PP_CENTERS)[1][:, 0]  # type: ignore[call-overload]
    chosen = iter(labels.tolist())
    return [[next(chosen) for _ in photo] for photo in photos]
