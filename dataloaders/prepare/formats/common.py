"""What the formats of users' labels share."""

from collections.abc import Sequence
from pathlib import Path

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
LabelledPhotos = tuple[tuple[str, ...], list[Photo]]  # label names, the background first, and the photos


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


def fitted_photo(image_id: str, photo: Path, raw: np.ndarray, *, upright: bool, label: Path | None = None) -> Photo:
    """The photo with its label map `raw` (H, W), which the file `label` holds or which has been drawn.

    The loaders do not look at the EXIF orientation, so a photo that was labelled `upright` is stored upright.
    Raises `UserError` when the sizes agree neither way or the photo is broken.
    """
    content: Path | bytes = photo
    suffix, plain = photo.suffix.lower(), read_image(photo).shape[:2]
    with Image.open(photo) as picture:
        tagged = picture.getexif().get(Exif.Orientation, 1) != 1
        if plain != raw.shape or (upright and tagged):
            turned = ImageOps.exif_transpose(picture).convert("RGB")
            if not tagged or (turned.height, turned.width) != raw.shape:
                sizes = f"{plain[1]}x{plain[0]}, but its label {raw.shape[1]}x{raw.shape[0]}"
                raise UserError(f"{photo}: is {sizes}; replace whichever is wrong")
            content, suffix = encoded(turned), ".png"
    return Photo(image_id, content, label or encoded(raw), ids_in(raw), suffix=suffix)
