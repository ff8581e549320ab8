"""Label maps that users have: index PNGs, colour PNGs, and folders with one mask for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import read_json
from utils.imaging import Photo, open_picture, stored_values, to_rgb

LARGEST_ID = 65535
MASK_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
Labels = np.ndarray | Mapping[str, np.ndarray]
Colors = Mapping[str, Sequence[int]]


def read_labels(path: str | Path, colors: Colors | None = None) -> np.ndarray | dict[str, np.ndarray]:
    """Labels as the file has them: an index map (H, W), or {name: mask (H, W)} from colours or from a folder.

    An index PNG is 8-bit grey, palette or 16-bit grey, its values class ids (0 background, 255 ignore). A colour
    PNG needs `colors`, name -> (r, g, b). In a folder each image is the mask of the class that it is named by.
    Raises `UserError` for anything else.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    picture = open_picture(path)
    if colors is not None:
        return _split_colors(path, np.array(picture.convert("RGB")), colors)
    if picture.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
        raise UserError(
            f"{path}: the labels are a {picture.mode} picture; save class ids as an 8-bit grey or palette PNG, "
            "or name the colours with --colors"
        )
    return stored_values(picture).astype(np.int32)


def read_colors(path: str | Path) -> dict[str, tuple[int, int, int]]:
    """Colours from a JSON file {name: [r, g, b]}. Raises `UserError` when it is something else."""
    content = read_json(path)
    try:
        colors = {str(name): tuple(int(v) for v in values) for name, values in content.items()}
    except (AttributeError, TypeError, ValueError):
        colors = {}
    if not colors or any(len(c) != 3 or min(c) < 0 or max(c) > 255 for c in colors.values()):
        raise UserError(f'{path}: must hold an object of colours such as {{"hat": [230, 25, 75]}}')
    return colors


def read_names(path: str | Path) -> dict[int, str]:
    """Class names by id from a JSON file: {"1": "hat"} or a list, the background first. Raises `UserError`."""
    content = read_json(path)
    entries: Any = enumerate(content) if isinstance(content, list) else getattr(content, "items", list)()
    try:
        names = {int(class_id): str(name) for class_id, name in entries}
    except ValueError:
        names = {}
    if not names:
        raise UserError(f'{path}: must hold class names by id, {{"1": "hat"}}, or a list with the background first')
    return names


def join_masks(masks: Mapping[str, np.ndarray], ids: Mapping[str, int]) -> np.ndarray:
    """Masks (H, W) by name -> one map of `ids`, int32 (H, W). Where masks overlap, the smaller one lies on top.

    Raises `UserError` when their sizes differ.
    """
    arrays = {name: np.asarray(mask).astype(bool) for name, mask in masks.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        told = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UserError(f"the masks differ in size ({told}); draw all of them (H, W) on the same photo")
    label = np.zeros(shapes.pop(), dtype=np.int32)
    for name in sorted(arrays, key=lambda name: -arrays[name].sum()):
        label[arrays[name]] = ids[name]
    return label


def ids_by_name(labels: Sequence[Labels], names: Mapping[int, str]) -> dict[str, int]:
    """An id for every mask name: the one `names` gives, else the next free one."""
    ids = {name: i for i, name in names.items()}
    taken = set(ids.values()) | {0, IGNORE}
    for name in (name for label in labels if isinstance(label, Mapping) for name in label):
        if name not in ids:
            ids[name] = next(i for i in range(1, LARGEST_ID) if i not in taken)
            taken.add(ids[name])
    return ids


def check_pair(photo: Photo, labels: Labels, ids: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """The photo as RGB and its label map of ids, int64 (H, W). Raises `UserError` where they do not fit."""
    rgb = to_rgb(photo)
    if isinstance(labels, Mapping):
        if not labels:
            raise UserError(f"{named(photo)}: no masks are given; mark at least one class")
        labels = join_masks(labels, ids)
    label = np.asarray(labels)
    if label.ndim != 2 or (label.dtype != bool and not np.issubdtype(label.dtype, np.integer)):
        raise UserError(f"{named(photo)}: its labels are {label.dtype} {label.shape}; give integer class ids (H, W)")
    if label.shape != rgb.shape[:2]:
        (h, w), (rows, columns) = label.shape, rgb.shape[:2]
        raise UserError(
            f"{named(photo)}: upright it is {columns}x{rows}, its labels are {w}x{h}; save both at one size"
        )
    if label.min() < 0 or label.max() > LARGEST_ID:
        raise UserError(f"{named(photo)}: its labels hold {label.min()} to {label.max()}; use ids 0 to {LARGEST_ID}")
    return rgb, label.astype(np.int64)


def named(photo: Photo) -> str:
    """What to call a photo in a message: its path, where it has one."""
    return str(photo) if isinstance(photo, (str, Path)) else "the reference"


def _read_folder(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in MASK_SUFFIXES and p.name[0] != ".")
    if not files:
        raise UserError(f"{folder}: holds no masks; put one image per class there, named by the class (hat.png)")
    masks = {path.stem: _mask(open_picture(path)) for path in files}
    sizes = {mask.shape for mask in masks.values()}
    if len(sizes) > 1:
        raise UserError(f"{folder}: its masks differ in size; draw all of them on the same photo")
    return masks


def _mask(picture: Image.Image) -> np.ndarray:
    """True where the value is above half of the picture's greatest: 0/1 and 0/255 masks both, and JPEG ones."""
    values = np.array(picture if picture.mode in ("L", "P", "1", "I;16") else picture.convert("L")).astype(np.float32)
    return values > values.max() / 2


def _split_colors(path: Path, pixels: np.ndarray, colors: Colors) -> dict[str, np.ndarray]:
    codes = pixels.astype(np.int32) @ (65536, 256, 1)
    wanted = {name: int(np.dot(color, (65536, 256, 1))) for name, color in colors.items()}
    known = {0, *wanted.values()}
    strange = [int(code) for code in np.unique(codes) if int(code) not in known]
    if strange:
        code = strange[0]
        raise UserError(
            f"{path}: holds the colour {[code >> 16, code >> 8 & 255, code & 255]}, which --colors does not name "
            f"({len(strange)} such colours); add it, or save the labels without smoothing as PNG"
        )
    return {name: codes == code for name, code in wanted.items() if name != "background"}
