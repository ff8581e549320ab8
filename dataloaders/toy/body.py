"""The bare parts of the toy data set's people: legs, arms with hands, neck, and the head with its features and hair."""

from __future__ import annotations

import numpy as np

from .fabric import TILE, Fabric
from .figure import Figure
from .outfit import FACE, HAIR, LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, Outfit, tone
from .paint import Canvas, across, mirrored, part_of, spline

SKULL = [(0.0, -0.5), (0.21, -0.465), (0.335, -0.31), (0.37, -0.08), (0.345, 0.14), (0.275, 0.33), (0.14, 0.475)]
"""Right half of the head's outline, from the crown to beside the chin, in head heights around its centre."""


def paint_leg(canvas: Canvas, figure: Figure, side: int, skin: Fabric, cover: float) -> None:
    """A bare leg from the share `cover` of its length down to the ankle."""
    limb = part_of(figure.legs[side], max(cover - 0.08, 0), 1.0, 24)
    u = figure.unit
    folds = []
    if cover < 0.5:  # the kneecap
        knee = across(figure.legs[side], 0.53, 0, 0.5)
        folds = [(knee, u * 0.07, u * 0.012), (knee + np.array([0, u * 0.12]), u * 0.05, -u * 0.012)]
    label = figure.wearer(side, LEFT_LEG, RIGHT_LEG)
    canvas.paint(canvas.tube(limb, cap_start=False), label, skin, radius=u * 0.2, folds=folds, rim=0.72)


def paint_arm(canvas: Canvas, figure: Figure, side: int, skin: Fabric, cover: float, under: np.ndarray) -> None:
    """A bare arm from the share `cover` of its length to the fingers; at the shoulder it grows out of mask `under`."""
    u, limb = figure.unit, figure.arms[side]
    label = figure.wearer(side, LEFT_ARM, RIGHT_ARM)
    shape = part_of(limb, max(cover - 0.1, 0), 1.0, 24)
    alpha = None
    if cover < 0.1:
        along = limb[8, :2] - limb[0, :2]
        alpha = canvas.faded(under, limb[0, :2], along / np.hypot(*along), 0.35 * u)
    hand = _hand(figure, side)
    mask = canvas.tube(shape) | canvas.tube(hand[0]) | canvas.tube(hand[1])
    canvas.paint(mask, label, skin, radius=u * 0.15, alpha=alpha, rim=0.68)
    if figure.arm_pose[side] not in ("pocket", "behind"):
        for finger in hand[2]:
            canvas.line(finger, tone(skin.colour, 0.6), u * 0.012, 0.55, within=label)


def _hand(figure: Figure, side: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Palm with fingers (n, 3), thumb (n, 3), and the lines between the fingers, in canvas pixels."""
    u, limb = figure.unit, figure.arms[side]
    wrist = limb[-1, :2]
    along = limb[-1, :2] - limb[-6, :2]
    along = along / np.hypot(*along)
    inner = np.array([along[1], -along[0]]) * side
    if figure.arm_pose[side] == "raised":
        inner = -inner
    curl = {"hang": 0.18, "raised": 0.0}.get(figure.arm_pose[side], 0.3)
    tip = along + curl * inner
    if figure.arm_pose[side] == "pocket":  # the cloth hides all but the wrist
        curl = 0.0
    length = 0.34 if figure.arm_pose[side] in ("hip", "across") else 0.42
    points = [(0.0, 0.0, 0.085), (0.14, 0.01, 0.118), (0.26, curl * 0.06, 0.115), (length, curl * 0.2, 0.06)]
    palm = spline([[*(wrist + u * (a * along + b * inner)), r * u] for a, b, r in points], 5)
    thumb = [(0.06, 0.06, 0.055), (0.16, 0.14, 0.05), (0.25, 0.155, 0.035)]
    thumb_shape = spline([[*(wrist + u * (a * along + b * inner)), r * u] for a, b, r in thumb], 4)
    cross = np.array([-tip[1], tip[0]]) * 0.055 * u
    start, end = wrist + u * 0.24 * along, wrist + u * (length * tip + 0.03 * along)
    return palm, thumb_shape, [np.array([start + k * cross, end + 0.7 * k * cross]) for k in (-1, 0, 1)]


def paint_neck(canvas: Canvas, figure: Figure, skin: Fabric) -> np.ndarray:
    """Neck, shoulders and upper chest, which count as face. Returns their mask (H, W)."""
    u, s = figure.unit, figure.shoulder
    k = 0.2 - 0.035 * figure.feminine
    half = [(k, 0.85), (k, 1.18), (k + 0.07, 1.33), (s * 0.62, 1.45), (s, 1.54), (s + 0.05, 1.7), (s - 0.1, 2.1)]
    outline = figure.trunk(spline(mirrored([*half, (0.4, 2.5)]), 5, closed=True))
    bones = []
    if figure.front:
        for side in (-1, 1):
            bone = figure.trunk([(side * 0.08, 1.57), (side * 0.28, 1.52), (side * s * 0.8, 1.5)])
            bones.append((bone, u * 0.035, u * 0.022))
        cords = [figure.trunk([(side * 0.15, 1.2), (side * 0.05, 1.55)]) for side in (-1, 1)]
        bones += [(cord, u * 0.04, u * 0.012) for cord in cords]
    under_chin = [(figure.trunk([(-0.14, 1.08), (0, 1.13), (0.14, 1.08)]), u * 0.16, 0.3)]
    mask = canvas.polygon(outline)
    canvas.paint(mask, FACE, skin, radius=u * 0.16, folds=bones, seams=under_chin, rim=0.75)
    return mask


def paint_head(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    """Ears and head, with the features of a front view; hair and hat come on top."""
    u, skin = figure.unit, outfit.skin
    jaw = 1.0 - 0.07 * outfit.feminine + 0.05 * (figure.mass - 1)
    for side in (-1, 1):
        shift = -0.04 * side * figure.turn
        ear = np.array([(0.36, -0.1), (0.425, -0.08), (0.41, 0.06), (0.35, 0.13)]) * [side, 1] + [shift, 0]
        outline = figure.head(spline(ear, 5, closed=True))
        canvas.paint(canvas.polygon(outline), FACE, skin, radius=u * 0.05, rim=0.6, shadow=0.0)
    half = [(x * (jaw if y > 0.1 else 1), y) for x, y in SKULL]
    outline = figure.head(spline(mirrored(half, [(0.0, 0.5)]), 6, closed=True))
    canvas.paint(canvas.polygon(outline), FACE, skin, radius=u * 0.3, bulge=0.55, rim=0.72, shadow=0.45)
    if figure.front:
        _features(canvas, figure, outfit, rng)


def _features(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    u, skin = figure.unit, outfit.skin.colour
    mid = 0.3 * figure.turn  # features move to the side the head turns to
    dark, lip = tone(skin, 0.5), tone(skin, 0.78) * [1.0, 0.72, 0.74]
    iris = np.array([[0.2, 0.12, 0.08], [0.25, 0.38, 0.5], [0.25, 0.35, 0.2]])[rng.choice(3, p=[0.6, 0.25, 0.15])]
    brow = tone(outfit.hair_colour, 0.75) if outfit.hair_colour.mean() < 0.6 else tone(outfit.hair_colour, 0.55)

    def spot(x: float, y: float, rx: float, ry: float, colour: np.ndarray, opacity: float = 1.0) -> None:
        turn = np.linspace(0, 2 * np.pi, 17)[:-1]
        canvas.ink(figure.head(np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], 1)), colour, opacity, FACE)

    for side in (-1, 1):
        x = mid + side * 0.15 * (1 - 0.25 * side * figure.turn)
        spot(x + side * 0.05, 0.17, 0.085, 0.06, tone(skin, 0.95) * [1.0, 0.8, 0.8], 0.35)
        spot(x, -0.035, 0.085, 0.06, tone(skin, 0.72), 0.45)
        spot(x, -0.02, 0.066, 0.036, np.array([0.93, 0.92, 0.9]))
        spot(x + 0.15 * mid, -0.02, 0.034, 0.037, iris)
        spot(x + 0.15 * mid, -0.02, 0.016, 0.018, np.array([0.03, 0.03, 0.03]))
        lid = figure.head([(x - 0.075, -0.02), (x - 0.03, -0.06), (x + 0.03, -0.06), (x + 0.075, -0.02)])
        canvas.line(lid, tone(skin, 0.25), u * (0.016 + 0.012 * outfit.feminine), 0.95, FACE)
        arch = figure.head([(x - side * 0.09, -0.125), (x + side * 0.02, -0.16), (x + side * 0.1, -0.125)])
        canvas.line(spline(arch, 4), brow, u * (0.042 - 0.014 * outfit.feminine), 0.9, FACE)
        spot(mid * 1.1 + side * 0.035, 0.165, 0.018, 0.012, dark, 0.8)
    shade = -np.sign(canvas.light[0])
    nose = figure.head([(mid * 1.05 + shade * 0.03, -0.02), (mid * 1.2 + shade * 0.055, 0.13), (mid * 1.15, 0.17)])
    canvas.line(spline(nose, 4), tone(skin, 0.66), u * 0.03, 0.6, FACE)
    spot(mid * 1.2 - shade * 0.01, 0.1, 0.02, 0.04, tone(skin, 1.2), 0.4)
    if outfit.beard:
        _beard(canvas, figure, outfit)
    smile = rng.uniform(-0.01, 0.03)
    width = rng.uniform(0.09, 0.125)
    red = lip if rng.random() > 0.35 * outfit.feminine else np.array([0.7, 0.16, 0.2])
    lips = mirrored([(0.0, 0.27), (0.03, 0.262), (width, 0.29 - smile), (0.05, 0.325)], [(0.0, 0.335)])
    canvas.ink(figure.head(np.array(lips) + np.array([mid, 0])), red, 0.9, FACE)
    mouth = figure.head(spline([(mid - width, 0.29 - smile), (mid, 0.293), (mid + width, 0.29 - smile)], 4))
    canvas.line(mouth, tone(red, 0.5), u * 0.014, 0.9, FACE)
    spot(mid, 0.375, 0.05, 0.016, tone(skin, 0.78), 0.6)


def _beard(canvas: Canvas, figure: Figure, outfit: Outfit) -> None:
    mid = 0.3 * figure.turn
    half = [(0.365, -0.05), (0.36, 0.16), (0.28, 0.36), (0.14, 0.51)]
    inside = [(mid - 0.27, 0.12), (mid - 0.15, 0.225), (mid, 0.205), (mid + 0.15, 0.225), (mid + 0.27, 0.12)]
    outline = [*mirrored(half, [(0.0, 0.55)]), *spline(inside, 4).tolist()]
    canvas.ink(figure.head(outline), tone(outfit.hair_colour, 0.9), 0.78, FACE)


def hair_fabric(colour: np.ndarray, rng: np.random.Generator, unit: float) -> Fabric:
    """Hair with fine strands along its tile's columns."""
    strands = rng.normal(0, 0.16, (1, TILE, 1)) + rng.normal(0, 0.05, (TILE, TILE, 1))
    return Fabric(np.clip(colour * (1 + strands), 0.02, 1), unit / 90, gloss=0.1, stiffness=unit * 0.02)


def paint_hair_behind(canvas: Canvas, figure: Figure, outfit: Outfit, fabric: Fabric, rng: np.random.Generator) -> None:
    """The hair that hangs behind the head: before the body in a front view, after it in a back view."""
    u, style = figure.unit, outfit.hair
    if style in ("long", "bob"):
        end = rng.uniform(0.95, 1.5) if style == "long" else rng.uniform(0.42, 0.62)
        spread = rng.uniform(0.46, 0.56)
        half = [(0.0, -0.5), (0.3, -0.42), (0.43, -0.1), (0.47, 0.25), (spread, end * 0.75), (spread * 0.8, end)]
        shape = spline(mirrored(half, [(0.0, end + 0.06)]), 5, closed=True)
    elif style == "afro" and not outfit.hat:
        turn = np.linspace(0, 2 * np.pi, 40)[:-1]
        r = 0.62 * (1 + rng.normal(0, 0.018, 39))
        shape = np.stack([r * np.cos(turn), r * np.sin(turn) - 0.16], 1)
    elif style == "bun" and not outfit.hat:
        turn = np.linspace(0, 2 * np.pi, 24)[:-1]
        shape = np.stack([0.2 * np.cos(turn), 0.17 * np.sin(turn) - (0.6 if figure.front else 0.35)], 1)
    elif style == "ponytail":
        side = float(rng.choice([-1, 1])) if figure.front else 0.15
        tail = [(side * 0.15, -0.2, 0.12), (side * 0.4, 0.2, 0.16), (side * 0.5, 0.6, 0.13), (side * 0.44, 0.95, 0.04)]
        limb = spline([[*figure.head([(x, y)])[0], r * u] for x, y, r in tail], 6)
        strands = [(limb[:, :2] + [k * 0.05 * u, 0], u * 0.02, u * 0.015) for k in (-1.2, 0, 1.2)]
        canvas.paint(canvas.tube(limb), HAIR, fabric, radius=u * 0.12, folds=strands)
        return
    else:
        return
    locks = []
    for x in np.linspace(-0.5, 0.5, 11):
        fall = figure.head([(x * 0.5, -0.45), (x * 0.95, 0.1), (x * rng.uniform(0.9, 1.15), 1.4)])
        locks.append((fall, u * 0.02, u * rng.uniform(0.01, 0.03)))
    canvas.paint(canvas.polygon(figure.head(shape)), HAIR, fabric, radius=u * 0.2, folds=locks)


def paint_hair(canvas: Canvas, figure: Figure, outfit: Outfit, fabric: Fabric, rng: np.random.Generator) -> None:
    """The hair on the skull, with its line on the forehead; from behind it covers the head."""
    u, style = figure.unit, outfit.hair
    if style == "bald":
        return
    volume = {"crop": 1.02, "afro": 1.22, "short": 1.09}.get(style, 1.07) if not outfit.hat else 1.03
    ear = {"long": 0.3, "bob": 0.34, "afro": 0.12}.get(style, rng.uniform(-0.04, 0.06))
    outer = [(x * volume, -0.02 + (y + 0.02) * volume) for x, y in SKULL[:4]]
    outer += [(0.375 * volume, ear)] if style in ("long", "bob", "afro") else [(0.365, ear)]
    if figure.front:
        part = rng.uniform(-0.16, 0.16)
        top = {"crop": -0.3, "afro": -0.26}.get(style, rng.uniform(-0.33, -0.25))
        fringe = style in ("bob", "long", "short") and rng.random() < 0.3
        inner = [(0.32, ear - 0.02), (0.315, -0.16)]
        line = [(0.24, top + 0.05), (part, top - 0.06), (-0.24, top + 0.05)]
        if fringe:
            line = [(0.2, -0.14), (part, -0.16), (-0.2, -0.14)]
        outline = [*reversed(outer), *[(-x, y) for x, y in outer[1:] + inner], *reversed(line), *reversed(inner)]
    else:
        part = 0.0
        outline = mirrored([*outer, (0.3, 0.34), (0.12, 0.43)], [(0.0, 0.45)])
    crown = (part, -0.52)
    strands = []
    for x in np.linspace(-0.36, 0.36, 13):
        way = [crown, ((x + part) * 0.6, -0.44 + abs(x) * 0.2), (x * 1.05, -0.22 + abs(x) * 0.4), (x * 1.08, 0.2)]
        strands.append((figure.head(way), u * 0.018, u * rng.uniform(-0.02, 0.025)))
    mask = canvas.polygon(figure.head(spline(outline, 4, closed=True)))
    canvas.paint(mask, HAIR, fabric, radius=u * 0.16, folds=strands, rim=0.55)
    if style == "long" and figure.front and rng.random() < 0.75:
        _front_locks(canvas, figure, fabric, rng)


def _front_locks(canvas: Canvas, figure: Figure, fabric: Fabric, rng: np.random.Generator) -> None:
    """Two strands of long hair that fall in front of the shoulders."""
    u, end = figure.unit, rng.uniform(0.8, 1.35)
    for side in (-1, 1):
        points = [(0.36, 0.05, 0.05), (0.4, 0.35, 0.1), (0.42, 0.7, 0.13), (0.36, end, 0.05)]
        limb = spline([[*figure.head([(side * x, y)])[0], r * u] for x, y, r in points], 6)
        strands = [(limb[:, :2] + [k * 0.045 * u, 0], u * 0.018, u * 0.018) for k in (-1, 1)]
        canvas.paint(canvas.tube(limb), HAIR, fabric, radius=u * 0.1, folds=strands)
