"""Files that users label with: index PNGs, colour PNGs, folders with one mask for each class, names and colours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dataloaders.palette import RGB
from utils.errors import UserError
from utils.files import read_json
from utils.imaging import open_picture, stored_values

MASK_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
Labels = np.ndarray | Mapping[str, np.ndarray]
Names = Mapping[int, str]  # by class id
BaseIds = Mapping[str, int | str]  # the checkpoint's class, by id or name, of each name
Colors = Mapping[str, RGB]


def read_labels(path: str | Path, colors: Colors | None = None) -> np.ndarray | dict[str, np.ndarray]:
    """Labels as the file has them: an index map (H, W), or {name: mask (H, W)} from colours or from a folder.

    A colour PNG needs `colors`, name -> (r, g, b). In a folder each image is the mask of the class that it is named by.
    Raises `UserError` for anything else.
    """
    if Path(path).is_dir():
        return _read_folder(Path(path))
    return read_index_map(path) if colors is None else _split_colors(path, colors)


def read_index_map(path: str | Path) -> np.ndarray:
    """Class ids, int32 (H, W), from an 8-bit or 16-bit grey or a palette picture. Raises `UserError` for others."""
    picture = open_picture(path)
    if picture.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
        raise UserError(
            f"{path}: the labels are a {picture.mode} picture; save class ids as an 8-bit grey or palette PNG, "
            "or name the colours with --colors"
        )
    return stored_values(picture).astype(np.int32)


def read_colors(path: str | Path) -> dict[str, RGB]:
    """Colours from a JSON file {name: [r, g, b]}. Raises `UserError` when it is something else."""
    content = read_json(path)
    try:
        colors = {str(name): (int(red), int(green), int(blue)) for name, (red, green, blue) in content.items()}
    except (AttributeError, TypeError, ValueError):
        colors = {}
    if not colors or any(min(c) < 0 or max(c) > 255 for c in colors.values()):
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


def read_bank_map(path: str | Path) -> dict[str, int | str]:
    """Classes of the checkpoint, by id or name, for the user's names, from a JSON file. Raises `UserError`."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f'{path}: must map names, as {{"my name": "class of the checkpoint"}} does')
    return content


def _read_folder(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in MASK_SUFFIXES and p.name[0] != ".")
    if not files:
        raise UserError(f"{folder}: holds no masks; put one image per class there, named by the class (hat.png)")
    masks = {path.stem: _mask(open_picture(path)) for path in files}
    if len({mask.shape for mask in masks.values()}) > 1:
        raise UserError(f"{folder}: its masks differ in size; draw all of them on the same photo")
    return masks


def _mask(picture: Image.Image) -> np.ndarray:
    """True where the value is above half of the picture's greatest: 0/1 and 0/255 masks both, and JPEG ones."""
    values = np.array(picture if picture.mode in ("L", "P", "1", "I;16") else picture.convert("L")).astype(np.float32)
    return np.asarray(values > values.max() / 2)


def _split_colors(path: str | Path, colors: Colors) -> dict[str, np.ndarray]:
    codes = np.array(open_picture(path).convert("RGB"), dtype=np.int32) @ (65536, 256, 1)
    wanted = {name: int(np.dot(color, (65536, 256, 1))) for name, color in colors.items()}
    strange = np.setdiff1d(codes, [0, *wanted.values()]).tolist()
    if strange:
        code = strange[0]
        raise UserError(
            f"{path}: holds the colour {[code >> 16, code >> 8 & 255, code & 255]}, which --colors does not name "
            f"({len(strange)} such colours); add it, or save the labels without smoothing as PNG"
        )
    return {name: codes == code for name, code in wanted.items() if name != "background"}
