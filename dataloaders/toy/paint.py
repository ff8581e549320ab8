"""Painting for the toy data set: cloth, smooth outlines, and a canvas that colours and labels a shape in one stroke."""

import colorsys
from collections.abc import Callable, Sequence

import cv2
import numpy as np

SUPERSAMPLE = 3
"""Canvas pixels per picture pixel, along each side."""

PATTERNS = {
    "plain": lambda x, y: 0 * (x + y),
    "stripes": lambda x, y: (y + 0 * x) % 1 < 0.45,
    "bars": lambda x, y: (x + 0 * y) % 1 < 0.4,
    "checks": lambda x, y: ((x % 1 < 0.45) + 1.0 * (y % 1 < 0.45)) / 2,
    "dots": lambda x, y: np.hypot((x + y // 1 / 2) % 1 - 0.5, y % 1 - 0.5) < 0.27,
    "flowers": lambda x, y: np.sin(5 * x + 2 * np.sin(9 * y)) * np.sin(5 * y + 2 * np.sin(7 * x)) > 0.3,
    "patches": lambda x, y: np.sin(2.1 * x + np.sin(3 * y)) + np.sin(2.7 * y + np.sin(2 * x)) > 0.4,
    "knit": lambda x, y: 0.15 * np.sin(16 * x) + 0.1 * np.sin(32 * y),
}
"""For each pattern, the share of its second colour at points (x, y), in periods of the pattern."""

Points = Sequence[Sequence[float]] | np.ndarray
Fabric = np.ndarray | Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A material: one colour (3,) in 0..1, or colours (H, W, 3) at points x (1, W) and y (H, 1) in head heights."""


def dye(rng: np.random.Generator) -> np.ndarray:
    """A clothing colour (3,) in 0..1: neutrals and muted colours more often than bright ones."""
    return np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform() ** 1.5 * 0.9, rng.uniform(0.12, 0.95)))


def cloth(rng: np.random.Generator, *patterns: str) -> Fabric:
    """Cloth in one of `patterns`, or in any, plain ones often."""
    colour, other, period = dye(rng), dye(rng), rng.uniform(0.12, 0.35)
    pattern = PATTERNS[str(rng.choice(patterns or ["plain"] * 6 + list(PATTERNS)))]
    if np.abs(colour - other).sum() < 0.5:  # a pattern of two like colours would not show
        other = (colour + 0.4) % 1
    return lambda x, y: colour + (other - colour) * pattern(x / period, y / period)[..., None]


def noise(rng: np.random.Generator, shape: tuple[int, int], grain: int) -> np.ndarray:
    """Smooth noise float32 (H, W) of about unit deviation, with blotches of `grain` pixels."""
    small = rng.standard_normal((shape[0] // grain + 2, shape[1] // grain + 2)).astype(np.float32)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


def symmetric(half: Points) -> np.ndarray:
    """A smooth closed outline (m, 2) from its right half (n, 2), which runs from the axis of symmetry back to it."""
    b = np.array([*half, *[(-x, y) for x, y in half[::-1] if x > 0]])[:, None]  # then a Catmull-Rom spline
    a, c, d, t = np.roll(b, 1, 0), np.roll(b, -1, 0), np.roll(b, -2, 0), np.arange(8)[:, None] / 8
    curve = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    outline: np.ndarray = curve.reshape(-1, 2) / 2
    return outline


def ellipse(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    """An ellipse around (x, y) as an outline (24, 2)."""
    turn = np.arange(24) * np.pi / 12
    return np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], 1)


class Canvas:
    """A picture being painted, at `SUPERSAMPLE` times its final size (H, W).

    `rgb` is float32 (H, W, 3) in 0..1, `label` uint8 (H, W); a shape sets both by one mask, so they agree to the pixel.
    A shape is an outline (n, 2), or a limb (n, 3) with radii, in pixels; `unit` is the person's head height in pixels.
    """

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.shape, self.unit = (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), 1.0
        self.rgb, self.label = np.zeros((*self.shape, 3), np.float32), np.zeros(self.shape, np.uint8)
        self.light, self.ambient = rng.uniform([-0.9, -0.9], [0.9, -0.1]), rng.uniform(0.5, 0.8)  # x, y of its way
        self.creases = rng.uniform(0.01, 0.05) * noise(rng, self.shape, self.shape[0] // 24)

    def mask(self, *shapes: np.ndarray) -> np.ndarray:
        """Mask uint8 (H, W), 0 or 1, of the shapes together."""
        mask = np.zeros(self.shape, np.uint8)
        for shape in shapes:
            points = np.round(shape[:, :2]).astype(np.int32)
            if shape.shape[1] == 2:
                cv2.fillPoly(mask, [points], 1)
            else:
                for start, end, radius in zip(points[:-1].tolist(), points[1:].tolist(), shape[1:, 2], strict=True):
                    cv2.line(mask, start, end, 1, max(round(2 * radius), 1))
        return mask

    def paint(self, label: int, fabric: Fabric, *shapes: np.ndarray) -> None:
        """Fill `shapes` as one piece with `fabric` and `label`; light and shadow make it round."""
        mask = self.mask(*shapes)
        x, y, w, h = cv2.boundingRect(mask)
        reach = int(np.clip(min(w, h) / 5, 2, self.unit / 4))
        rows, columns = np.minimum([y + h + reach, x + w + reach], self.shape)
        box = np.s_[max(y - reach, 0) : rows, max(x - reach, 0) : columns]
        inside, anchor = mask[box] > 0, (reach * (1 - self.light)).astype(int).tolist()
        # Blurred to one side, a shape is darker on its far side, and outside of itself its own shadow.
        soft = cv2.blur(mask[box].astype(np.float32), (2 * reach + 1, 2 * reach + 1), anchor=anchor)
        light = self.ambient + (1.1 - self.ambient) * soft + self.creases[box]
        shade = np.where(inside, light, 1 - 0.6 * soft * (self.label[box] > 0))  # none falls on the background
        ys, xs = (axis / self.unit for axis in np.ogrid[box])
        colour = fabric(xs, ys) if callable(fabric) else fabric
        self.rgb[box] = np.where(inside[..., None], colour, self.rgb[box]) * shade[..., None]
        self.label[box][inside] = label

    def ink(self, within: int, colour: np.ndarray, *shapes: np.ndarray) -> None:
        """Lay a flat colour (3,) over the part of `shapes` that is labelled `within`. Labels stay."""
        self.rgb[(self.mask(*shapes) > 0) & (self.label == within)] = colour

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Picture float32 (h, w, 3), the mean of each block of canvas pixels, and label uint8 (h, w), its majority."""
        size, present = (self.shape[1] // SUPERSAMPLE, self.shape[0] // SUPERSAMPLE), np.unique(self.label)
        votes = [cv2.resize((self.label == k).astype(np.float32), size, interpolation=cv2.INTER_AREA) for k in present]
        return cv2.resize(self.rgb, size, interpolation=cv2.INTER_AREA), present[np.argmax(votes, axis=0)]
