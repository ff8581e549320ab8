"""Draw label maps from labelme shapes and COCO regions."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from utils.errors import UserError

from ..spec import IGNORE

Points = list[tuple[float, float]]


def draw_labelme(path: Path, content: Mapping[str, Any], size: tuple[int, int], ids: Mapping[str, int]) -> np.ndarray:
    """Label map uint8 `size` (H, W) of a labelme file: its regions in file order, later ones on top.

    Points and lines have no area and leave no mark. Raises `UserError` on a label without an id and on broken shapes.
    """
    canvas = Image.new("L", (size[1], size[0]))
    pen = ImageDraw.Draw(canvas)
    for shape in content["shapes"]:
        try:
            label, kind = str(shape["label"]), shape.get("shape_type") or "polygon"
            points = [(float(x), float(y)) for x, y in shape["points"]]
            if label not in ids:
                raise UserError(
                    f"{path}: label {label!r} is none of the data set's; add it to dataset.json or labels.txt"
                )
            if kind == "mask":
                _paste_mask(canvas, shape["mask"], points[0], ids[label])
            elif kind in _PENS:
                _PENS[kind](pen, points, ids[label])
        except (KeyError, TypeError, ValueError, IndexError, OSError, binascii.Error) as error:
            raise UserError(f"{path}: a shape is broken ({error!r}); mend it in labelme") from error
    return np.array(canvas)


def draw_coco(
    image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], slots: Mapping[int, int]
) -> np.ndarray:
    """Label map uint8 (H, W) of a COCO image: large regions first, so that small ones stay visible; crowds become 255.

    Annotations without a segmentation leave no mark. Raises `UserError` on broken entries.
    """
    try:
        from pycocotools import mask as coco_mask
    except ImportError as error:
        raise UserError("COCO annotations need pycocotools; run: pip install pycocotools") from error
    try:
        height, width = int(image["height"]), int(image["width"])
        regions = []
        for annotation in annotations:
            segmentation = annotation.get("segmentation")
            if not segmentation:
                continue
            if isinstance(segmentation, list):  # polygons, one or more
                code = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
            elif isinstance(segmentation["counts"], list):
                code = coco_mask.frPyObjects(segmentation, height, width)
            else:
                code = segmentation
            value = IGNORE if annotation.get("iscrowd") else slots[annotation["category_id"]]
            regions.append((coco_mask.decode(code).astype(bool), value))
        label = np.zeros((height, width), dtype=np.uint8)
        for region, value in sorted(regions, key=lambda pair: -int(pair[0].sum())):
            label[region] = value
    except Exception as error:  # the library raises nearly anything on a broken region
        raise UserError(
            f"{image.get('file_name')}: its COCO annotations are broken ({error!r}); mend the file"
        ) from error
    return label


def _polygon(pen: ImageDraw.ImageDraw, points: Points, value: int) -> None:
    if len(points) >= 3:
        pen.polygon(points, fill=value, outline=value)


def _rectangle(pen: ImageDraw.ImageDraw, points: Points, value: int) -> None:
    (x0, y0), (x1, y1) = points[0], points[1]
    pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=value, outline=value)


def _circle(pen: ImageDraw.ImageDraw, points: Points, value: int) -> None:
    (x, y), edge = points[0], points[1]
    radius = math.dist((x, y), edge)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value, outline=value)


def _paste_mask(canvas: Image.Image, encoded: str, corner: tuple[float, float], value: int) -> None:
    mask = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("L").point(lambda v: 255 if v else 0)
    canvas.paste(value, (round(corner[0]), round(corner[1])), mask)


_PENS: dict[str, Callable[[ImageDraw.ImageDraw, Points, int], None]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
}
