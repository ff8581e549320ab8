"""Read a dataset.json: the record of a data set of the user's own. `docs/data.md` describes the file."""

import re
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import read_json

from .palette import RGB, palette
from .spec import SPLITS, DatasetSpec

_KEYS = {
    "name", "title", "labels", "merges", "dropped", "mirrored", "folds", "evaluation_order", "boundary", "counts",
    "queries_per_class", "supports_per_query", "all_images_both", "body_areas", "palette",
}  # fmt: skip
QUERIES_PER_CLASS, SUPPORTS_PER_QUERY = 10, 5  # of the test list, where the file does not say
T = TypeVar("T")


def read_dataset_json(path: Path) -> DatasetSpec:
    """The record that `path` holds. Classes may be given by label name or by raw id.

    Raises `UserError` when the file is missing, is no JSON or does not hold together.
    """
    return parse_dataset_json(path, read_json(path, by_hand=True))


def parse_dataset_json(path: Path, content: object) -> DatasetSpec:
    """The record that `content`, read from or meant for `path`, holds. Raises `UserError` as `read_dataset_json`."""
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold one JSON object; see docs/data.md")
    return _Reader(path, content).spec()


class _Reader:
    """One pass over the content; every complaint names the file and the entry."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path, self.content = path, content
        unknown = sorted(set(content) - _KEYS)
        if unknown:
            self.fail(f"unknown entry {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
        self.labels = self._labels()
        merges = self.get("merges", dict, {}).items()
        self.merges = {self.label(raw, "merges"): self.label(to, "merges") for raw, to in merges}
        self.dropped = self.label_list(self.get("dropped", list, []), "dropped")
        self._check_merges()
        self.classes = tuple(i for i in range(len(self.labels)) if i not in self.merges and i not in self.dropped)

    def spec(self) -> DatasetSpec:
        name = self.get("name", str)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            self.fail(f"name must be made of letters, digits, - and _, not {name!r}")
        order = self.get("evaluation_order", list, list(self.classes[1:]))
        return DatasetSpec(
            name=name,
            folder=name,
            title=self.get("title", str, name),
            labels=self.labels,
            classes=self.classes,
            base=self._base(),
            evaluation_order=self.class_list(order, "evaluation_order"),
            boundary=self._per_split("boundary"),
            palette=self._palette(),
            body_areas=self._body_areas(),
            merges=self.merges,
            dropped=self.dropped,
            mirrored=self._mirrored(),
            queries_per_class=self._positive("queries_per_class", QUERIES_PER_CLASS),
            supports_per_query=self._positive("supports_per_query", SUPPORTS_PER_QUERY),
            all_images_both=self.get("all_images_both", bool, True),
            counts=self._per_split("counts") if "counts" in self.content else None,
            results={},
            home=self.path.resolve().parent,
        )

    def fail(self, what: str) -> NoReturn:
        raise UserError(f"{self.path}: {what}")

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        value = self.content.get(key, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(f"{key} must be a {kind.__name__}, not {value!r}")
        return value

    def label(self, entry: object, key: str) -> int:
        """Raw id of a label given by name, by id, or by an id in quotes (JSON keys are always strings)."""
        if isinstance(entry, str) and entry in self.labels:
            return self.labels.index(entry)
        number = int(entry) if isinstance(entry, str) and entry.isdecimal() else entry
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(self.labels):
            return number
        self.fail(f"{key} names {entry!r}, which is none of the labels")

    def label_list(self, entries: object, key: str) -> tuple[int, ...]:
        if not isinstance(entries, list):
            self.fail(f"{key} must hold lists of labels, not {entries!r}")
        return tuple(self.label(entry, key) for entry in entries)

    def class_list(self, entries: object, key: str) -> tuple[int, ...]:
        ids = self.label_list(entries, key)
        for class_id in ids:
            if class_id not in self.classes[1:]:
                self.fail(f"{key} names {self.labels[class_id]!r}, which is the background, merged away or dropped")
        if len(set(ids)) < len(ids):
            self.fail(f"{key} names a class twice")
        return ids

    def _labels(self) -> tuple[str, ...]:
        labels = self.get("labels", list)
        if not 2 <= len(labels) < IGNORE or not all(isinstance(label, str) and label for label in labels):
            self.fail(f"labels must be a list of 2 to {IGNORE - 1} names, the background first")
        if len(set(labels)) < len(labels):
            self.fail("labels holds a name twice")
        return tuple(labels)

    def _check_merges(self) -> None:
        taken = {0, *self.merges, *self.dropped}
        for raw, merged in self.merges.items():
            if raw in (0, *self.dropped) or merged in taken:
                self.fail(
                    f"merges sends {self.labels[raw]!r} to {self.labels[merged]!r}; the second must be a kept label"
                )
        if 0 in self.dropped:
            self.fail("dropped names the background")

    def _base(self) -> dict[int, tuple[int, ...]]:
        base = {}
        for fold, entries in self.get("folds", dict).items():
            novel = self.class_list(entries, f"folds[{fold}]")
            number = int(fold) if fold.isdecimal() else 0
            if number < 1 or number in base:
                self.fail(f"folds[{fold}]: number the folds from 1, each once; in fold 0 no class is novel")
            if len(novel) >= len(self.classes) - 1:
                self.fail(f"folds[{fold}] must list the novel classes of the fold: some or none, but not all")
            base[number] = tuple(c for c in self.classes if c not in novel)
        if not base:
            self.fail('folds is empty; write for example {"1": ["skirt", "pants"]}, the novel classes of each fold')
        return base

    def _per_split(self, key: str) -> dict[str, int]:
        value: dict[str, int] = self.get(key, dict)
        if set(value) != set(SPLITS) or not all(type(number) is int and number >= 0 for number in value.values()):
            self.fail(f'{key} must be like {{"train": 100, "test": 20}}, not {value!r}')
        return value

    def _positive(self, key: str, default: int) -> int:
        value = self.get(key, int, default)
        if value < 1:
            self.fail(f"{key} must be at least 1, not {value}")
        return value

    def _mirrored(self) -> tuple[tuple[int, int], ...]:
        pairs = [self.label_list(pair, "mirrored") for pair in self.get("mirrored", list, [])]
        if any(len(pair) != 2 for pair in pairs) or len(set(sum(pairs, ()))) != 2 * len(pairs):
            self.fail("mirrored must hold pairs of labels, and each label once")
        return tuple((left, right) for left, right in pairs)

    def _body_areas(self) -> dict[str, tuple[int, ...]]:
        """Areas of POPNet's second stage. Every class has one, its merged labels the same; dropped labels may have."""
        given = self.get("body_areas", dict, {"person": list(range(1, len(self.labels)))})
        areas = {name: self.label_list(entries, f"body_areas[{name}]") for name, entries in given.items()}
        area_of = {raw: name for name, ids in areas.items() for raw in ids}
        if len(area_of) < sum(map(len, areas.values())) or 0 in area_of:
            self.fail("body_areas must hold each label once, and not the background")
        for raw in (*self.classes[1:], *self.merges):
            if raw not in area_of or area_of[raw] != area_of[self.merges.get(raw, raw)]:
                what = "gives no area" if raw not in area_of else f"has {area_of[raw]!r}, apart from what it joins,"
                self.fail(f"body_areas {what} for {self.labels[raw]!r}")
        return areas

    def _palette(self) -> tuple[RGB, ...]:
        if "palette" not in self.content:
            return palette(self.labels)
        colours = self.get("palette", list)
        if len(colours) != len(self.labels) or not all(_is_rgb(colour) for colour in colours):
            self.fail("palette must hold one [red, green, blue] of 0..255 for each label")
        return tuple((r, g, b) for r, g, b in colours)


def _is_rgb(colour: object) -> bool:
    return isinstance(colour, list) and len(colour) == 3 and all(type(v) is int and 0 <= v <= 255 for v in colour)
