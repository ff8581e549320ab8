"""Read photos and label maps from disk, with every fault told in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as Exif

from utils.errors import UserError
from utils.imaging import grey_step

from .spec import IGNORE


def read_image(path: Path) -> np.ndarray:
    """Photo as RGB uint8 (H, W, 3). EXIF orientation is not applied: the published labels were drawn without it.

    Raises `UserError` when the file is missing, truncated or no image.
    """
    return _read(path, "RGB", "image")


def read_label(path: Path, num_slots: int) -> np.ndarray:
    """Label map as uint8 (H, W) of raw ids; a palette PNG is read by index, not by colour.

    Raises `UserError` when the file is missing, truncated, a colour picture, or holds an id that is neither
    below `num_slots` nor 255.
    """
    label = _read(path, None, "label")
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


def _read(path: Path, mode: str | None, what: str) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            if mode is None and picture.mode not in ("L", "P"):
                raise UserError(
                    f"{path}: the label is a {picture.mode} picture; "
                    "save it as an 8-bit grey or palette PNG whose pixel values are class ids"
                )
            step = grey_step(picture) if mode is None else 1
            pixels = np.array(picture if mode in (None, picture.mode) else picture.convert(mode))
            return pixels // step if step > 1 else pixels
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such {what}; python -m dataloaders.check tells what else is missing") from error
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: the {what} cannot be read ({error}); replace the file") from error
