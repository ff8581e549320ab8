"""The people of the toy data set and their clothes, painted from behind to the front."""

import colorsys

import numpy as np

from .figure import Figure
from .outfit import BAG, BELT, DRESS, FACE, HAIR, HAT, LEFT_ARM, LEFT_LEG, LEFT_SHOE, PANTS, SCARF, SUNGLASSES, UPPER
from .paint import Fabric, cloth, dye, ellipse, symmetric

SKULL = [(0, -0.5), (0.21, -0.47), (0.34, -0.31), (0.37, -0.08), (0.34, 0.14), (0.28, 0.33), (0.14, 0.48), (0, 0.5)]
"""Right half of the head's outline, in head heights around its centre; so are those of hair and hats."""

HANGING = {
    "long": symmetric([(0, -0.5), (0.43, -0.1), (0.47, 0.25), (0.52, 1.0), (0.42, 1.3), (0, 1.3)]),
    "bob": symmetric([(0, -0.5), (0.43, -0.1), (0.47, 0.25), (0.48, 0.45), (0.4, 0.55), (0, 0.55)]),
    "ponytail": np.array([(0.1, -0.4), (0.5, -0.1), (0.65, 0.5), (0.45, 0.95), (0.3, 0.3)]),
    "afro": ellipse(0, -0.16, 0.62, 0.6),
    "bun": ellipse(0.05, -0.6, 0.2, 0.17),
}
HATS = {
    "beanie": [(0, -0.68), (0.16, -0.65), (0.34, -0.52), (0.42, -0.3), (0.41, -0.12), (0.2, -0.17), (0, -0.19)],
    "cap": [(0, -0.61), (0.28, -0.54), (0.4, -0.36), (0.43, -0.2), (0.37, -0.1), (0.2, -0.075), (0, -0.06)],
    "brim": [(0, -0.65), (0.27, -0.7), (0.365, -0.5), (0.41, -0.32), (0.76, -0.26), (0.4, -0.17), (0, -0.14)],
}
STRAPS = {"backpack": (0.4, 0.56), "shoulder": (0.5, 0.7), "crossbody": (-0.4, 0.66)}
LENGTHS = {"mini": 4.3, "pencil": 4.8, "aline": 4.7, "maxi": 6.1}
FLARES = {"mini": 0.06, "pencil": 0.0, "slim": 0.035, "straight": 0.09, "wide": 0.2, "shorts": 0.08}
WAIST = 2.66
"""The ends of a bag's straps beside the body's axis, heights of hem and waist below the crown, in head heights."""


def paint_person(figure: Figure) -> None:
    """Paint a whole person over the backdrop, with labels."""
    outfit, rng, paint, u, s = figure.outfit, figure.rng, figure.canvas.paint, figure.unit, figure.shoulder
    skin = np.array([0.97, 0.83, 0.75]) * np.array([0.35, 0.24, 0.16]) ** rng.uniform() ** 1.5
    hair = np.array(colorsys.hsv_to_rgb(rng.uniform(0.03, 0.11), rng.uniform(0.05, 0.65), rng.uniform(0.08, 0.85)))
    hanging = HANGING.get(outfit.hair, np.array(SKULL)) * rng.uniform([0.9, 0.75], [1.1, 1.2])
    paint(HAIR, hair, figure.head(hanging))
    stockings, shoe = 0.5 * dye(rng) if outfit.tights else skin, dye(rng)
    for side in (-figure.near, figure.near):
        _paint_leg(figure, side, stockings, shoe)
    neck = [(0, 0.8), (0.18, 0.85), (0.18, 1.18), (0.25, 1.33), (s * 0.62, 1.45), (s, 1.54), (s - 0.05, 2.0), (0, 2.5)]
    paint(FACE, skin, figure.trunk(symmetric(neck)))
    label, fabric = _paint_garments(figure)
    if outfit.bag:
        _paint_bag(figure)
    _paint_head(figure, skin, hair)
    if outfit.scarf:
        ends = [[(x, 1.4, 0.14), (1.2 * x, rng.uniform(2, 2.9), 0.16)] for x in (-0.18, 0.18)]
        loop = [(-0.33, 1.22, 0.1), (-0.2, 1.34, 0.17), (0.2, 1.34, 0.17), (0.33, 1.22, 0.1)]
        paint(SCARF, cloth(rng), *map(figure.trunk, [loop, *ends][: 3 if outfit.scarf == "tails" else 1]))
    for side, arm in figure.arms.items():
        along, palm = (arm[-1] - arm[-9]) * [1, 1, 0], np.array([[0.1, 0.1], [0.25, 0.12], [0.38, 0.07]])
        hand = arm[-1] * [1, 1, 0] + u * (palm[:, :1] * along / np.hypot(*along[:2]) + palm[:, 1:] * [0, 0, 1])
        paint(LEFT_ARM + (side < 0), skin, arm, hand)
        if outfit.sleeve:
            paint(label, fabric, arm[: int(33 * outfit.sleeve)] + np.array([0, 0, 0.06 * u]))


def _paint_leg(figure: Figure, side: int, stockings: np.ndarray, shoe: np.ndarray) -> None:
    """A leg and its shoe; boots reach up the calf, and heels leave the instep free."""
    u, kind, limb, paint = figure.unit, figure.outfit.shoes, figure.legs[side], figure.canvas.paint
    leg, label = LEFT_LEG + (side < 0), LEFT_SHOE + (side < 0)  # each right label follows the left one
    toe = u * np.array([side * 0.14 + figure.turn * 0.6, 0.33, 0])
    foot = limb[-1] * [1, 1, 0] + np.array([[0], [0.4], [0.8], [1]]) * toe + u * np.array([0, 0.03, 0.13])
    paint(leg, stockings, limb)
    paint(label, dye(figure.rng), foot + np.array([0, 0.05 * u, 0]))
    paint(label, shoe, foot, limb[-9 if kind == "boot" else -2 :] + np.array([0, 0, 0.05 * u]))
    if kind == "heel":
        paint(leg, stockings, foot[:3] * [1, 1, 0.55])


def _paint_head(figure: Figure, skin: np.ndarray, hair: np.ndarray) -> None:
    """Head with ears, face, hair, sunglasses and hat."""
    canvas, outfit, rng, head = figure.canvas, figure.outfit, figure.rng, figure.head
    mid = 0.3 * figure.turn  # features move to where the head turns
    eyes = [mid + s * 0.15 * (1 - 0.25 * s * figure.turn) for s in (-1, 1)]
    canvas.paint(FACE, skin, head(symmetric(SKULL)), head(ellipse(-0.04 * figure.turn, 0.02, 0.42, 0.12)))
    canvas.ink(FACE, 0.75 * skin, head(ellipse(mid * 1.2, 0.1, 0.04, 0.07)))
    for colour, y, size in (0.7 * hair, -0.14, 0.09), (np.ones(3), -0.02, 0.07), (rng.uniform(0, 0.3, 3), -0.02, 0.035):
        canvas.ink(FACE, colour, *(head(ellipse(x, y, size, 0.04)) for x in eyes))
    if outfit.feminine < 0.4 and rng.random() < 0.4:  # a beard
        canvas.ink(FACE, hair, head(symmetric([(0, 0.2), (0.2, 0.2), (0.36, 0), (0.24, 0.45), (0, 0.53)])))
    canvas.ink(FACE, skin * rng.uniform([0.8, 0.4, 0.4], [1, 0.7, 0.7]), head(ellipse(mid, 0.3, 0.1, 0.035)))
    if outfit.hair != "bald":
        ear = {"long": 0.3, "bob": 0.34, "afro": 0.12}.get(outfit.hair, rng.uniform(-0.04, 0.06))
        line = rng.uniform(-0.36, -0.22) if rng.random() < 0.8 else -0.14  # where the hair meets the forehead
        half = [(0.39, ear), (0.3, ear), (0.31, -0.16), (0.2, line), (0, line - 0.04)]
        canvas.paint(HAIR, hair, head(symmetric([*np.array(SKULL[:4]) * rng.uniform(1.02, 1.12), *half])))
    if outfit.sunglasses:
        lenses = [ellipse(x, -0.02, rng.uniform(0.13, 0.16), 0.11) for x in eyes]
        canvas.paint(SUNGLASSES, rng.uniform(0.04, 0.25, 3), *map(head, [*lenses, ellipse(0, -0.06, 0.4, 0.03)]))
    if outfit.hat:
        fabric = cloth(rng, "plain", "knit", "checks", "patches")
        canvas.paint(HAT, fabric, head(symmetric(HATS[outfit.hat]) * rng.uniform(0.95, 1.1)))


def _paint_garments(figure: Figure) -> tuple[int, Fabric]:
    """What covers trunk and legs, without sleeves. Returns label and fabric of the outermost piece."""
    canvas, outfit, rng, kind, s = figure.canvas, figure.outfit, figure.rng, figure.outfit.upper, figure.shoulder
    label, fabric = UPPER if kind else DRESS, cloth(rng, *["knit"] if kind == "sweater" else [])
    tucked = outfit.belt or not kind or rng.random() < 0.35
    hem, low, wide = 2.75 if tucked else rng.uniform(3.2, 3.7), rng.uniform(1.25, 1.85), rng.uniform(0.18, 0.4)
    neck = [(0, low), (0.6 * wide, 0.5 * low + 0.7), (wide, 1.38)]
    sides = [(s * 0.65, 1.435), (s + 0.01, 1.485), (s + 0.1, 1.6), (s, 2), (0, 2.2)]
    if not outfit.sleeve:
        sides = [(s - 0.12, 1.475), (s - 0.16, 1.65), (s - 0.03, 1.93), (0, 2.2)]
    if not tucked:
        _paint_bottom(figure, fabric)
    canvas.paint(label, fabric, figure.trunk(symmetric(neck + sides)), figure.shell(1.95, hem, rng.uniform(0.03, 0.14)))
    if kind == "hoodie":
        canvas.paint(UPPER, fabric, figure.trunk(symmetric([(0, 1.22), (0.42, 1.3), (0.36, 1.7), (0.0, 1.9)])))
    elif kind == "shirt":  # buttons
        canvas.ink(UPPER, dye(rng), *(figure.trunk(ellipse(0, y, 0.04, 0.04)) for y in np.arange(1.5, hem, 0.25)))
    elif kind == "tee":  # a print on the chest: an ellipse, or some corners of it
        canvas.ink(UPPER, dye(rng), figure.trunk(ellipse(0, 2.05, 0.26, 0.2)[:: rng.choice([1, 3, 6, 8, 24])]))
    if tucked:
        _paint_bottom(figure, fabric)
    if outfit.belt:
        canvas.paint(BELT, 0.7 * dye(rng), figure.shell(2.6, WAIST + rng.uniform(0.1, 0.17), 0.06))
    if outfit.jacket:  # worn open: the garment below shows in a gap
        label, fabric = UPPER, cloth(rng, *["knit"] if outfit.jacket == "cardigan" else ["plain", "checks", "bars"])
        hem, gap = rng.uniform(4.4, 5.2) if outfit.jacket == "coat" else 3.6, rng.uniform(0.12, 0.3)
        body = figure.shell(1.95, hem, 0.13)
        for side, rows in ((1, body[:20]), (-1, body[20:])):
            edge = figure.trunk(np.array([(gap, hem), (gap, 1.95)]) * [side, 1])[::side]
            shoulder = figure.trunk(np.array([(0.2, 1.3), *sides[:4], (gap, 2.2)]) * [side, 1])
            canvas.paint(UPPER, fabric, np.concatenate([rows, edge]), shoulder)
    return label, fabric


def _paint_bottom(figure: Figure, fabric: Fabric) -> None:
    """Skirt, trousers, or the lower part of a dress of `fabric`."""
    paint, outfit, rng, legs = figure.canvas.paint, figure.outfit, figure.rng, figure.legs
    flare = FLARES.get(outfit.cut, rng.uniform(0.2, 0.5))
    if outfit.bottom != DRESS:
        fabric = [rng.uniform(0.5, 1.5) * np.array([0.24, 0.33, 0.48]), dye(rng), cloth(rng)][rng.integers(3)]
    if outfit.bottom == PANTS:  # the far leg, then near leg and seat as one piece
        count = int(33 * (rng.uniform(0.3, 0.5) if outfit.cut == "shorts" else rng.uniform(0.85, 0.97)))
        ease = figure.unit * np.linspace([0, 0, 0.03], [0, 0, flare], count)
        paint(PANTS, fabric, legs[-figure.near][:count] + ease)
        paint(PANTS, fabric, legs[figure.near][:count] + ease, figure.shell(WAIST, 3.8, 0.035))
    else:
        paint(outfit.bottom, fabric, figure.shell(WAIST, LENGTHS[outfit.cut] + rng.uniform(-0.3, 0.3), 0.04, flare))


def _paint_bag(figure: Figure) -> None:
    """A bag at the hip or hanging from the hand, or the straps of one on the back."""
    paint, rng, u, side, bag = figure.canvas.paint, figure.rng, figure.unit, figure.bag_side, figure.outfit.bag
    leather, w, h = cloth(rng, "plain", "plain", "checks", "stripes"), rng.uniform(0.27, 0.5), rng.uniform(0.4, 0.75)
    top = figure.trunk([(side * 0.66, 2.9)])[0]
    for s in (-1, 1) if bag == "backpack" else (side,) if bag in STRAPS else ():
        paint(BAG, leather, figure.trunk([(s * x, y, 0.05) for x, y in zip(STRAPS[bag], (1.42, 2.9), strict=True)]))
    if bag == "hand":
        top = figure.arms[side][-1, :2] + [0, 0.55 * u]
        paint(BAG, leather, [*top, 0] + u * np.array([(-w / 2, 0.05, 0.03), (0, -0.4, 0.03), (w / 2, 0.05, 0.03)]))
    if bag != "backpack":
        half = [(0, -0.02), (w * rng.uniform(0.7, 1), 0), (w, h * 0.5), (w * 0.96, h), (0, h + 0.03)]
        paint(BAG, leather, top + u * symmetric(half))
