"""Backdrops of the toy data set, the shadow that a person casts on the ground, and the camera's grading."""

import cv2
import numpy as np

from .figure import Figure
from .paint import dye, noise

THINGS = {"studio": 0, "room": 6, "street": 90, "shop": 90, "park": 350}
"""How many things each kind of backdrop shows: furniture and pictures, windows, goods on shelves, leaves."""


def paint_backdrop(figure: Figure) -> None:
    """Fill the canvas with a scene whose ground meets the person's feet, and the shadow cast there."""
    canvas, rng, scene = figure.canvas, figure.rng, figure.canvas.rgb
    (h, w), kind = canvas.shape, str(rng.choice(list(THINGS)))
    rows, horizon = np.arange(h)[:, None, None], int(np.clip(figure.ground - rng.uniform(0.1, 0.3) * h, 0.3 * h, h))
    wall, floor = 0.4 * dye(rng) + rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.8, 1) * [1, 0.95, 0.87]
    colours = 0.5 * wall + 0.5 * np.array([dye(rng) for _ in range(1 if kind == "street" else 12)])
    if kind == "park":
        wall, floor = np.array([0.7, 0.8, 0.9]), rng.uniform(0.8, 1.2, 1) * [0.38, 0.5, 0.24]
        colours = np.array([[0.26, 0.42, 0.18] if rng.random() < 0.7 else [0.6, 0.4, 0.16]])
    scene[:] = np.where(rows < horizon, wall, floor) * (1 + rng.uniform(-0.15, 0.15) * (2 * rows / h - 1))
    for x in np.linspace(-1.5, 2.5, rng.integers(8, 26)) if kind != "studio" else ():  # boards or slabs
        ends = (int(w * (0.2 + 0.6 * x)), horizon), (int(w * (1.8 * x - 0.4)), h)
        cv2.line(scene, *ends, (0.8 * floor).tolist(), 3, cv2.LINE_AA)
    step, tall = rng.uniform(0.05, 0.12) * h * (4 if kind == "room" else 1), rng.uniform(0.2, 1.0) * horizon
    for _ in range(THINGS[kind]):
        x, y, (a, b) = rng.uniform(-0.1, 1) * w, horizon - rng.uniform(0, tall), rng.uniform(0.2, 0.9, 2) * step
        shade = (rng.uniform(0.6, 1.2) * rng.choice(colours)).tolist()
        if kind == "street":
            x, a, b = x - x % step, 0.6 * step, 0.7 * step
        if kind == "park":
            cv2.circle(scene, (int(x), int(y)), int(a / 2), shade, -1)
        else:  # in rows
            cv2.rectangle(scene, (int(x), int(y - y % step)), (int(x + a), int(y - y % step - b)), shade, -1)
    scene += rng.uniform(0.005, 0.03) * noise(rng, (h, w), 3)[..., None]
    cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.8, 4), dst=scene)
    slant, flat, blur = -1.5 * canvas.light[0], rng.uniform(0.1, 0.25), figure.unit * rng.uniform(0.08, 0.2)
    # The limbs fall to the ground away from the light: (x, y) goes to x + slant * up, ground - flat * up.
    fall = np.array([[1, -slant, slant * figure.ground], [0, flat, figure.ground * (1 - flat)]])
    limbs = canvas.mask(*figure.legs.values(), *figure.arms.values()).astype(np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(limbs, fall, (w, h)), (0, 0), blur)
    scene *= 1 - rng.uniform(0.2, 0.5) * shadow[..., None]


def grade(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The camera's part: exposure, colour temperature, contrast, blur and noise; (H, W, 3) in 0..1."""
    picture = picture * (rng.uniform(0.85, 1.12) + rng.normal(0, 0.05) * np.array([1, 0, -1]))
    picture = cv2.GaussianBlur(np.clip(picture, 0, 1) ** rng.uniform(0.85, 1.15), (0, 0), rng.uniform(0.1, 0.5))
    return np.clip(picture + rng.normal(0, rng.uniform(0.002, 0.01), picture.shape), 0, 1)
