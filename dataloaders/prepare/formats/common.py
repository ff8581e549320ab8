"""What the formats of users' labels share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base as Exif

from utils.constants import IGNORE
from utils.errors import UserError

from ...reading import ids_in, read_image
from ..photos import Photo, encoded

PHOTOS = (".jpg", ".jpeg", ".png")
IMAGE_FOLDERS = ("images", "trainval_images", "JPEGImages", "photos")
BACKGROUND_NAMES = ("background", "_background_", "__background__")
IGNORE_NAME = "__ignore__"  # labelme's name for what must not count


class CustomSource(NamedTuple):
    """What a folder of the user's own holds."""

    labels: tuple[str, ...]  # the background first
    photos: list[Photo]


class Format(Protocol):
    """What the module of a format offers. `annotations` is the file that the user has named, if any."""

    def recognises(self, source: Path, annotations: Path | None) -> bool:
        """Whether the folder `source` is in this form."""

    def read(self, source: Path, annotations: Path | None, labels: tuple[str, ...] | None) -> CustomSource:
        """The photos of `source` with their labels; `labels` are the names of a dataset.json, if there is one.

        Raises `UserError` when any photo or label is unusable, after printing a line for each.
        """


def label_ids(labels: Sequence[str]) -> dict[str, int]:
    """Label name -> id, with the usual names of background and ignore."""
    ids = {name: i for i, name in enumerate(labels)}
    return {**dict.fromkeys(BACKGROUND_NAMES, 0), IGNORE_NAME: IGNORE, **ids}


def names_file(source: Path) -> tuple[str, ...] | None:
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


def find_photo(named_by: Path, folder: Path, source: Path, name: str) -> Path:
    """The photo that the file `named_by` calls `name`, in `folder` or an images folder of `source`.

    Raises `UserError` when it is in none of them.
    """
    for place in (folder, *(source / images for images in IMAGE_FOLDERS)):
        if name and (place / name).is_file():
            return place / name
    raise UserError(f"{named_by}: its image {name!r} is not in {folder} nor in an images folder of SOURCE; add it")


def drawn_photo(image_id: str, photo: Path, raw: np.ndarray, *, upright: bool) -> Photo:
    """A photo with the label map (H, W) that has been drawn for it. Raises `UserError` as `fitting` does."""
    image, suffix = fitting(photo, raw.shape, upright=upright)
    return Photo(image_id, image, encoded(raw), ids_in(raw), suffix=suffix)


def fitting(photo: Path, size: tuple[int, ...], *, upright: bool) -> tuple[Path | bytes, str]:
    """The photo in the orientation in which its label of `size` (H, W) was drawn, and its suffix.

    The loaders do not look at the EXIF orientation, so a photo that was labelled upright is stored upright.
    Raises `UserError` when the sizes agree neither way or the photo is broken.
    """
    plain = read_image(photo).shape[:2]
    with Image.open(photo) as picture:
        tagged = picture.getexif().get(Exif.Orientation, 1) != 1
        if plain == size and not (upright and tagged):
            return photo, photo.suffix.lower()
        turned = ImageOps.exif_transpose(picture).convert("RGB")
    if not tagged or (turned.height, turned.width) != size:
        raise UserError(
            f"{photo}: is {plain[1]}x{plain[0]}, but its label {size[1]}x{size[0]}; replace whichever is wrong"
        )
    return encoded(turned), ".png"
