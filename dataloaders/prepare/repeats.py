"""Repeat shots: photos of one scene, taken within seconds of each other, which must not be on both sides of a split."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from utils.parallel import parallel_map

SIDE = 24  # pixels of the small grey versions that are compared
ALIKE = 0.9  # correlation from which on two photos count as shots of one scene
_AT_ONCE = 1024  # photos that are compared with all others in one step


def thumbnails(photos: Sequence[Path | bytes]) -> np.ndarray:
    """Small grey versions of photos (N, SIDE * SIDE), float32, of mean 0 and length 1: products are correlations."""
    return np.stack(parallel_map(_thumbnail, photos, "look for repeat shots", "photo"))


def pairs_alike(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Indices (M, 2) into two sets of `thumbnails` of the pairs that show one scene."""
    found = []
    for start in range(0, len(some), _AT_ONCE):
        one, other = np.nonzero(some[start : start + _AT_ONCE] @ others.T > ALIKE)
        found.append(np.stack([one + start, other], axis=1))
    return np.concatenate(found)


def _thumbnail(photo: Path | bytes) -> np.ndarray:
    with Image.open(io.BytesIO(photo) if isinstance(photo, bytes) else photo) as picture:
        picture.draft("L", (8 * SIDE, 8 * SIDE))  # a JPEG is decoded at a fraction of its size
        grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float32).ravel()
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)
