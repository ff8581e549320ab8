"""Repeat shots: photos of one scene, taken within seconds of each other, which must not be on both sides of a split."""

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from utils.imaging import to_rgb
from utils.parallel import parallel_map
from utils.pictures import open_picture

SIDE = 24  # pixels of the small grey versions by which candidates are found
LIKELY, CERTAIN = 0.6, 0.98  # correlations from which on two photos may be, or are, shots of one scene
NEIGHBOURS = 3  # candidates of each photo
LONGEST, POINTS, COMMON = 420, 300, 25  # pixels and SIFT points of a photo; points that shots of one scene share
MOST_ZOOM = 1.5  # between two shots of one scene
JPEG = b"\xff\xd8\xff"  # what such a file begins with
_AT_ONCE = 1024  # photos that are compared with all others in one step


def repeat_shots(photos: Sequence[Path | bytes]) -> list[tuple[int, int]]:
    """Index pairs (i, j), i < j, of the photos that show one scene.

    Of each photo, the few with the most similar small grey versions are candidates. Where these are not all but equal,
    points of both must fall on each other under one shift, turn and zoom.
    """
    small = np.stack(parallel_map(_thumbnail, photos, "look for repeat shots", "photo"))

    @lru_cache(2000)  # pairs are sorted, so a photo comes back soon
    def points(index: int) -> tuple[np.ndarray, np.ndarray | None]:
        return _sift_points(photos[index])

    return [
        (one, other)
        for one, other, correlation in _candidates(small)
        if correlation > CERTAIN or _common_points(points(one), points(other)) >= COMMON
    ]


def _candidates(small: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs that may be of one scene, with their correlation, sorted."""
    pairs = set()
    for start in range(0, len(small), _AT_ONCE):
        alike = small[start : start + _AT_ONCE] @ small.T
        alike[np.arange(len(alike)), start + np.arange(len(alike))] = -1  # a photo with itself
        nearest = np.argsort(-alike, axis=1)[:, :NEIGHBOURS]
        for row, column in zip(np.repeat(np.arange(len(alike)), nearest.shape[1]), nearest.ravel(), strict=True):
            if alike[row, column] > LIKELY:
                one, other = sorted((start + int(row), int(column)))
                pairs.add((one, other, float(small[one] @ small[other])))
    return sorted(pairs)


def _thumbnail(photo: Path | bytes) -> np.ndarray:
    """A photo's small grey version, float32 (SIDE * SIDE), of mean 0 and length 1: products are correlations."""
    grey = _grey(photo, 8 * SIDE).resize((SIDE, SIDE), Image.Resampling.BOX)
    values: np.ndarray = np.asarray(grey, dtype=np.float32).ravel()
    values = values - values.mean()
    values /= max(float(np.linalg.norm(values)), 1e-6)
    return values


def _grey(photo: Path | bytes, least: int) -> Image.Image:
    """A photo in grey. A JPEG is decoded at a fraction of its size, of at least so many pixels a side."""
    with open(photo, "rb") if isinstance(photo, Path) else io.BytesIO(photo) as file:
        if file.read(len(JPEG)) != JPEG:
            file.seek(0)
            return Image.fromarray(to_rgb(open_picture(file))).convert("L")
        with Image.open(file) as picture:
            picture.draft("L", (least, least))
            return picture.convert("L")


def _sift_points(photo: Path | bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Places (P, 2) and descriptions (P, 128) of the points that stand out in a photo."""
    grey = _grey(photo, LONGEST)
    grey.thumbnail((LONGEST, LONGEST))
    keypoints, descriptions = cv2.SIFT.create(POINTS).detectAndCompute(np.asarray(grey), None)
    return np.array([point.pt for point in keypoints], dtype=np.float32).reshape(-1, 2), descriptions


def _common_points(
    one: tuple[np.ndarray, np.ndarray | None], other: tuple[np.ndarray, np.ndarray | None], distinct: float = 0.75
) -> int:
    """How many points of two photos are the same, and in the same places under one shift, turn and zoom."""
    if one[1] is None or other[1] is None or min(len(one[0]), len(other[0])) < 4:
        return 0
    matches = cv2.BFMatcher().knnMatch(one[1], other[1], k=2)
    clear = [best for best, second in matches if best.distance < distinct * second.distance]
    if len(clear) < 4:
        return 0
    places = one[0][[m.queryIdx for m in clear]], other[0][[m.trainIdx for m in clear]]
    move, fits = cv2.estimateAffinePartial2D(*places, ransacReprojThreshold=4)
    if move is None or not 1 / MOST_ZOOM < np.hypot(*move[:, 0]) < MOST_ZOOM:  # stripes match in one place
        return 0
    return int(fits.sum())
