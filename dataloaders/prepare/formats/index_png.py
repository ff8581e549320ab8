"""Index PNGs: `images/<id>.jpg` and `labels/<id>.png`, whose pixel values are class ids."""

from functools import partial
from pathlib import Path

from utils.constants import IGNORE
from utils.errors import UserError

from ...reading import read_label
from ..photos import Photo, SourceFiles, make_photos
from ..sources import PNGS, files_by_id, first_folder, first_names, unpaired
from .common import IMAGE_FOLDERS, PHOTOS, LabelledPhotos, fitted_photo, names_file

LABEL_FOLDERS = ("labels", "trainval_classes", "SegmentationClass", "masks")


def read(source: Path, labels: tuple[str, ...] | None) -> LabelledPhotos:
    """Read the label maps; without names from a dataset.json or labels.txt the classes are numbered."""
    images = files_by_id(first_folder(source, IMAGE_FOLDERS), PHOTOS)
    maps = files_by_id(first_folder(source, LABEL_FOLDERS), PNGS)
    alone = unpaired(images, maps)
    if alone or not images:
        what = f"{len(alone)} photos or labels stand alone: {first_names(alone)}"
        raise UserError(
            f"{source}: {what if alone else 'its image folder is empty'}; each photo needs a label PNG of the same name"
        )
    labels = labels or names_file(source)
    slots = len(labels) if labels else IGNORE
    files = [SourceFiles(image_id, images[image_id], maps[image_id]) for image_id in images]
    photos = make_photos(source, partial(_read_one, slots), files, "read photos and labels")
    if labels is None:
        highest = max(max(photo.raw_ids, default=0) for photo in photos)
        labels = ("background", *(f"class-{i}" for i in range(1, highest + 1)))
    return labels, photos


def _read_one(slots: int, files: SourceFiles) -> Photo:
    raw = read_label(files.label, slots)
    return fitted_photo(files.id, files.image, raw, upright=False, label=files.label)
