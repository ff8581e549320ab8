"""ATR-OS, LIP-OS and CIHP-OS from their published archives, in the layouts in which these are unpacked."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

from .. import catalog
from ..spec import DatasetSpec
from .build import build, choose_lists
from .check import Outcome
from .photos import SourceFiles, make_photos, verified_photo
from .sources import JPEGS, PNGS, Offer, draw_test, files_by_id, first_folder, unpaired

_NOT_PUBLISHED = "; figures can be compared with published ones only under the published lists, see docs/data.md"


class _Part(NamedTuple):
    """Candidate sub-folders, the first that exists counts. `mirrored` need not exist."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    mirrored: tuple[str, ...]


def _lip(split: str, *mirrored: str) -> _Part:
    images, labels = "TrainVal_images", "TrainVal_parsing_annotations"
    return _Part(
        tuple(f"{folder}{split}_images" for folder in (f"{images}/{images}/", f"{images}/", "")),
        tuple(f"{folder}{split}_segmentations" for folder in (f"{labels}/{labels}/", f"{labels}/", "")),
        (*mirrored, f"{split}_segmentations_reversed"),
    )


def _cihp(folder: str) -> _Part:
    nested = f"instance-level_human_parsing/{folder}"
    return _Part(
        (f"{folder}/Images", f"{nested}/Images"),
        (f"{folder}/Category_ids", f"{nested}/Category_ids"),
        ("Category_rev_ids", f"{folder}/Category_rev_ids", f"{nested}/Category_rev_ids"),
    )


_PARTS = {
    "atr": {
        "all": _Part(
            ("JPEGImages", "humanparsing/JPEGImages"),
            ("SegmentationClassAug", "humanparsing/SegmentationClassAug"),
            ("SegmentationClassAug_rev", "humanparsing/SegmentationClassAug_rev"),
        )
    },
    "lip": {
        "train": _lip(
            "train",
            "Train_parsing_reversed_labels/TrainVal_parsing_annotations/train_segmentations_reversed",
            "Train_parsing_reversed_labels/train_segmentations_reversed",
            "Train_parsing_reversed_labels/TrainVal_parsing_annotations",
            "Train_parsing_reversed_labels",
        ),
        "test": _lip("val", "TrainVal_parsing_annotations/val_segmentations_reversed"),
    },
    "cihp": {"train": _cihp("Training"), "test": _cihp("Validation")},
}


def prepare_published(
    name: str, source: str | Path, data_root: str | Path = catalog.DATA_ROOT, *, copy: bool = False
) -> Outcome:
    """Prepare ATR, LIP or CIHP from its unpacked archive, and check the result.

    Raises `UserError` on bad input, with nothing half made.
    """
    spec, source = catalog.load(name), Path(source)
    root = catalog.locate(spec, data_root)
    files, offer = find(spec, source)
    splits = choose_lists(root, source, files, offer)
    listed = [files[image_id] for ids in splits.values() for image_id in ids]
    photos = make_photos(source, partial(verified_photo, spec), listed, f"{spec.title}: read SOURCE")
    return build(spec, root, source, splits, photos, copy=copy)


def find(spec: DatasetSpec, source: Path) -> tuple[dict[str, SourceFiles], Offer]:
    """The files of ATR, LIP or CIHP in `source`, by id, and the lists that follow from its folders.

    Raises `UserError` when a sub-folder is missing, naming it, and on file names that cannot be ids.
    """
    files: dict[str, SourceFiles] = {}
    splits: dict[str, list[str]] = {}
    alone: list[str] = []
    for split, part in _PARTS[spec.name].items():
        images = files_by_id(first_folder(source, part.images), JPEGS)
        labels = files_by_id(first_folder(source, part.labels), PNGS)
        folders = [source / folder for folder in part.mirrored if (source / folder).is_dir()]
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
