"""What the page's buttons do: take a reference, parse photos under it, show and hide its classes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from PIL import Image

from dataloaders import catalog, toy
from utils.errors import UserError
from utils.imaging import to_rgb

from ..annotations import read_index_map
from ..parser import OneShotParser
from ..parsing import Parsing
from ..support import Support
from . import view

MAX_PIXELS = 24_000_000
MAX_PHOTOS, MAX_CLASSES = 8, 64
TOY_SIZE = (384, 256)
TOY_PHOTOS = 4
ALL_CLASSES = "all classes"


class Kept(NamedTuple):
    """What a session keeps of its last parse: the results at the size shown, and each class's opacity by name."""

    parsings: list[Parsing]
    opacities: dict[str, float]


class Page:
    """The page's actions over one parser that all sessions share; what a session owns travels in and out.

    `folder` takes the drawn photos, and in `cache`, which Gradio empties of what is old, the downloads.
    """

    def __init__(self, parser: OneShotParser, folder: Path) -> None:
        self.parser, self.cache = parser, folder / "cache"
        self.toys = [toy.draw(7, index, TOY_SIZE) for index in range(TOY_PHOTOS + 1)]
        self.toy_files = [str(folder / f"toy_{number}.png") for number in range(1, TOY_PHOTOS + 1)]
        for (image, _), file in zip(self.toys[1:], self.toy_files, strict=True):
            Image.fromarray(image).save(file)

    def take_painted(self, canvas: view.Canvas | None, *names: str) -> tuple[Support, str]:
        """Reference from the canvas; its classes keep the brushes' colours."""
        with errors_as_toasts():
            painting = view.painted(canvas, names)
            support = self.parser.make_support(painting.photo, painting.masks)
        classes = tuple(c._replace(color=painting.colors[c.name]) for c in support.classes)
        return _announced(replace(support, classes=classes))

    def take_files(self, photo: str | None, labels: str | None, names: str) -> tuple[Support, str]:
        """Reference from a photo and an index PNG, with class names by id: "1 hat, 2 coat"."""
        with errors_as_toasts(photo, labels):
            if not photo or not labels:
                raise UserError("a photo and its label map are both needed; choose two files")
            label_map = read_index_map(labels, MAX_PIXELS)
            if len(np.unique(label_map)) > MAX_CLASSES + 2:
                raise UserError(f"{labels}: holds more than {MAX_CLASSES} classes; use predict.py for so many")
            return _announced(self.parser.make_support(to_rgb(photo, MAX_PIXELS), label_map, parse_names(names)))

    def take_toy(self) -> tuple[Support, str]:
        """The drawn reference with its exact labels."""
        spec, (image, label) = catalog.load("toy"), self.toys[0]
        names = {c: spec.class_name(c) for c in spec.classes}
        return _announced(self.parser.make_support(image, spec.merge_table()[label], names))

    def parse(
        self, support: Support | None, files: Sequence[str] | None, opacity: float
    ) -> tuple[Kept, list[np.ndarray], str, str, dict[str, Any], dict[str, Any]]:
        """What is kept, overlays, table, zip file, and Gradio's updates: visible classes, and the slider's class."""
        with errors_as_toasts(*(files or ())):
            if support is None:
                raise UserError("there is no reference yet; finish step 1")
            if not files:
                raise UserError("there are no photos yet; drop some in step 2")
            if len(files) > MAX_PHOTOS:
                raise UserError(f"{len(files)} photos at once; choose at most {MAX_PHOTOS}")
            parsings = [self.parser.parse(to_rgb(file, MAX_PIXELS), support) for file in files]
        names = [Path(file).name for file in files]
        archive = view.packed(parsings, names, self.cache)
        classes = [c.name for c in support.classes]
        kept = Kept([view.reduced(parsing) for parsing in parsings], dict.fromkeys(classes, opacity))
        visible = gr.update(choices=classes, value=classes)
        faded = gr.update(choices=[ALL_CLASSES, *classes], value=ALL_CLASSES)
        return kept, self.overlays(kept, classes), view.table(kept.parsings, names), archive, visible, faded

    def overlays(self, kept: Kept | None, visible: Sequence[str]) -> list[np.ndarray]:
        """The photos under the classes that are visible."""
        if kept is None:
            return []
        shown = {name: kept.opacities[name] for name in visible if name in kept.opacities}
        return [parsing.overlay(shown) for parsing in kept.parsings]

    def fade(
        self, kept: Kept | None, visible: Sequence[str], which: str, opacity: float
    ) -> tuple[Kept | None, list[np.ndarray]]:
        """Give one class, or all, another opacity."""
        if kept is not None:
            changed = kept.opacities if which == ALL_CLASSES else [which]
            kept = kept._replace(opacities={**kept.opacities, **dict.fromkeys(changed, opacity)})
        return kept, self.overlays(kept, visible)


@contextmanager
def errors_as_toasts(*paths: str | None) -> Iterator[None]:
    """Turns a `UserError` into a message on the page, without the server's folders, of `paths`, in it."""
    try:
        yield
    except UserError as error:
        message = str(error)
        for path in filter(None, paths):
            message = message.replace(path, Path(path).name)
        raise gr.Error(message, print_exception=False) from None


def parse_names(text: str) -> dict[int, str]:
    """Class names by id from a line such as "1 hat, 2 coat". Raises `UserError` for anything else."""
    names = {}
    for part in filter(None, map(str.strip, (text or "").split(","))):
        number, _, name = part.partition(" ")
        if not (number.isascii() and number.isdigit() and len(number) <= 5 and name.strip()):
            raise UserError(f"names by id: {part!r} is not of the form '1 hat'; separate them by commas")
        names[int(number)] = name.strip()
    return names


def _announced(support: Support) -> tuple[Support, str]:
    return support, f"Reference ready: {', '.join(c.name for c in support.classes)}. Go on with step 2."
