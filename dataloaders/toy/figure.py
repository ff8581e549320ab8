"""The posed body of a person of the toy data set: proportions, and where every part lies on the canvas."""

import numpy as np

from .outfit import Outfit
from .paint import Canvas, Points

ARMS = np.array([*[(11, 2)] * 4, (44, -51), (105, 167), (24, -18), (16, -60), (10, -110)])
"""Poses: usual angles of upper arm and forearm in degrees outwards from straight down."""

LEGS = np.array([*[(3, 1)] * 5, (-5, -5), (12, 10), (15, 5), (15, 25)])
"""The same of thigh and shin."""


class Figure:
    """A posed body on a canvas.

    Lengths of the body are in head heights: y runs down from the crown (0), over chin (1), shoulders (1.5), waist
    (2.65) and hips (3.4) to the crotch (3.8); x runs from the body's axis to the right of the picture. In canvas
    pixels, `unit` is the head height, `ground` the row of the soles, and `arms` and `legs` map a side (+1 right of the
    picture, -1 left) to samples (33, 3) of x, y, radius.
    """

    def __init__(self, outfit: Outfit, canvas: Canvas, rng: np.random.Generator, swing: float = 0.0) -> None:
        self.outfit, self.canvas, self.rng, f = outfit, canvas, rng, outfit.feminine
        self.mass, self.shoulder = rng.uniform(0.84, 1.25), (0.79 - 0.15 * f) * rng.uniform(0.94, 1.07)
        self.turn, self._lean, self._tilt = rng.normal(0, [0.25, 0.07, 0.05])
        self.near, self.bag_side = rng.choice([-1, 1], 2).tolist()
        self.unit, self._origin, self.arms, self.legs = 1.0, np.zeros(2), {}, {}
        arm = np.sqrt(self.mass) * (1.06 - 0.2 * f) * np.array([0.195, 0.18, 0.142, 0.15, 0.088])
        leg = np.sqrt(self.mass) * np.array([0.34, 0.28, 0.195, 0.215 * rng.uniform(0.9, 1.12), 0.1])
        gait, length = rng.choice(LEGS), rng.uniform(1.62, 1.87)
        for s in (-1, 1):
            pose = ARMS[0] if outfit.bag == "hand" and s == self.bag_side else rng.choice(ARMS)
            shoulder, hip = self.trunk([(s * self.shoulder, 1.72), (s * 0.3 * self.mass, 3.5)])
            self.arms[s] = self._limb(shoulder, s, pose + swing * s, np.array([1.2, 1.02]), arm)
            self.legs[s] = self._limb(hip, s, gait - swing * s / 3, length * np.array([1, rng.uniform(0.8, 0.93)]), leg)
        self._place(*canvas.shape)

    def trunk(self, points: Points) -> np.ndarray:
        """Points (n, 2 or 3) of the trunk in canvas pixels, from head heights: x beside the axis, y, radius."""
        p = np.array(points, np.float64)
        up = np.clip(3.5 - p[:, 1], 0, 2) / 2
        p[:, 0] *= np.cos(self.turn)
        p[:, 1] += p[:, 0] * self._tilt * (1 - 2 * up) - 3.5
        p[:, 0] += self._lean * up
        return p * self.unit + np.pad(self._origin, (0, p.shape[1] - 2))

    def head(self, points: Points) -> np.ndarray:
        """Points (n, 2) of the head in canvas pixels, from head heights around its centre (x right, y down)."""
        return self.trunk(np.array([1 / np.cos(self.turn), 1]) * points + [0, 0.57])

    def shell(self, top: float, end: float, ease: float, flare: float = 0.0) -> np.ndarray:
        """Outline (40, 2) of trunk and legs between two heights, wider by `ease`, and by `flare` more at its end."""
        rows, f = [], self.outfit.feminine
        widths = [0.6 - 0.05 * f, 0.56 - 0.07 * f, 0.5 - 0.09 * f, 0.54, 0.57 + 0.05 * f]
        for y in np.linspace(top, end, 20):
            half = self.mass * np.interp(y, [1.95, 2.3, 2.65, 3.0, 3.4], widths)
            (left, row), (right, _) = self.trunk([(-half, y), (half, y)])
            for leg in self.legs.values() if y > 3.9 else ():
                x, r = (np.interp(row, leg[:, 1], leg[:, k]) for k in (0, 2))
                left, right = min(left, x - r), max(right, x + r)
            spread = self.unit * (ease + flare * (y - top) / (end - top))
            rows.append([(right + spread, row), (left - spread, row)])
        return np.concatenate([np.array(rows)[:, 0], np.array(rows)[::-1, 1]])

    def _limb(self, root: np.ndarray, s: int, pose: np.ndarray, lengths: np.ndarray, radii: np.ndarray) -> np.ndarray:
        turns = np.radians(pose + self.rng.normal(0, 5, 2))
        upper, lower = lengths[:, None] * np.stack([s * np.sin(turns), np.cos(turns)], 1)
        points = np.array([root, root + upper / 2, root + upper, root + upper + lower / 3, root + upper + lower]).T
        return np.stack([np.interp(np.arange(33) / 8, range(5), axis) for axis in (*points, radii)], 1)

    def _place(self, height: int, width: int) -> None:
        """Fit the body into the picture: mostly whole, at times far away, or cut at the feet or knees."""
        rng, top, sole = self.rng, -3.55, max(leg[-1, 1] for leg in self.legs.values()) + 0.3
        end = sole - (rng.choice([0.4, 1.5, 2.0]) if rng.random() < 0.14 else 0)
        self.unit = self.canvas.unit = min((0.95 - 0.3 * rng.uniform() ** 3) * height / (end - top), width / 3.0)
        room = (height - self.unit * (end - top)) * (rng.uniform(0.3, 0.75) if end == sole else 1.0)
        self.ground = room + self.unit * (sole - top)
        self._origin = np.array([width * rng.uniform(0.4, 0.6), room - self.unit * top])
        for limbs in (self.arms, self.legs):
            limbs.update({s: limb * self.unit + np.array([*self._origin, 0]) for s, limb in limbs.items()})
