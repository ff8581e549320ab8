"""A picture for the docs: one reference with its labels, then photos parsed with it, from a prepared data set.

    python -m tools.figure --dataset ccp --reference 0005 \\
        --photos 0012 0031 0044 --classes hair skin dress shoes --out docs/images/own_good.jpg

Takes photos of the test list by their ids. Without `--classes` the reference shows all of its classes. With `--recipes`
it is a row for each of them instead: the first photo, its parse, the mask, the cut-out and the greyed photo.
"""

from collections.abc import Sequence

import numpy as np

from dataloaders import catalog, visualize
from dataloaders.split import Split
from inference.parser import OneShotParser
from inference.parsing import Parsing
from inference.settings import DEFAULT_CHECKPOINT
from utils.config import ArgumentParser
from utils.errors import UserError, run_cli
from utils.imaging import to_rgb


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT, help="(default: %(default)s)")
    options.add_argument("--dataset", required=True, help="name of a data set, or path of a dataset.json")
    options.add_argument("--data-root", default=catalog.DATA_ROOT, help="(default: %(default)s)")
    options.add_argument("--reference", required=True, help="id of the reference")
    options.add_argument("--photos", required=True, nargs="+", help="ids of the photos to parse")
    options.add_argument("--classes", nargs="+", help="classes of the reference to use")
    options.add_argument("--recipes", nargs="+", help="masks of the first photo to show, see docs/after-parsing.md")
    options.add_argument("--out", required=True, help="picture to write")
    chosen = options.parse_args(arguments)
    spec = catalog.load(chosen.dataset)
    split = Split(spec, catalog.locate(spec, chosen.data_root), "test")
    image, label = _load(split, chosen.reference)
    names = {c: spec.class_name(c) for c in spec.classes[1:]}
    if chosen.classes:
        unknown = set(chosen.classes) - set(names.values())
        if unknown:
            known = ", ".join(names.values())
            raise UserError(f"--classes {min(unknown)}: not a class of {spec.title}; known are {known}")
        label = np.where(np.isin(label, [c for c, name in names.items() if name in chosen.classes]), label, 0)
    parser = OneShotParser(chosen.checkpoint)
    support = parser.set_reference(image, label, names)
    if chosen.recipes:
        parsing = parser.parse(_load(split, chosen.photos[0])[0])
        rows = [_masked(parsing, recipe) for recipe in chosen.recipes]
        visualize.save_image(chosen.out, visualize.stack(rows))
        return
    colors = {c.id: c.color for c in support.classes}
    palette = [colors.get(i, (255, 255, 255)) for i in range(256)]
    panels = {"reference": image, "its labels": visualize.overlay(image, label, palette)}
    for i, photo in enumerate(chosen.photos, start=1):
        panels[f"photo {i}"] = parser.parse(_load(split, photo)[0]).overlay(legend=False)
    row = visualize.titled_row(panels, 384)
    legend = visualize.legend([(c.name, c.color) for c in support.classes], row.shape[1])
    visualize.save_image(chosen.out, np.concatenate([row, legend]))


def _masked(parsing: Parsing, recipe: str) -> np.ndarray:
    """A row for a recipe, RGB (h, w, 3); the cut-out lies on white."""
    mask = parsing.mask(recipe)
    panels = {
        "photo": parsing.image,
        "parsed": parsing.overlay(legend=False),
        recipe: np.repeat(mask[..., None], 3, axis=2),
        "--cutout": to_rgb(parsing.cutout(recipe)),
        "--grey": parsing.greyed(recipe),
    }
    return visualize.titled_row(panels, 320)


def _load(split: Split, image_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Photo (H, W, 3) and label map (H, W) of one id of the test list."""
    if image_id not in split.ids:
        raise UserError(f"{image_id}: not an id of the test list of {split.spec.title}")
    sample = split.load(split.ids.index(image_id))
    return sample.rgb, sample.label.numpy()


if __name__ == "__main__":
    run_cli(main)
