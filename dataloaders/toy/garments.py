"""Upper garments, jackets and sleeves of the toy data set's people."""

from __future__ import annotations

import numpy as np

from .fabric import Fabric, cloth, knit, plain
from .figure import Figure
from .outfit import UPPER, Outfit, tone
from .paint import Canvas, Outline, Stroke, across, mirrored, part_of, spline, widened

NECKLINES = {
    "crew": [(0.21, 1.36), (0.13, 1.46), (0.0, 1.5)],
    "scoop": [(0.30, 1.38), (0.22, 1.62), (0.0, 1.72)],
    "vee": [(0.23, 1.36), (0.12, 1.6), (0.0, 1.8)],
    "boat": [(0.42, 1.43), (0.22, 1.52), (0.0, 1.54)],
    "straps": [(0.34, 1.41), (0.30, 1.7), (0.0, 1.84)],
    "high": [(0.19, 1.2), (0.12, 1.24), (0.0, 1.25)],
    "closed": [(0.19, 1.26), (0.12, 1.34), (0.0, 1.36)],
}
"""Right half of the opening at the neck, from shoulder to the body's axis, in head heights."""


def neckline(outfit: Outfit, rng: np.random.Generator) -> str:
    """A neckline that goes with the garment; from behind, all of them are high."""
    if not outfit.front:
        return "closed"
    choices = {
        "tee": ["crew", "crew", "vee", "scoop"], "long": ["crew", "boat", "vee", "high"], "tank": ["straps", "scoop"],
        "shirt": ["closed"], "hoodie": ["crew"], "sweater": ["crew", "high", "vee"],
        "": ["scoop", "vee", "boat", "crew"] if outfit.sleeve else ["straps", "scoop", "boat"],
    }  # fmt: skip
    return str(rng.choice(choices[outfit.upper]))


def bodice(figure: Figure, opening: str, sleeveless: bool, ease: float, hem: float) -> Outline:
    """Right half of a garment for the trunk, from the neck down to height `hem`, in the figure's (x, y)."""
    s = figure.shoulder
    neck = NECKLINES[opening][0]
    if sleeveless:
        tip = max(neck[0] + 0.12, s - 0.16)
        points = [neck, (tip, 1.475), (tip - 0.03, 1.65), (s - 0.03, 1.93)]
    else:
        points = [neck, (s * 0.65, 1.435), (s + 0.01, 1.485), (s + 0.12, 1.58), (s + 0.06, 1.9)]
    for y in (2.1, 2.4, 2.65, 2.9, 3.2, 3.45, 3.7):
        if y < hem - 0.12:
            points.append((figure.width(y) + ease * (0.5 if y < 2.2 else 1.0), y))
    return [*points, (figure.width(min(hem, 3.6)) + ease, hem)]


def body_folds(figure: Figure, rng: np.random.Generator, low: float) -> list[Stroke]:
    """Creases of cloth on the trunk: from the armpits to the middle, across the waist, and under the bust."""
    u, s, folds = figure.unit, figure.shoulder, []
    for side in (-1, 1):
        for _ in range(2):
            y = rng.uniform(1.85, 2.1)
            end = (side * rng.uniform(0.1, 0.25), y + rng.uniform(0.2, 0.35))
            pull = [(side * (s - 0.08), y), (side * 0.38, y + 0.14), end]
            folds.append((figure.trunk(pull), u * 0.04, -u * rng.uniform(0.01, 0.03)))
        for _ in range(3):
            y = rng.uniform(2.35, max(2.45, min(low, 3.0)))
            end = (side * rng.uniform(0.0, 0.2), y + rng.uniform(0.0, 0.14))
            wave = [(side * 0.55, y), (side * 0.3, y + rng.uniform(0.02, 0.1)), end]
            folds.append((figure.trunk(wave), u * 0.045, u * rng.uniform(-0.035, 0.03)))
        if figure.front:
            cup = [(side * 0.08, 2.12), (side * 0.27, 2.2), (side * 0.45, 2.08)]
            folds.append((figure.trunk(cup), u * 0.07, -u * (0.008 + 0.04 * figure.feminine)))
            swell = [(side * 0.2, 1.98), (side * 0.33, 1.98)]
            folds.append((figure.trunk(swell), u * 0.16, u * (0.005 + 0.035 * figure.feminine)))
    return folds


def opening_mask(canvas: Canvas, figure: Figure, opening: str) -> np.ndarray:
    """Mask (H, W) of the skin that a neckline leaves free."""
    half = [(NECKLINES[opening][0][0] + 0.01, 1.0), *NECKLINES[opening]]
    curve = spline(half, 6)
    return canvas.polygon(figure.trunk(np.concatenate([curve, curve[::-1] * [-1, 1]])))


def edge_line(figure: Figure, opening: str, drop: float) -> np.ndarray:
    """A line (n, 2) that follows the neckline at a distance, for ribbing and stitches."""
    right = spline(NECKLINES[opening], 5) + np.array([drop * 0.7, drop])
    return figure.trunk(np.concatenate([right, right[::-1] * [-1, 1]]))


def paint_bodice(
    canvas: Canvas, figure: Figure, fabric: Fabric, label: int, outline: np.ndarray, opening: str,
    folds: list[Stroke], seams: list[Stroke],
) -> np.ndarray:  # fmt: skip
    """Paint a garment for the trunk with its neckline cut out. Returns its mask (H, W)."""
    u = figure.unit
    mask = canvas.polygon(outline)
    mask[opening_mask(canvas, figure, opening) > 0] = 0
    for drop, width in ((0.055, 0.015), (0.015, 0.02)):
        seams = [*seams, (edge_line(figure, opening, drop), u * width, 0.3)]
    canvas.paint(mask, label, fabric, radius=u * 0.38, bulge=0.7, folds=folds, seams=seams)
    return mask


def paint_upper(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> tuple[Fabric, np.ndarray]:
    """The garment on the trunk, without sleeves. Returns its fabric and its mask (H, W)."""
    u, kind = figure.unit, outfit.upper
    fabric = knit(rng, u) if kind == "sweater" else cloth(rng, u)
    opening = neckline(outfit, rng)
    ease = {"tank": 0.02, "tee": 0.06, "hoodie": 0.13, "sweater": 0.09}.get(kind, 0.06) + rng.uniform(0, 0.05)
    hem = 2.85 if outfit.tucked else rng.uniform(3.2, 3.6)
    half = bodice(figure, opening, kind == "tank", ease, hem)
    outline = figure.trunk(spline(mirrored(half, [(0.0, hem + 0.05)]), 5, closed=True))
    seams = []
    for k in () if outfit.tucked else (0.07, 0.16) if kind in ("hoodie", "sweater") else (0.06,):
        seams.append((figure.trunk([(-0.8, hem - k), (0, hem + 0.05 - k), (0.8, hem - k)]), u * 0.018, 0.3))
    mask = paint_bodice(canvas, figure, fabric, UPPER, outline, opening, body_folds(figure, rng, hem), seams)
    if outfit.front:
        if kind == "shirt":
            paint_placket(canvas, figure, fabric, UPPER, 1.4, hem)
            paint_collar(canvas, figure, fabric, UPPER)
        elif kind == "hoodie":
            _hoodie_front(canvas, figure, fabric)
        elif kind in ("tee", "long", "sweater") and rng.random() < 0.35:
            _print(canvas, figure, rng)
    elif kind == "hoodie":
        shape = [(-0.42, 1.3), (0, 1.2), (0.42, 1.3), (0.36, 1.75), (0, 1.98), (-0.36, 1.75)]
        canvas.paint(canvas.polygon(figure.trunk(spline(shape, 5, closed=True))), UPPER, fabric, radius=u * 0.2)
    return fabric, mask


def paint_sleeve(
    canvas: Canvas, figure: Figure, side: int, fabric: Fabric, label: int, share: float, under: np.ndarray,
    rng: np.random.Generator, ease: float = 0.05,
) -> None:  # fmt: skip
    """A sleeve over the share of the arm, growing out of the garment `under` (mask) at the shoulder."""
    u, limb = figure.unit, figure.arms[side]
    shape = widened(part_of(limb, 0, share, 24), u * (0.01 + ease * 0.4), u * ease)
    along = limb[10, :2] - limb[0, :2]
    along /= np.hypot(*along)
    alpha = canvas.faded(under, shape[0, :2], along, 0.4 * u)
    folds = []
    if share > 0.5:  # the elbow and the wrist gather cloth
        for at, skew in ((0.5, 0.5), (0.56, -0.5), (0.62, 0.3), (0.9, 0.2), (0.36, -0.6)):
            folds.append((across(shape, at + rng.uniform(-0.04, 0.04), skew), u * 0.04, u * rng.uniform(-0.045, 0.03)))
    else:
        folds.append((across(shape, 0.55, 0.7), u * 0.04, -u * 0.03))
    cuff = 0.93 if share > 0.5 else 0.88
    seams = [(across(shape, cuff, 0, 1.1), u * 0.018, 0.35)]
    angle = float(np.arctan2(along[0], along[1]))
    mask = canvas.tube(shape, cap_end=False)
    canvas.paint(mask, label, fabric, radius=u * 0.17, folds=folds, seams=seams, alpha=alpha, angle=-angle)


def paint_jacket(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> tuple[Fabric, np.ndarray]:
    """A jacket worn open over another garment, without sleeves. Returns its fabric and its mask (H, W)."""
    u, kind = figure.unit, outfit.jacket
    weave = str(rng.choice(["plain", "plain", "checks", "bars"]))
    fabric = knit(rng, u) if kind == "cardigan" else cloth(rng, u, pattern=weave)
    hem = {"blazer": 3.6, "cardigan": 3.55, "coat": rng.uniform(4.4, 5.2)}[kind]
    ease = 0.12
    side_points = bodice(figure, "closed", False, ease, min(hem, 3.7))[1:]
    if hem > 3.7:
        side_points.append((figure.width(3.6) + ease + 0.1, hem))
    whole = canvas.blank()
    if not outfit.front:
        outline = figure.trunk(spline(mirrored([(0.2, 1.3), *side_points], [(0, hem + 0.04)]), 5, closed=True))
        whole = canvas.polygon(outline)
        vent = [(figure.trunk([(0, hem - 0.6), (0.02, hem)]), u * 0.03, 0.4)]
        canvas.paint(whole, UPPER, fabric, radius=u * 0.4, folds=body_folds(figure, rng, hem), seams=vent)
        return fabric, whole
    gap = rng.uniform(0.12, 0.3)
    for side in (-1, 1):
        front_edge = [(gap * 1.05, hem), (gap * 0.95, 3.0), (gap * 0.8, 2.4), (gap * 0.9, 1.9), (0.2, 1.3)]
        outline = [(side * x, y) for x, y in [(0.24, 1.32), *side_points]]
        outline = np.concatenate([spline(outline, 4), spline([(side * x, y) for x, y in front_edge], 4)])
        mask = canvas.polygon(figure.trunk(outline))
        pocket = figure.trunk([(side * 0.34, 3.0), (side * 0.56, 2.98)])
        seams = [(pocket, u * 0.03, 0.35)] + [(pocket + np.array([0, u * 0.14]), u * 0.014, 0.3)] * (kind != "cardigan")
        canvas.paint(mask, UPPER, fabric, radius=u * 0.3, folds=body_folds(figure, rng, hem), seams=seams, shadow=0.45)
        if kind != "cardigan":
            lapel = [(0.2, 1.3), (0.32, 1.42), (0.46, 1.72), (0.36, 1.76), (gap * 0.95, 2.35), (gap * 0.86, 1.95)]
            shape = canvas.polygon(figure.trunk([(side * x, y) for x, y in lapel])) & mask
            canvas.paint(shape, UPPER, fabric, radius=u * 0.08, bulge=0.4, angle=0.4 * side, rim=0.5, shadow=0.4)
        whole |= mask
    return fabric, whole


def paint_placket(canvas: Canvas, figure: Figure, fabric: Fabric, label: int, top: float, hem: float) -> None:
    """The strip of buttons down the front."""
    u, dark = figure.unit, tone(fabric.colour, 0.6)
    for x in (-0.055, 0.055):
        canvas.line(figure.trunk([(x, y) for y in np.linspace(top, hem, 6)]), dark, u * 0.014, 0.7, within=label)
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    button = tone(fabric.colour, 0.45 if fabric.colour.mean() > 0.4 else 2.2)
    for y in np.arange(top + 0.15, hem - 0.05, 0.3):
        ring = figure.at(0, y) + u * 0.028 * np.stack([np.cos(turn), np.sin(turn)], 1)
        canvas.ink(ring, button, 0.95, within=label)


def paint_collar(canvas: Canvas, figure: Figure, fabric: Fabric, label: int) -> None:
    """The two points of a shirt collar."""
    light = plain(tone(fabric.colour, 1.06), stiffness=fabric.stiffness)
    for side in (-1, 1):
        points = [(0.02, 1.37), (0.17, 1.2), (0.235, 1.28), (0.26, 1.52), (0.13, 1.55)]
        mask = canvas.polygon(figure.trunk([(side * x, y) for x, y in points]))
        canvas.paint(mask, label, light, radius=figure.unit * 0.05, bulge=0.4, rim=0.5, shadow=0.4)


def paint_hood(canvas: Canvas, figure: Figure, fabric: Fabric) -> None:
    """The hood lying on the shoulders behind the neck; the body covers its middle."""
    half = [(0.0, 0.98), (0.3, 1.02), (0.47, 1.22), (0.5, 1.45)]
    mask = canvas.polygon(figure.trunk(spline(mirrored(half, [(0, 1.6)]), 5, closed=True)))
    canvas.paint(mask, UPPER, fabric, radius=figure.unit * 0.2, rim=0.55)


def _hoodie_front(canvas: Canvas, figure: Figure, fabric: Fabric) -> None:
    u, dark = figure.unit, tone(fabric.colour, 0.55)
    pouch = [(-0.28, 2.75), (0.28, 2.75), (0.44, 3.02), (0.4, 3.2), (-0.4, 3.2), (-0.44, 3.02), (-0.28, 2.75)]
    canvas.line(figure.trunk(pouch), dark, u * 0.02, 0.75, within=UPPER)
    for side in (-1, 1):
        collar = [(0.5, 1.4), (0.28, 1.36), (0.1, 1.56), (0.01, 1.66), (0.2, 1.62), (0.44, 1.5)]
        mask = canvas.polygon(figure.trunk(spline([(side * x, y) for x, y in collar], 4, closed=True)))
        canvas.paint(mask, UPPER, fabric, radius=u * 0.08, rim=0.5)
        cord = figure.trunk([(side * 0.09, 1.6), (side * 0.11, 1.85), (side * 0.1, 2.08)])
        canvas.line(cord, tone([0.92, 0.9, 0.86], 1), u * 0.026, 0.95, within=UPPER)


def _print(canvas: Canvas, figure: Figure, rng: np.random.Generator) -> None:
    """A motif on the chest: a disc, a block, or lines of lettering."""
    colour, kind = rng.uniform(0.1, 0.95, 3), rng.integers(3)
    if kind == 0:
        turn = np.linspace(0, 2 * np.pi, 20)[:-1]
        ring = np.stack([0.2 * np.cos(turn), 2.02 + 0.2 * np.sin(turn)], 1)
        canvas.ink(figure.trunk(ring), colour, 0.9, within=UPPER)
        canvas.ink(figure.trunk(ring * 0.5 + [0, 1.01]), 1 - colour, 0.8, within=UPPER)
    elif kind == 1:
        canvas.ink(figure.trunk([(-0.24, 1.8), (0.24, 1.8), (0.24, 2.25), (-0.24, 2.25)]), colour, 0.9, within=UPPER)
        hills = [(-0.2, 2.2), (-0.05, 1.95), (0.05, 2.08), (0.12, 2.0), (0.2, 2.2)]
        canvas.ink(figure.trunk(hills), 1 - colour, 0.8, within=UPPER)
    else:
        for row in range(int(rng.integers(1, 4))):
            for x in np.arange(-0.26, 0.2, 0.1):
                y = 1.9 + 0.15 * row
                w, h = rng.uniform(0.04, 0.08), rng.uniform(0.06, 0.1)
                letter = [(x, y), (x + w, y), (x + 0.06, y + 0.1), (x, y + h)]
                canvas.ink(figure.trunk(letter), colour, 0.9, within=UPPER)
