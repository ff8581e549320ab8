"""ATR-OS, LIP-OS and CIHP-OS from their published archives, however deep their folders lie once unpacked."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

from .. import catalog
from ..spec import DatasetSpec
from .build import build, choose_lists
from .check import Outcome
from .photos import SourceFiles, make_photos, verified_photo
from .sources import JPEGS, PNGS, Offer, draw_test, files_by_id, find_folder, folders_called, unpaired

_NOT_PUBLISHED = "; figures can be compared with published ones only under the published lists, see docs/data.md"


class _Part(NamedTuple):
    """Folders of an archive, at any depth. Of the `mirrored`, which need not exist, the first with files counts."""

    images: str
    labels: str
    mirrored: tuple[str, ...]


_LIP_REVERSED = "Train_parsing_reversed_labels"
_PARTS = {
    "atr": {"all": _Part("JPEGImages", "SegmentationClassAug", ("SegmentationClassAug_rev",))},
    "lip": {
        "train": _Part(
            "train_images",
            "train_segmentations",
            ("train_segmentations_reversed", f"{_LIP_REVERSED}/TrainVal_parsing_annotations", _LIP_REVERSED),
        ),
        "test": _Part("val_images", "val_segmentations", ("val_segmentations_reversed",)),
    },
    "cihp": {
        "train": _Part("Training/Images", "Training/Category_ids", ("Category_rev_ids", "Training/Category_rev_ids")),
        "test": _Part(
            "Validation/Images", "Validation/Category_ids", ("Category_rev_ids", "Validation/Category_rev_ids")
        ),
    },
}


def prepare_published(
    name: str,
    source: str | Path,
    data_root: str | Path = catalog.DATA_ROOT,
    *,
    copy: bool = False,
    val: int = 0,
    skip_bad: bool = False,
) -> Outcome:
    """Prepare ATR, LIP or CIHP from its unpacked archive, and check the result.

    `val` of the train photos make a validation list. With `skip_bad` ids whose files cannot be used keep their places,
    and are passed over from then on. Raises `UserError` on bad input, with nothing half made.
    """
    spec, source = catalog.load(name), Path(source)
    root = catalog.locate(spec, data_root)
    files, offer = find(spec, source)
    splits = choose_lists(root, source, files, offer, skip_bad=skip_bad)
    listed = [files[image_id] for ids in splits.values() for image_id in ids if image_id in files]
    task = partial(verified_photo, spec)
    photos = make_photos(source, task, listed, f"{spec.title}: read SOURCE", skip_bad=skip_bad)
    return build(spec, root, source, splits, photos, copy=copy, val=val)


def find(spec: DatasetSpec, source: Path) -> tuple[dict[str, SourceFiles], Offer]:
    """The files of ATR, LIP or CIHP in `source`, by id, and the lists that follow from its folders.

    Raises `UserError` when a sub-folder is missing, naming it, and on file names that cannot be ids.
    """
    files: dict[str, SourceFiles] = {}
    splits: dict[str, list[str]] = {}
    alone: list[str] = []
    for split, part in _PARTS[spec.name].items():
        images = files_by_id(find_folder(source, part.images), JPEGS)
        labels = files_by_id(find_folder(source, part.labels), PNGS)
        folders = [folder for name in part.mirrored for folder in folders_called(source, name)]
        mirrored = next(filter(None, (files_by_id(folder, PNGS) for folder in folders)), {})
        splits[split] = sorted(images.keys() & labels.keys())
        alone += unpaired(images, labels)
        for image_id in splits[split]:
            if image_id in files:
                raise UserError(
                    f"{source}: id {image_id} stands in the training and the validation folder; unpack it again"
                )
            files[image_id] = SourceFiles(image_id, images[image_id], labels[image_id], mirrored.get(image_id))
    origin = f"as the archive's own folders{_NOT_PUBLISHED}"
    if "all" in splits:
        assert spec.counts is not None
        splits = draw_test(splits["all"], spec.counts["test"] / sum(spec.counts.values()))
        origin = f"drawn from the folder with a fixed seed{_NOT_PUBLISHED}"
    return files, Offer(splits, origin, alone)
