"""Colours of the classes in pictures: one for each garment or body part, the same in every data set."""

import colorsys
import itertools
from collections.abc import Collection, Sequence

RGB = tuple[int, int, int]

_BY_NAME: dict[str, RGB] = {
    "background": (0, 0, 0), "hat": (230, 25, 75), "hair": (128, 70, 20), "glove": (170, 255, 195),
    "sunglasses": (64, 64, 64), "upper-clothes": (0, 130, 200), "skirt": (240, 50, 230), "pants": (60, 180, 75),
    "dress": (145, 30, 180), "coat": (0, 128, 128), "outerwear": (0, 128, 128), "belt": (128, 128, 0),
    "left-shoe": (245, 130, 48), "right-shoe": (255, 170, 90), "shoes": (245, 130, 48), "socks": (70, 240, 240),
    "legwear": (70, 240, 240), "jumpsuits": (0, 0, 128), "torso-skin": (255, 200, 170), "face": (255, 225, 25),
    "skin": (255, 225, 25), "left-leg": (210, 245, 60), "right-leg": (170, 205, 30), "left-arm": (250, 190, 212),
    "right-arm": (220, 150, 180), "bag": (128, 0, 0), "scarf": (220, 190, 255), "other": (128, 128, 128),
}  # fmt: skip
_GOLDEN_ANGLE = 0.381966
FAR, TRIED = 0.03, 20  # least distance of two hues on the circle of length 1, and colours that are tried for it
VOC_EDGE = (224, 224, 192)  # Pascal VOC's colour of the pixels that do not count


def palette(labels: Sequence[str]) -> tuple[RGB, ...]:
    """One RGB colour (0..255) per label name, no two alike: a garment's own, else, or where taken, a hue far apart."""
    colours: list[RGB] = []
    own = {_BY_NAME[name] for name in labels if name in _BY_NAME}
    for slot, name in enumerate(labels):
        colour = _BY_NAME.get(name)
        if colour is None or colour in colours:
            colour = _free_colour(slot, len(labels), {*own, *colours})
        colours.append(colour)
    return tuple(colours)


def _free_colour(slot: int, step: int, taken: Collection[RGB]) -> RGB:
    """The first colour for a slot that is not taken, and whose hue is not that of a taken one if there is such."""
    free = (c for number in itertools.count(slot, step) if (c := _spaced_colour(number)) not in taken)
    first = list(itertools.islice(free, TRIED))
    hues = [_hue(colour) for colour in taken if len(set(colour)) > 1]  # grey has none
    apart = (c for c in first if all(FAR <= abs(_hue(c) - hue) <= 1 - FAR for hue in hues))
    return next(apart, first[0])


def _hue(colour: RGB) -> float:
    return colorsys.rgb_to_hsv(*(value / 255 for value in colour))[0]


def voc_colour(number: int) -> RGB:
    """The colour that Pascal VOC gives the class of that id: its bits, spread over the highest bits of the channels."""
    bits = [[number >> (3 * i + channel) & 1 for i in range(8)] for channel in range(3)]
    red, green, blue = (sum(bit << (7 - i) for i, bit in enumerate(channel)) for channel in bits)
    return red, green, blue


def _spaced_colour(slot: int) -> RGB:
    if slot == 0:
        return (0, 0, 0)
    hue, saturation, value = slot * _GOLDEN_ANGLE % 1, 0.55 + 0.4 * (slot % 2), 0.95 - 0.25 * (slot % 3 == 0)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
