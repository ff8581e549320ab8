"""Regions as annotation tools write them, drawn into label maps."""

import base64
import io
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

BROKEN = (
    ArithmeticError, KeyError, TypeError, ValueError, IndexError, OSError, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
NO_AREA = ("point", "points", "line", "linestrip")
NO_PIXEL = "regions that cover no pixel of their photo"
SHARES = "regions with all coordinates from 0 to 1, which must be in pixels"
Points = list[tuple[float, float]]
Size = tuple[int, int]


class Unusable(ValueError):
    """A region that cannot be drawn; the message reads behind a number of them."""


def draw_polygon(canvas: Image.Image, outline: Sequence[Any], value: int, holes: Sequence[Sequence[Any]] = ()) -> None:
    """Fill a polygon, points as (x, y), but for its holes. Raises `Unusable` for fewer than three points."""
    points = _points(outline)
    if len(points) < 3:
        raise Unusable("regions with fewer than three points")
    across, down = zip(*points, strict=True)
    _check_reach(canvas, (min(across), min(down), max(across), max(down)))
    if are_shares([*across, *down]):
        raise Unusable(SHARES)
    if not holes:
        ImageDraw.Draw(canvas).polygon(points, fill=value, outline=value)
        return
    mask = Image.new("L", canvas.size)
    ImageDraw.Draw(mask).polygon(points, fill=255, outline=255)
    for hole in holes:
        if len(hole) >= 3:
            ImageDraw.Draw(mask).polygon(_points(hole), fill=0)
    canvas.paste(value, (0, 0), mask)


def draw_shape(canvas: Image.Image, shape: Mapping[str, Any], value: int) -> None:
    """Draw a shape of labelme. Raises `Unusable` for kinds without area and unknown ones, and for broken ones."""
    kind = shape.get("shape_type") or "polygon"
    try:
        points = _points(shape["points"])
        if kind == "rectangle" and len(points) == 2:
            (x0, y0), (x1, y1) = points
            points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        elif kind == "circle":
            (x, y), edge = points[0], points[1]
            radius = math.dist((x, y), edge)
            box = (x - radius, y - radius, x + radius, y + radius)
            _check_reach(canvas, box)
            ImageDraw.Draw(canvas).ellipse(box, fill=value, outline=value)
            return
        elif kind == "mask":
            paste_mask(canvas, base64.b64decode(shape["mask"]), points[0], value)
            return
    except Unusable:
        raise
    except BROKEN as error:
        raise Unusable("broken shapes") from error
    if kind in NO_AREA:
        raise Unusable("points and lines, which have no area")
    if kind not in ("polygon", "rectangle", "rotation", "quadrilateral", "oriented_rectangle"):
        raise Unusable(f"shapes of the kind {kind!r}, which is not known")
    draw_polygon(canvas, points, value)


def paste_mask(canvas: Image.Image, content: bytes, corner: Sequence[float], value: int) -> None:
    """Draw a mask that is a picture: where it is not 0, or not transparent if it has an alpha channel.

    Raises `Unusable` where that is nowhere in the photo.
    """
    picture = Image.open(io.BytesIO(content))
    alpha = picture.convert("RGBA").getchannel("A")
    solid = alpha if picture.has_transparency_data and alpha.getextrema() != (255, 255) else picture.convert("L")
    left, top = round(corner[0]), round(corner[1])
    if not (used := solid.getbbox()):
        raise Unusable(NO_PIXEL)
    _check_reach(canvas, (left + used[0], top + used[1], left + used[2] - 1, top + used[3] - 1))
    canvas.paste(value, (left, top), solid.point(lambda v: 255 if v else 0))


def draw_bitmap(canvas: Image.Image, bitmap: Mapping[str, Any], value: int) -> None:
    """Draw a bitmap of Supervisely: a PNG, packed by zlib, as base64, and its corner. Raises `Unusable` for others."""
    try:
        paste_mask(canvas, zlib.decompress(base64.b64decode(bitmap["data"])), bitmap["origin"], value)
    except Unusable:
        raise
    except BROKEN as error:
        raise Unusable("broken bitmaps") from error


def are_shares(values: Sequence[float]) -> bool:
    """Whether coordinates are shares of the photo's sides, as some tools write them: pixels would be one at most."""
    return all(0 <= value <= 1 for value in values)


def stated_size(height: Any, width: Any) -> Size | None:
    """A size (H, W) that a label file states, None where it does not; some tools write numbers as text.

    Raises `ValueError` for what is no size.
    """
    if not height or not width:
        return None
    try:
        sides = float(height), float(width)
    except TypeError as error:
        raise ValueError("not a number") from error
    if not all(side > 0 and side.is_integer() for side in sides):
        raise ValueError("not a number of pixels")
    return int(sides[0]), int(sides[1])


def within(points: Sequence[Any], size: Size) -> bool:
    """Whether points (x, y) lie in a picture of `size` (H, W), a pixel or so beyond its edge counting as in it."""
    array = np.array(points, dtype=float).reshape(-1, 2)
    return bool((array >= -2).all() and (array[:, 0] <= size[1] + 2).all() and (array[:, 1] <= size[0] + 2).all())


def _check_reach(canvas: Image.Image, box: tuple[float, float, float, float]) -> None:
    """Raise `Unusable` where a region's box (left, top, right, bottom) lies outside the canvas."""
    if box[2] < 0 or box[3] < 0 or box[0] >= canvas.width or box[1] >= canvas.height:
        raise Unusable(NO_PIXEL)


def _points(points: Sequence[Any]) -> Points:
    corners = [(float(x), float(y)) for x, y in points]
    if not all(map(math.isfinite, (v for point in corners for v in point))):
        raise ValueError("a coordinate is no number")
    return corners
