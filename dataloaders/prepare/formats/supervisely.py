"""Supervisely: meta.json with the classes, and for each photo ds/img/NAME a file ds/ann/NAME.json of objects."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from utils.errors import UserError

from ..photos import PreparedPhoto, make_photos
from .common import (
    Files,
    Labelled,
    LeftOut,
    PhotoIndex,
    drawn_size,
    fitted_photo,
    id_of_label,
    without_background,
)
from .folders import splits_by_folder
from .shapes import BROKEN, Unusable, draw_bitmap, draw_polygon


class Annotated(NamedTuple):
    """An annotation file, its photo and its content."""

    path: Path
    photo: Path
    content: dict[str, Any]


def is_annotation(content: object) -> bool:
    """Whether the content of a JSON file is Supervisely's for one photo."""
    return (
        isinstance(content, dict) and isinstance(content.get("objects"), list) and isinstance(content.get("size"), dict)
    )


def read(
    source: Path, files: Files, labels: tuple[str, ...] | None, depth: int = 0, skip_bad: bool = False
) -> Labelled:
    """Draw the bitmaps and polygons of every photo; the classes are those in use, sorted."""
    index, left_out = PhotoIndex(source), LeftOut()
    used = {_name_of(o) for content in files.values() for o in content["objects"] if isinstance(o, dict)}
    labels = labels or ("background", *without_background(sorted(used)))
    for path in [path for path, content in files.items() if not content["objects"]]:
        left_out.add("photos without annotations", path.name)
    left_out.tell()
    files = {path: content for path, content in files.items() if content["objects"]}
    if not files:
        raise UserError(f"{source}: its annotations hold no object; export them with their figures")
    paths = list(files)
    photos = index.found([(path, f"../img/{path.name.removesuffix('.json')}") for path in paths], skip_bad)
    annotated = [Annotated(paths[place], photo, files[paths[place]]) for place, photo in photos]
    draw = partial(_draw, labels, depth)
    made = make_photos(source, draw, annotated, "draw Supervisely objects", skip_bad=skip_bad)
    return Labelled(labels, made, splits_by_folder(source, [photo.origin for photo in made if photo.origin]))


def _draw(labels: tuple[str, ...], depth: int, annotated: Annotated) -> PreparedPhoto:
    """The photo with its objects in file order, later ones on top. Raises `UserError` on a class without an id."""
    path, photo, content = annotated
    size = drawn_size(path, photo, content["size"].get("height"), content["size"].get("width"))
    canvas, left_out, id_of = Image.new("L", size[::-1]), [], id_of_label(labels)
    for entry in content["objects"]:
        name = _name_of(entry) if isinstance(entry, dict) else ""
        value = id_of(name)
        if value is None:
            raise UserError(f"{path}: class {name!r} is none of the data set's; add it to dataset.json")
        try:
            _draw_object(canvas, entry, value)
        except Unusable as error:
            left_out.append(str(error))
    drawn = fitted_photo(photo.stem, photo, np.array(canvas), depth=depth)
    return drawn._replace(left_out=tuple(left_out))


def _name_of(entry: Mapping[str, Any]) -> str:
    """The name of an object's class, without blanks around, which nobody sees."""
    return str(entry.get("classTitle")).strip()


def _draw_object(canvas: Image.Image, entry: Mapping[str, Any], value: int) -> None:
    kind = entry.get("geometryType")
    try:
        if kind == "bitmap":
            draw_bitmap(canvas, entry["bitmap"], value)
            return
        outline, holes = entry["points"]["exterior"], entry["points"].get("interior", ())
        if kind == "rectangle":
            (x0, y0), (x1, y1) = outline
            outline = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        elif kind != "polygon":
            raise Unusable(f"objects of the kind {kind!r}, which has no area here")
        draw_polygon(canvas, outline, value, holes)
    except Unusable:
        raise
    except BROKEN as error:
        raise Unusable("broken objects") from error
