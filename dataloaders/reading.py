"""Read photos and label maps from disk, with every fault told in one line."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from utils.constants import IGNORE
from utils.errors import UserError
from utils.imaging import to_rgb
from utils.pictures import LOSSY, MAX_PIXELS, Tell, open_picture, picture_size, silent, stored_values, turned

FEW_THIN, MANY_THIN = 3, 8  # ids that stand nowhere on 3x3 pixels, see `looks_smoothed`
MOST_STEPS = 51  # up to 255 that are no plain numbers: of five or more


def read_image(
    path: Path, *, published: bool = False, upright: bool = True, depth: int = 0, tell: Tell = silent
) -> np.ndarray:
    """Photo as RGB uint8 (H, W, 3), as `utils.imaging.to_rgb` reads it everywhere.

    The photos of the `published` sets are the pixels as the file stores them, since their labels were drawn so.
    Raises `UserError` when the file is missing, truncated or no image.
    """
    if (pixels := _plain_jpeg(path, published)) is not None:
        return pixels
    if published:
        picture = _load(path, "image")
        return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
    return to_rgb(path, math.inf, upright=upright, depth=depth, tell=tell)


def read_fitting(path: Path, size: tuple[int, ...], *, published: bool) -> np.ndarray:
    """The photo to a label map of `size` (H, W), as `read_image` gives it.

    Where the label fits only the form in which a turned photo is stored, that one. The caller compares the sizes.
    """
    image = read_image(path, published=published)
    if image.shape[:2] != size and not published and picture_size(path)[1] == size:
        return read_image(path, upright=False)
    return image


def open_labels(path: str | Path, max_pixels: float = MAX_PIXELS, *, exact: bool = True) -> Image.Image:
    """The picture in a label file, decoded; `exact` where its values are ids or colours, and not those of a mask.

    Raises `UserError` for a lossy form of what must be exact, and for several pages: nobody knows which is meant.
    """
    pages: list[str] = []
    picture = open_picture(path, max_pixels, pages.append)
    if exact and picture.format in LOSSY:
        raise UserError(f"{path}: labels in a {picture.format} file are not exact; save them anew as PNG")
    if pages:
        raise UserError(f"{path}: holds several pages, and the labels of a photo are one; save the right one as PNG")
    return picture


def labels_upright(pixels: np.ndarray, picture: Image.Image, photo: Path | None = None) -> np.ndarray:
    """Pixels (H, W, ...) of a label picture as its orientation tag has them shown, as a photo's are.

    Where only their stored form fits the upright `photo`, they were drawn so, and the tag is a copy of the photo's.
    """
    shown = turned(pixels, picture.info.get("orientation", 1))
    if photo is not None and shown.shape != pixels.shape and pixels.shape[:2] == picture_size(photo)[0]:
        return pixels
    return shown


def read_label(path: Path, num_slots: int) -> np.ndarray:
    """Label map as uint8 (H, W) of raw ids; a palette PNG is read by index, not by colour.

    Raises `UserError` when the file is missing, truncated, a colour picture, or holds an id that is neither
    below `num_slots` nor 255.
    """
    label = _plain_png(path)
    if label is None:
        picture = _load(path, "label")
        if picture.mode not in ("L", "P"):
            raise UserError(
                f"{path}: the label is a {picture.mode} picture; "
                "save it as an 8-bit grey or palette PNG whose pixel values are class ids"
            )
        label = stored_values(picture)
    wrong = [raw for raw in ids_in(label) if raw >= num_slots] if label.max() >= num_slots else []
    if wrong:
        raise UserError(
            f"{path}: holds label id {wrong[0]}, but ids go from 0 to {num_slots - 1} (255 = ignore); "
            "mend the label or the set's class list"
        )
    return label


def mapped(label: np.ndarray, table: np.ndarray) -> np.ndarray:
    """`table[label]` for a label map and a table (256,), both uint8, in less time."""
    return np.frombuffer(bytearray(label.tobytes().translate(table.tobytes())), np.uint8).reshape(label.shape)


def looks_smoothed(label: np.ndarray) -> bool:
    """Whether a label map (H, W) was saved or resized smoothly, which invents ids between those of neighbours.

    Such ids stand nowhere on 3x3 pixels. Many of them are no drawing; a few are none if nearly all their pixels lie
    between a lower and a higher id. In label maps that were drawn there are at most two such ids.
    """
    if min(label.shape) < 3:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(label, (3, 3))
    low, high, middle = windows.min(axis=(2, 3)), windows.max(axis=(2, 3)), label[1:-1, 1:-1]
    thin = np.setdiff1d(np.unique(middle), np.unique(middle[low == high]))
    if not FEW_THIN <= len(thin) < MANY_THIN:
        return len(thin) >= MANY_THIN
    between = (low < middle) & (middle < high)
    return bool(between[np.isin(middle, thin)].mean() > 0.9)


def looks_scaled(ids: Iterable[int]) -> bool:
    """Whether the ids of labels go up to 255 in equal steps, with the 255 or without: they were scaled to be seen.

    One id alone, half of 255, tells that only with the 255.
    """
    ids = set(ids)
    classes = sorted(ids - {0, IGNORE})
    steps, fewest = len(classes) + 1, 2 if IGNORE in ids else 3
    return fewest <= steps <= MOST_STEPS and all(abs(i - 255 * step / steps) <= 1 for step, i in enumerate(classes, 1))


def ids_in(label: np.ndarray) -> tuple[int, ...]:
    """The ids in a label map (H, W) in their order, without background and 255."""
    if label.dtype == np.uint8:  # counted in a fraction of the time that sorting takes
        found = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    else:
        found = np.unique(label).astype(np.int64)
    return tuple(i for i in found.tolist() if i not in (0, IGNORE))


def _plain_jpeg(path: Path, published: bool) -> np.ndarray | None:
    """The pixels of an RGB JPEG without EXIF data and colour profile, which `published` photos do not need.

    As the thorough reader gives them, but quicker: training reads such files all the time. None for any other file,
    and where it cannot be read: the thorough reader then tells why.
    """
    try:
        with Image.open(path, formats=("JPEG",)) as picture:
            plain = picture.mode == "RGB" and (published or not {"exif", "icc_profile"} & picture.info.keys())
            return np.array(picture) if plain else None
    except Exception:  # damaged files raise nearly anything
        return None


def _plain_png(path: Path) -> np.ndarray | None:
    """The stored values of a grey or palette PNG of 8 bits; None as above."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            plain = len(picture.tile) == 1 and picture.tile[0][3] in ("L", "P") and getattr(picture, "n_frames", 1) == 1
            return np.array(picture) if plain else None
    except Exception:
        return None


def _load(path: Path, what: str) -> Image.Image:
    if not path.exists():
        raise UserError(f"{path}: no such {what}; python -m dataloaders.check tells what else is missing")
    return open_picture(path, math.inf)
