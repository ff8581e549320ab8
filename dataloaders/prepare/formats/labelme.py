"""labelme: a .json file of shapes beside each photo, or in a folder of their own."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from utils.errors import UserError
from utils.names import composed, first_names

from ...layout import IMAGE_SUFFIXES
from ..photos import PreparedPhoto, make_photos
from .common import (
    Files,
    IdOf,
    Labelled,
    PhotoIndex,
    drawn_size,
    fitted_photo,
    id_of_label,
    names_file,
    without_background,
)
from .folders import splits_by_folder
from .shapes import Unusable, draw_shape


class Drawing(NamedTuple):
    """A labelme file, its photo and its content."""

    path: Path
    photo: Path
    content: dict[str, Any]


def is_labelme(content: object) -> bool:
    """Whether the content of a JSON file is labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read(
    source: Path, files: Files, labels: tuple[str, ...] | None, depth: int = 0, skip_bad: bool = False
) -> Labelled:
    """Draw the shapes of every file; without names from a dataset.json or labels.txt those in use are sorted."""
    index = PhotoIndex(source)
    paths = list(files)
    photos = index.found([(path, str(files[path].get("imagePath", ""))) for path in paths], skip_bad)
    drawings = [Drawing(paths[place], photo, files[paths[place]]) for place, photo in photos]
    index.tell_unnamed([drawing.photo for drawing in drawings])
    times = Counter(drawing.photo.resolve() for drawing in drawings)
    if several := sorted(photo.name for photo, number in times.items() if number > 1):
        print(
            f"{len(several)} photos ({first_names(several)}): several labelme files name them; each is used by itself"
        )
    named = names_file(source)
    labels = labels or (named.labels if named else None)
    if labels is None:
        labels = ("background", *without_background(sorted({n for content in files.values() for n in used(content)})))
    draw_one = partial(_draw, labels, depth)
    made = make_photos(source, draw_one, drawings, "draw labelme shapes", skip_bad=skip_bad)
    return Labelled(labels, made, splits_by_folder(source, [photo.origin for photo in made if photo.origin]))


def draw(path: Path, content: Mapping[str, Any], size: tuple[int, int], id_of: IdOf) -> tuple[np.ndarray, list[str]]:
    """The label map (H, W) of a file's regions in file order, later ones on top; and a reason for each left out.

    Raises `UserError` on a label without an id and on entries that are no shapes.
    """
    canvas, left_out = Image.new("L", size[::-1]), []
    for shape in content["shapes"]:
        if not (label := _label(shape)):
            raise UserError(f"{path}: a shape is broken (no label); mend it in labelme")
        value = id_of(label)
        if value is None:
            raise UserError(f"{path}: label {label!r} is none of the data set's; add it to dataset.json or labels.txt")
        try:
            draw_shape(canvas, shape, value)
        except Unusable as error:
            left_out.append(str(error))
    return np.array(canvas), left_out


def used(content: Mapping[str, Any]) -> set[str]:
    """The names of the labels in a file."""
    return {label for shape in content["shapes"] if (label := _label(shape))}


def _label(shape: object) -> str:
    """The label of a shape, without blanks around, which nobody sees; empty where it has none."""
    label = shape.get("label") if isinstance(shape, dict) else None
    return "" if label is None else str(label).strip()


def _draw(labels: tuple[str, ...], depth: int, drawing: Drawing) -> PreparedPhoto:
    """The photo of a labelme file with its label map. Raises `UserError` where the file lies beside another photo."""
    beside = [drawing.path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES]
    own = next((path for path in beside if path.is_file()), drawing.photo)
    # with renamed and copied files the shapes may be of either
    if composed(own.stem).lower() != composed(drawing.photo.stem).lower():
        names = f"its imagePath is {drawing.photo.name}, but {own.name} lies beside it"
        raise UserError(f"{drawing.path}: {names}; correct the imagePath, or give the file its photo's name")
    path, photo, content = drawing
    size = drawn_size(path, photo, content.get("imageHeight"), content.get("imageWidth"))
    label, left_out = draw(path, content, size, id_of_label(labels))
    return fitted_photo(path.stem, photo, label, depth=depth)._replace(left_out=tuple(left_out))
