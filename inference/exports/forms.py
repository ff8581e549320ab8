"""What every form of annotation project gives, and the simplest one: label maps beside their photos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import write_text

from ..parsing import PNG_LEVEL, ClassInfo, Parsing


class Form:
    """An annotation project that is being written into `folder`; its photos go into `images` there."""

    images = "images"

    def __init__(self, folder: Path, classes: Sequence[ClassInfo]) -> None:
        self.folder, self.classes = folder, classes

    @staticmethod
    def check(names: Sequence[str]) -> None:
        """Raise `UserError` where the form cannot be written, or cannot hold classes of these names."""

    def add(self, image: str, parsing: Parsing) -> None:
        """Take the annotations of a photo, whose file is called `image`."""
        raise NotImplementedError

    def finish(self) -> list[str]:
        """Write what belongs to all photos; returns lines to print."""
        return []


class Index(Form):
    """Label maps in `labels`, as `python -m dataloaders.prepare custom` takes them, and their names in labels.txt.

    The ids are the user's own, or 1, 2, ... where one of these does not fit into a byte.
    """

    def __init__(self, folder: Path, classes: Sequence[ClassInfo]) -> None:
        super().__init__(folder, classes)
        own = all(c.id < IGNORE for c in classes)
        self.ids = {c.id: c.id if own else number for number, c in enumerate(classes, 1)}
        names = {0: "background"} | {self.ids[c.id]: c.name for c in classes}
        write_text(folder / "labels.txt", "".join(f"{i} {name}\n" for i, name in sorted(names.items())))

    def add(self, image: str, parsing: Parsing) -> None:
        """Write the label map."""
        write_map(
            self.folder / "labels" / image, parsing.labels, [(c.id, self.ids[c.id], c.color) for c in self.classes]
        )


def write_map(image: Path, labels: np.ndarray, classes: Sequence[tuple[int, int, tuple[int, int, int]]]) -> None:
    """Write a label map (H, W) as a PNG with a palette, named as `image`; `classes` are (id, new id, colour)."""
    table = np.zeros(1 + max(own for own, _, _ in classes), dtype=np.uint8)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for own, new, color in classes:
        table[own], palette[new] = new, color
    picture = Image.fromarray(table[labels])
    picture.putpalette(palette.tobytes())
    save_png(image, picture)


def save_png(image: Path, picture: Image.Image) -> None:
    """Write a picture as a PNG that has the name of the file `image`."""
    image.parent.mkdir(parents=True, exist_ok=True)
    picture.save(image.with_name(f"{Path(image.name).stem}.png"), compress_level=PNG_LEVEL)


def refuse_unless(condition: bool, what: str) -> None:
    """Raise `UserError` with this line unless the condition holds."""
    if not condition:
        raise UserError(what)
