"""Where the files of a data set stand: the layout of the published OSHP data.

- list/meta_{train,test}_id.txt
- list/val_id.txt (optional): ids of the train list that are for choosing, not for training
- list/bad_id.txt (optional)
- support/meta_{train,test}_<set>_supports.pkl
- support/<set>_meta_test_list.txt
- trainval_images/<id>.jpg
- trainval_classes/<id>.png
- Category_rev_ids/<id>.png (optional)
- list/tagged.json (optional)
"""

from pathlib import Path

from utils.errors import UserError
from utils.files import read_lines
from utils.pictures import SUFFIXES

from .spec import VAL, DatasetSpec

IMAGE_FOLDER = "trainval_images"
LABEL_FOLDER = "trainval_classes"
MIRRORED_FOLDER = "Category_rev_ids"
IMAGE_SUFFIXES = (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))


def list_path(root: Path, split: str) -> Path:
    """The id list of a split, one id a line."""
    return root / "list" / ("val_id.txt" if split == VAL else f"meta_{split}_id.txt")


def bad_path(root: Path) -> Path:
    """The optional list of ids whose files cannot be used; they keep their places in the lists."""
    return root / "list" / "bad_id.txt"


def supports_path(spec: DatasetSpec, root: Path, split: str) -> Path:
    """The support pickle of a split."""
    return root / "support" / f"meta_{split}_{spec.name}_supports.pkl"


def pairs_path(spec: DatasetSpec, root: Path) -> Path:
    """The optional fixed list of test episodes."""
    return root / "support" / f"{spec.name}_meta_test_list.txt"


def label_path(root: Path, image_id: str) -> Path:
    """The label map of an image."""
    return root / LABEL_FOLDER / f"{image_id}.png"


def tagged_path(root: Path) -> Path:
    """The optional list of photos that have image-level tags only: a JSON of their classes by id."""
    return root / "list" / "tagged.json"


def mirrored_label_path(root: Path, image_id: str) -> Path:
    """The label map of the mirrored image, left and right parts swapped; need not exist."""
    return root / MIRRORED_FOLDER / f"{image_id}.png"


def image_path(root: Path, image_id: str) -> Path:
    """The photo of `image_id`: a .jpg in the published sets, any kind that can be read in the user's own.

    Where none exists it is the .jpg, which the reader then reports as missing.
    """
    first = root / IMAGE_FOLDER / f"{image_id}.jpg"
    if first.exists():
        return first
    others = (root / IMAGE_FOLDER / f"{image_id}{suffix}" for suffix in IMAGE_SUFFIXES)
    return next((path for path in others if path.exists()), first)


def read_bad_ids(root: Path) -> set[str]:
    """The ids whose files cannot be used: `prepare --skip-bad` writes them down, all else passes over them."""
    path = bad_path(root)
    return set(read_lines(path, "one id a line")) if path.exists() else set()


def read_ids(root: Path, split: str) -> list[str]:
    """Ids of a split, in list order.

    Raises `UserError` when the list is missing, empty or holds a path, and for a validation list that goes beyond the
    train list.
    """
    path = list_path(root, split)
    try:
        ids = read_lines(path, "one id a line")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; python -m dataloaders.prepare makes it, see docs/data.md") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder stands in its place; prepare the data set again") from error
    if not ids:
        raise UserError(f"{path}: holds no ids; prepare the data set again")
    for image_id in ids:
        if "/" in image_id or "\\" in image_id or "\0" in image_id or image_id in (".", ".."):
            raise UserError(f"{path}: {image_id!r} is not an id; an id is a file name without folder and suffix")
    if split == VAL and (strange := set(ids) - set(read_ids(root, "train"))):
        raise UserError(f"{path}: {min(strange)} is not in the train list; take it out, or delete the file")
    return ids
