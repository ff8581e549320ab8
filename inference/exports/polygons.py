"""Outlines of a mask as polygons without holes: where a part has holes, a cut of no width leads to each of them."""

from typing import NamedTuple

import cv2
import numpy as np

Ring = np.ndarray
"""Corners (N, 2) of a closed outline as (x, y), pixels."""


AT_ONCE = 64  # corners whose distances to all others are in memory at once


class Detail(NamedTuple):
    """How closely polygons follow a mask: how far a corner may be off, and the smallest part or hole that is kept."""

    tolerance: float  # pixels
    least: int  # pixels of area


DETAILS = (Detail(4, 64), Detail(2, 32), Detail(1, 8), Detail(0.5, 3), Detail(0, 0))  # the last loses next to nothing


def polygons(mask: np.ndarray, detail: Detail) -> list[Ring]:
    """The parts of a mask (H, W), bool, the largest first, each as one ring of at least three corners.

    Corners lie in the middle of the outermost pixels, as labelme draws them: the outline itself belongs to the part.
    """
    contours, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if tree is None:
        return []
    parts: list[tuple[float, Ring]] = []
    for number, (_, _, hole, parent) in enumerate(tree[0].tolist()):
        if parent >= 0:
            continue
        area, rings = _area(contours[number]), [_simple(contours[number], detail)]
        while hole >= 0:
            if cv2.contourArea(contours[hole]) > detail.least:
                rings.append(_simple(contours[hole], detail))
            hole = tree[0][hole][0]
        if area > detail.least:
            parts.append((area, _joined(rings)))
    return [_three(ring) for _, ring in sorted(parts, key=lambda part: -part[0])]


def _area(contour: np.ndarray) -> float:
    """The pixels of a part, holes filled: its outline leads through the middles of the rim, half of which is added."""
    return float(cv2.contourArea(contour)) + cv2.arcLength(contour, True) / 2 + 1


def _simple(contour: np.ndarray, detail: Detail) -> Ring:
    if detail.tolerance > 0 and len(contour) > 4:
        contour = cv2.approxPolyDP(contour, detail.tolerance, True)
    return contour[:, 0, :].astype(np.int64)


def _joined(rings: list[Ring]) -> Ring:
    """One ring that goes around the first ring, and over the shortest cuts to the others, which are its holes.

    The hole that is nearest to what is joined already comes first, so no cut crosses another hole.
    """
    joined, holes = rings[0], rings[1:]
    if not holes:
        return joined
    corners, whose = np.concatenate(holes), np.repeat(np.arange(len(holes)), [len(hole) for hole in holes])
    far, nearest = np.full(len(corners), np.inf), np.zeros_like(corners)  # of each corner: to the nearest joined one
    added = joined
    for _ in holes:
        for some in np.array_split(added, 1 + len(added) // AT_ONCE):
            squares = ((corners[:, None] - some[None]) ** 2).sum(axis=2)
            best = squares.argmin(axis=1)
            closer = np.flatnonzero(squares[np.arange(len(corners)), best] < far)
            far[closer], nearest[closer] = squares[closer, best[closer]], some[best[closer]]
        end = int(far.argmin())
        added = np.roll(holes[whose[end]], -_place(holes[whose[end]], corners[end]), axis=0)
        at = _place(joined, nearest[end])
        joined = np.concatenate([joined[: at + 1], added, added[:1], joined[at:]])
        left = whose != whose[end]
        corners, whose, far, nearest = corners[left], whose[left], far[left], nearest[left]
    return joined


def _place(ring: Ring, corner: np.ndarray) -> int:
    return int(np.flatnonzero((ring == corner).all(axis=1))[0])


def _three(ring: Ring) -> Ring:
    """The ring, with corners repeated where it has fewer than three: a part of one or two pixels."""
    return ring if len(ring) >= 3 else np.concatenate([ring, ring[:1], ring[:1]])[:3]
