"""Shoes, hats, sunglasses, scarves and bags of the toy data set's people."""

from __future__ import annotations

import numpy as np

from .fabric import Fabric, cloth, dye, knit, plain
from .figure import Figure
from .outfit import BAG, HAT, LEFT_LEG, LEFT_SHOE, RIGHT_LEG, RIGHT_SHOE, SCARF, SUNGLASSES, Outfit, tone
from .paint import Canvas, across, mirrored, part_of, spline, widened


def paint_shoe(canvas: Canvas, figure: Figure, side: int, outfit: Outfit, upper: Fabric, accent: np.ndarray) -> None:
    """A shoe at the end of a leg, with sole, laces or heel; boots reach up the calf."""
    u, kind = figure.unit, outfit.shoes
    label = figure.wearer(side, LEFT_SHOE, RIGHT_SHOE)
    ankle = figure.legs[side][-1, :2]
    toe, drop = _foot(figure, side, kind)
    slim = {"heel": 0.82, "flat": 0.88}.get(kind, 1.0)
    heel, ball = ankle + np.array([0, 0.1 * u]), ankle + 0.6 * toe + np.array([0, drop * u])
    tip = ankle + toe + np.array([0, (drop + 0.03) * u])
    limb = spline([[*heel, 0.125 * u * slim], [*ball, 0.15 * u * slim], [*tip, 0.1 * u * slim]], 8)
    if kind == "heel":
        post = heel + np.array([-0.05 * toe[0], 0.05 * u])
        stick = np.array([[*post, 0.045 * u], [post[0], post[1] + 0.17 * u, 0.03 * u]])
        canvas.paint(canvas.tube(stick, cap_end=False), label, upper, radius=u * 0.05, shadow=0.0)
    sole = limb + np.array([0, 0.045 * u, 0])
    rubber = plain(accent if kind == "sneaker" else tone(upper.colour, 0.45))
    canvas.paint(canvas.tube(sole), label, rubber, radius=u * 0.05, bulge=0.4, rim=0.55)
    mask = canvas.tube(limb)
    if kind == "boot":
        shaft = widened(part_of(figure.legs[side], 0.74, 1.0, 16), 0.05 * u, 0.05 * u)
        mask |= canvas.tube(shaft, cap_start=False)
    elif kind in ("sneaker", "derby"):
        collar = np.array([[*(ankle - [0, 0.03 * u]), 0.13 * u], [*heel, 0.13 * u]])
        mask |= canvas.tube(collar, cap_start=False)
    folds = [(across(limb, 0.5, 0, 0.8), u * 0.03, -u * 0.02)]
    canvas.paint(mask, label, upper, radius=u * 0.13, folds=folds, rim=0.5)
    if figure.front and kind in ("sneaker", "derby"):
        for share in (0.28, 0.4, 0.52):
            lace = accent if kind == "sneaker" else tone(upper.colour, 1.8)
            canvas.line(across(limb, share, 0, 0.42), lace, u * 0.022, 0.9, label)
    elif kind in ("heel", "flat") and figure.front:  # the shoe is cut low: the instep shows
        instep = limb[3:10] * [1, 1, 0.55]
        skin_of = figure.wearer(side, LEFT_LEG, RIGHT_LEG)
        canvas.paint(canvas.tube(instep), skin_of, outfit.skin, radius=u * 0.1, shadow=0.2, rim=0.6)


def _foot(figure: Figure, side: int, kind: str) -> tuple[np.ndarray, float]:
    """Vector (2,) from heel to toe in canvas pixels, foreshortened in a front view, and the fall of the instep."""
    u = figure.unit
    if figure.gait == "stride":
        return u * np.array([np.sign(figure.turn) * 0.52, 0.06]), 0.14
    if not figure.front:
        return u * np.array([side * 0.1, -0.02]), 0.12
    out = side * 0.14 + 0.3 * figure.turn
    return u * np.array([out, 0.2 if kind != "heel" else 0.24]), 0.13


def paint_hat(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    """A cap, a beanie or a brimmed hat."""
    u, kind = figure.unit, outfit.hat
    if kind == "beanie":
        fabric = knit(rng, u)
        half = [(0.0, -0.68), (0.16, -0.65), (0.34, -0.52), (0.42, -0.3), (0.405, -0.12), (0.2, -0.17)]
        dome = mirrored(half, [(0.0, -0.185)])
        canvas.paint(canvas.polygon(figure.head(spline(dome, 4, closed=True))), HAT, fabric, radius=u * 0.22)
        band = mirrored([(0.0, -0.355), (0.2, -0.345), (0.42, -0.3), (0.42, -0.11), (0.2, -0.165)], [(0.0, -0.18)])
        canvas.paint(canvas.polygon(figure.head(band)), HAT, fabric, radius=u * 0.07, bulge=0.6)
        if rng.random() < 0.4:
            turn = np.linspace(0, 2 * np.pi, 18)[:-1]
            ball = np.stack([0.12 * np.cos(turn), -0.74 + 0.11 * np.sin(turn)], 1) + rng.normal(0, 0.008, (17, 2))
            canvas.paint(canvas.polygon(figure.head(ball)), HAT, plain(dye(rng), crumple=1.5), radius=u * 0.1)
        return
    fabric = cloth(rng, u, pattern=str(rng.choice(["plain", "plain", "plain", "checks", "patches"])))
    if kind == "cap":
        _cap(canvas, figure, fabric, rng)
    else:
        _brim(canvas, figure, fabric, rng)


def _cap(canvas: Canvas, figure: Figure, fabric: Fabric, rng: np.random.Generator) -> None:
    u, t = figure.unit, figure.turn
    dome = mirrored([(0.0, -0.61), (0.28, -0.54), (0.40, -0.36), (0.405, -0.17)], [(0.0, -0.24)])
    panels = []
    for x in (-0.22, 0, 0.22):
        seam = [(0.2 * t, -0.6), (x * 0.8 + 0.15 * t, -0.45), (x + 0.15 * t, -0.22)]
        panels.append((figure.head(seam), u * 0.015, 0.35))
    canvas.paint(canvas.polygon(figure.head(spline(dome, 5, closed=True))), HAT, fabric, radius=u * 0.25, seams=panels)
    if not figure.front:
        gap = figure.head([(-0.13, -0.2), (0, -0.3), (0.13, -0.2)])
        canvas.line(spline(gap, 4), tone(fabric.colour, 0.4), u * 0.03, 0.9, within=HAT)
        return
    m = 0.35 * t
    visor = np.array(mirrored([(0.0, -0.3), (0.36, -0.25), (0.38, -0.13), (0.2, -0.075)], [(0.0, -0.06)]))
    visor[:, 0] += m * np.interp(visor[:, 1], [-0.25, -0.13, -0.06], [1, 1.5, 2])  # it points where the face does
    other = fabric if rng.random() < 0.6 else plain(dye(rng))
    mask = canvas.polygon(figure.head(spline(visor, 4, closed=True)))
    canvas.paint(mask, HAT, other, radius=u * 0.07, bulge=0.5, shadow=0.5)
    badge = figure.head([(m - 0.1, -0.46), (m + 0.1, -0.46), (m + 0.08, -0.33), (m - 0.08, -0.33)])
    canvas.ink(badge, rng.uniform(0.1, 0.95, 3), 0.85, within=HAT)


def _brim(canvas: Canvas, figure: Figure, fabric: Fabric, rng: np.random.Generator) -> None:
    u = figure.unit
    width, dip = rng.uniform(0.58, 0.82), rng.uniform(-0.02, 0.05)
    turn = np.linspace(0, 2 * np.pi, 28)[:-1]
    ring = np.stack([width * np.cos(turn), -0.26 + 0.12 * np.sin(turn) - dip * np.cos(turn) ** 2], 1)
    canvas.paint(canvas.polygon(figure.head(ring)), HAT, fabric, radius=u * 0.1, bulge=0.5, shadow=0.55)
    tall = rng.uniform(0.66, 0.78)
    top = -tall + rng.uniform(-0.03, 0.05)
    crown = mirrored([(0.0, top), (0.27, -tall), (0.365, -0.5), (0.38, -0.29)], [(0.0, -0.235)])
    dent = [(figure.head([(-0.05, -tall), (0.0, -0.55)]), u * 0.06, -u * 0.05)]
    mask = canvas.polygon(figure.head(spline(crown, 4, closed=True)))
    canvas.paint(mask, HAT, fabric, radius=u * 0.25, folds=dent, shadow=0.5)
    band = [(-0.385, -0.3), (0, -0.25), (0.385, -0.3), (0.38, -0.4), (0, -0.355), (-0.38, -0.4)]
    ribbon = plain(tone(fabric.colour, 0.35 if fabric.colour.mean() > 0.35 else 2.4))
    canvas.paint(canvas.polygon(figure.head(band)), HAT, ribbon, radius=u * 0.06, bulge=0.3, shadow=0.0)


def paint_sunglasses(canvas: Canvas, figure: Figure, rng: np.random.Generator) -> None:
    """Dark glasses over the eyes, with bridge and temples."""
    u, mid = figure.unit, 0.3 * figure.turn
    glass = tone([[0.06, 0.06, 0.08], [0.2, 0.1, 0.06], [0.08, 0.14, 0.2], [0.12, 0.18, 0.12]][rng.integers(4)], 1)
    rx, ry, square = rng.uniform(0.135, 0.165), rng.uniform(0.095, 0.13), rng.uniform(0.45, 1.0)
    turn = np.linspace(0, 2 * np.pi, 20)[:-1]
    mask = canvas.blank()
    for side in (-1, 1):
        c, s = np.cos(turn), np.sin(turn)
        lens = np.stack([np.sign(c) * np.abs(c) ** square * rx, np.sign(s) * np.abs(s) ** square * ry], 1)
        x = mid + side * 0.165 * (1 - 0.2 * side * figure.turn)
        mask |= canvas.polygon(figure.head(lens + np.array([x, 0.0])))
        reach = side * 0.37
        if abs(reach) > abs(x):
            mask |= canvas.polygon(figure.head([(x, -0.07), (reach, -0.09), (reach, -0.05), (x, -0.03)]))
    bridge = [(mid - 0.08, -0.07), (mid + 0.08, -0.07), (mid + 0.08, -0.03), (mid - 0.08, -0.03)]
    mask |= canvas.polygon(figure.head(bridge))
    canvas.paint(mask, SUNGLASSES, plain(glass, gloss=0.35), radius=u * 0.06, bulge=0.5, rim=0.5, shadow=0.4)
    for side in (-1, 1):
        x = mid + side * 0.165
        glint = figure.head([(x - 0.07, -0.05), (x - 0.01, -0.06), (x - 0.05, 0.03)])
        canvas.ink(glint, [0.75, 0.8, 0.85], 0.5, within=SUNGLASSES)


def paint_scarf(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    """A scarf around the neck; one kind hangs down in two ends with fringes."""
    u = figure.unit
    fabric = knit(rng, u) if rng.random() < 0.5 else cloth(rng, u)
    if outfit.scarf == "tails":
        for side, end in ((-1, rng.uniform(2.3, 2.9)), (1, rng.uniform(2.0, 2.7))):
            points = [(side * 0.2, 1.3, 0.13), (side * 0.18, 1.7, 0.15), (side * rng.uniform(0.14, 0.26), end, 0.16)]
            limb = spline([[*figure.at(x, y), r * u] for x, y, r in points], 7)
            folds = [(limb[:, :2] + [k * 0.07 * u, 0], u * 0.03, u * 0.03 * k) for k in (-1, 1)]
            canvas.paint(canvas.tube(limb, cap_end=False), SCARF, fabric, radius=u * 0.12, folds=folds)
            for k in np.linspace(-0.13, 0.13, 6):
                x = points[2][0] + k
                tassel = [[*figure.at(x, end), 0.018 * u], [*figure.at(x, end + 0.13), 0.012 * u]]
                canvas.paint(canvas.tube(np.array(tassel)), SCARF, fabric, radius=u * 0.02, shadow=0.0)
    wrap = mirrored([(0.0, 1.14), (0.3, 1.06), (0.43, 1.22), (0.36, 1.44)], [(0.0, 1.58)])
    folds = []
    for k in (0.14, 0.24, 0.34):
        fall = [(-0.42, 1.04 + k * 0.7), (rng.uniform(-0.1, 0.1), 1.06 + k * 1.35), (0.42, 1.04 + k * 0.7)]
        folds.append((figure.trunk(fall), u * 0.045, u * rng.choice([-0.06, 0.05])))
    mask = canvas.polygon(figure.trunk(spline(wrap, 5, closed=True).tolist()))
    canvas.paint(mask, SCARF, fabric, radius=u * 0.16, folds=folds, shadow=0.5)


def paint_backpack_behind(canvas: Canvas, figure: Figure, fabric: Fabric) -> None:
    """The sides of a backpack that look out from behind the trunk."""
    half = [(0.0, 1.32), (0.45, 1.38), (0.72, 1.75), (0.74, 2.5), (0.6, 2.9)]
    shape = spline(mirrored(half), 4, closed=True)
    canvas.paint(canvas.polygon(figure.trunk(shape.tolist())), BAG, fabric, radius=figure.unit * 0.2)


def paint_backpack(canvas: Canvas, figure: Figure, fabric: Fabric) -> None:
    """The straps of a backpack in a front view, or its body in a back view."""
    u = figure.unit
    if figure.front:
        for side in (-1, 1):
            s = figure.shoulder
            points = [(s * 0.62, 1.38, 0.075), (s * 0.68, 1.7, 0.085), (s - 0.06, 2.15, 0.07), (0.62, 2.5, 0.05)]
            limb = spline([[*figure.at(side * x, y), r * u] for x, y, r in points], 6)
            canvas.paint(canvas.tube(limb, cap_end=False), BAG, fabric, radius=u * 0.05, bulge=0.6, shadow=0.4)
        return
    half = [(0.0, 1.36), (0.4, 1.4), (0.56, 1.7), (0.58, 2.5), (0.5, 2.9), (0.0, 2.98)]
    shape = spline(mirrored(half), 4, closed=True)
    pocket = [(-0.38, 2.2), (0.38, 2.2), (0.38, 2.75), (-0.38, 2.75), (-0.38, 2.2)]
    seams = [(figure.trunk(pocket)[[k, k + 1]], u * 0.025, 0.4) for k in range(4)]
    zip_line = [(-0.46, 2.0), (-0.36, 1.6), (0.0, 1.5), (0.36, 1.6), (0.46, 2.0)]
    seams.append((figure.trunk(zip_line), u * 0.025, 0.45))
    canvas.paint(canvas.polygon(figure.trunk(shape.tolist())), BAG, fabric, radius=u * 0.3, seams=seams, shadow=0.5)


def paint_strap(canvas: Canvas, figure: Figure, outfit: Outfit, fabric: Fabric) -> None:
    """The strap of a bag over the shoulder, straight down or across the chest."""
    u, side, s = figure.unit, outfit.bag_side, figure.shoulder
    if outfit.bag == "crossbody":
        points = [(-side * s * 0.55, 1.42), (-side * 0.15, 2.0), (side * 0.4, 2.75), (side * 0.66, 3.2)]
    else:
        points = [(side * s * 0.72, 1.42), (side * s * 0.85, 1.9), (side * 0.7, 2.5), (side * 0.72, 2.9)]
    limb = spline([[*figure.at(x, y), 0.042 * u] for x, y in points], 6)
    canvas.paint(canvas.tube(limb), BAG, fabric, radius=u * 0.04, bulge=0.6, shadow=0.4)


def paint_bag(canvas: Canvas, figure: Figure, outfit: Outfit, fabric: Fabric, rng: np.random.Generator) -> None:
    """The body of a bag: at the hip below its strap, or hanging from the hand by its handle."""
    u, side = figure.unit, outfit.bag_side
    if outfit.bag == "hand":
        arm = figure.arms[side]
        along = arm[-1, :2] - arm[-6, :2]
        grip = arm[-1, :2] + along / np.hypot(*along) * 0.25 * u
        w, h = rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.8)
        drop = rng.uniform(0.25, 0.5)
        for k in (-0.5, 0.5):
            loop = [(k * w, drop + 0.04), (k * w * 0.6, 0.1), (0, 0.02)]
            handle = spline([[*(grip + u * np.array(p)), 0.03 * u] for p in loop], 6)
            canvas.paint(canvas.tube(handle), BAG, fabric, radius=u * 0.03, shadow=0.2)
        centre = grip + u * np.array([0, drop])
    else:
        low = 3.1 if outfit.bag == "crossbody" else 2.85
        centre, w, h = figure.at(side * 0.66, low), rng.uniform(0.27, 0.38), rng.uniform(0.4, 0.62)
    narrow = rng.uniform(0.75, 1.0)
    body = mirrored([(0.0, -0.02), (w * narrow, 0), (w, h * 0.5), (w * 0.96, h)], [(0.0, h + 0.03)])
    flap = [(-w, h * 0.42), (0, h * 0.55), (w, h * 0.42)]
    seams = [(centre + u * np.array(flap), u * 0.025, 0.45)] if rng.random() < 0.7 else []
    mask = canvas.polygon(centre + u * spline(body, 5, closed=True))
    canvas.paint(mask, BAG, fabric, radius=u * 0.14, seams=seams, shadow=0.45, rim=0.5)
    clasp = centre + u * np.array([[-0.04, h * 0.46], [0.04, h * 0.46], [0.04, h * 0.56], [-0.04, h * 0.56]])
    canvas.ink(clasp, [0.85, 0.75, 0.45], 0.95, within=BAG)
