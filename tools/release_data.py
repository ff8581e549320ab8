"""Make the training data of the released checkpoint: the photos of CCP with finer classes, and drawn people.

    git clone https://github.com/bearpaw/clothing-co-parsing
    python -m tools.release_data --source clothing-co-parsing
    python train.py --dataset data/datasets/RELEASE_OS/dataset.json --way kway --fold 1

The test list is that of CCP-OS, so none of its photos is trained on; drawn people are for training only. The one
fold hides no class: the released checkpoint learns from every label there is.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dataloaders import catalog, toy
from dataloaders.dataset_json import parse_dataset_json
from dataloaders.prepare.build import build
from dataloaders.prepare.ccp import convert, find_ccp, tag_table
from dataloaders.prepare.photos import Photo, encoded, make_photos
from dataloaders.reading import ids_in
from dataloaders.toy import outfit as toy_outfit
from utils.config import ArgumentParser, whole
from utils.errors import run_cli
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
    root, (files, offer) = data_root / FOLDER, find_ccp(source)
    people = choose_people(drawn)
    splits = {"train": offer.splits["train"] + list(people), "test": offer.splits["test"]}
    listed = [files[image_id] for ids in offer.splits.values() for image_id in ids]
    photos = make_photos(source, partial(convert, tag_table(source, TAGS), PHOTO_SIZE), listed, "convert")
    photos += parallel_map(_draw, list(people.items()), "draw people", "picture")
    path, record = root / "dataset.json", _record(splits)
    spec = parse_dataset_json(path, record)
    content = json.dumps(record, indent=2) + "\n"
    outcome = build(spec, root, source, splits, photos, copy=True, extra={path: content.encode()})
    print(*outcome.lines(), *outcome.summary, sep="\n")


def _record(splits: dict[str, list[str]]) -> dict[str, Any]:
    """The dataset.json. Every class is tested, from the rarest to the commonest in the photos' test list."""
    order = (
        "scarf", "shorts", "legwear", "hat", "skirt", "belt", "dress", "glasses", "accessories", "pants", "outerwear",
        "bag", "upper-clothes", "hair", "shoes", "skin",
    )  # fmt: skip
    return {
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


def choose_people(drawn: int) -> dict[str, tuple[int, toy_outfit.Outfit]]:
    """Ids, numbers and outfits of the drawn people.

    Somebody in a jacket over something else is passed over: the drawing's label does not tell the two apart.
    """
    people: dict[str, tuple[int, toy_outfit.Outfit]] = {}
    number = 0
    while len(people) < drawn:
        number += 1
        outfit = toy_outfit.Outfit(np.random.default_rng([0, number]))
        if not (outfit.jacket and outfit.upper):
            people[f"toy_{number:05d}"] = (number, outfit)
    return people


def _draw(person: tuple[str, tuple[int, toy_outfit.Outfit]]) -> Photo:
    image_id, (number, outfit) = person
    picture, label = toy.draw(0, number, DRAWN_SIZE)
    mapped = classes_of(outfit)[label]
    return Photo(image_id, encoded(picture, "JPEG", quality=toy.JPEG_QUALITY), encoded(mapped), ids_in(mapped))


def classes_of(outfit: toy_outfit.Outfit) -> np.ndarray:
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
    options.add_argument("--drawn", type=whole(0), default=200, help="number of drawn people (default: %(default)s)")
    chosen = options.parse_args(arguments)
    make(chosen.source, chosen.data_root, chosen.drawn)
    print(f"use it with --dataset {chosen.data_root / FOLDER / 'dataset.json'}")


if __name__ == "__main__":
    run_cli(main)
