"""Backdrops of the toy data set, the shadow that a person casts on the ground, and the camera's grading."""

from __future__ import annotations

import cv2
import numpy as np

from .fabric import dye
from .figure import Figure
from .outfit import pick
from .paint import SUPERSAMPLE, Canvas

SCENE_HEIGHT = 384
"""Rows of a backdrop before it is scaled to the canvas; lengths below are in these pixels."""


def paint_backdrop(canvas: Canvas, figure: Figure, rng: np.random.Generator) -> None:
    """Fill the canvas with a scene whose ground meets the person's feet, then the cast shadow."""
    h, w = SCENE_HEIGHT, max(1, round(SCENE_HEIGHT * canvas.shape[1] / canvas.shape[0]))
    horizon = int(np.clip(figure.ground / canvas.shape[0] - rng.uniform(0.1, 0.3), 0.3, 1.2) * h)
    scene = np.zeros((h, w, 3), np.float32)
    kind = pick(rng, {"studio": 0.2, "room": 0.24, "street": 0.22, "park": 0.2, "shop": 0.14})
    {"studio": _studio, "room": _room, "street": _street, "park": _park, "shop": _shop}[kind](scene, horizon, rng)
    scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.6, 2.2))
    canvas.rgb[:] = np.clip(cv2.resize(scene, canvas.shape[::-1], interpolation=cv2.INTER_LINEAR), 0, 1)
    _cast_shadow(canvas, figure, rng)


def grade(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The camera's part: colour temperature, exposure, vignette, slight blur and noise; (H, W, 3) in 0..1."""
    h, w = picture.shape[:2]
    warm = rng.normal(0, 0.05)
    picture = picture * (rng.uniform(0.88, 1.12) * np.array([1 + warm, 1.0, 1 - warm], np.float32))
    ys, xs = np.ogrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    picture = picture * (1 - rng.uniform(0, 0.22) * (xs**2 + ys**2) / 2)[..., None].astype(np.float32)
    picture = np.clip(picture, 0, 1) ** rng.uniform(0.85, 1.1)
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), rng.uniform(0.3, 0.6))
    picture = picture + rng.normal(0, rng.uniform(0.002, 0.009), picture.shape)
    return np.clip(picture, 0, 1).astype(np.float32)


def _cast_shadow(canvas: Canvas, figure: Figure, rng: np.random.Generator) -> None:
    """The body projected on the ground away from the light, and the dark contact under each foot."""
    k = 1 / SUPERSAMPLE  # shadows are soft: the final size is fine enough
    u, ground = figure.unit * k, figure.ground * k
    shape = tuple(n // SUPERSAMPLE for n in canvas.shape)
    shade = np.zeros(shape, np.float32)
    slant, flat = -float(canvas.light[0]) * 0.5, rng.uniform(0.1, 0.2)

    def fallen(limb: np.ndarray) -> np.ndarray:
        up = ground - 0.05 * u - k * limb[:, 1]
        return np.round(np.stack([k * limb[:, 0] + slant * up, ground - 0.05 * u - flat * up], 1)).astype(np.int32)

    limbs = [*figure.legs.values(), *figure.arms.values()]
    trunk = np.array([[*figure.axis(y), 0] for y in (1.5, 2.5, 3.6)])
    for limb, width in [(limb, 0.36) for limb in limbs] + [(trunk, 0.95)]:
        cv2.polylines(shade, [fallen(limb)], False, 1.0, max(1, int(width * u)))
    head = fallen(np.array([[*figure.head_centre, 0]]))[0]
    cv2.ellipse(shade, (int(head[0]), int(head[1])), (int(0.36 * u), int(0.2 * u)), 0, 0, 360, 1.0, -1)
    shade = cv2.GaussianBlur(shade, (0, 0), u * rng.uniform(0.08, 0.2)) * rng.uniform(0.15, 0.45)
    for limb in figure.legs.values():
        foot = np.zeros(shape, np.float32)
        x, y = int(k * limb[-1, 0]), int(k * limb[-1, 1] + 0.27 * u)
        cv2.ellipse(foot, (x, y), (int(0.3 * u), int(0.09 * u)), 0, 0, 360, 1.0, -1)
        shade = np.maximum(shade, 0.6 * cv2.GaussianBlur(foot, (0, 0), 0.06 * u))
    canvas.rgb *= 1 - cv2.resize(shade, canvas.shape[::-1], interpolation=cv2.INTER_LINEAR)[..., None]


def _blend(scene: np.ndarray, top: int, bottom: int, first: np.ndarray, last: np.ndarray) -> None:
    """A vertical run of colours over the rows `top` to `bottom`."""
    top, bottom = max(top, 0), min(bottom, len(scene))
    if top < bottom:
        share = np.linspace(0, 1, bottom - top, dtype=np.float32)[:, None, None]
        scene[top:bottom] = np.asarray(first) * (1 - share) + np.asarray(last) * share


def _grain(scene: np.ndarray, rows: slice, cell: int, strength: float, rng: np.random.Generator) -> None:
    """Add blotches of `cell` pixels to some rows."""
    area = scene[rows]
    if len(area):
        shape = (len(area) // cell + 2, area.shape[1] // cell + 2)
        noise = rng.standard_normal(shape).astype(np.float32)
        noise = cv2.resize(noise, area.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        area += strength * noise[..., None]


def _studio(scene: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    h, w = scene.shape[:2]
    base = rng.uniform(0.55, 0.95) + rng.normal(0, 0.03, 3) if rng.random() < 0.6 else 0.4 + 0.5 * dye(rng)
    _blend(scene, 0, horizon, base * 0.92, base)
    _blend(scene, horizon, h, base, base * 0.86)
    ys, xs = np.ogrid[:h, :w]
    glow = np.exp(-(((xs - w * rng.uniform(0.3, 0.7)) / w) ** 2 + ((ys - h * 0.4) / h) ** 2) * 3)
    scene *= (0.8 + 0.28 * glow)[..., None].astype(np.float32)


def _room(scene: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    h, w = scene.shape[:2]
    wall = 0.35 * dye(rng) + rng.uniform(0.4, 0.58)
    _blend(scene, 0, horizon, wall * 0.95, wall)
    if rng.random() < 0.3:  # wallpaper or bricks
        step = int(rng.integers(6, 14))
        scene[:horizon:step] *= 0.92
        scene[:horizon, :: step * 2] *= 0.95
    for _ in range(int(rng.integers(0, 3))):  # pictures or windows
        x, y = int(rng.uniform(-0.1, 0.8) * w), int(rng.uniform(0.05, 0.4) * h)
        bw, bh = int(rng.uniform(0.15, 0.4) * w), int(rng.uniform(0.12, 0.3) * h)
        cv2.rectangle(scene, (x, y), (x + bw, y + bh), (wall * 0.5).tolist(), -1)
        cv2.rectangle(scene, (x + 4, y + 4), (x + bw - 4, y + bh - 4), dye(rng).tolist(), -1)
        cv2.line(scene, (x + 4, y + bh - 5), (x + bw - 4, y + int(bh * rng.uniform(0.2, 0.8))), dye(rng).tolist(), 5)
    wood = np.array([0.58, 0.42, 0.28]) * rng.uniform(0.6, 1.3)
    if rng.random() < 0.4:
        wood = np.full(3, rng.uniform(0.4, 0.7))
    _blend(scene, horizon, h, wood * 0.9, wood * 1.1)
    _floor_lines(scene, horizon, wood * 0.75, rng)
    cv2.rectangle(scene, (0, horizon - 7), (w, horizon), np.minimum(wall * 1.2, 1).tolist(), -1)
    cv2.line(scene, (0, horizon), (w, horizon), (wood * 0.5).tolist(), 1)
    if rng.random() < 0.5:  # a piece of furniture at one side
        x = int(rng.choice([-0.15, 0.72]) * w)
        top = horizon - int(rng.uniform(0.12, 0.3) * h)
        colour = dye(rng)
        cv2.rectangle(scene, (x, top), (x + int(0.45 * w), horizon + 10), colour.tolist(), -1)
        cv2.rectangle(scene, (x, top), (x + int(0.45 * w), top + 6), (colour * 0.7).tolist(), -1)


def _floor_lines(scene: np.ndarray, horizon: int, colour: np.ndarray, rng: np.random.Generator) -> None:
    """Boards or slabs of a floor, in perspective."""
    h, w = scene.shape[:2]
    if horizon >= h:
        return
    for x in np.linspace(-1.5, 2.5, int(rng.integers(12, 26))):
        start = (int(w * (0.5 + (x - 0.5) * 0.6)), horizon)
        cv2.line(scene, start, (int(w * (0.5 + (x - 0.5) * 1.8)), h), colour.tolist(), 1, cv2.LINE_AA)
    if rng.random() < 0.5:
        for t in np.linspace(0, 1, 6) ** 2:
            y = int(horizon + t * (h - horizon))
            cv2.line(scene, (0, y), (w, y), colour.tolist(), 1)


def _street(scene: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    h, w = scene.shape[:2]
    _blend(scene, 0, horizon, [0.55, 0.68, 0.85], [0.85, 0.88, 0.9])
    x = -int(rng.uniform(0, 0.2) * w)
    while x < w:
        bw, top = int(rng.uniform(0.22, 0.5) * w), int(rng.uniform(-0.2, 0.3) * h)
        wall = 0.6 * dye(rng) + rng.uniform(0.1, 0.32)
        cv2.rectangle(scene, (x, top), (x + bw, horizon), wall.tolist(), -1)
        pane = np.array([0.25, 0.32, 0.4]) * rng.uniform(0.6, 1.6)
        sx, sy = int(rng.integers(16, 26)), int(rng.integers(22, 34))
        for wx in range(x + 6, x + bw - 8, sx):
            for wy in range(top + 8, horizon - 40, sy):
                glass = (pane * rng.uniform(0.8, 1.25)).tolist()
                cv2.rectangle(scene, (wx, wy), (wx + sx // 2, wy + sy // 2), glass, -1)
        cv2.rectangle(scene, (x + 4, horizon - 34), (x + bw - 6, horizon), (pane * rng.uniform(0.5, 1.2)).tolist(), -1)
        cv2.rectangle(scene, (x + 2, horizon - 42), (x + bw - 2, horizon - 34), dye(rng).tolist(), -1)
        x += bw
    ground = rng.uniform(0.38, 0.66) * np.array([1.0, 0.99, 0.96])
    _blend(scene, horizon, h, ground * 0.88, ground * 1.08)
    _floor_lines(scene, horizon, ground * 0.85, rng)
    if rng.random() < 0.45:  # a parked car
        x, y, colour = int(rng.choice([-0.3, 0.62]) * w), horizon + 6, dye(rng)
        cv2.rectangle(scene, (x, y - 32), (x + int(0.7 * w), y - 8), colour.tolist(), -1)
        cv2.ellipse(scene, (x + int(0.35 * w), y - 32), (int(0.22 * w), 20), 0, 180, 360, (colour * 0.6).tolist(), -1)
        for k in (0.15, 0.55):
            cv2.circle(scene, (x + int(k * w), y - 8), 10, (0.08, 0.08, 0.09), -1)
    if rng.random() < 0.4:
        x = int(rng.uniform(0, 1) * w)
        cv2.rectangle(scene, (x, 0), (x + 4, horizon + 8), (0.2, 0.22, 0.22), -1)


def _park(scene: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    h, w = scene.shape[:2]
    _blend(scene, 0, horizon, [0.58, 0.74, 0.92], [0.9, 0.93, 0.92])
    season = np.array([0.24, 0.42, 0.16]) if rng.random() < 0.75 else np.array([0.62, 0.38, 0.14])
    for _ in range(int(rng.integers(2, 7))):
        x, y = int(rng.uniform(0, 1) * w), int(horizon - rng.uniform(0.3, 0.65) * h)
        cv2.rectangle(scene, (x - 4, y), (x + 4, horizon + 2), (0.3, 0.22, 0.16), -1)
        _crown(scene, (x, y), rng.uniform(0.1, 0.2) * h, season * rng.uniform(0.85, 1.2), rng)
    tall = rng.uniform(0.02, 0.15) * h
    _blend(scene, int(horizon - tall), horizon, season * 0.75, season * 0.4)
    for x in range(0, w + 14, 14):  # a hedge
        _crown(scene, (x, horizon - tall), 0.04 * h, season * rng.uniform(0.7, 0.95), rng, 30)
    grass = np.array([0.38, 0.52, 0.22]) * rng.uniform(0.8, 1.15)
    _blend(scene, horizon, h, grass * 0.85, grass * 1.1)
    if rng.random() < 0.6 and horizon < h:
        left, right = rng.uniform(0.2, 0.4) * w, rng.uniform(0.6, 0.8) * w
        path = np.array([[left, horizon], [right, horizon], [w * 1.2, h], [-w * 0.2, h]], np.int32)
        cv2.fillPoly(scene, [path], (0.68, 0.62, 0.52))
    _grain(scene, slice(max(horizon, 0), None), 2, 0.035, rng)


def _crown(
    scene: np.ndarray, centre: tuple[float, float], radius: float, colour: np.ndarray, rng: np.random.Generator,
    leaves: int = 170,
) -> None:  # fmt: skip
    """The crown of a tree or bush: clumps of leaves, darker below and first, lighter above and last."""
    for k in range(leaves):
        angle, out = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform(0, 1))
        x, y = centre[0] + 1.15 * out * np.cos(angle), centre[1] + out * np.sin(angle)
        lit = 0.55 + 0.6 * k / leaves - 0.35 * (y - centre[1]) / radius + rng.normal(0, 0.1)
        clump = np.clip(colour * max(lit, 0.3), 0, 1).tolist()
        cv2.circle(scene, (int(x), int(y)), max(2, int(radius * rng.uniform(0.06, 0.2))), clump, -1, cv2.LINE_AA)


def _shop(scene: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    """Shelves with clutter, the hardest of the backdrops: its colours are those of the clothes."""
    h, w = scene.shape[:2]
    wall = rng.uniform(0.35, 0.8) * np.ones(3)
    _blend(scene, 0, horizon, wall, wall * 0.85)
    y = int(rng.uniform(0.05, 0.15) * h)
    while y < horizon - 20:
        shelf, x = int(rng.uniform(0.11, 0.2) * h), 0
        while x < w:
            bw, bh = int(rng.uniform(8, 34)), int(shelf * rng.uniform(0.35, 0.85))
            if rng.random() < 0.8:
                colour = dye(rng) * 0.9
                cv2.rectangle(scene, (x, y + shelf - bh), (x + bw, y + shelf), colour.tolist(), -1)
                cv2.line(scene, (x + bw, y + shelf - bh), (x + bw, y + shelf), (colour * 0.5).tolist(), 1)
            x += bw + int(rng.integers(1, 7))
        cv2.rectangle(scene, (0, y + shelf), (w, y + shelf + 4), (wall * 0.6).tolist(), -1)
        y += shelf + 8
    floor = rng.uniform(0.45, 0.75) * np.array([1.0, 0.97, 0.92])
    _blend(scene, horizon, h, floor * 0.85, floor)
    _floor_lines(scene, horizon, floor * 0.8, rng)
