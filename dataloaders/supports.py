"""The support index: which images of a split hold a class, as queries and as supports.

On disk it is the published pickle `support/meta_{train,test}_<set>_supports.pkl`: a dict of int lists. With `n`
foreground slots, key `c` lists the images that hold merged class `c` and may be queries, key `c + n` those that may
be supports.
"""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NoReturn

from utils.errors import UserError

from .layout import read_ids, supports_path
from .spec import DatasetSpec


class _PlainUnpickler(pickle.Unpickler):
    """Admits no globals: ints, strings, lists and dicts are all that the published files hold."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_plain_pickle(path: Path) -> object:
    """Content of a pickle of plain values. Raises `UserError` when it is missing, broken or asks for any global."""
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file).load()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; python -m dataloaders.prepare builds it") from error
    except Exception as error:  # a broken pickle raises nearly anything
        raise UserError(f"{path}: not a pickle of plain int lists ({error}); delete it and prepare again") from error


@dataclass(frozen=True)
class SupportIndex:
    """Query and support candidates of every class, as indices into the id list of one split."""

    spec: DatasetSpec
    table: Mapping[int, Sequence[int]]
    path: Path  # named in errors

    def roles(self, class_id: int) -> tuple[Sequence[int], Sequence[int]]:
        """Indices of the images that hold `class_id` and may be queries, and of those that may be supports."""
        return self.table.get(class_id, ()), self.table.get(class_id + self.spec.num_slots - 1, ())

    def queries(self, class_id: int) -> Sequence[int]:
        """The query images of `class_id`; `UserError` when there is none."""
        return self._some(class_id, "query", self.roles(class_id)[0])

    def supports(self, class_id: int) -> Sequence[int]:
        """The support images of `class_id`; `UserError` when there is none."""
        return self._some(class_id, "support", self.roles(class_id)[1])

    def _some(self, class_id: int, role: str, images: Sequence[int]) -> Sequence[int]:
        if not images:
            name = self.spec.class_name(class_id)
            raise UserError(
                f"{self.path}: class {class_id} ({name}) has no {role} image; mend the list or prepare again"
            )
        return images


def read_supports(spec: DatasetSpec, root: Path, split: str, images: int) -> SupportIndex:
    """Read the support pickle of a split of `images` images.

    Raises `UserError` on a missing or broken file, one with a global in it, and keys or indices that do not fit the
    list. Keys of classes that the merge has dropped (the published ATR files hold 3, 8 and 17) are kept but never
    asked for.
    """
    path = supports_path(spec, root, split)
    table = read_plain_pickle(path)
    if not isinstance(table, dict):
        raise UserError(f"{path}: holds a {type(table).__name__}, not a dict of int lists; delete it and prepare again")
    highest = 2 * (spec.num_slots - 1)
    for key, indices in table.items():
        if type(key) is not int or not 0 <= key <= highest:
            raise UserError(f"{path}: key {key!r} is not one of 0..{highest}, as of another data set; prepare again")
        if not isinstance(indices, list) or not all(type(index) is int for index in indices):
            raise UserError(f"{path}: key {key} does not hold a list of ints; delete the file and prepare again")
        if indices and not (min(indices) >= 0 and max(indices) < images):
            raise UserError(f"{path}: key {key} points past the {images} ids of the {split} list; prepare again")
    return SupportIndex(spec, table, path)


def val_supports(spec: DatasetSpec, root: Path, ids: Sequence[str]) -> SupportIndex:
    """The support index of a validation list, from that of the train list.

    The first half of the list are queries, the other half supports. Raises `UserError` as `read_supports` does.
    """
    train = read_ids(root, "train")
    index = read_supports(spec, root, "train", len(train))
    place = {image_id: number for number, image_id in enumerate(ids)}
    table = {}
    for class_id in spec.classes[1:]:
        places = sorted({place[train[i]] for i in chain(*index.roles(class_id)) if train[i] in place})
        table[class_id] = [number for number in places if number < len(ids) // 2]
        table[class_id + spec.num_slots - 1] = [number for number in places if number >= len(ids) // 2]
    return SupportIndex(spec, table, index.path)
