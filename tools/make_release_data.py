"""Make the training data of the released checkpoint: the photos of CCP with finer classes, and drawn people.

    git clone https://github.com/bearpaw/clothing-co-parsing
    python -m tools.make_release_data --source clothing-co-parsing
    python train.py --dataset data/datasets/RELEASE_OS/dataset.json --way kway --fold 1

The test list is that of CCP-OS, so none of its photos is trained on; drawn people are for training only. The one
fold hides no class: the released checkpoint learns from every label there is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dataloaders import catalog, toy
from dataloaders.dataset_json import read_dataset_json
from dataloaders.layout import list_path
from dataloaders.prepare.assemble import build_supports, usable
from dataloaders.prepare.ccp import convert, encoded, find_ccp, tag_table
from dataloaders.prepare.check import check
from dataloaders.prepare.placing import Entry, Placement
from dataloaders.spec import SPLITS
from dataloaders.toy import outfit as toy_outfit
from utils.config import ArgumentParser
from utils.errors import UserError, run_cli
from utils.parallel import parallel_map

NAME, FOLDER = "release", "RELEASE_OS"
PHOTO_SIZE = 512  # longest side of the photos, as in CCP-OS
DRAWN_SIZE = (512, 340)  # height and width of a drawn person: the shape of CCP's photos
TAGS = {
    "background": "null",
    "hat": "hat",
    "hair": "hair",
    "skin": "skin",
    "glasses": "glasses sunglasses",
    "upper-clothes": "shirt blouse t-shirt top bodysuit bra intimate swimwear sweater sweatshirt jumper hoodie vest",
    "skirt": "skirt",
    "pants": "pants jeans leggings",
    "shorts": "shorts panties",
    "dress": "dress romper",
    "outerwear": "coat cape jacket blazer suit cardigan",
    "shoes": "shoes boots flats heels loafers pumps sandals sneakers clogs wedges",
    "legwear": "stockings tights socks",
    "bag": "bag purse wallet",
    "belt": "belt",
    "scarf": "scarf",
    "accessories": "accessories bracelet earrings gloves necklace ring tie watch",
}
"""The tags of CCP that make up each class. The order is that of the label ids."""


def make(source: Path, data_root: Path, drawn: int) -> None:
    """Write the data set below `data_root`. Raises `UserError` on bad input, with nothing half made."""
    root, found = data_root / FOLDER, find_ccp(source)
    people = _choose(drawn)
    splits = {"train": found.splits["train"] + list(people), "test": found.splits["test"]}
    task = partial(_photo, tag_table(source, TAGS), found.files)
    photos = usable(source, parallel_map(task, found.splits["train"] + found.splits["test"], "convert", "photo"))
    with Placement(copy=True) as placement:
        placement.folder(root / "list")
        placement.content(root / "dataset.json", _record(splits).encode())
        for split in SPLITS:
            placement.content(list_path(root, split), "".join(f"{i}\n" for i in splits[split]).encode())
        placement.entries(root, photos, "write photos")
        placement.entries(root, parallel_map(_draw, list(people.items()), "draw people", "picture"), "write drawings")
        spec = read_dataset_json(root / "dataset.json")
        build_supports(spec, root, source, splits, placement)
    outcome = check(spec, root)
    print(*outcome.lines(), *outcome.summary, sep="\n")


def _record(splits: dict[str, list[str]]) -> str:
    """The dataset.json. Every class is tested, from the rarest to the commonest in the photos' test list."""
    order = (
        "scarf", "shorts", "legwear", "hat", "skirt", "belt", "dress", "glasses", "accessories", "pants", "outerwear",
        "bag", "upper-clothes", "hair", "shoes", "skin",
    )  # fmt: skip
    content = {
        "name": NAME,
        "title": "CCP with finer classes, and drawn people",
        "labels": list(TAGS),
        "folds": {"1": []},
        "evaluation_order": list(order),
        "boundary": {"train": len(splits["train"]) - 1, "test": len(splits["test"]) // 2 - 1},
        "queries_per_class": 5,
        "supports_per_query": 5,
        "all_images_both": True,
    }
    return json.dumps(content, indent=2) + "\n"


def _photo(table: np.ndarray, files: dict, image_id: str) -> Entry | str:
    return convert(table, PHOTO_SIZE, image_id, files[image_id])


def _choose(drawn: int) -> dict[str, tuple[int, toy_outfit.Outfit]]:
    """Ids, numbers and outfits of the drawn people.

    Somebody in a jacket over something else is passed over: the drawing's label does not tell the two apart.
    """
    people: dict[str, tuple[int, toy_outfit.Outfit]] = {}
    number = 0
    while len(people) < drawn:
        number += 1
        outfit = toy_outfit.choose(np.random.default_rng([0, number]))
        if not (outfit.jacket and outfit.upper):
            people[f"toy_{number:05d}"] = (number, outfit)
    return people


def _draw(person: tuple[str, tuple[int, toy_outfit.Outfit]]) -> Entry:
    image_id, (number, outfit) = person
    picture, label = toy.draw(0, number, DRAWN_SIZE)
    mapped = Image.fromarray(_classes_of(outfit)[label])
    photo = encoded(Image.fromarray(picture), "JPEG", quality=toy.JPEG_QUALITY)
    return Entry(image_id, photo, encoded(mapped, "PNG"))


def _classes_of(outfit: toy_outfit.Outfit) -> np.ndarray:
    """Lookup table from the drawing's label values to the classes, uint8 (18,), for somebody who wears `outfit`."""
    finer = {
        "sunglasses": "glasses",
        "upper-clothes": "outerwear" if outfit.jacket else "upper-clothes",
        "pants": "shorts" if outfit.cut == "shorts" else "pants",
        "shoe": "shoes",
        "face": "skin",
        "arm": "skin",
        "leg": "legwear" if outfit.tights else "skin",
    }
    names = [label.removeprefix("left-").removeprefix("right-") for label in toy_outfit.LABELS]
    return np.array([list(TAGS).index(finer.get(name, name)) for name in names], dtype=np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--source", type=Path, required=True, help="a clone of bearpaw/clothing-co-parsing")
    options.add_argument("--data-root", type=Path, default=catalog.DATA_ROOT, help="(default: %(default)s)")
    options.add_argument("--drawn", type=int, default=200, help="number of drawn people (default: %(default)s)")
    chosen = options.parse_args(arguments)
    if chosen.drawn < 0:
        raise UserError(f"--drawn {chosen.drawn}: must not be negative")
    make(chosen.source, chosen.data_root, chosen.drawn)
    print(f"use it with --dataset {chosen.data_root / FOLDER / 'dataset.json'}")


if __name__ == "__main__":
    run_cli(main)
