"""Read a dataset.json: the record of a data set of the user's own. `docs/data.md` describes the file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import read_json

from .palette import palette
from .spec import IGNORE, SPLITS, DatasetSpec

_KEYS = {
    "name", "title", "labels", "merges", "dropped", "mirrored", "folds", "evaluation_order", "boundary", "counts",
    "queries_per_class", "supports_per_query", "all_images_both", "body_areas", "palette",
}  # fmt: skip


def read_dataset_json(path: Path) -> DatasetSpec:
    """The record that `path` holds. Classes may be given by label name or by raw id.

    Raises `UserError` when the file is missing, is no JSON or does not hold together.
    """
    return parse_dataset_json(path, read_json(path))


def parse_dataset_json(path: Path, content: object) -> DatasetSpec:
    """The record that `content`, read from or meant for `path`, holds. Raises `UserError` as `read_dataset_json`."""
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold one JSON object; see docs/data.md")
    return _Reader(path, content).spec()


class _Reader:
    """One pass over the content; every complaint names the file and the entry."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.content = content
        unknown = sorted(set(content) - _KEYS)
        if unknown:
            self.fail(f"unknown entry {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
        self.labels = self._labels()

    def fail(self, what: str) -> None:
        raise UserError(f"{self.path}: {what}")

    def spec(self) -> DatasetSpec:
        name = self.get("name", str, None)
        if not name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            self.fail(f"name must be made of letters, digits, - and _, not {name!r}")
        merges = {
            self.label(raw, "merges"): self.label(to, "merges") for raw, to in self.get("merges", dict, {}).items()
        }
        dropped = self.label_list(self.get("dropped", list, []), "dropped")
        self._check_merges(merges, dropped)
        classes = tuple(i for i in range(len(self.labels)) if i not in merges and i not in dropped)
        order = self.class_list(self.get("evaluation_order", list, list(classes[1:])), "evaluation_order", classes)
        return DatasetSpec(
            name=name,
            folder=name,
            title=self.get("title", str, name),
            labels=self.labels,
            classes=classes,
            base=self._base(classes),
            evaluation_order=order,
            boundary=self._per_split("boundary"),
            palette=self._palette(),
            body_areas=self._body_areas(merges, classes),
            merges=merges,
            dropped=dropped,
            mirrored=self._mirrored(),
            queries_per_class=self._positive("queries_per_class", 10),
            supports_per_query=self._positive("supports_per_query", 5),
            all_images_both=self.get("all_images_both", bool, True),
            counts=self._per_split("counts") if "counts" in self.content else None,
            home=self.path.resolve().parent,
        )

    def get(self, key: str, kind: type, default: Any) -> Any:
        value = self.content.get(key, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(f"{key} must be a {kind.__name__}, not {value!r}")
        return value

    def label(self, entry: Any, key: str) -> int:
        """Raw id of a label given by name, by id, or by an id in quotes (JSON keys are always strings)."""
        if entry in self.labels:
            return self.labels.index(entry)
        number = int(entry) if isinstance(entry, str) and entry.isdecimal() else entry
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(self.labels):
            return number
        self.fail(f"{key} names {entry!r}, which is none of the labels")
        raise AssertionError

    def label_list(self, entries: Iterable[Any], key: str) -> tuple[int, ...]:
        if not isinstance(entries, list):
            self.fail(f"{key} must hold lists of labels, not {entries!r}")
        return tuple(self.label(entry, key) for entry in entries)

    def class_list(self, entries: Iterable[Any], key: str, classes: tuple[int, ...]) -> tuple[int, ...]:
        ids = self.label_list(entries, key)
        for class_id in ids:
            if class_id not in classes[1:]:
                self.fail(f"{key} names {self.labels[class_id]!r}, which is the background, merged away or dropped")
        if len(set(ids)) < len(ids):
            self.fail(f"{key} names a class twice")
        return ids

    def _labels(self) -> tuple[str, ...]:
        labels = self.get("labels", list, None)
        if not 2 <= len(labels) < IGNORE or not all(isinstance(label, str) and label for label in labels):
            self.fail(f"labels must be a list of 2 to {IGNORE - 1} names, the background first")
        if len(set(labels)) < len(labels):
            self.fail("labels holds a name twice")
        return tuple(labels)

    def _check_merges(self, merges: dict[int, int], dropped: tuple[int, ...]) -> None:
        for raw, merged in merges.items():
            if raw == 0 or merged == 0 or raw == merged or merged in merges or raw in dropped or merged in dropped:
                self.fail(
                    f"merges sends {self.labels[raw]!r} to {self.labels[merged]!r}; the second must be a kept label"
                )
        if 0 in dropped:
            self.fail("dropped names the background")

    def _base(self, classes: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
        base = {}
        for fold, entries in self.get("folds", dict, None).items():
            novel = self.class_list(entries, f"folds[{fold}]", classes)
            if not fold.isdecimal() or len(novel) >= len(classes) - 1:
                self.fail(f"folds[{fold}] must list the novel classes of a numbered fold: some or none, but not all")
            base[int(fold)] = tuple(c for c in classes if c not in novel)
        if not base:
            self.fail('folds is empty; write for example {"1": ["skirt", "pants"]}, the novel classes of each fold')
        return base

    def _per_split(self, key: str) -> dict[str, int]:
        value = self.get(key, dict, None)
        if set(value) != set(SPLITS) or not all(type(number) is int and number >= 0 for number in value.values()):
            self.fail(f'{key} must be like {{"train": 100, "test": 20}}, not {value!r}')
        return value

    def _positive(self, key: str, default: int) -> int:
        value = self.get(key, int, default)
        if value < 1:
            self.fail(f"{key} must be at least 1, not {value}")
        return value

    def _mirrored(self) -> tuple[tuple[int, int], ...]:
        pairs = tuple(self.label_list(pair, "mirrored") for pair in self.get("mirrored", list, []))
        if any(len(pair) != 2 for pair in pairs) or len(set(sum(pairs, ()))) != 2 * len(pairs):
            self.fail("mirrored must hold pairs of labels, and each label once")
        return tuple((left, right) for left, right in pairs)

    def _body_areas(self, merges: dict[int, int], classes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Areas of POPNet's second stage. Every class has one, its merged labels the same; dropped labels may have."""
        default = {"person": list(range(1, len(self.labels)))}
        given = self.get("body_areas", dict, default)
        areas = {name: self.label_list(entries, f"body_areas[{name}]") for name, entries in given.items()}
        listed = sum(areas.values(), ())
        area_of = {raw: name for name, ids in areas.items() for raw in ids}
        if len(area_of) < len(listed) or 0 in area_of:
            self.fail("body_areas must hold each label once, and not the background")
        for raw in (*classes[1:], *merges):
            if raw not in area_of or area_of[raw] != area_of[merges.get(raw, raw)]:
                what = "gives no area" if raw not in area_of else f"has {area_of[raw]!r}, apart from what it joins,"
                self.fail(f"body_areas {what} for {self.labels[raw]!r}")
        return areas

    def _palette(self) -> tuple[tuple[int, int, int], ...]:
        if "palette" not in self.content:
            return palette(self.labels)
        colours = self.get("palette", list, None)
        if len(colours) != len(self.labels) or not all(_is_rgb(colour) for colour in colours):
            self.fail("palette must hold one [red, green, blue] of 0..255 for each label")
        return tuple((r, g, b) for r, g, b in colours)


def _is_rgb(colour: Any) -> bool:
    return isinstance(colour, list) and len(colour) == 3 and all(type(v) is int and 0 <= v <= 255 for v in colour)
