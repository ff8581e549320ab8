"""The forms in which users keep labels, one module each: what marks the form, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from utils.errors import UserError

from . import coco, index_png, labelme
from .common import CustomSource


class Format(Protocol):
    """What each module offers. `annotations` is the file that the user has named, if any."""

    def recognises(self, source: Path, annotations: Path | None) -> bool:
        """Whether the folder `source` is in this form."""

    def read(self, source: Path, annotations: Path | None, labels: tuple[str, ...] | None) -> CustomSource:
        """The photos of `source` with their labels; `labels` are the names of a dataset.json, if there is one.

        Raises `UserError` when any photo or label is unusable, after printing a line for each.
        """


FORMATS: tuple[Format, ...] = (coco, labelme, index_png)  # in this order: the last one takes what is left


def read_source(source: Path, annotations: Path | None, labels: tuple[str, ...] | None) -> CustomSource:
    """Read `source` in whichever form it has. Raises `UserError` when nothing usable is found."""
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source is the folder of your images")
    chosen = next(form for form in FORMATS if form.recognises(source, annotations))
    return chosen.read(source, annotations, labels)
