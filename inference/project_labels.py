"""The labels of one photo out of an annotation project of many: COCO files, and zips of CVAT's segmentation masks."""

import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from dataloaders.prepare.formats import coco
from dataloaders.prepare.formats.common import id_of_label, without_background
from dataloaders.prepare.formats.index_png import by_colour, labelmap
from dataloaders.prepare.sources import first_names
from utils.constants import IGNORE
from utils.errors import UserError
from utils.imaging import Photo
from utils.pictures import open_picture, stored_values

IGNORED = "__ignore__"  # the mask of what does not count
Masks = dict[str, np.ndarray]
"""A mask (H, W) by the name of its class."""


def read_coco(path: Path, content: Mapping[str, Any], photo: Photo | None) -> Masks:
    """The masks of the photo in a COCO file. Raises `UserError` where it has none, or not one alone."""
    try:
        entries = [(str(i["file_name"]), str(i["id"]), (int(i["height"]), int(i["width"]))) for i in content["images"]]
        annotated = [(str(a["image_id"]), a) for a in content["annotations"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: an image or annotation is broken ({error}); export the file again") from error
    coco.check_ids(path, "image", [(number, name) for name, number, _ in entries])
    _, number, size = entries[_one_of(path, [name for name, _, _ in entries], photo)]
    categories = coco.categories_of(path, content)
    labels = ("background", *without_background(list(categories.values())))
    id_of, regions = id_of_label(labels), []
    for annotation in (a for image, a in annotated if image == number and a.get("segmentation")):
        value = id_of(categories.get(str(annotation.get("category_id")), "")) or 0
        regions.append((annotation["segmentation"], IGNORE if annotation.get("iscrowd") else value))
    if not regions and any(image == number for image, _ in annotated):
        raise UserError(f"{path}: the annotations of this photo are boxes without a segmentation; draw polygons")
    ids, left_out = coco.paint(regions, size)
    for reason in dict.fromkeys(left_out):
        print(f"{path}: {left_out.count(reason)} {reason}: left out")
    return _masks(ids, labels)


def read_cvat(path: Path, photo: Photo | None) -> Masks:
    """The masks of the photo in a zip of CVAT's "Segmentation mask 1.1". Raises `UserError` as `read_coco` does."""
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            files = [name for name in archive.namelist() if Path(name).parent.name == "SegmentationClass"]
            maps = [name for name in archive.namelist() if Path(name).name == "labelmap.txt"]
            if not files or not maps:
                raise UserError(f"{path}: no labelmap.txt or SegmentationClass; export it as 'Segmentation mask 1.1'")
            labels, colours = labelmap(Path(archive.extract(maps[0], folder)))
            picture = open_picture(archive.extract(files[_one_of(path, files, photo)], folder))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: not a readable zip file ({error}); export it again") from error
    assert labels is not None  # since there is a labelmap.txt
    if picture.mode in ("RGB", "RGBA"):
        return _masks(by_colour(path, np.array(picture.convert("RGB")), colours, len(labels)), labels)
    return _masks(stored_values(picture), labels)


def _one_of(path: Path, names: Sequence[str], photo: Photo | None) -> int:
    """Which of the project's photos is the labelled one: that of its name, or the only one."""
    if not isinstance(photo, (str, Path)):
        if len(names) == 1:
            return 0
        raise UserError(f"{path}: holds {len(names)} photos; give the reference as a path, to find it by its name")
    stems = [Path(unquote(name).replace("\\", "/")).stem.lower() for name in names]
    found = [i for i, stem in enumerate(stems) if stem == Path(photo).stem.lower()]
    if len(found) != 1:
        what = f"has {len(found) or 'no'} photos called {Path(photo).stem!r}"
        raise UserError(
            f"{path}: {what} (it holds {first_names(names)}); give the reference the name that it has there"
        )
    return found[0]


def _masks(ids: np.ndarray, labels: Sequence[str]) -> Masks:
    masks = {name: ids == number for number, name in enumerate(labels) if number}
    return masks | ({IGNORED: ids == IGNORE} if (ids == IGNORE).any() else {})
