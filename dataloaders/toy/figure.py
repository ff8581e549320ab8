"""The person of the toy data set: proportions, pose, and where every part of the body lies on the canvas."""

from __future__ import annotations

import numpy as np

from .paint import Outline, spline

LEFT, RIGHT = 1, -1
"""Sides of the picture seen from within a front view: +1 is the right half of the picture, the wearer's left."""


class Figure:
    """A posed body on a canvas of (H, W) pixels.

    Lengths of the body are in head heights: y runs down from the crown (0), over chin (1), shoulders (1.5), waist
    (2.65) and hips (3.4) to the crotch (3.8); x runs from the body's axis to the right of the picture.
    `unit` is the head height in canvas pixels. `arms` and `legs` map a side (+1 right of the picture, -1 left) to
    samples (n, 3) of x, y, radius in canvas pixels. `holding` is the side whose hand carries something, or 0.
    """

    def __init__(
        self, shape: tuple[int, int], rng: np.random.Generator, *, feminine: float, front: bool, holding: int = 0
    ) -> None:
        self.feminine, self.front = feminine, front
        self.mass = float(np.clip(rng.normal(1.02, 0.11), 0.86, 1.32))
        self.turn = float(rng.normal(0, 0.28)) if front else float(rng.normal(0, 0.1))
        self.turn = float(np.clip(self.turn, -0.65, 0.65))
        self.shoulder = (0.79 - 0.15 * feminine) * rng.uniform(0.95, 1.06)
        self.leg_length = rng.uniform(1.62, 1.85)
        self.unit, self.pelvis = 1.0, np.zeros(2)
        self._lean, self._sway = rng.normal(0, 0.06), rng.normal(0, 0.03)
        self._hip_tilt = rng.normal(0, 0.05)
        self._shoulder_tilt = -0.6 * self._hip_tilt + rng.normal(0, 0.02)
        self._head_tilt = rng.normal(0, 0.06)
        self.arm_pose = {side: self._choose_arm(rng) for side in (-1, 1)}
        if holding:
            self.arm_pose[holding] = "hang"
        self.gait = str(rng.choice(["stand", "walk", "stride", "cross", "wide"], p=[0.42, 0.24, 0.16, 0.08, 0.1]))
        if self.gait == "stride":
            self.turn = float(rng.choice([-1, 1]) * rng.uniform(0.4, 0.65))
        self.near = int(rng.choice([-1, 1]))
        self._pose(rng)
        self._place(shape, rng)

    @property
    def squeeze(self) -> float:
        """How much the body's turn away from the viewer narrows it, as a factor."""
        return float(np.cos(self.turn))

    def axis(self, y: float) -> np.ndarray:
        """The body's axis (2,) at height y, in canvas pixels."""
        t = (3.5 - y) / 2.15
        x = self._lean * t + self._sway * 4 * t * (1 - t) if t > 0 else 0.0
        return self.pelvis + self.unit * np.array([x, y - 3.5])

    def at(self, x: float, y: float) -> np.ndarray:
        """A point (2,) of the trunk in canvas pixels: x head heights beside the axis, at height y."""
        t = float(np.clip((3.5 - y) / 2.0, 0, 1))
        tilt = self._hip_tilt * (1 - t) + self._shoulder_tilt * t
        return self.axis(y) + self.unit * self.squeeze * x * np.array([np.cos(tilt), np.sin(tilt)])

    def trunk(self, points: Outline | np.ndarray) -> np.ndarray:
        """`at` for several points (n, 2) at once."""
        return np.array([self.at(x, y) for x, y in points])

    def head(self, points: Outline | np.ndarray) -> np.ndarray:
        """Points (n, 2) of the head in canvas pixels, from head heights around its centre (x right, y down)."""
        p = np.asarray(points, float)
        c, s = np.cos(self._head_tilt), np.sin(self._head_tilt)
        return self.head_centre + self.unit * np.stack([p[:, 0] * c - p[:, 1] * s, p[:, 0] * s + p[:, 1] * c], axis=1)

    @property
    def head_centre(self) -> np.ndarray:
        """Middle of the head (2,) in canvas pixels."""
        neck = self.at(0, 1.2)
        return neck + self.unit * 0.63 * np.array([np.sin(self._head_tilt + self._lean * 0.3), -1.0])

    def width(self, y: float) -> float:
        """Half the width of the bare trunk at height y, in head heights."""
        f = self.feminine
        table = np.array([
            [1.05, 0.17], [1.3, 0.20], [1.4, 0.30], [1.5, self.shoulder], [1.65, self.shoulder + 0.08],
            [1.95, 0.60 - 0.05 * f], [2.3, 0.56 - 0.07 * f], [2.65, 0.50 - 0.09 * f], [3.0, 0.54 - 0.01 * f],
            [3.4, 0.57 + 0.05 * f], [3.8, 0.56 + 0.05 * f],
        ])  # fmt: skip
        return float(np.interp(y, table[:, 0], table[:, 1])) * (self.mass if y > 1.45 else 1.0)

    def legs_at(self, y: float) -> tuple[float, float]:
        """Outer edges (left, right) of both legs in canvas pixels near the picture row `y`."""
        both = np.concatenate([self.legs[-1], self.legs[1]])
        near = both[np.abs(both[:, 1] - y) < 0.22 * self.unit]
        if not len(near):
            near = both[np.argsort(np.abs(both[:, 1] - y))[:4]]
        return float((near[:, 0] - near[:, 2]).min()), float((near[:, 0] + near[:, 2]).max())

    def wearer(self, side: int, left: int, right: int) -> int:
        """The label of a limb: the wearer's left is on the right of a front view, and on the left of a back view."""
        return left if (side == LEFT) == self.front else right

    def _choose_arm(self, rng: np.random.Generator) -> str:
        kinds = ["hang", "hip", "raised", "pocket"]
        # A forearm before the chest is hidden from behind, and one behind the back from the front.
        kinds += ["bent", "across"] if self.front else ["behind", "behind"]
        return str(rng.choice(kinds, p=[0.53, 0.14, 0.08, 0.07, 0.09, 0.09]))

    def _pose(self, rng: np.random.Generator) -> None:
        """Choose the angles of all joints, in radians from straight down, outwards positive."""
        ranges = {
            "hang": ((6, 17), (-6, 10)), "bent": ((10, 22), (-75, -45)), "hip": ((38, 50), (-58, -44)),
            "raised": ((85, 125), (150, 185)), "across": ((6, 14), (-115, -95)), "pocket": ((20, 28), (-22, -14)),
            "behind": ((16, 24), (-30, -20)),
        }  # fmt: skip
        self._arm_angles = {s: np.radians([rng.uniform(*r) for r in ranges[self.arm_pose[s]]]) for s in (-1, 1)}
        self._leg_angles, self._leg_scale = {}, {}
        for s in (-1, 1):
            out = {"cross": (-7, -3), "wide": (9, 15)}.get(self.gait, (1, 6))
            thigh = rng.uniform(*out)
            shin = thigh + rng.uniform(-5, 2)
            scale = 1.0
            if self.gait == "walk" and s != self.near:
                scale, shin = rng.uniform(0.80, 0.92), shin - rng.uniform(0, 6)
            if self.gait == "stride":  # seen from the side: one leg ahead, the other behind with a bent knee
                ahead = s == self.near
                lead = rng.uniform(14, 24) if ahead else -rng.uniform(8, 16)
                thigh = s * np.sign(self.turn) * lead
                shin = s * np.sign(self.turn) * (lead - (rng.uniform(4, 10) if ahead else rng.uniform(12, 28)))
            self._leg_angles[s], self._leg_scale[s] = np.radians([thigh, shin]), scale
        self._calf = rng.uniform(0.9, 1.12)

    def _place(self, shape: tuple[int, int], rng: np.random.Generator) -> None:
        """Fit the body into the picture: mostly whole, at times farther away, or cut at the feet or knees."""
        height, width = shape
        self._build_limbs()
        bottom = max(self.legs[s][-1, 1] for s in (-1, 1)) + 0.3
        top = float(self.head_centre[1]) - 0.62
        framing = str(rng.choice(["whole", "far", "feet", "knees"], p=[0.78, 0.08, 0.06, 0.08]))
        share = rng.uniform(0.86, 0.95) if framing == "whole" else rng.uniform(0.62, 0.8)
        self.unit = min(share * height / (bottom - top), width / 3.4)
        crown, sole = top, bottom
        if framing in ("feet", "knees"):
            sole = bottom - (0.45 if framing == "feet" else rng.uniform(1.5, 2.0))
            self.unit = min(0.96 * height / (sole - crown), width / 2.9)
        body = (sole - crown) * self.unit
        room = max(height - body, 0)
        y = height - body if framing in ("feet", "knees") else room * rng.uniform(0.3, 0.75)
        x = width * (0.5 + np.clip(rng.normal(0, 0.05), -0.1, 0.1))
        self.pelvis = np.array([x, y - crown * self.unit])
        self._build_limbs()
        self.ground = self.pelvis[1] + bottom * self.unit

    def _build_limbs(self) -> None:
        u, m = self.unit, np.sqrt(self.mass)
        self.arms, self.legs = {}, {}
        for s in (-1, 1):
            a, b = self._arm_angles[s]
            shoulder = self.at(s * (self.shoulder - 0.01), 1.72)
            elbow = shoulder + u * 1.2 * np.array([s * np.sin(a), np.cos(a)])
            reach = 0.78 if self.arm_pose[s] in ("across", "behind") else 1.02
            wrist = elbow + u * reach * np.array([s * np.sin(b), np.cos(b)])
            k = m * (1.06 - 0.2 * self.feminine)
            radii = [0.195 * k, 0.18 * k, 0.142 * k, 0.15 * k, 0.088 * k]
            self.arms[s] = self._limb(shoulder, elbow, wrist, radii, 0.0)
            a, b = self._leg_angles[s]
            hip = self.at(s * (0.29 + 0.02 * self.feminine) * self.mass, 3.5)
            f = self._leg_scale[s]
            knee = hip + u * self.leg_length * (0.5 + 0.5 * f) * np.array([s * np.sin(a), np.cos(a)])
            ankle = knee + u * 0.93 * self.leg_length * f * np.array([s * np.sin(b), np.cos(b)])
            k = m * (1.0 + 0.05 * self.feminine)
            radii = [0.33 * k, 0.275 * k, 0.19 * k, 0.212 * k * self._calf, 0.1 * m]
            self.legs[s] = self._limb(hip, knee, ankle, radii, s * 0.03)

    def _limb(self, root: np.ndarray, joint: np.ndarray, tip: np.ndarray, radii: list[float], bow: float) -> np.ndarray:
        """Samples (n, 3) along upper and lower half, with the muscles' swell; `bow` sets them off outwards."""
        u = self.unit
        centres = [root, (root + joint) / 2 + [bow * u, 0], joint, joint + (tip - joint) * 0.33 + [bow * u, 0], tip]
        return spline([[*c, r * u] for c, r in zip(centres, radii, strict=True)], 8)
