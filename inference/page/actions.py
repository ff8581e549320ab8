"""What the page's buttons do: take references, parse photos under them, show and hide classes, make downloads."""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from PIL import Image

from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import read_json, write_json
from utils.imaging import to_rgb

from ..annotations import names_by_id, read_index_map
from ..exports.project import FORMS, check_exports, exporting
from ..extras import Extras
from ..inputs import Source
from ..labelled import check_scale
from ..parser import OneShotParser
from ..parsing import Parsing
from ..recipes import read_recipes
from ..references import Support
from . import view
from .example import Example
from .references import Reference, added, fitted, of_painting, pictures, save, support_of

MAX_PIXELS = 24_000_000
MAX_PHOTOS, MAX_CLASSES, MAX_REFERENCES = 8, 64, 5
ALL_CLASSES = "all classes"
NO_REFERENCE, NO_PROJECT = "No reference yet.", "none"
Taken = tuple[list[Reference], list[tuple[np.ndarray, str]], str]  # references, their pictures, what is told


class Kept(NamedTuple):
    """What a session keeps of its last parse: the results at the size shown, and each class's opacity by name.

    The photos' files and the support are for downloads at the photos' own size.
    """

    parsings: list[Parsing]
    opacities: dict[str, float]
    files: list[str]
    support: Support


class Page:
    """The page's actions over one parser that all sessions share; what a session owns travels in and out.

    `folder` takes the example's photos, and in `cache`, which Gradio empties of what is old, the downloads.
    """

    def __init__(self, parser: OneShotParser, folder: Path, example: Example) -> None:
        self.parser, self.cache, self.example = parser, folder / "cache", example
        self.example_files = [str(folder / f"example_{number}.png") for number in range(1, len(example.photos) + 1)]
        for photo, file in zip(example.photos, self.example_files, strict=True):
            Image.fromarray(photo.photo).save(file)

    def take_painted(
        self, references: list[Reference], canvas: view.CanvasValue | None, growing: bool, *names: str
    ) -> Taken:
        """One more reference, from the canvas; its classes keep the brushes' colours."""
        with errors_as_toasts():
            return self._add(references, of_painting(self.parser, view.painted(canvas, names), growing))

    def take_files(self, references: list[Reference], photo: str | None, labels: str | None, names: str) -> Taken:
        """One more reference, from a photo and an index PNG, with class names by id: "1 hat, 2 coat"."""
        with errors_as_toasts(photo, labels):
            return self._add(references, self._read(photo, labels, names))

    def take_example(self) -> Taken:
        """The example's reference, alone."""
        return self._add([], self.example.reference)

    def parse(
        self, references: list[Reference], files: Sequence[str] | None, opacity: float, adapt: bool = False
    ) -> Iterator[tuple[Any, ...]]:
        """Photo by photo: what is kept, bars, table, zip file, Gradio's updates of the visible classes and of the
        slider's class, and a slider before/after for each of `MAX_PHOTOS`. Photos that cannot be read are left out.
        """
        with errors_as_toasts(*(files or ())):
            files = self._checked(references, files)
            names, sliders = [Path(file).name for file in files], [gr.skip()] * MAX_PHOTOS
            yield (None, view.progress(names, 0), *[gr.skip()] * 4, *[gr.update(visible=False)] * MAX_PHOTOS)
            support = support_of(self.parser, references, adapt)
            classes = [c.name for c in support.classes]
            opacities, parsings, folder = dict.fromkeys(classes, opacity), [], self._folder()
            read: list[str] = []
            for file in files:
                number = len(read)
                try:
                    rgb = to_rgb(file, MAX_PIXELS, tell=partial(view.toast, file))
                except UserError as error:
                    view.toast(file, f"left out: {error}")
                    del names[number]
                    continue
                read.append(file)
                parsing = self.parser.parse(rgb, support)
                parsing.save(folder, view.title(number + 1, names[number]))
                parsings.append(view.reduced(parsing))
                sliders[number] = view.compared(parsings[-1], opacities, names[number])
                yield (gr.skip(), view.progress(names, number + 1), *[gr.skip()] * 4, *sliders)
                sliders[number] = gr.skip()
            if not read:
                raise UserError("none of these photos can be read; choose others")
            save(references, support, folder / "reference")
        kept = Kept(parsings, opacities, read, support)
        visible = gr.update(choices=classes, value=classes)
        faded = gr.update(choices=[ALL_CLASSES, *classes], value=ALL_CLASSES)
        archive = view.packed(folder, "parsed.zip")
        yield kept, view.progress(names, len(names)), view.table(parsings, names), archive, visible, faded, *sliders

    def parse_files(
        self, photo: str | None, labels: str | None, names: str, files: Sequence[str] | None
    ) -> tuple[dict[str, Any], str]:
        """For programs, in one call: the areas of each photo, and a zip file of label maps, overlays and areas."""
        with errors_as_toasts(photo, labels, *(files or ())):
            reference = self._read(photo, labels, names)
            files, folder, areas = self._checked([reference], files), self._folder(), {}
            support = support_of(self.parser, [reference])
            for number, file in enumerate(files, 1):
                parsing = self.parser.parse(to_rgb(file, MAX_PIXELS, tell=partial(view.toast, file)), support)
                parsing.save(folder, view.title(number, Path(file).name))
                areas[view.title(number, Path(file).name)] = parsing.areas()
        return areas, view.packed(folder, "parsed.zip")

    def show(self, kept: Kept | None, visible: Sequence[str]) -> list[Any]:
        """The photos under the classes that are visible."""
        if kept is None:
            return [gr.skip()] * MAX_PHOTOS
        shown = {name: kept.opacities[name] for name in visible if name in kept.opacities}
        sliders = [view.compared(p, shown, Path(f).name) for p, f in zip(kept.parsings, kept.files, strict=True)]
        return sliders + [gr.skip()] * (MAX_PHOTOS - len(sliders))

    def fade(self, kept: Kept | None, visible: Sequence[str], which: str, opacity: float) -> tuple[Any, ...]:
        """Give one class, or all, another opacity: what is kept, and the sliders."""
        if kept is not None:
            changed = kept.opacities if which == ALL_CLASSES else [which]
            kept = kept._replace(opacities={**kept.opacities, **dict.fromkeys(changed, opacity)})
        return kept, *self.show(kept, visible)

    def pack(self, kept: Kept | None, recipes: str, cutout: bool, form: str) -> str:
        """A zip file, at the photos' own size: masks by recipe, one "name = recipe" a line, cut-outs, and a project.

        `form` is that of the annotation project, one of `FORMS`, or `NO_PROJECT`.
        """
        with errors_as_toasts(*(kept.files if kept else ())):
            if kept is None:
                raise UserError("nothing is parsed yet; finish step 2")
            classes, folder, forms = kept.support.classes, self._folder(), [form] if form in FORMS else []
            names = [c.name for c in classes]
            drawn, _ = read_recipes([line for line in recipes.splitlines() if line.strip()], [], names)
            sources = [Source(Path(f), view.title(n, Path(f).name)) for n, f in enumerate(kept.files, 1)]
            check_exports(forms, folder, names, sources, [])
            with exporting(forms, folder, classes) as projects:
                extras = Extras(drawn, cutout and bool(drawn), projects=projects)
                for source in sources:
                    extras.save(self.parser.parse(to_rgb(source.path, MAX_PIXELS), kept.support), folder, source)
                    facts = folder / f"{source.name}.json"
                    write_json(facts, {**read_json(facts), "photo": source.path.name})  # without the server's folders
                for project in projects:
                    project.finish()
        return view.packed(folder, "masks.zip")

    def _add(self, references: Sequence[Reference], new: Reference) -> Taken:
        with errors_as_toasts():
            small = fitted(new, self.parser.max_size)
            if lost := ", ".join(name for i, name in new.classes.items() if i not in small.classes):
                raise UserError(f"{lost}: too small to be seen at {max(small.labels.shape)} pixels; mark more of it")
            references = added(references, small)
            if len(references) > MAX_REFERENCES:
                raise UserError(f"there are {MAX_REFERENCES} references already; remove them and begin anew")
            support = support_of(self.parser, references)
        ready = "Reference" if len(references) == 1 else f"{len(references)} references"
        ready += f" ready: {', '.join(c.name for c in support.classes)}. Go on with step 2."
        return list(references), pictures(references, support), "\n\n".join([ready, *support.notes])

    def _read(self, photo: str | None, labels: str | None, names: str) -> Reference:
        if not photo or not labels:
            raise UserError("a photo and its label map are both needed; choose two files")
        label_map = read_index_map(labels, MAX_PIXELS, "give an index PNG, or paint")
        values = set(np.unique(label_map).tolist())
        if len(values) > MAX_CLASSES + 2:
            raise UserError(f"{labels}: holds more than {MAX_CLASSES} classes; use predict.py for so many")
        ids = values - {0, IGNORE}
        if not ids:
            raise UserError(f"{labels}: holds no class, only background; mark at least one class")
        named = parse_names(names, ids)
        check_scale(labels, label_map, named)
        rgb = to_rgb(photo, MAX_PIXELS, tell=partial(view.toast, photo))
        if rgb.shape[:2] != label_map.shape:
            (height, width), (rows, columns) = rgb.shape[:2], label_map.shape
            raise UserError(
                f"{photo}: upright it is {width}x{height}, its labels are {columns}x{rows}; save both alike"
            )
        return Reference(rgb, label_map, named, {})

    def _checked(self, references: Sequence[Reference], files: Sequence[str] | None) -> Sequence[str]:
        if not references:
            raise UserError("there is no reference yet; finish step 1")
        if not files:
            raise UserError("there are no photos yet; drop some in step 2")
        if len(files) > MAX_PHOTOS:
            raise UserError(f"{len(files)} photos at once; choose at most {MAX_PHOTOS}")
        return files

    def _folder(self) -> Path:
        """A new folder for the files of a download, inside one of its own."""
        self.cache.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self.cache)) / "files"
        folder.mkdir()
        return folder


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


def parse_names(text: str, ids: Collection[int]) -> dict[int, str]:
    """Class names by id, from a line such as "1 hat, 2 coat", of a label map with these ids. `UserError` for others."""
    names: dict[int, str] = {}
    for part in filter(None, map(str.strip, (text or "").split(","))):
        number, _, name = (word.strip() for word in part.partition(" "))
        digits = number.isascii() and number.isdigit() and len(number) <= 5
        if not (digits and name) or any(word.isdigit() for word in name.split()[:-1]):
            raise UserError(f"names by id: {part!r} is not of the form '1 hat'; separate them by commas")
        if int(number) not in ids:
            raise UserError(f"names by id: {part!r}: the label map has the classes {', '.join(map(str, sorted(ids)))}")
        if int(number) in names or name in names.values():
            raise UserError(f"names by id: {part!r}: the id or the name stands twice; give each class one name")
        names[int(number)] = name
    return names_by_id(names, "names by id") if names else names
