"""A folder of masks, one picture a class, as the labels of a photo."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from dataloaders.prepare.formats.common import without_background
from dataloaders.reading import labels_upright, open_labels
from utils.errors import UserError
from utils.names import JUNK, first_names
from utils.pictures import SUFFIXES, colours_in_use

NOISE = 0.02  # of the greatest value: what JPEG may leave of black
GREY_INSIDE = 0.6  # share of the pixels of a mask that are not black which may be grey: of thin things, many are
FEW_VALUES = 64  # a picture of so many is a label map
GREY_EDGES = 0.2  # share of the pixels of a mask that may be neither black nor white
LABEL_STUDIO = re.compile(r"(?:(task-\d+(?:-annotation-\d+)?)-)?.*-tag-(.+)-\d+")  # task-1-annotation-2-by-3-tag-NAME-0


def read_folder(folder: Path, photo: Path | None = None) -> dict[str, np.ndarray]:
    """The masks (H, W) of a photo in a folder, by name.

    Raises `UserError` for what is none, and where they do not fit together.
    """
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "~$")) and p.name.lower() not in JUNK)
    files = [path for path in entries if path.suffix.lower() in SUFFIXES]
    others = [path.name for path in entries if path not in files]
    if others:  # the class of such a file is not in the reference, which must not go unsaid
        print(f"{folder}: passed over, no pictures: {len(others)} files or folders ({first_names(others)})")
    if not files:
        raise UserError(f"{folder}: holds no masks; put one image per class there, named by the class (hat.png)")
    pictures = {path: open_labels(path, exact=False) for path in files}
    if len({picture.size for picture in pictures.values()}) > 1:
        raise UserError(f"{folder}: its masks differ in size; draw all of them on the same photo")
    masks, tasks = dict[str, np.ndarray](), set[str]()
    for path in files:
        of_label_studio = LABEL_STUDIO.fullmatch(path.stem)
        name = of_label_studio[2] if of_label_studio else path.stem
        tasks |= {of_label_studio[1] or ""} if of_label_studio else set()
        if len(tasks) > 1:
            raise UserError(
                f"{folder}: holds masks of {' and '.join(sorted(tasks))}; leave those of one photo and annotation there"
            )
        if name in masks and not of_label_studio:
            raise UserError(f"{path}: another file is the mask of {name} too; remove one of them")
        mask = labels_upright(_mask(path, pictures[path]), pictures[path], photo)
        masks[name] = masks[name] | mask if name in masks else mask
    return masks


def _mask(path: Path, picture: Image.Image) -> np.ndarray:
    """True where the value is above half of the picture's greatest: 0/1 and 0/255 masks both, and JPEG ones.

    Where there is an alpha channel it is the mask, unless what it shows is black and white.
    """
    if picture.has_transparency_data:
        rgba = np.array(picture.convert("RGBA"))
        solid = rgba[..., 3] > rgba[..., 3].max() / 2
        shown = rgba[solid][:, :3]
        if not solid.all() and set(np.unique(shown).tolist()) != {0, 255}:
            return np.asarray(solid)
        values = np.where(solid, np.array(picture.convert("RGB").convert("L")), 0)
    else:
        by_index = picture.mode in ("L", "1", "I;16") or (picture.mode == "P" and not _is_grey(picture))
        values = np.array(picture if by_index else picture.convert("L"))
    if values.min() == values.max():
        raise UserError(f"{path}: the mask is the same all over; draw the class in white on black")
    shares = values.astype(np.float32) / values.max()
    grey = (shares < 0.9) & (shares > NOISE)
    if grey.mean() > GREY_EDGES or grey.sum() > GREY_INSIDE * (shares > NOISE).sum():
        values = np.unique(values[shares > NOISE])
        what = f"holds {len(values)} values or colours" if len(values) <= FEW_VALUES else "looks like a photo"
        remedy = "draw the class in white on black, or give a label map of all classes as a file"
        raise UserError(f"{path}: {what}, and is no mask of one class; {remedy}")
    mask = np.asarray(shares > 0.5)
    corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]]
    if corners.all() and mask.mean() > 0.5 and without_background([path.stem]):
        raise UserError(f"{path}: is white to all corners of the photo; draw the class in white on black")
    return mask


def _is_grey(picture: Image.Image) -> bool:
    """Whether a palette picture shows two greys or more and nothing else: it is then meant as it looks.

    Programs that make a palette of a black and white picture may well number the white 0.
    """
    colours = colours_in_use(picture)
    return len(colours) > 1 and all(red == green == blue for red, green, blue in colours)
