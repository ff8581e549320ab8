"""CCP-OS from the public clothing-co-parsing repository: photos scaled, 59 tags gathered into 12 classes.

The repository has `photos/*.jpg`, `annotations/pixel-level/*.mat` (an array `groundtruth` of tag ids) and
`label_list.mat`.
"""

from functools import partial
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from utils.errors import UserError

from .. import catalog
from ..reading import ids_in, read_image
from ..spec import SPLITS
from .build import build, choose_lists
from .check import Outcome
from .photos import PreparedPhoto, SourceFiles, encoded, make_photos
from .sources import JPEGS, Offer, files_by_id, find_folder, unpaired

CCP_SIZE = 512
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


def prepare_ccp(
    source: str | Path,
    data_root: str | Path = catalog.DATA_ROOT,
    *,
    copy: bool = False,
    size: int = CCP_SIZE,
    val: int | None = None,
    skip_bad: bool = False,
) -> Outcome:
    """Prepare CCP from a clone, the longest side of the photos at most `size` (0 keeps them), and check the result.

    The validation list is the project's own, or one of `val` photos. `skip_bad` is as for `prepare_published`. Raises
    `UserError` on bad input, with nothing half made.
    """
    spec, source = catalog.load("ccp"), Path(source)
    root = catalog.locate(spec, data_root)
    files, offer = find_ccp(source)
    splits = choose_lists(root, source, files, offer, skip_bad=skip_bad)
    listed = [files[image_id] for ids in splits.values() for image_id in ids if image_id in files]
    task = partial(convert, tag_table(source), size)
    photos = make_photos(source, task, listed, f"{spec.title}: convert", skip_bad=skip_bad)
    carried = (_LISTS / "val_id.txt").read_text().split()
    return build(spec, root, source, splits, photos, copy=copy, val=carried if val is None else val)


def find_ccp(source: Path) -> tuple[dict[str, SourceFiles], Offer]:
    """The photos and .mat labels of a clone, by id, and the id lists that the project carries.

    The lists leave out photos with unusable labels. Raises `UserError` when a sub-folder is missing.
    """
    images = files_by_id(find_folder(source, "photos"), JPEGS)
    labels = files_by_id(find_folder(source, "annotations/pixel-level"), (".mat",))
    files = {i: SourceFiles(i, images[i], labels[i]) for i in images if i in labels}
    carried = {split: (_LISTS / f"meta_{split}_id.txt").read_text().split() for split in SPLITS}
    splits = {split: [i for i in ids if i in files] for split, ids in carried.items()}
    # most photos of a clone have image-level tags only, so a photo without label says nothing unless it is listed
    listed = {i for ids in carried.values() for i in ids}
    alone = unpaired(listed & images.keys(), listed & labels.keys())
    return files, Offer(splits, "the project's own lists for CCP-OS", alone)


def tag_table(source: Path) -> np.ndarray:
    """Lookup table tag id -> class id, uint8 (256,); 254 for ids that are no tag.

    Raises `UserError` when label_list.mat is missing, broken or names a tag that no class takes.
    """
    classes = {tag: class_id for class_id, names in enumerate(TAGS.values()) for tag in names.split()}
    table = np.full(256, UNKNOWN, dtype=np.uint8)
    for tag, tag_id in tag_ids(source).items():
        if tag not in classes:
            path = source / "label_list.mat"
            raise UserError(f"{path}: tag {tag!r} is none of the 59 of clothing-co-parsing; clone it again")
        table[tag_id] = classes[tag]
    return table


def tag_ids(source: Path) -> dict[str, int]:
    """The tags of a clone by name. Raises `UserError` when label_list.mat is missing or broken."""
    names = read_mat(source / "label_list.mat", "label_list").ravel()
    return {str(np.squeeze(entry)): tag_id for tag_id, entry in enumerate(names)}


def convert(table: np.ndarray, size: int, files: SourceFiles) -> PreparedPhoto:
    """One photo with its label, longest side at most `size` (0 keeps the photo as it is).

    Raises `UserError` when a file is broken, or the label does not fit the photo or `table`.
    """
    photo = Image.fromarray(read_image(files.image, published=True))
    tags = read_mat(files.label, "groundtruth")
    if tags.shape != (photo.height, photo.width) or tags.dtype != np.uint8:
        raise UserError(f"{files.label}: groundtruth does not fit {files.image.name}; replace whichever is wrong")
    label = table[tags]
    if (label == UNKNOWN).any():
        raise UserError(f"{files.label}: holds a tag id that label_list.mat does not name; replace the file")
    content: Path | bytes = files.image
    scale = size / max(photo.size) if size else 1.0
    if scale < 1:
        smaller = (round(photo.width * scale), round(photo.height * scale))
        content = encoded(photo.resize(smaller, Image.Resampling.LANCZOS), "JPEG", quality=95)
        label = np.asarray(Image.fromarray(label).resize(smaller, Image.Resampling.NEAREST))
    return PreparedPhoto(files.id, content, encoded(label), ids_in(label))


def read_mat(path: Path, variable: str) -> np.ndarray:
    """The array of that name in a .mat file. Raises `UserError` when it is missing or broken."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; --source is a clone of bearpaw/clothing-co-parsing")
    try:
        return np.asarray(scipy.io.loadmat(path)[variable])
    except Exception as error:  # a broken .mat file raises nearly anything
        raise UserError(f"{path}: not a readable .mat file with {variable!r} ({error}); replace the file") from error
