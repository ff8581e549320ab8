"""Annotation projects in the folder of results: one for each form, written aside and put in place at the end."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from dataloaders.prepare.formats.common import is_background, is_ignored
from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import file_digest, read_json, reported, write_json, write_text
from utils.locks import alone_in
from utils.names import JUNK, first_names, is_utf8
from utils.pictures import orientation

from ..inputs import EXPORT_RECORD, Source
from ..parsing import ClassInfo, Parsing
from .coco import Coco
from .cvat import Cvat
from .forms import Form, Index, refuse_unless
from .labelme import Labelme

FORMS: dict[str, type[Form]] = {"coco": Coco, "labelme": Labelme, "cvat": Cvat, "index": Index}
REVIEW = "review.txt"
KEPT = {"JPEG": ".jpg", "PNG": ".png"}  # photos that every tool shows as they are
SHOWN_MODES = ("RGB", "L", "RGBA", "P")
PARTIAL = ".{}.partial"  # in the folder of results: a project that is not finished
QUALITY = 95  # of the JPEG files that the others become


class Project:
    """The project of one form, `out`/`form`. Until `finish` it lies beside that, hidden."""

    def __init__(self, form: str, out: Path, classes: Sequence[ClassInfo]) -> None:
        self.folder, self.partial = out / form, out / PARTIAL.format(form)
        self._finished = False
        with reported(self.partial):
            for old in self.partial.iterdir():  # of a run that was killed
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        self.form = FORMS[form](self.partial, classes)
        self.certainty: dict[str, tuple[float, str]] = {}  # of each photo, and its classes by score
        self.photos: list[str] = []

    def add(self, source: Source, parsing: Parsing) -> None:
        """Add a photo with its annotations. Raises `UserError` where that cannot be written."""
        with reported(self.folder):
            image = _write_photo(self.partial / self.form.images, source, parsing)
            self.form.add(image, parsing)
        self.certainty[image] = _certainty(parsing)
        self.photos.append(source.name)

    def discard(self) -> None:
        """Remove what is not finished."""
        if not self._finished:  # else the next run's may stand there already
            shutil.rmtree(self.partial, ignore_errors=True)

    def finish(self) -> list[str]:
        """Put the project in its place; returns lines to print. Without a photo there is none.

        Raises `UserError` where that cannot be written, or where somebody has worked in the folder meanwhile.
        """
        if not self.photos:
            return [f"{self.folder}: not written, since no photo was parsed"]
        if changed := _changed(self.folder):
            raise UserError(f"{self.folder}: {changed}, while this run parsed; choose another --out")
        with reported(self.folder):
            lines = self.form.finish()
            ranked = sorted(self.certainty.items(), key=lambda item: (item[1][0], item[0]))
            write_text(self.partial / REVIEW, "".join(f"{mean:.4f}\t{i}\t{text}\n" for i, (mean, text) in ranked))
            files = {name: file_digest(self.partial / name) for name in _files(self.partial)}
            write_json(self.partial / EXPORT_RECORD, {"photos": self.photos, "files": files})
            old = self.partial.with_suffix(".old")
            shutil.rmtree(old, ignore_errors=True)  # of a run that was killed
            if self.folder.exists():
                os.replace(self.folder, old)
            os.replace(self.partial, self.folder)
            self._finished = True
            shutil.rmtree(old, ignore_errors=True)
        return [f"{self.folder}: {len(self.photos)} photos", *lines]


def check_exports(
    forms: Iterable[str], out: Path, names: Sequence[str], sources: Sequence[Source], read: Iterable[str | Path]
) -> None:
    """Raise `UserError` where a project could not be written, or would take the place of work that is not its own.

    That is a folder which no earlier run has written, in which files have been changed or added since, which has photos
    that this run does not parse, or from which this run reads (`read`, and its photos).
    """
    used = [Path(path).resolve() for path in (*read, *(source.path for source in sources))]
    photos = {source.name for source in sources}
    for form in forms:
        for source in sources:
            whose = "its name is not UTF-8, as the files of an annotation project are"
            refuse_unless(
                source.is_video or is_utf8(source.name), f"{source.path}: {whose}; rename it for --export {form}"
            )
        refuse_unless(len(names) < IGNORE, f"--export {form}: {len(names)} classes; the form holds {IGNORE - 1}")
        for name in names:
            plain = name == " ".join(name.splitlines()).strip() and not is_background(name) and not is_ignored(name)
            refuse_unless(plain, f"--export {form}: a class cannot be called {name!r} there; give it another name")
        FORMS[form].check(names)
        folder = out / form
        if foreign := _foreign(folder, photos):
            raise UserError(f"{folder}: {foreign}; move it away, or choose another --out")
        if any(folder.resolve() in path.parents for path in used):
            raise UserError(
                f"{folder}: this run reads files there, which the export would replace; choose another --out"
            )


@contextmanager
def exporting(forms: Iterable[str], out: Path, classes: Sequence[ClassInfo]) -> Iterator[list[Project]]:
    """The projects to which photos are added within; what is not finished then is removed."""
    projects: list[Project] = []
    with ExitStack() as held:
        try:
            for form in forms:
                held.enter_context(alone_in(out / PARTIAL.format(form), wait=False))
                projects.append(Project(form, out, classes))
            yield projects
        finally:
            for project in projects:
                project.discard()


def finish(projects: Iterable[Project]) -> list[str]:
    """Put projects in their places and print what they tell; returns a line for each that could not be."""
    failed = []
    for project in projects:
        try:
            print(*project.finish(), sep="\n")
        except UserError as error:
            failed.append(str(error))
    return failed


def _certainty(parsing: Parsing) -> tuple[float, str]:
    """The mean score of the pixels' classes, 0 where nothing is found; and the classes, the least certain first.

    Among means and least scores, this mean orders photos of the validation list most as their mIoU does.
    """
    shown = sorted((area["score"], name, area["pixels"]) for name, area in parsing.areas().items() if area["pixels"])
    text = ", ".join(f"{name} {score:.2f}" for score, name, _ in shown) or "nothing found"
    return sum(score * pixels for score, _, pixels in shown) / max(sum(pixels for *_, pixels in shown), 1), text


def _foreign(folder: Path, photos: Iterable[str]) -> str:
    """What a folder holds that is not an export of these photos alone, in words; empty if there is nothing."""
    if changed := _changed(folder):
        return changed
    others = sorted(set(_record(folder).get("photos", ())) - set(photos))
    return f"is an export of other photos too ({first_names(others)})" if others else ""


def _changed(folder: Path) -> str:
    """What a folder holds that no export has written, in words; empty if there is nothing, or no folder."""
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return ""
    files = _record(folder).get("files")
    if not files:
        return "stands already, and is no export of an earlier run"
    changed = [name for name in _files(folder) if files.get(name) != file_digest(folder / name)]
    return f"files were changed or added since it was exported ({first_names(changed)})" if changed else ""


def _record(folder: Path) -> dict[str, Any]:
    """What an export has noted about itself; empty where there is none."""
    try:
        content = read_json(folder / EXPORT_RECORD)
        return {"photos": [str(name) for name in content["photos"]], "files": dict(content["files"])}
    except (UserError, KeyError, TypeError, ValueError):
        return {}


def _files(folder: Path) -> list[str]:
    """The paths in a folder of its files, without hidden ones and what systems leave behind."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder) for path in paths if path.name.lower() not in JUNK]
    return [name.as_posix() for name in names if not name.name.startswith(".")]


def _write_photo(folder: Path, source: Source, parsing: Parsing) -> str:
    """Write the photo upright, as its own file where every tool shows that as it is; returns the name."""
    folder.mkdir(parents=True, exist_ok=True)
    if source.path.is_file():
        with Image.open(source.path) as picture:
            upright = orientation(picture) == 1 and picture.mode in SHOWN_MODES
            suffix = KEPT.get(picture.format or "") if upright and getattr(picture, "n_frames", 1) == 1 else None
        if suffix:
            shutil.copyfile(source.path, folder / f"{source.name}{suffix}")
            return f"{source.name}{suffix}"
    Image.fromarray(parsing.image).save(folder / f"{source.name}.jpg", quality=QUALITY)
    return f"{source.name}.jpg"
