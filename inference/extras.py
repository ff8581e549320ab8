"""What a photo gets beside its label map, overlay and areas, where the command line asks for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from utils.files import replacing

from . import masks
from .exports.project import Project
from .inputs import Source
from .parsing import PNG_LEVEL, Parsing
from .recipes import Recipe


@dataclass(frozen=True)
class Extras:
    """The masks to draw by their names, whether each comes with a cut-out and the greyed photo, and data sets.

    All are made of the parse without its specks where `drop_specks` is set. For each data set the label map is written
    in its ids too; with `people`, a map of the persons' numbers. All photos go into the `projects`.
    """

    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    cutout: bool = False
    grey: bool = False
    datasets: Sequence[str] = ()
    projects: Sequence[Project] = ()
    people: bool = False
    drop_specks: bool = False

    @property
    def ends(self) -> tuple[str, ...]:
        """How the names of these files end, behind the name of the photo."""
        kinds = (".png", *(["_cutout.png"] if self.cutout else []), *(["_grey.jpg"] if self.grey else []))
        maps = (*self.datasets, *(["people"] if self.people else []))
        return (*(f"_{name}{kind}" for name in self.recipes for kind in kinds), *(f"_{name}.png" for name in maps))

    def cleaned(self, parsing: Parsing) -> Parsing:
        """The parse that results are made of."""
        return parsing.without_specks() if self.drop_specks else parsing

    def save(self, parsing: Parsing, folder: str | Path, source: Source) -> None:
        """Write the usual results of a photo into `folder`, and these. Raises `UserError` as `Parsing.save` does."""
        drawn = self.draw(parsing)
        shares = {mask: {"share": round(float(pixels.mean()) / 255, 6)} for mask, pixels in drawn.items()}
        parsing.save(folder, source.name, {"photo": str(source.path), **({"masks": shares} if shares else {})})
        for project in self.projects:
            project.add(source, parsing)
        self.write(parsing, drawn, folder, source.name)

    def draw(self, parsing: Parsing) -> dict[str, np.ndarray]:
        """The masks by their names, uint8 (H, W), 0 to 255."""
        return {mask: parsing.mask(recipe) for mask, recipe in self.recipes.items()}

    def write(self, parsing: Parsing, drawn: Mapping[str, np.ndarray], folder: str | Path, name: str) -> None:
        """Write the files of a photo or frame that end as `ends`, its masks as they are `drawn`. Raises as `save`."""
        for dataset in self.datasets:
            _write(Path(folder) / f"{name}_{dataset}.png", parsing.as_dataset(dataset))
        if self.people:
            _write(Path(folder) / f"{name}_people.png", parsing.people_image())
        for mask, pixels in drawn.items():
            _write(Path(folder) / f"{name}_{mask}.png", pixels)
            if self.cutout:
                _write(Path(folder) / f"{name}_{mask}_cutout.png", masks.cut_out(parsing.image, pixels))
            if self.grey:
                _write(Path(folder) / f"{name}_{mask}_grey.jpg", masks.greyed(parsing.image, pixels))


def _write(path: Path, picture: np.ndarray | Image.Image) -> None:
    jpeg = {"quality": 95, "subsampling": 0}  # grey stays free of the colours beside it
    options: dict[str, Any] = {"compress_level": PNG_LEVEL} if path.suffix == ".png" else jpeg
    with replacing(path) as temporary:
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        image.save(temporary, **options)
