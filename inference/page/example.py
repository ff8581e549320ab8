"""The example on the page: a labelled reference, and photos to parse with it.

Photos of CCP-OS where it is prepared: they are for research alone, so none can come with the project. Else people of
the toy set, drawn larger. Both were chosen with `python -m tools.measure_example --choose`, on the validation list.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataloaders import catalog, toy
from dataloaders.split import Split

from .references import Reference

TOY_SEED, TOY_SIZE = 7, (512, 384)
TOY_REFERENCE, TOY_PHOTOS = 22, (39, 16, 27, 4)
CCP_REFERENCE, CCP_PHOTOS = "0824", ("0944", "0561", "0571", "0211")
TOY_NAMES = {
    1: "hat",
    2: "hair",
    3: "skin",
    4: "upper-clothes",
    5: "skirt",
    6: "pants",
    7: "dress",
    8: "shoes",
    9: "bag",
}
_TOY_IDS = np.array([0, 1, 2, 255, 4, 5, 6, 7, 255, 8, 8, 3, 3, 3, 3, 3, 9, 255, *[255] * 238], dtype=np.uint8)


class Example(NamedTuple):
    """A reference, and the photos to parse with it as references, whose labels are the truth."""

    about: str
    reference: Reference
    photos: list[Reference]


def load(data_root: str | Path) -> Example:
    """The example: photos of CCP-OS where `data_root` holds it, else drawn people."""
    split = prepared(data_root)
    if split is None:
        about = "People that the project draws, with exact labels. With CCP-OS prepared, its photos stand here."
        return Example(about, drawn(TOY_REFERENCE), [drawn(number) for number in TOY_PHOTOS])
    about = "Photos of the validation list of CCP-OS, from your data folder; for research use only."
    return Example(about, _labelled(split, CCP_REFERENCE), [_labelled(split, i) for i in CCP_PHOTOS])


def candidates(data_root: str | Path, count: int) -> dict[str, Reference]:
    """The first `count` of those that the example may be made of, by number or id."""
    split = prepared(data_root)
    if split is None:
        return {str(number): drawn(number) for number in range(count)}
    return {i: _labelled(split, i) for i in split.ids[:count]}


def prepared(data_root: str | Path) -> Split | None:
    """The validation list of CCP-OS, if the folder holds it with all photos of the example."""
    spec = catalog.load("ccp")
    root = catalog.locate(spec, data_root)
    if not (root / "list").is_dir():
        return None
    split = Split(spec, root, "val")
    return split if {CCP_REFERENCE, *CCP_PHOTOS} <= set(split.ids) else None


def drawn(number: int) -> Reference:
    """A person of the toy set with the classes that a visitor would mark: sides are one, and all skin."""
    photo, label = toy.draw(TOY_SEED, number, TOY_SIZE)
    return Reference(photo, _TOY_IDS[label], TOY_NAMES, {})


def _labelled(split: Split, image_id: str) -> Reference:
    """A photo of a data set with its label map."""
    sample = split.load(split.ids.index(image_id))
    names = {c: split.spec.class_name(c) for c in split.spec.classes if c}
    return Reference(sample.rgb, sample.label.numpy(), names, {})
