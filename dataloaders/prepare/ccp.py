"""CCP-OS from the public clothing-co-parsing repository: photos scaled, 59 tags gathered into 12 classes.

The repository has `photos/*.jpg`, `annotations/pixel-level/*.mat` (an array `groundtruth` of tag ids) and
`label_list.mat`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from utils.errors import UserError

from ..reading import read_image
from ..spec import SPLITS
from .inspection import Files
from .placing import Entry
from .sources import PHOTOS, Found, files_by_id, first_folder, unpaired

TAGS = {
    "background": "null",
    "hat": "hat",
    "hair": "hair",
    "skin": "skin",
    "upper-clothes": "blouse shirt sweater sweatshirt t-shirt top vest jumper hoodie bra bodysuit intimate swimwear "
    "tie",
    "skirt": "skirt",
    "pants": "jeans leggings pants shorts panties",
    "dress": "dress romper",
    "outerwear": "blazer cape cardigan coat jacket suit",
    "shoes": "boots clogs flats heels loafers pumps sandals shoes sneakers wedges",
    "legwear": "stockings tights socks",
    "bag": "bag purse wallet",
    "other": "accessories belt bracelet earrings glasses gloves necklace ring scarf sunglasses watch",
}
UNKNOWN = 254  # stands for a tag id without a name
_LISTS = Path(__file__).parents[1] / "splits" / "ccp"


def find_ccp(source: Path) -> Found:
    """The photos and .mat labels of a clone, with the id lists that the project carries.

    The lists leave out photos with unusable labels. Raises `UserError` when a sub-folder is missing.
    """
    images = files_by_id(first_folder(source, ("photos",)), PHOTOS)
    labels = files_by_id(first_folder(source, ("annotations/pixel-level",)), (".mat",))
    files = {i: Files(images[i], labels[i]) for i in images if i in labels}
    splits = {split: _carried_ids(split, files) for split in SPLITS}
    # most photos of a clone have image-level tags only, so a photo without label says nothing unless it is listed
    listed = {i for split in SPLITS for i in (_LISTS / f"meta_{split}_id.txt").read_text().split()}
    alone = unpaired(listed & images.keys(), listed & labels.keys())
    return Found(files, splits, "the project's own lists for CCP-OS", tuple(alone))


def tag_table(source: Path, tags: Mapping[str, str] = TAGS) -> np.ndarray:
    """Lookup table tag id -> class id, uint8 (256,); 254 for ids that are no tag.

    `tags` lists the tags of each class, in the order of the class ids. Raises `UserError` when label_list.mat is
    missing, broken or names a tag that no class takes.
    """
    path = source / "label_list.mat"
    classes = {tag: class_id for class_id, names in enumerate(tags.values()) for tag in names.split()}
    table = np.full(256, UNKNOWN, dtype=np.uint8)
    for tag_id, entry in enumerate(_read_mat(path, "label_list").ravel()):
        tag = str(np.squeeze(entry))
        if tag not in classes:
            raise UserError(f"{path}: tag {tag!r} is none of the 59 of clothing-co-parsing; clone it again")
        table[tag_id] = classes[tag]
    return table


def convert(table: np.ndarray, size: int, image_id: str, files: Files) -> Entry | str:
    """One photo with its label, longest side at most `size` (0 keeps the photo as it is), or what is wrong."""
    try:
        photo = Image.fromarray(read_image(files.image))
        tags = _read_mat(files.label, "groundtruth")
        if tags.shape != (photo.height, photo.width) or tags.dtype != np.uint8:
            raise UserError(f"{files.label}: groundtruth does not fit {files.image.name}; replace whichever is wrong")
        label = table[tags]
        if (label == UNKNOWN).any():
            raise UserError(f"{files.label}: holds a tag id that label_list.mat does not name; replace the file")
    except UserError as error:
        return str(error)
    scale = size / max(photo.size) if size else 1.0
    if scale >= 1:
        return Entry(image_id, files.image, encoded(Image.fromarray(label), "PNG"))
    smaller = (round(photo.width * scale), round(photo.height * scale))
    photo = photo.resize(smaller, Image.Resampling.LANCZOS)
    small_label = Image.fromarray(label).resize(smaller, Image.Resampling.NEAREST)
    return Entry(image_id, encoded(photo, "JPEG", quality=95), encoded(small_label, "PNG"))


def encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    """The content of the picture as a file of `kind`."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _carried_ids(split: str, files: dict[str, Files]) -> list[str]:
    return [i for i in (_LISTS / f"meta_{split}_id.txt").read_text().split() if i in files]


def _read_mat(path: Path, variable: str) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"{path}: no such file; --source is a clone of bearpaw/clothing-co-parsing")
    try:
        return scipy.io.loadmat(path)[variable]
    except Exception as error:  # a broken .mat file raises nearly anything
        raise UserError(f"{path}: not a readable .mat file with {variable!r} ({error}); replace the file") from error
