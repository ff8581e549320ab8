"""Episodes of one-shot human parsing: a query and a support photo with their label maps, drawn from the split files.

The scheme is the published one; `docs/method.md` and `docs/data.md` tell it in words.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from utils.constants import IGNORE, WAYS
from utils.errors import UserError
from utils.imaging import resize_longest

from .layout import pairs_path
from .pairs import Pair, fixed_list
from .spec import VAL, DatasetSpec
from .split import Split
from .stages import FINE, stage_class, stage_spec, stage_table
from .transforms import Sample, random_scaled_crop

MOST_QUERIES = 1500  # 1-way training takes at most so many queries of a class


class Episode(TypedDict):
    """A query and its support. Photos are uint8 (3, H, W) RGB, maps uint8 (H, W), 255 = ignore; binary in 1-way."""

    query: Tensor
    query_label: Tensor
    query_foreground: Tensor
    support: Tensor
    support_label: Tensor
    support_foreground: Tensor
    class_id: int  # 0 in k-way
    query_id: str
    support_id: str


class TrainEpisodes(Dataset[Episode]):
    """Training episodes over the base classes of a fold; novel classes are hidden in the label maps.

    k-way: every query image once, with a support drawn from all support images. 1-way: for each base class its first
    1,500 query images, with a support drawn from the class's own. Supports are drawn once, or anew each epoch with
    `resample_supports`. Both photos are mirrored with probability 1/2, resized by independent factors from `scale`
    and cropped to `crop_size` (H, W). `stage` chooses POPNet's label level (see `stages`); in 1-way each class then
    stands for its parent.

    Pixels that lie on a person and belong to no base class are background as published. In k-way `unlabelled_person`
    may leave them out of the losses ("ignore", the query's alone), or make them one class more, in a slot that no class
    takes ("class").

    Photos of the validation list, where the set has one, take no part unless `train_on` is "all".

    Every draw follows from (seed, epoch, index) alone, so the episodes do not depend on the number of workers.
    Raises `UserError` on an unknown fold or way and on data that cannot make episodes.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        root: str | Path,
        *,
        fold: int,
        way: str,
        crop_size: tuple[int, int],
        scale: tuple[float, float] = (0.5, 2.0),
        resample_supports: bool = False,
        seed: int = 0,
        stage: int = FINE,
        unlabelled_person: str = "background",
        train_on: str = "rest",
    ) -> None:
        _check_way(way)
        self.base = spec.base_classes(fold)
        self.unlabelled_person = unlabelled_person
        self._unlabelled_id = spec.spare_slot() if unlabelled_person == "class" else IGNORE
        self.split = Split(spec, root, "train", stage_table(spec, stage, self.base))
        self._parents = {c: stage_class(spec, stage, c) for c in self.base}
        self.held_out = self.split.on_validation_list() if train_on == "rest" else []
        self.way, self.seed = way, seed
        self.crop_size, self.scale = crop_size, scale
        self.resample_supports = resample_supports
        # shared memory: workers that live through several epochs see the new number
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._queries = self.query_lists()
        self._drawn: tuple[int, list[Pair]] | None = None
        self.class_ids = np.concatenate([np.full(len(q), c, dtype=np.int64) for c, (q, _) in self._queries.items()])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose random numbers are drawn, and its supports where they are resampled."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.class_ids)

    def used_ids(self) -> list[str]:
        """Ids of the train photos that may be drawn, in list order."""
        used = {int(index) for lists in self._queries.values() for indices in lists for index in indices}
        return [self.split.ids[index] for index in sorted(used)]

    @property
    def pairs(self) -> list[Pair]:
        """The (query, support, class) list of the current epoch; class 0 in k-way."""
        drawn_in = int(self._epoch) if self.resample_supports else 0
        if self._drawn is None or self._drawn[0] != drawn_in:
            rng = np.random.default_rng([self.seed, drawn_in])
            pairs = []
            for class_id, (queries, supports) in self._queries.items():
                drawn = _draw_supports(queries, supports, rng)
                pairs += [Pair(int(q), int(s), class_id) for q, s in zip(queries, drawn, strict=True)]
            self._drawn = (drawn_in, pairs)
        return self._drawn[1]

    def __getitem__(self, index: int) -> Episode:
        pair = self.pairs[index]
        rng = np.random.default_rng([self.seed, int(self._epoch), index])
        query = self._augmented(pair.query, rng)
        support = self._augmented(pair.support, rng)
        if self.unlabelled_person != "background":
            query = _relabel_unlabelled(query, self._unlabelled_id)
        if self.unlabelled_person == "class":
            support = _relabel_unlabelled(support, self._unlabelled_id)
        return _episode(query, support, self._parents[pair.class_id] if self.way == "1way" else 0)

    def _augmented(self, image: int, rng: np.random.Generator) -> Sample:
        photo = self.split.decode(image, mirrored=rng.random() < 0.5)
        return self.split.labelled(random_scaled_crop(photo, self.scale, self.crop_size, rng))

    def query_lists(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """class -> (queries, support candidates); a single entry for class 0 in k-way."""
        spec, images = self.split.spec, len(self.split)
        free = np.setdiff1d(np.arange(images), self.held_out)
        if self.way == "1way":
            index = self.split.supports
            own = {c: np.array(index.queries(c)) for c in self.base[1:]}
            lists = {
                c: (q[np.isin(q, free)][:MOST_QUERIES], np.intersect1d(index.supports(c), free)) for c, q in own.items()
            }
        elif spec.both_roles("train"):
            lists = {0: (free, free)}
        else:
            # the published scheme for k-way: the image at the boundary is a support here and a query in 1-way
            boundary = spec.last_query("train", images)
            lists = {0: (free[free < boundary], free[free >= boundary])}
        bad = list(self.split.bad)
        lists = {c: (np.setdiff1d(q, bad), np.setdiff1d(s, bad)) for c, (q, s) in lists.items()} if bad else lists
        for class_id, (queries, supports) in lists.items():
            if not len(queries) or len(supports) <= np.isin(supports, queries).any():
                of_class = f" of {spec.class_name(class_id)}" if class_id else ""
                raise UserError(
                    f"{self.split.root}: the train list has too few images{of_class} for a query and a support"
                )
        return lists


class TestEpisodes(Dataset[Episode]):
    """The fixed pairs of the test list, or with `split="val"` of the validation list, all classes in the label maps.

    The test pairs are `support/<set>_meta_test_list.txt` where that file stands, else they follow from the published
    rule. By this rule the validation list is paired too, over the classes that it shows as queries and supports.
    `list` says how they came about (`pairs.fixed_list`). Raises `UserError` as `Split` does, and on a broken
    list. `stage` is as for `TrainEpisodes`; `spec` is the record of that stage's classes.

    An episode has photo and labels at their own size. Evaluation takes the same episodes apart, since a photo stands
    in many of them: `photos` gives each one once, at network size (the longer side `longest`; 0: its own), and
    `label_of` makes an episode's label map from the photo's.
    """

    __test__ = False  # not a test case for pytest

    def __init__(
        self,
        spec: DatasetSpec,
        root: str | Path,
        *,
        way: str,
        stage: int = FINE,
        longest: int = 0,
        split: str = "test",
    ) -> None:
        _check_way(way)
        self.way, self.longest = way, longest
        self.spec = stage_spec(spec, stage)
        self.split = Split(spec, root, split, stage_table(spec, stage))
        path = pairs_path(spec, self.split.root) if split != VAL else None
        self.list = fixed_list(spec, path, len(self.split), lambda: self.split.supports, self.split.bad)
        self.pairs = [pair._replace(class_id=stage_class(spec, stage, pair.class_id)) for pair in self.list.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Episode:
        query, support, _ = self.pairs[index]
        return _episode(self.split.load(query), self.split.load(support), self.class_of(self.pairs[index]))

    def class_of(self, pair: Pair) -> int:
        """The class that the episode of this pair is about: 0, all classes, in k-way."""
        return pair.class_id if self.way == "1way" else 0

    def photo(self, index: int) -> Sample:
        """One photo of the split at network size, its label maps at their own."""
        sample = self.split.load(index)
        return sample._replace(image=resize_longest(sample.image, self.longest)) if self.longest else sample

    def photos(self, indices: Sequence[int]) -> Dataset[Sample]:
        """`photo` of each of the indices, as a data set for a loader."""
        return _Photos(self, indices)


class _Photos(Dataset[Sample]):
    def __init__(self, episodes: TestEpisodes, indices: Sequence[int]) -> None:
        self.episodes, self.indices = episodes, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> Sample:
        return self.episodes.photo(self.indices[place])


def _check_way(way: str) -> None:
    if way not in WAYS:
        raise UserError(f"there is no way {way!r}; choose {' or '.join(WAYS)}")


def _draw_supports(queries: np.ndarray, supports: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One support for each query, uniform over the sorted `supports` other than the query itself."""
    position = np.searchsorted(supports, queries)
    holds_query = supports[np.minimum(position, len(supports) - 1)] == queries
    drawn = rng.integers(0, len(supports) - holds_query)
    chosen: np.ndarray = supports[drawn + (holds_query & (drawn >= position))]
    return chosen


def _relabel_unlabelled(sample: Sample, to: int) -> Sample:
    unlabelled = (sample.label == 0) & (sample.foreground == 1)
    return sample._replace(label=sample.label.masked_fill(unlabelled, to))


def label_of(label: Tensor, class_id: int) -> Tensor:
    """An episode's label map: the photo's own for class 0 (k-way), else 1 where `class_id` is, 255 where it is 255."""
    if not class_id:
        return label
    return torch.where(label == IGNORE, label, (label == class_id).to(label.dtype))


def _episode(query: Sample, support: Sample, class_id: int) -> Episode:
    return {
        "query": query.image.contiguous(),
        "query_label": label_of(query.label, class_id),
        "query_foreground": query.foreground,
        "support": support.image.contiguous(),
        "support_label": label_of(support.label, class_id),
        "support_foreground": support.foreground,
        "class_id": class_id,
        "query_id": query.id,
        "support_id": support.id,
    }
