"""Label maps in the ids and colours of ATR, LIP and CIHP, so that tools made for these read them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
from PIL import Image

from dataloaders import catalog
from dataloaders.palette import RGB, voc_colour
from dataloaders.sides import words
from utils.errors import UserError

from .annotations import plain_name
from .known_names import MEANING

DATASETS = ("atr", "lip", "cihp")
KINDS: Mapping[str, Sequence[str]] = {  # kinds and parts of a class -> labels; the first that a data set has is taken
    **dict.fromkeys(("beanie",), ("hat",)),
    **dict.fromkeys(("eyewear",), ("sunglasses",)),
    **dict.fromkeys(("outerwear", "coat", "jacket", "blazer", "cardigan", "parka"), ("coat", "upper-clothes")),
    **dict.fromkeys(("t-shirt", "tshirt", "blouse", "sweater", "pullover", "hoodie"), ("upper-clothes",)),
    **dict.fromkeys(("jeans", "shorts", "leggings"), ("pants",)),
    **dict.fromkeys(("sock",), ("socks",)),
    **dict.fromkeys(("jumpsuit", "overall", "overalls"), ("jumpsuits",)),
    **dict.fromkeys(("backpack",), ("bag",)),
    **dict.fromkeys(("neck", "torso", "chest"), ("torso-skin",)),
    **dict.fromkeys(("shoe", "shoes", "boots", "sneakers", "footwear"), ("left-shoe",)),
    **dict.fromkeys(("arm", "arms"), ("left-arm",)),
    **dict.fromkeys(("leg", "legs"), ("left-leg",)),
}
HUMAN_COLOURS: Sequence[RGB] = (  # in which LIP and CIHP are shown, by id
    (0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85), (0, 119, 221), (85, 85, 0),
    (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0), (0, 0, 255), (51, 170, 221), (0, 255, 255), (85, 255, 170),
    (170, 255, 85), (255, 255, 0), (255, 170, 0),
)  # fmt: skip
PALETTES: Mapping[str, Sequence[RGB]] = {
    "atr": [voc_colour(i) for i in range(18)],  # as parsers that were trained on ATR write it
    "lip": HUMAN_COLOURS,
    "cihp": HUMAN_COLOURS,
}


def label_for(name: str, labels: Sequence[str]) -> str | None:
    """The label that a data set has for a name: by its words, its meaning, or `KINDS`; else None."""
    meaning = MEANING.get(plain_name(name), name)
    own = (label for label in labels[1:] if _same(label, name))
    meant = (label for label in labels[1:] if MEANING.get(plain_name(label)) == meaning)
    kind = (label for label in KINDS.get("-".join(words(name)), ()) if label in labels)
    return next(chain(own, meant, kind), None)


def note_of(dataset: str, names: Iterable[str]) -> str:
    """A line on which of the reference's classes the data set has. Raises `UserError` where it has none of them."""
    spec = catalog.load(dataset)
    as_it_is, renamed, lacking = [], [], []
    for name in names:
        label = label_for(name, spec.labels)
        if label is None:
            lacking.append(name)
        elif _same(label, name):
            as_it_is.append(name)
        else:
            both = " (both sides)" if words(label)[0] == "left" else ""
            renamed.append(f"{name} -> {label}{both}")
    if not as_it_is and not renamed:
        known = ", ".join(spec.labels[1:])
        raise UserError(f"--as {dataset}: it has none of your classes ({', '.join(lacking)}); it knows {known}")
    parts = [("", [*as_it_is, *renamed]), ("not in it, so background: ", lacking)]
    return f"as {dataset}: " + "; ".join(start + ", ".join(those) for start, those in parts if those)


def translated(dataset: str, labels: np.ndarray, names: Mapping[int, str]) -> Image.Image:
    """A label map (H, W) of classes with these names by id, in the ids of the data set, with its palette."""
    of_dataset = catalog.load(dataset).labels
    table = np.zeros(max(names) + 1, dtype=np.uint8)
    for class_id, name in names.items():
        label = label_for(name, of_dataset)
        table[class_id] = of_dataset.index(label) if label else 0
    picture = Image.fromarray(table[labels])
    picture.putpalette([value for colour in PALETTES[dataset] for value in colour])
    return picture


def _same(label: str, name: str) -> bool:
    """Whether two names are of the same words: "left-arm", "LeftArm" and "arm (L)"."""
    one, other = (sorted({"l": "left", "r": "right"}.get(w, w) for w in words(text)) for text in (label, name))
    return one == other
