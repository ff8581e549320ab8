"""The labels of one photo out of an annotation project of many: COCO files, and zips of CVAT's segmentation masks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from dataloaders.prepare.formats import coco
from dataloaders.prepare.formats.coco_masks import paint
from dataloaders.prepare.formats.common import id_of_label
from dataloaders.prepare.formats.index_png import by_colour, is_coloured, labelmap
from dataloaders.prepare.formats.shapes import stated_size
from utils.constants import IGNORE
from utils.errors import UserError
from utils.imaging import Photo
from utils.names import composed, first_names, of_link, path_parts, shared_parts
from utils.pictures import open_picture, stored_values
from utils.zips import unpacked

IGNORED = "__ignore__"  # the mask of what does not count
Masks = dict[str, np.ndarray]
"""A mask (H, W) by the name of its class."""


def read_coco(path: Path, content: Mapping[str, Any], photo: Photo | None) -> Masks:
    """The masks of the photo in a COCO file. Raises `UserError` where it has none, or not one alone."""
    try:
        entries = [
            (str(i["file_name"]), coco.id_text(i["id"]), stated_size(i.get("height"), i.get("width")))
            for i in content["images"]
        ]
        annotated = [(coco.id_text(a["image_id"]), a) for a in content["annotations"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: an image or annotation is broken ({error}); export the file again") from error
    coco.check_ids(path, "image", [(number, name) for name, number, _ in entries])
    _, number, size = entries[_one_of(path, [name for name, _, _ in entries], photo)]
    categories = coco.categories_of(path, content)
    ours = [a for image, a in annotated if image == number]
    named = [(a, categories.get(coco.id_text(a.get("category_id")))) for a in ours if a.get("segmentation")]
    names = coco.classes_of(path, list(categories.values()), {name for _, name in named if name is not None})
    labels = ("background", *names)
    id_of, regions = id_of_label(labels), []
    for annotation, name in named:
        if name is not None:
            value = IGNORE if coco.is_crowd(annotation) else id_of(name) or 0
            regions.append((annotation["segmentation"], value))
    if ours and not named:
        raise UserError(f"{path}: the annotations of this photo are boxes without a segmentation; draw polygons")
    if isinstance(photo, (str, Path)):
        size = coco.regions_size(Path(photo), size, regions)
    elif size is None:
        raise UserError(f"{path}: gives its image no width and height; export it again")
    ids, left_out = paint(regions, size)
    left_out += ["annotations of no known category"] * (len(named) - len(regions))
    left_out += [coco.CROWD for annotation, name in named if name is not None and coco.is_crowd(annotation)]
    return masks_of(path, ids, labels, left_out)


def read_cvat(path: Path, photo: Photo | None) -> Masks:
    """The masks of the photo in a zip of CVAT's "Segmentation mask 1.1". Raises `UserError` as `read_coco` does."""

    def wanted(names: Sequence[str]) -> list[str]:
        files = [name for name in names if "SegmentationClass" in Path(name).parts[:-1]]
        maps = [name for name in names if Path(name).name == "labelmap.txt"]
        if not files or not maps:
            raise UserError(f"{path}: no labelmap.txt or SegmentationClass; export it as 'Segmentation mask 1.1'")
        return [maps[0], files[_one_of(path, files, photo)]]

    with unpacked(path, wanted) as (_, (map_file, label)):
        labels, colours = labelmap(map_file)
        picture = open_picture(label)
    assert labels is not None  # since there is a labelmap.txt
    if is_coloured(picture, colours):
        return masks_of(path, by_colour(path, np.array(picture.convert("RGB")), colours, len(labels)), labels)
    return masks_of(path, stored_values(picture), labels)


def _one_of(path: Path, names: Sequence[str], photo: Photo | None) -> int:
    """Which of the project's photos is the labelled one: that of its name, or the only one."""
    if not isinstance(photo, (str, Path)):
        if len(names) == 1:
            return 0
        raise UserError(f"{path}: holds {len(names)} photos; give the reference as a path, to find it by its name")
    parts = [path_parts(unquote(of_link(name))) for name in names]
    stem = composed(Path(photo).stem).lower()
    places = [i for i, own in enumerate(parts) if own and Path(own[-1]).stem.lower() == stem]
    # where several have its name: the one of most of its folders, then of its form
    own, name = Path(photo).absolute().with_suffix(""), composed(Path(photo).name)
    folders = {i: shared_parts(own, [*parts[i][:-1], Path(parts[i][-1]).stem]) for i in places}
    fits = {i: (folders[i], parts[i][-1].lower() == name.lower()) for i in places}
    places = [i for i in places if fits[i] == max(fits.values())]
    if len(places) != 1:
        what = f"has {len(places) or 'no'} photos called {Path(photo).stem!r}"
        raise UserError(
            f"{path}: {what} (it holds {first_names(names)}); give the reference the name that it has there"
        )
    return places[0]


def masks_of(path: Path, ids: np.ndarray, labels: Sequence[str], left_out: Sequence[str] = ()) -> Masks:
    """The masks in a label map (H, W) of `labels`, the background first; prints what of the file was left out, and why.

    Each of `left_out` is a reason.
    """
    for reason in dict.fromkeys(left_out):
        print(f"{path}: {left_out.count(reason)} {reason}: left out")
    masks = {name: ids == number for number, name in enumerate(labels) if number}
    return masks | ({IGNORED: ids == IGNORE} if (ids == IGNORE).any() else {})
