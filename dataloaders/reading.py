"""Read photos and label maps from disk, with every fault told in one line."""

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ExifTags import Base as Exif

from utils.constants import IGNORE
from utils.errors import UserError
from utils.imaging import load_picture, stored_values


def read_image(path: Path) -> np.ndarray:
    """Photo as RGB uint8 (H, W, 3). EXIF orientation is not applied: the published labels were drawn without it.

    Raises `UserError` when the file is missing, truncated or no image.
    """
    picture = _load(path, "image")
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def read_label(path: Path, num_slots: int) -> np.ndarray:
    """Label map as uint8 (H, W) of raw ids; a palette PNG is read by index, not by colour.

    Raises `UserError` when the file is missing, truncated, a colour picture, or holds an id that is neither
    below `num_slots` nor 255.
    """
    picture = _load(path, "label")
    if picture.mode not in ("L", "P"):
        raise UserError(
            f"{path}: the label is a {picture.mode} picture; "
            "save it as an 8-bit grey or palette PNG whose pixel values are class ids"
        )
    label = stored_values(picture)
    wrong = [raw for raw in ids_in(label) if raw >= num_slots]
    if wrong:
        raise UserError(
            f"{path}: holds label id {wrong[0]}, but ids go from 0 to {num_slots - 1} (255 = ignore); "
            "mend the label or the set's class list"
        )
    return label


def ids_in(label: np.ndarray) -> tuple[int, ...]:
    """The ids in a label map (H, W) in their order, without background and 255."""
    counts = np.bincount(label.ravel(), minlength=256)
    return tuple((np.flatnonzero(counts[1:IGNORE]) + 1).tolist())


def image_size(path: Path, *, upright: bool = False) -> tuple[int, int]:
    """Size (H, W) of a photo by its header, with the EXIF orientation applied where `upright`.

    Raises `UserError` when the file is no image.
    """
    try:
        with Image.open(path) as picture:
            turned = upright and picture.getexif().get(Exif.Orientation, 1) >= 5
            return (picture.width, picture.height) if turned else (picture.height, picture.width)
    except OSError as error:
        raise UserError(f"{path}: the image cannot be opened ({error.strerror or error}); replace the file") from error


def _load(path: Path, what: str) -> Image.Image:
    try:
        return load_picture(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such {what}; python -m dataloaders.check tells what else is missing") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: the {what} cannot be read ({error}); replace the file") from error
