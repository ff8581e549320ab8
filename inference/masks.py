"""Masks drawn by a recipe from a label map, and the pictures that people make with them: cut-outs and greyed photos."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from .recipes import BACKGROUND, FOREGROUND, Operation, Recipe
from .specks import small_parts

GREY = 128  # the grey of what a try-on network must not see


def draw(recipe: Recipe, regions: Mapping[str, np.ndarray]) -> np.ndarray:
    """The mask of a recipe, uint8 (H, W): 0 and 255, and what lies between where it is feathered.

    `regions` holds the bool masks (H, W) of the classes and of `foreground`, the person.
    """
    person = regions[FOREGROUND]
    regions = {BACKGROUND: ~person, **regions}
    measured = any(operation.percent for operation in recipe.operations)
    height, area = (person_size(person)[0], int(person.sum())) if measured else (0, 0)
    mask = np.zeros(person.shape, dtype=bool)
    for operation in recipe.operations:
        whole = area if operation.name == "drop" else height
        length = operation.length * whole / 100 if operation.percent else operation.length
        if operation.name == "feather":
            return _feathered(mask, length)
        if operation.name == "+":
            mask = mask | regions[operation.operand]
        elif operation.name == "-":
            mask = mask & ~regions[operation.operand]
        else:
            mask = _step(operation, mask, length)
    return mask.astype(np.uint8) * 255


def cut_out(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The RGB photo (H, W, 3) with the mask (H, W) as its opacity: RGBA uint8 (H, W, 4), black where nothing shows.

    What is cut away is not in the picture: many programs show the colours behind an opacity of 0.
    """
    return np.dstack([np.where(mask[..., None] > 0, image, 0), mask])


def greyed(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The RGB photo (H, W, 3), grey where the mask (H, W) is."""
    share = mask[..., None].astype(np.uint16)
    blended = (image * (255 - share) + GREY * share + 127) // 255
    return blended.astype(np.uint8)


def _step(operation: Operation, mask: np.ndarray, length: float) -> np.ndarray:
    if operation.name == "invert":
        return ~mask
    if operation.name == "fill":
        return _filled(mask)
    if operation.name == "box":
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            mask = mask.copy()
            mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        return mask
    if operation.name == "drop":
        return np.asarray(mask & ~small_parts(mask, length))
    if operation.name == "grow":
        return _distance(~mask) <= length
    return _distance(mask) > length


def _distance(mask: np.ndarray) -> np.ndarray:
    """How far each pixel of the mask is from those outside it; 0 there. The rim of the photo is not outside."""
    if mask.all():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _feathered(mask: np.ndarray, length: float) -> np.ndarray:
    """The mask whose edge fades over `length` pixels to either side."""
    if length <= 0:
        return mask.astype(np.uint8) * 255
    inside = _distance(mask) - _distance(~mask)
    edge = inside - np.sign(inside) * 0.5  # the edge lies between the pixels
    faded: np.ndarray = np.rint(255 * np.clip(0.5 + edge / (2 * length), 0, 1)).astype(np.uint8)
    return faded


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask with its holes: what no path through the four neighbours joins to the rim of the photo."""
    around = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(around, None, (0, 0), 0)
    return np.asarray(mask | (around[1:-1, 1:-1] > 0))


def person_size(person: np.ndarray) -> tuple[int, int]:
    """Height and width in pixels of the largest connected part of the person; 0 where nobody is."""
    count, _, parts, _ = cv2.connectedComponentsWithStats(person.astype(np.uint8))
    if count < 2:
        return 0, 0
    largest = parts[1 + int(np.argmax(parts[1:, cv2.CC_STAT_AREA]))]
    return int(largest[cv2.CC_STAT_HEIGHT]), int(largest[cv2.CC_STAT_WIDTH])


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """A mask, bool (H, W), as COCO's compressed run lengths: `size` and `counts`."""
    from pycocotools import mask as coco

    return {"size": list(mask.shape), "counts": coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()}
