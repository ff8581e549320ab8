"""labelme: a .json file of shapes beside each photo."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from utils.errors import UserError
from utils.files import read_json

from ...reading import image_size
from ..photos import Photo, make_photos
from .common import BACKGROUND_NAMES, IGNORE_NAME, CustomSource, drawn_photo, find_photo, label_ids, names_file

Drawing = tuple[Path, dict[str, Any]]
"""A labelme file and its content."""


def recognises(source: Path, annotations: Path | None) -> bool:
    """Whether `source` or a sub-folder holds a labelme file."""
    return bool(_drawings(source))


def read(source: Path, annotations: Path | None, labels: tuple[str, ...] | None) -> CustomSource:
    """Draw the shapes of every file; without names from a dataset.json or labels.txt those in use are sorted."""
    drawings = _drawings(source)
    stems = [path.stem for path, _ in drawings]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise UserError(f"{source}: several labelme files are called {twice[0]}.json; rename them")
    labels = labels or names_file(source)
    if labels is None:
        used = {shape.get("label") for _, content in drawings for shape in content["shapes"] if isinstance(shape, dict)}
        labels = ("background", *sorted(str(name) for name in used - {*BACKGROUND_NAMES, IGNORE_NAME}))
    task = partial(_read_one, source, label_ids(labels))
    return CustomSource(labels, make_photos(source, task, drawings, "draw labelme polygons"))


def _drawings(source: Path) -> list[Drawing]:
    paths = (path for path in sorted(source.rglob("*.json")) if path.name != "dataset.json" and path.name[0] != ".")
    contents = ((path, read_json(path)) for path in paths)
    return [(path, content) for path, content in contents if isinstance(content, dict) and "shapes" in content]


def _read_one(source: Path, ids: Mapping[str, int], drawing: Drawing) -> Photo:
    path, content = drawing
    name = PureWindowsPath(str(content.get("imagePath", ""))).name  # splits at both kinds of slash
    photo = find_photo(path, path.parent, source, name)
    raw = draw_labelme(path, content, image_size(photo, upright=True), ids)
    return drawn_photo(path.stem, photo, raw, upright=True)


def draw_labelme(path: Path, content: Mapping[str, Any], size: tuple[int, int], ids: Mapping[str, int]) -> np.ndarray:
    """Label map uint8 `size` (H, W) of a labelme file: its regions in file order, later ones on top.

    Points and lines have no area and leave no mark. Raises `UserError` on a label without an id and on broken shapes.
    """
    canvas = Image.new("L", (size[1], size[0]))
    for shape in content["shapes"]:
        try:
            label = str(shape["label"])
            if label not in ids:
                raise UserError(
                    f"{path}: label {label!r} is none of the data set's; add it to dataset.json or labels.txt"
                )
            _draw(canvas, shape, ids[label])
        except (KeyError, TypeError, ValueError, IndexError, OSError, binascii.Error) as error:
            raise UserError(f"{path}: a shape is broken ({error!r}); mend it in labelme") from error
    return np.array(canvas)


def _draw(canvas: Image.Image, shape: Mapping[str, Any], value: int) -> None:
    pen = ImageDraw.Draw(canvas)
    points = [(float(x), float(y)) for x, y in shape["points"]]
    match shape.get("shape_type") or "polygon":
        case "polygon" if len(points) >= 3:
            pen.polygon(points, fill=value, outline=value)
        case "rectangle":
            corner, opposite = points[0], points[1]
            pen.rectangle((*map(min, corner, opposite), *map(max, corner, opposite)), fill=value, outline=value)
        case "circle":
            (x, y), edge = points[0], points[1]
            radius = math.dist((x, y), edge)
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value, outline=value)
        case "mask":
            mask = Image.open(io.BytesIO(base64.b64decode(shape["mask"]))).convert("L").point(lambda v: 255 if v else 0)
            canvas.paste(value, (round(points[0][0]), round(points[0][1])), mask)
