"""The record that describes one data set; `dataloaders.catalog` holds those that the project knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.constants import IGNORE
from utils.errors import UserError

from .sides import left_of, of_both

SPLITS = ("train", "test")
VAL = "val"  # the part of the train list by which a run chooses; a set need not have it


@dataclass(frozen=True)
class DatasetSpec:
    """Names, classes, folds and protocol of one data set.

    A *raw* id is one that stands in a label file. A *merged* id is what remains of it once right parts have joined
    the left ones (`merges`) and rare classes have gone to the background (`dropped`). Classes and folds are merged
    ids.
    """

    name: str
    folder: str
    title: str
    labels: tuple[str, ...]  # name of each raw id; [0] is the background
    classes: tuple[int, ...]  # merged ids, background included
    base: Mapping[int, tuple[int, ...]]  # fold -> base classes, background included
    evaluation_order: tuple[int, ...]  # classes in the order in which the test list takes its images, rarest first
    boundary: Mapping[str, int]  # split -> highest index of a query image; the images after it are supports
    palette: tuple[tuple[int, int, int], ...]  # RGB of each slot
    body_areas: Mapping[str, tuple[int, ...]]  # area -> raw ids: the classes of POPNet's second stage
    merges: Mapping[int, int]
    dropped: tuple[int, ...]
    mirrored: tuple[tuple[int, int], ...]  # (left, right) raw ids that trade places in a mirrored image
    queries_per_class: int
    supports_per_query: int
    all_images_both: bool  # every train image may be query or support; the two of an episode still differ
    counts: Mapping[str, int] | None  # split -> number of ids that the published lists have
    results: Mapping[str, Mapping[str, float]]  # "method way fold" -> mIoU
    home: Path | None  # folder of the dataset.json, for a data set of the user's own

    @property
    def num_slots(self) -> int:
        """Background plus every raw id: the number of class slots of a k-way network."""
        return len(self.labels)

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that exist, in order."""
        return tuple(sorted(self.base))

    @property
    def published_photos(self) -> bool:
        """Whether photos are read as their files store them: those of the catalogue, whose labels were drawn so."""
        return self.home is None

    def base_classes(self, fold: int) -> tuple[int, ...]:
        """Base classes of `fold`, background included; in fold 0 all classes are base.

        Raises `UserError` on a fold that does not exist.
        """
        if fold == 0:
            return self.classes
        if fold not in self.base:
            raise UserError(f"{self.name} has no fold {fold}; choose one of {', '.join(map(str, self.folds))}")
        return tuple(self.base[fold])

    def novel(self, fold: int) -> tuple[int, ...]:
        """Novel classes of `fold`: all classes that are not base. Raises `UserError` on an unknown fold."""
        base = self.base_classes(fold)
        return tuple(c for c in self.classes if c not in base)

    def spare_slot(self) -> int:
        """A slot that no class takes: the last raw id that is merged or dropped. Raises `UserError` without one."""
        spare = sorted(set(range(1, self.num_slots)) - set(self.classes))
        if not spare:
            raise UserError(
                f"{self.name}: every label is a class, so unlabelled pixels find no slot; add a label to `dropped`"
            )
        return spare[-1]

    def class_name(self, class_id: int) -> str:
        """Name of a merged class: "shoes" where left-shoe and right-shoe have been merged."""
        name = self.labels[class_id]
        joined = [self.labels[raw] for raw, merged in self.merges.items() if merged == class_id]
        sides = any(left_of(other, [name]) or left_of(name, [other]) for other in joined)
        return of_both(name) if sides else name

    @property
    def class_names(self) -> dict[int, str]:
        """The names of all classes, by id."""
        return {class_id: self.class_name(class_id) for class_id in self.classes}

    def merge_table(self) -> np.ndarray:
        """Lookup table raw id -> merged id, uint8 (256,); 255 stays, ids out of range stay as they are."""
        table = np.arange(256, dtype=np.uint8)
        for raw, merged in self.merges.items():
            table[raw] = merged
        table[list(self.dropped)] = 0
        return table

    def classes_of(self, raw_ids: Iterable[int]) -> set[int]:
        """The foreground classes that the raw ids of a label map belong to."""
        return {self.merges.get(raw, raw) for raw in raw_ids} - {0, IGNORE, *self.dropped}

    def mirror_table(self) -> np.ndarray:
        """Lookup table raw id -> raw id of its mirror image, uint8 (256,)."""
        table = np.arange(256, dtype=np.uint8)
        for left, right in self.mirrored:
            table[left], table[right] = right, left
        return table

    def last_query(self, split: str, images: int) -> int:
        """Highest index of a query image in a `split` of `images` images.

        That is `boundary`, except in a list too short for it (a part of the data set): there the first half are
        queries.
        """
        boundary = self.boundary[split]
        return boundary if images > boundary + 1 else max(images // 2 - 1, 0)

    def both_roles(self, split: str) -> bool:
        """Whether every image of `split` may be query as well as support."""
        return self.all_images_both and split == "train"

    def published(self, method: str, way: str, fold: int) -> Mapping[str, float] | None:
        """Published mIoU in percent as {"novel": .., "human": ..}; None where there is none."""
        return self.results.get(f"{method} {way} {fold}")
