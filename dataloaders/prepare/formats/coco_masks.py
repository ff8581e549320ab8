"""The pixels of COCO's regions: polygons, and run lengths as numbers or packed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from utils.errors import UserError

from .shapes import NO_PIXEL, SHARES, are_shares, within

IdMask = tuple[Any, int]
"""A segmentation and the label value to draw it with."""


def paint(regions: Sequence[IdMask], size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """The label map (H, W) of regions, the large ones first; and a reason for each that cannot be used."""
    drawn, left_out = [], []
    for code, value in regions:
        mask, unusable = _mask(code, size)
        area = int(mask.sum())
        drawn.append((area, np.packbits(mask, axis=1), value))  # bits: a large photo may have a hundred regions
        left_out += unusable if unusable or area else [NO_PIXEL]
    label = np.zeros(size, dtype=np.uint8)
    for _, bits, value in sorted(drawn, key=lambda region: -region[0]):
        label[np.unpackbits(bits, axis=1, count=size[1]).view(bool)] = value
    return label, left_out


def fits(code: Any, size: tuple[int, int]) -> bool:
    """Whether a segmentation lies in a picture of `size` (H, W)."""
    if _is_list_of_run_lengths(code):
        return all(fits(part, size) for part in code)
    if isinstance(code, dict):
        return list(code.get("size", ())) == list(size)
    return all(within(outline, size) for outline in _outlines(code)[0])


def _is_list_of_run_lengths(code: Any) -> bool:
    """Whether a segmentation is a list of run-length masks, as some tools write one of several parts."""
    return isinstance(code, list) and bool(code) and all(isinstance(part, dict) for part in code)


def _outlines(code: Any) -> tuple[list[list[float]], list[str]]:
    """The polygons of a segmentation, each as x, y, x, y, ...; and a reason for each that cannot be used.

    A segmentation is a list of polygons; a polygon by itself, flat or of pairs, is taken too.
    """
    parts = code if all(isinstance(part, list) for part in code) else [code]
    if len(parts) >= 3 and all(len(part) == 2 for part in parts):
        parts = [[value for pair in parts for value in pair]]
    outlines, unusable = [], []
    for part in parts:
        try:
            outline = [float(value) for value in part]
        except (TypeError, ValueError):
            outline = []
        if len(outline) < 6 or len(outline) % 2 or not np.isfinite(outline).all():
            unusable.append("polygons with fewer than three points, or broken ones")
        elif are_shares(outline):
            unusable.append(SHARES)
        else:
            outlines.append(outline)
    return outlines, unusable


def _mask(code: Any, size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """The pixels (H, W) of a segmentation, and a reason for each part of it that cannot be used."""
    if _is_list_of_run_lengths(code):
        parts = [_mask(part, size) for part in code]
        return np.any([mask for mask, _ in parts], axis=0), [reason for _, reasons in parts for reason in reasons]
    nothing = np.zeros(size, dtype=bool)
    if not isinstance(code, list):
        try:
            return _run_lengths(code["counts"], tuple(code["size"]), size), []
        except (KeyError, TypeError, ValueError, IndexError, OverflowError):
            return nothing, ["masks that are broken, or of another size than their photo"]
    outlines, unusable = _outlines(code)
    if outlines:
        try:
            from pycocotools import mask as coco_mask
        except ImportError as error:
            raise UserError("COCO polygons need pycocotools; run: pip install pycocotools") from error
        nothing = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, *size))).astype(bool)
    return nothing, unusable


def _run_lengths(counts: list[int] | str, stated: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """The pixels of a run-length mask: lengths of runs of 0 and 1 in turn, down the columns; text is packed lengths.

    Raises `ValueError` where they are not those of a picture of `size` (H, W).
    """
    lengths = counts if isinstance(counts, list) else _unpacked(counts)
    if stated != size or min(lengths) < 0 or sum(lengths) != size[0] * size[1]:
        raise ValueError("not a mask of the photo")
    mask: np.ndarray = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size[::-1]).T
    return mask


def _unpacked(text: str) -> list[int]:
    """COCO's packed lengths: five bits a letter, lowest first; from the fourth on the change over the last but one."""
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    return lengths
