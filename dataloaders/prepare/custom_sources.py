"""Read a folder of the user's own: index-PNG labels, labelme polygons or a COCO annotation file.

Each reader gives the label names, the background first, and one `Labelled` photo or one line of complaint per id.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from utils.errors import UserError
from utils.files import read_json
from utils.parallel import parallel_map

from ..reading import read_image, read_label
from ..spec import IGNORE
from .custom_drawing import draw_coco, draw_labelme
from .inspection import Files
from .placing import Entry
from .sources import LABELS, few, files_by_id, first_folder, unpaired

PHOTOS = (".jpg", ".jpeg", ".png")
IMAGE_FOLDERS = ("images", "trainval_images", "JPEGImages", "photos")
LABEL_FOLDERS = ("labels", "trainval_classes", "SegmentationClass", "masks")
BACKGROUND_NAMES = ("background", "_background_", "__background__")
IGNORE_NAME = "__ignore__"  # labelme's name for what must not count


class Labelled(NamedTuple):
    """A photo and its label map, ready to be placed."""

    entry: Entry
    raw_ids: tuple[int, ...]  # label ids in the map, without background and ignore


class CustomSource(NamedTuple):
    """What a folder of the user's own holds."""

    labels: tuple[str, ...]
    photos: list[Labelled | str]  # a line for each unusable one


def read_source(source: Path, annotations: Path | None, labels: tuple[str, ...] | None) -> CustomSource:
    """Read `source` in whichever form it has; `annotations` is a COCO file, `labels` the names of a dataset.json.

    Raises `UserError` when nothing usable is found, naming what was looked for.
    """
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source is the folder of your images")
    if annotations is not None:
        return _read_coco(source, annotations, labels)
    drawings = labelme_files(source)
    if drawings:
        return _read_labelme(source, drawings, labels)
    return _read_png(source, labels)


def labelme_files(source: Path) -> list[Path]:
    """The labelme files in `source` and its sub-folders."""
    found = (path for path in sorted(source.rglob("*.json")) if path.name != "dataset.json" and path.name[0] != ".")
    return [path for path in found if isinstance(content := read_json(path), dict) and "shapes" in content]


def _read_png(source: Path, labels: tuple[str, ...] | None) -> CustomSource:
    images = files_by_id(first_folder(source, IMAGE_FOLDERS), PHOTOS)
    maps = files_by_id(first_folder(source, LABEL_FOLDERS), LABELS)
    alone = unpaired(images, maps)
    if alone or not images:
        what = f"{len(alone)} photos or labels stand alone: {few(alone)}" if alone else "its image folder is empty"
        raise UserError(f"{source}: {what}; each photo needs a label PNG of the same name")
    labels = labels or _names_file(source)
    slots = len(labels) if labels else IGNORE
    files = [(image_id, Files(images[image_id], maps[image_id])) for image_id in images]
    photos = parallel_map(partial(_from_png, slots), files, "read photos and labels", "photo")
    if labels is None:
        highest = max((max(photo.raw_ids, default=0) for photo in photos if isinstance(photo, Labelled)), default=0)
        labels = ("background", *(f"class-{i}" for i in range(1, highest + 1)))
    return CustomSource(labels, photos)


def _read_labelme(source: Path, drawings: Sequence[Path], labels: tuple[str, ...] | None) -> CustomSource:
    contents = [(path, read_json(path)) for path in drawings]
    twice = [path.stem for path in drawings if sum(other.stem == path.stem for other in drawings) > 1]
    if twice:
        raise UserError(f"{source}: several labelme files are called {twice[0]}.json; rename them")
    labels = labels or _names_file(source)
    if labels is None:
        used = {shape.get("label") for _, content in contents for shape in content["shapes"] if isinstance(shape, dict)}
        labels = ("background", *sorted(str(name) for name in used - {*BACKGROUND_NAMES, IGNORE_NAME}))
    ids = label_ids(labels)
    photos = parallel_map(partial(_from_labelme, source, ids), contents, "draw labelme polygons", "photo")
    return CustomSource(labels, photos)


def _read_coco(source: Path, annotations: Path, labels: tuple[str, ...] | None) -> CustomSource:
    content = read_json(annotations)
    try:
        categories = {int(c["id"]): str(c["name"]) for c in sorted(content["categories"], key=lambda c: c["id"])}
        by_image: dict[Any, list[dict]] = {}
        for annotation in content["annotations"]:
            by_image.setdefault(annotation["image_id"], []).append(annotation)
        images = [image for image in content["images"] if image["id"] in by_image]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{annotations}: not a COCO annotation file (missing or wrong {error})") from error
    names = [name for name in categories.values() if name not in BACKGROUND_NAMES]
    labels = labels or ("background", *names)
    ids = label_ids(labels)
    unknown = [name for name in names if name not in ids]
    if unknown:
        raise UserError(f"{annotations}: category {unknown[0]!r} is none of dataset.json's labels; add it there")
    slots = {category: ids[name] for category, name in categories.items()}
    jobs = [(image, by_image[image["id"]]) for image in images]
    return CustomSource(labels, parallel_map(partial(_from_coco, source, slots), jobs, "draw COCO regions", "photo"))


def label_ids(labels: Sequence[str]) -> dict[str, int]:
    """Label name -> id, with the usual names of background and ignore."""
    ids = {name: i for i, name in enumerate(labels)}
    return {**dict.fromkeys(BACKGROUND_NAMES, 0), IGNORE_NAME: IGNORE, **ids}


def _names_file(source: Path) -> tuple[str, ...] | None:
    """Label names from labels.txt, one a line; the background is put first where the file leaves it out."""
    path = source / "labels.txt"
    if not path.exists():
        return None
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); it must be UTF-8 text, one label name a line") from error
    names = [name for name in names if name and name != IGNORE_NAME]
    if not names or len(set(names)) < len(names):
        raise UserError(f"{path}: must hold one label name a line, and none twice")
    return ("background", *(names[1:] if names[0] in BACKGROUND_NAMES else names))


def _from_png(slots: int, item: tuple[str, Files]) -> Labelled | str:
    image_id, files = item
    try:
        raw = read_label(files.label, slots)
        image, suffix = _fitting(files.image, raw.shape, upright=False)
    except UserError as error:
        return str(error)
    return Labelled(Entry(image_id, image, files.label, suffix=suffix), _raw_ids(raw))


def _from_labelme(source: Path, ids: Mapping[str, int], item: tuple[Path, dict]) -> Labelled | str:
    path, content = item
    name = PureWindowsPath(str(content.get("imagePath", ""))).name  # splits at both kinds of slash
    folders = (path.parent, *(source / folder for folder in IMAGE_FOLDERS))
    try:
        photo = _first_file(path, folders, name)
        with_tag = _oriented_size(photo, upright=True)
        raw = draw_labelme(path, content, with_tag, ids)
        image, suffix = _fitting(photo, raw.shape, upright=True)
    except UserError as error:
        return str(error)
    return Labelled(Entry(path.stem, image, _png(raw), suffix=suffix), _raw_ids(raw))


def _from_coco(source: Path, slots: Mapping[int, int], item: tuple[dict, list[dict]]) -> Labelled | str:
    image, annotations = item
    name = str(image.get("file_name", ""))
    try:
        photo = _first_file(source, (source, *(source / folder for folder in IMAGE_FOLDERS)), name)
        raw = draw_coco(image, annotations, slots)
        content, suffix = _fitting(photo, raw.shape, upright=False)
    except UserError as error:
        return str(error)
    return Labelled(Entry(photo.stem, content, _png(raw), suffix=suffix), _raw_ids(raw))


def _first_file(named_by: Path, folders: Sequence[Path], name: str) -> Path:
    for folder in folders:
        if name and (folder / name).is_file():
            return folder / name
    raise UserError(f"{named_by}: its image {name!r} is not in {folders[0]} nor in an images folder of SOURCE; add it")


def _oriented_size(photo: Path, upright: bool) -> tuple[int, int]:
    """Size (H, W) of a photo, with its EXIF orientation applied where `upright`."""
    try:
        with Image.open(photo) as picture:
            turned = upright and picture.getexif().get(0x0112, 1) >= 5
            return (picture.width, picture.height) if turned else (picture.height, picture.width)
    except OSError as error:
        raise UserError(f"{photo}: the image cannot be opened ({error}); replace the file") from error


def _fitting(photo: Path, size: tuple[int, int], upright: bool) -> tuple[Path | bytes, str]:
    """The photo in the orientation in which its label of `size` (H, W) was drawn, and its suffix.

    The loaders do not look at the EXIF orientation, so a photo that was labelled upright is stored upright.
    Raises `UserError` when the sizes agree neither way or the photo is broken.
    """
    plain = read_image(photo).shape[:2]
    with Image.open(photo) as picture:
        tagged = picture.getexif().get(0x0112, 1) != 1
        if plain == size and not (upright and tagged):
            return photo, photo.suffix.lower()
        turned = ImageOps.exif_transpose(picture).convert("RGB")
    if not tagged or (turned.height, turned.width) != size:
        raise UserError(
            f"{photo}: is {plain[1]}x{plain[0]}, but its label {size[1]}x{size[0]}; replace whichever is wrong"
        )
    buffer = io.BytesIO()
    turned.save(buffer, "PNG")
    return buffer.getvalue(), ".png"


def _png(raw: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(raw).save(buffer, "PNG")
    return buffer.getvalue()


def _raw_ids(raw: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(np.bincount(raw.ravel(), minlength=256)) if i not in (0, IGNORE))
