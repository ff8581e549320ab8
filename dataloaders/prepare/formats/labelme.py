"""labelme: a .json file of shapes beside each photo."""

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
from .common import BACKGROUND_NAMES, IGNORE_NAME, LabelledPhotos, find_photo, fitted_photo, label_ids, names_file

Drawing = tuple[Path, dict[str, Any]]
"""A labelme file and its content."""


def find(source: Path) -> list[Drawing]:
    """The labelme files in `source` and its sub-folders."""
    paths = (path for path in sorted(source.rglob("*.json")) if path.name != "dataset.json" and path.name[0] != ".")
    contents = ((path, read_json(path)) for path in paths)
    return [(path, content) for path, content in contents if isinstance(content, dict) and "shapes" in content]


def read(source: Path, drawings: list[Drawing], labels: tuple[str, ...] | None) -> LabelledPhotos:
    """Draw the shapes of every file; without names from a dataset.json or labels.txt those in use are sorted."""
    stems = [path.stem for path, _ in drawings]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise UserError(f"{source}: several labelme files are called {twice[0]}.json; rename them")
    labels = labels or names_file(source)
    if labels is None:
        used = {shape.get("label") for _, content in drawings for shape in content["shapes"] if isinstance(shape, dict)}
        labels = ("background", *sorted(str(name) for name in used - {*BACKGROUND_NAMES, IGNORE_NAME}))
    task = partial(_draw, source, label_ids(labels))
    return labels, make_photos(source, task, drawings, "draw labelme polygons")


def _draw(source: Path, ids: Mapping[str, int], drawing: Drawing) -> Photo:
    """The photo of a labelme file with its regions in file order, later ones on top.

    Points and lines have no area and leave no mark. Raises `UserError` on a label without an id and on broken shapes.
    """
    path, content = drawing
    name = PureWindowsPath(str(content.get("imagePath", ""))).name  # splits at both kinds of slash
    photo = find_photo(path, path.parent, source, name)
    height, width = image_size(photo, upright=True)
    canvas = Image.new("L", (width, height))
    for shape in content["shapes"]:
        try:
            label = str(shape["label"])
            if label not in ids:
                raise UserError(
                    f"{path}: label {label!r} is none of the data set's; add it to dataset.json or labels.txt"
                )
            _draw_shape(canvas, shape, ids[label])
        except (KeyError, TypeError, ValueError, IndexError, OSError, binascii.Error) as error:
            raise UserError(f"{path}: a shape is broken ({error!r}); mend it in labelme") from error
    return fitted_photo(path.stem, photo, np.array(canvas), upright=True)


def _draw_shape(canvas: Image.Image, shape: Mapping[str, Any], value: int) -> None:
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
