"""CVAT's "Segmentation mask 1.1": a zip of photos, masks in the colours of labelmap.txt, and masks of instances."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dataloaders.palette import voc_colour
from utils.files import write_text

from ..parsing import ClassInfo, Parsing
from .forms import Form, refuse_unless, save_png

ZIP = "cvat.zip"


class Cvat(Form):
    """The form is Pascal VOC's with a labelmap.txt. A class of a photo is one instance."""

    images = "JPEGImages"

    def __init__(self, folder: Path, classes: Sequence[ClassInfo]) -> None:
        super().__init__(folder, classes)
        self.stems: list[str] = []
        colours = {"background": (0, 0, 0)} | {c.name: c.color for c in classes}
        lines = [f"{name}:{red},{green},{blue}::" for name, (red, green, blue) in colours.items()]
        write_text(folder / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines, ""]))

    @staticmethod
    def check(names: Sequence[str]) -> None:
        """Raise `UserError` for a name that a line of labelmap.txt cannot hold."""
        for name in names:
            what = f"--export cvat: class {name!r} cannot be written into CVAT's labelmap.txt; call it without : and #"
            refuse_unless(":" not in name and not name.startswith("#"), what)

    def add(self, image: str, parsing: Parsing) -> None:
        """Write the photo's masks."""
        by_class = np.zeros((1 + max(c.id for c in self.classes), 3), dtype=np.uint8)
        by_instance = by_class.copy()
        for number, c in enumerate((c for c in self.classes if parsing.areas()[c.name]["pixels"]), 1):
            by_class[c.id], by_instance[c.id] = c.color, voc_colour(number)
        for folder, table in (("SegmentationClass", by_class), ("SegmentationObject", by_instance)):
            save_png(self.folder / folder / image, Image.fromarray(table[parsing.labels]))
        self.stems.append(Path(image).stem)

    def finish(self) -> list[str]:
        """Write the list of photos, and put all into the zip."""
        write_text(self.folder / "ImageSets" / "Segmentation" / "default.txt", "".join(f"{s}\n" for s in self.stems))
        paths = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        with zipfile.ZipFile(self.folder / ZIP, "w", zipfile.ZIP_STORED) as archive:  # pictures are packed already
            for path in paths:
                archive.write(path, path.relative_to(self.folder))
        for path in [path for path in self.folder.iterdir() if path.name != ZIP]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return []
