"""Specks of a label map: small islands of one class in another, which nobody wears."""

from typing import NamedTuple

import cv2
import numpy as np

SPECK = 0.001  # of the person's area: what is smaller is one; docs/model-card.md has what it gives


class Cleaned(NamedTuple):
    """A label map and the person's mask (H, W), the pixels of the specks (N,), and those that they became like (N,)."""

    labels: np.ndarray
    foreground: np.ndarray
    specks: np.ndarray
    sources: np.ndarray


def without_specks(labels: np.ndarray, foreground: np.ndarray) -> Cleaned:
    """Pixels of specks become what their nearest pixel beside the speck is.

    Specks are parts, joined over eight neighbours, of a class, of the person without a class and of what is not the
    person. The largest part of a class is none: a ring may be as small.
    """
    specks = np.zeros(labels.shape, dtype=bool)
    least = SPECK * np.count_nonzero(foreground)
    for region in (foreground & (labels == 0), ~foreground):
        specks |= small_parts(region, least)
    for class_id in np.flatnonzero(np.bincount(labels.reshape(-1)))[1:]:
        specks |= small_parts(labels == class_id, least, keep_largest=True)
    places = np.flatnonzero(specks)
    if not len(places) or len(places) == labels.size:
        return Cleaned(labels, foreground, places[:0], places[:0])
    _, nearest = cv2.distanceTransformWithLabels(
        specks.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    beside = np.flatnonzero(~specks)
    number = nearest.reshape(-1)
    place_of = np.zeros(number.max() + 1, dtype=np.int64)
    place_of[number[beside]] = beside
    sources = place_of[number[places]]
    return Cleaned(moved(labels, places, sources), moved(foreground, places, sources), places, sources)


def moved(values: np.ndarray, places: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """A copy of a map (H, W) in which the pixels at `places` (N,) have what those at `sources` have."""
    copy: np.ndarray = values.copy()
    copy.reshape(-1)[places] = values.reshape(-1)[sources]
    return copy


def small_parts(region: np.ndarray, least: float, keep_largest: bool = False) -> np.ndarray:
    """The parts of a region, bool (H, W), that have fewer than `least` pixels, as such a mask."""
    small = np.zeros_like(region)
    x, y, width, height = cv2.boundingRect(region.astype(np.uint8))
    if not width:
        return small
    box = slice(y, y + height), slice(x, x + width)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(region[box].astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA]
    chosen = areas < least
    chosen[0] = False  # what is not in the region
    if keep_largest and len(areas) > 1:
        chosen[1 + int(np.argmax(areas[1:]))] = False
    small[box] = chosen[parts]
    return small
