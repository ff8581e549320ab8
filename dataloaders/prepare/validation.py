"""The validation list: photos of the train list by which a run chooses, so that nothing is chosen on the test list."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.errors import UserError

from ..layout import list_path, read_ids
from ..spec import VAL, DatasetSpec
from .photos import PreparedPhoto
from .repeats import repeat_shots

LEAST = 8  # a shorter list chooses nothing
WANTED = 10  # photos of each class in each role, where there are enough
KEPT = 3  # of so many train photos of a class at most one goes


def choose_val(
    spec: DatasetSpec,
    root: Path,
    source: Path,
    photos: Mapping[str, PreparedPhoto],
    train: Sequence[str],
    wanted: Sequence[str] | int,
) -> list[str]:
    """The validation list: the one in the data folder, else SOURCE's, else what is `wanted`. Says which.

    `wanted` is the project's own list, of which ids beyond `train` are left out, or the number of photos to draw. The
    list is empty where there is none. Raises `UserError` for a list that is broken, and a number that is too high.
    """
    standing = next((folder for folder in (root, source) if list_path(folder, VAL).exists()), None)
    if standing:
        ids, origin = read_ids(standing, VAL), f"stands in {standing}"
    elif isinstance(wanted, int):
        ids, origin = draw_val(spec, [photos[i] for i in train], wanted) if wanted else [], "drawn with a fixed seed"
    else:
        known = set(train)
        ids, origin = [i for i in wanted if i in known], "as it comes with the set"
    if not standing and len(ids) < LEAST:
        return []
    print(f"validation list: {origin}; {len(ids)} of the train photos")
    return ids


def draw_val(spec: DatasetSpec, photos: Sequence[PreparedPhoto], size: int, seed: int = 0) -> list[str]:
    """Ids of `size` of the train photos, or fewer where the classes do not give so many.

    The first half are queries, the other half supports. The rarest classes come first, up to `WANTED` photos in each
    role; the rest is drawn at random. At least two of three photos of each class stay for training. A photo of which
    there is a repeat shot stays too. Raises `UserError` when `size` is more than half of the photos.
    """
    if not LEAST <= size <= len(photos) // 2:
        raise UserError(f"--val {size}: must be {LEAST} to {len(photos) // 2}, half of the train photos; or 0 for none")
    repeated = {index for pair in repeat_shots([photo.image for photo in photos]) for index in pair}
    classes = [spec.classes_of(photo.raw_ids) for photo in photos]
    order = [i for i in np.random.default_rng(seed).permutation(len(photos)).tolist() if i not in repeated]
    chosen = _Draw(classes, size // 2).take(order)
    return [photos[i].id for role in chosen for i in sorted(role)]


class _Draw:
    """A draw under way: the `queries` and `supports`, `half` of each, and the photos that each class may still give."""

    def __init__(self, classes: Sequence[Collection[int]], half: int) -> None:
        self.classes, self.half = classes, half
        numbers = np.bincount([c for present in classes for c in present])
        self.rarest_first = sorted(numbers.nonzero()[0].tolist(), key=lambda c: numbers[c])
        self.left = numbers // KEPT
        self.roles: tuple[list[int], list[int]] = ([], [])

    def take(self, order: Sequence[int]) -> tuple[list[int], list[int]]:
        """Draw from the photos in their random `order`."""
        for class_id in self.rarest_first:
            of_class = [i for i in order if class_id in self.classes[i]]
            for _ in range(WANTED):
                for role in self.roles:
                    if sum(class_id in self.classes[i] for i in role) < WANTED:
                        self._next(of_class, role)
        for _ in range(self.half):
            for role in self.roles:
                self._next(order, role)
        return self.roles

    def _next(self, candidates: Sequence[int], role: list[int]) -> None:
        """Give `role` the first candidate that is still there, if any."""
        for i in candidates if len(role) < self.half else ():
            present = list(self.classes[i])
            if i not in self.roles[0] and i not in self.roles[1] and (self.left[present] > 0).all():
                self.left[present] -= 1
                role.append(i)
                return
