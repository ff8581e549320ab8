"""Trousers, skirts, dresses and belts of the toy data set's people."""

from __future__ import annotations

import numpy as np

from .fabric import Fabric, cloth, denim, plain
from .figure import Figure
from .garments import bodice, body_folds, neckline, paint_bodice, paint_collar, paint_placket
from .outfit import BELT, DRESS, PANTS, SKIRT, Outfit, tone
from .paint import Canvas, Stroke, across, mirrored, part_of, spline, widened

WAIST = 2.66
"""Height of the waistband below the crown, in head heights."""


def paint_pants(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    """Trousers: the far leg, then near leg and seat as one piece, so that a seam shows between the legs only."""
    u, cut = figure.unit, outfit.cut
    fabric = denim(rng, u) if rng.random() < 0.45 else cloth(rng, u, pattern="plain" if rng.random() < 0.82 else None)
    ease = {"slim": (0.015, 0.035), "straight": (0.03, 0.09), "wide": (0.05, 0.2), "shorts": (0.03, 0.08)}[cut]
    legs = {s: widened(part_of(figure.legs[s], 0.0, outfit.trousers, 26), u * ease[0], u * ease[1]) for s in (-1, 1)}
    masks = {s: canvas.tube(legs[s], cap_end=False) for s in (-1, 1)}
    near, far = figure.near, -figure.near
    folds = {s: _trouser_folds(figure, legs[s], cut, rng) for s in (-1, 1)}
    canvas.paint(masks[far], PANTS, fabric, radius=u * 0.24, folds=folds[far][0], seams=folds[far][1])
    half = [(figure.width(y) + 0.035, y) for y in (WAIST, 2.9, 3.15, 3.4, 3.62)]
    seat = canvas.polygon(figure.trunk(spline(mirrored([*half, (0.28, 3.78)], [(0.0, 3.86)]), 5, closed=True)))
    # The seat runs on into the far leg and fades there; the inner seam tells the legs apart meanwhile.
    crotch = figure.axis(3.8)[1]
    ys = np.arange(canvas.shape[0], dtype=np.float32)[:, None]
    thigh = (masks[far] * (ys < crotch + 0.6 * u)).astype(np.uint8)
    whole = seat | masks[near]
    alpha = np.where(whole > 0, 1, np.clip((crotch + 0.55 * u - ys) / (0.5 * u), 0, 1)).astype(np.float32)
    inner = legs[near][:, :2] - [1, 0] * (near * legs[near][:, 2:3])
    inner = inner[(inner[:, 1] > crotch - 0.1 * u) & (inner[:, 1] < crotch + 0.7 * u)]
    folds[near][1].extend([(inner, u * 0.03, 0.45)] if len(inner) > 2 else [])
    seams = folds[near][1] + _waist_seams(figure, outfit)
    creases = folds[near][0]
    for s, k in ((-1, 0.0), (-1, 0.08), (1, 0.0), (1, 0.08)):  # from the crotch to the hips
        pull = figure.trunk([(0.03 * s, 3.75), (s * 0.25, 3.62 - k), (s * 0.5, 3.5 - 2 * k)])
        creases.append((pull, u * 0.035, -u * rng.uniform(0.01, 0.035)))
    canvas.paint(whole | thigh, PANTS, fabric, radius=u * 0.26, folds=creases, seams=seams, alpha=alpha)


def _trouser_folds(
    figure: Figure, leg: np.ndarray, cut: str, rng: np.random.Generator
) -> tuple[list[Stroke], list[Stroke]]:
    """Folds and seams of one trouser leg (n, 3)."""
    u, folds, seams = figure.unit, [], []
    if cut == "shorts":
        seams.append((across(leg, 0.9, 0, 1.1), u * 0.018, 0.35))
        folds.append((across(leg, 0.6, 0.4), u * 0.05, -u * 0.03))
        return folds, seams
    for at in (0.44, 0.5, 0.55, 0.85, 0.9, 0.95):
        crease = across(leg, at + rng.uniform(-0.02, 0.02), rng.uniform(-0.6, 0.6))
        folds.append((crease, u * 0.04, u * rng.uniform(-0.045, 0.03)))
    if cut in ("straight", "wide"):  # the pressed crease, or the fall of wide cloth
        for x in (-0.3, 0.0, 0.35) if cut == "wide" else (0.0,):
            line = leg[4:, :2] + np.stack([x * leg[4:, 2], np.zeros(len(leg) - 4)], 1)
            folds.append((line[::4], u * 0.03, u * rng.uniform(0.01, 0.03)))
    seams.append((across(leg, 0.975, 0, 1.1), u * 0.015, 0.3))
    return folds, seams


def _waist_seams(figure: Figure, outfit: Outfit) -> list[Stroke]:
    u = figure.unit
    seams = [(figure.trunk([(-0.7, WAIST + 0.14), (0, WAIST + 0.17), (0.7, WAIST + 0.14)]), u * 0.018, 0.35)]
    if outfit.front:
        seams.append((figure.trunk([(0.02, WAIST + 0.15), (0.03, 3.3), (0.0, 3.75)]), u * 0.018, 0.35))
        for side in (-1, 1):
            pocket = [(side * 0.3, WAIST + 0.16), (side * 0.36, 2.98), (side * 0.6, 3.08)]
            seams.append((figure.trunk(pocket), u * 0.018, 0.35))
    else:
        seams.append((figure.trunk([(0, WAIST + 0.15), (0, 3.8)]), u * 0.018, 0.35))
        for side in (-1, 1):
            box = np.array([(0.14, 3.05), (0.42, 3.05), (0.42, 3.36), (0.28, 3.43), (0.14, 3.36), (0.14, 3.05)])
            seams += [(figure.trunk(box[k : k + 2] * [side, 1]), u * 0.016, 0.32) for k in range(5)]
    return seams


def skirt_sides(figure: Figure, top: float, end: float, ease: float, flare: float, taper: bool) -> np.ndarray:
    """Left and right edge (n, 2, 2) of a skirt from height `top` to `end`, wide enough for hips and both legs."""
    rows = []
    for y in np.linspace(top, end, 9):
        left, right = figure.at(-figure.width(min(y, 3.5)), y), figure.at(figure.width(min(y, 3.5)), y)
        if y > 3.3:
            low, high = figure.legs_at(float(left[1]))
            # A skirt spans the gap that the legs leave, never less than the hips unless it is cut narrow.
            keep = 1.0 if not taper else max(0.0, 1 - (y - 3.3) * 0.6)
            hips = figure.at(-figure.width(3.5), y)[0], figure.at(figure.width(3.5), y)[0]
            mid = 0.5 * (low + high)
            left[0] = min(low, keep * hips[0] + (1 - keep) * mid)
            right[0] = max(high, keep * hips[1] + (1 - keep) * mid)
        spread = figure.unit * (ease + flare * max(0.0, (y - top) / (end - top)) ** 1.2)
        rows.append([(left[0] - spread, left[1]), (right[0] + spread, right[1])])
    return np.array(rows)


def skirt_outline(
    sides: np.ndarray, unit: float, waves: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Closed outline (n, 2) of a skirt and its hem (m, 2, from right to left), from the edges (k, 2, 2)."""
    left, right = spline(sides[:, 0], 4), spline(sides[:, 1], 4)
    t = np.linspace(0, 1, 25)[:, None]
    hem = right[-1] * (1 - t) + left[-1] * t
    ripple = np.sin(2 * np.pi * t[:, 0] * rng.integers(3, 6) + rng.uniform(0, 6.28)) * waves
    hem[:, 1] += unit * (0.08 * np.sin(np.pi * t[:, 0]) + ripple)
    return np.concatenate([right, hem[1:-1], left[::-1]]), hem


def fall_folds(
    sides: np.ndarray, unit: float, count: int, depth: float, start: float, rng: np.random.Generator
) -> list[Stroke]:
    """Folds that fall from the waist to the hem; `start` is the share of the length above which cloth is smooth."""
    folds = []
    for k in range(count):
        x = (k + 0.5 + rng.uniform(-0.2, 0.2)) / count
        begin = int(start * len(sides)) + int(rng.integers(0, 2))
        rows = sides[begin:]
        line = rows[:, 0] * (1 - x) + rows[:, 1] * x
        folds.append((line, unit * 0.045, unit * depth * (1 if k % 2 else -1) * rng.uniform(0.6, 1.2)))
    return folds


def paint_skirt(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    """A skirt from the waist to its hem."""
    u, cut = figure.unit, outfit.cut
    fabric = denim(rng, u) if cut in ("mini", "pencil") and rng.random() < 0.3 else cloth(rng, u)
    lengths = {"mini": (4.1, 4.5), "pencil": (4.8, 5.3), "aline": (4.5, 5.3), "pleated": (4.3, 5.4), "maxi": (5.9, 6.4)}
    end = rng.uniform(*lengths[cut])
    flare = {"mini": 0.06, "pencil": 0.0, "aline": 0.3, "pleated": 0.28, "maxi": 0.3}[cut]
    sides = skirt_sides(figure, WAIST, end, 0.035, flare, cut == "pencil")
    outline, hem = skirt_outline(sides, u, 0.02 if flare > 0.1 else 0.0, rng)
    if cut == "pleated":
        folds = fall_folds(sides, u, 15, 0.07, 0.1, rng)
    else:
        folds = fall_folds(sides, u, 7 if flare > 0.1 else 3, 0.06 if flare > 0.1 else 0.02, 0.3, rng)
    band = figure.trunk([(-0.7, WAIST + 0.12), (0, WAIST + 0.15), (0.7, WAIST + 0.12)])
    seams = [(band, u * 0.018, 0.35), (hem - [0, u * 0.07], u * 0.015, 0.25)]
    if cut in ("pencil", "mini"):
        seams.append((figure.trunk([(0.3, WAIST + 0.15), (0.32, 3.3)]), u * 0.014, 0.25))
    canvas.paint(canvas.polygon(outline), SKIRT, fabric, radius=u * 0.42, bulge=0.75, folds=folds, seams=seams)


def paint_dress(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> tuple[Fabric, np.ndarray]:
    """A dress without sleeves. Returns its fabric and its mask (H, W)."""
    u, cut = figure.unit, outfit.cut
    fabric = cloth(rng, u)
    opening = "closed" if cut == "shirt" else neckline(outfit, rng)
    end = rng.uniform(5.9, 6.4) if cut == "maxi" else rng.uniform(4.5, 5.25)
    flare = {"sheath": 0.0, "aline": rng.uniform(0.25, 0.5), "maxi": 0.32, "shirt": 0.16}[cut]
    sides = skirt_sides(figure, 2.75, end, 0.05, flare, cut == "sheath")
    _, hem = skirt_outline(sides, u, 0.022 if flare > 0.2 else 0.0, rng)
    half = bodice(figure, opening, outfit.sleeve < 0.1, 0.04, 2.6)
    upper, upper_left = (figure.trunk(spline(half, 4) * [sign, 1]) for sign in (1, -1))
    right, left = spline(sides[:, 1], 4), spline(sides[:, 0], 4)
    outline = np.concatenate([upper[:-1], right, hem[1:-1], left[::-1], upper_left[::-1][1:]])
    folds = body_folds(figure, rng, 2.6)
    folds += fall_folds(sides, u, 9 if flare > 0.2 else 4, 0.065 if flare > 0.2 else 0.025, 0.15, rng)
    seams = [(hem - [0, u * 0.07], u * 0.015, 0.25)]
    if cut in ("aline", "maxi", "shirt"):
        seams.append((figure.trunk([(-0.7, WAIST), (0, WAIST + 0.05), (0.7, WAIST)]), u * 0.03, 0.3))
    mask = paint_bodice(canvas, figure, fabric, DRESS, outline, opening, folds, seams)
    if cut == "shirt" and outfit.front:
        paint_placket(canvas, figure, fabric, DRESS, 1.4, end)
        paint_collar(canvas, figure, fabric, DRESS)
    return fabric, mask


def paint_belt(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    """A belt at the waist, with its buckle in front."""
    u = figure.unit
    leathers = [[0.12, 0.09, 0.08], [0.36, 0.22, 0.13], [0.55, 0.36, 0.2], [0.85, 0.82, 0.76], [0.55, 0.12, 0.12]]
    colour = np.array(leathers[rng.integers(len(leathers))])
    top, low = WAIST - 0.05, WAIST + rng.uniform(0.11, 0.17)
    half = [(figure.width(top) + 0.055, top), (figure.width(low) + 0.06, low)]
    curve = [(x, top + 0.04 * (1 - (x / half[0][0]) ** 2)) for x in np.linspace(-half[0][0], half[0][0], 9)]
    lower = [(x, low + 0.05 * (1 - (x / half[1][0]) ** 2)) for x in np.linspace(half[1][0], -half[1][0], 9)]
    mask = canvas.polygon(figure.trunk(curve + lower))
    canvas.paint(mask, BELT, plain(colour, gloss=0.15), radius=u * 0.07, bulge=0.5, rim=0.5, shadow=0.4)
    if outfit.front:
        y, r = (top + low) / 2 + 0.045, (low - top) / 2 * 0.9
        metal = np.array([0.85, 0.72, 0.4]) if rng.random() < 0.5 else np.array([0.8, 0.8, 0.82])
        frame = np.array([(-1.3, -1), (1.3, -1), (1.3, 1), (-1.3, 1)]) * r
        canvas.ink(figure.trunk(frame + np.array([0, y])), metal, 1.0, within=BELT)
        canvas.ink(figure.trunk(frame * 0.5 + np.array([0, y])), tone(colour, 0.8), 1.0, within=BELT)
