"""Painting for the toy data set: smooth shapes, and a canvas that shades a shape and labels it in one stroke."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .fabric import Fabric

SUPERSAMPLE = 3
"""Canvas pixels per picture pixel, along each side."""

Outline = list[tuple[float, float]]
"""Points (x, y) in head heights, in the frame of the trunk or of the head."""

Stroke = tuple[np.ndarray, float, float]
"""Points (n, 2), width in canvas pixels, and strength: a fold's height, or the share of light that a seam takes."""


def spline(points: Sequence[Sequence[float]] | np.ndarray, steps: int = 6, closed: bool = False) -> np.ndarray:
    """A Catmull-Rom curve through `points` (n, d), as samples (m, d); d is 3 for limbs, with a radius."""
    p = np.asarray(points, np.float32)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    q = np.concatenate([ends[0], p, ends[1]])
    a, b, c, d = (q[i : len(q) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = curve.reshape(-1, p.shape[1])
    return curve if closed else np.concatenate([curve, p[-1:]])


def mirrored(half: Outline, closing: Outline | None = None) -> Outline:
    """A right half outline, points on the axis that follow it, and its mirror image, as one closed outline."""
    return [*half, *(closing or []), *[(-x, y) for x, y in reversed(half) if x > 0]]


def part_of(limb: np.ndarray, start: float, end: float, count: int = 16) -> np.ndarray:
    """The stretch of `limb` (n, 3) between two shares of its length, resampled to (count, 3)."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(limb[:, :2], axis=0).T))])
    at = np.linspace(start, end, count) * along[-1]
    return np.stack([np.interp(at, along, limb[:, i]) for i in range(3)], axis=1).astype(np.float32)


def widened(limb: np.ndarray, start: float, end: float) -> np.ndarray:
    """`limb` (n, 3) with its radii increased, by `start` at the first sample up to `end` at the last."""
    limb = limb.copy()
    limb[:, 2] += np.linspace(start, end, len(limb))
    return limb


def normals(curve: np.ndarray) -> np.ndarray:
    """Unit normals (n, 2) of a curve (n, 2 or 3)."""
    step = np.gradient(curve[:, :2], axis=0)
    step /= np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)[:, None]
    return np.stack([-step[:, 1], step[:, 0]], axis=1)


def across(limb: np.ndarray, share: float, skew: float = 0.0, span: float = 0.9) -> np.ndarray:
    """A shallow arc (3, 2) over `limb` (n, 3) at a share of its samples; `skew` tilts it. Folds and cuffs use it."""
    i = int(np.clip(share * (len(limb) - 1), 1, len(limb) - 2))
    x, y, r = limb[i]
    along = limb[i + 1, :2] - limb[i - 1, :2]
    along /= max(float(np.hypot(*along)), 1e-6)
    side = np.array([-along[1], along[0]])
    centre = np.array([x, y])
    ends = [centre + sign * span * r * side + sign * skew * r * along for sign in (-1, 1)]
    return np.array([ends[0], centre + 0.22 * r * along, ends[1]])


class Canvas:
    """A picture being painted, at `SUPERSAMPLE` times its final size.

    `rgb` is float32 (H, W, 3) in 0..1, `label` uint8 (H, W). Every shape sets both, so they agree to the pixel.
    `light` (3,) points from the figure to the lamp (x right, y down, z to the viewer); `ambient` is the share of light
    that comes from everywhere.
    """

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.shape = (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE)
        self.rgb = np.zeros((*self.shape, 3), np.float32)
        self.label = np.zeros(self.shape, np.uint8)
        side = rng.choice([-1, 1]) * rng.uniform(0.25, 0.75)
        light = np.array([side, rng.uniform(-0.75, -0.35), rng.uniform(0.65, 1.0)])
        self.light = light / np.linalg.norm(light)
        self.ambient = rng.uniform(0.35, 0.55)
        small = rng.standard_normal((48, max(2, round(48 * size[1] / size[0])))).astype(np.float32)
        self.crumple = cv2.resize(small, self.shape[::-1], interpolation=cv2.INTER_CUBIC)

    def blank(self) -> np.ndarray:
        """An empty mask, uint8 (H, W)."""
        return np.zeros(self.shape, np.uint8)

    def polygon(self, points: np.ndarray) -> np.ndarray:
        """Mask uint8 (H, W), 0 or 255, of a closed outline (n, 2)."""
        mask = self.blank()
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 255)
        return mask

    def tube(self, limb: np.ndarray, *, cap_start: bool = True, cap_end: bool = True) -> np.ndarray:
        """Mask uint8 (H, W) of a limb (n, 3) of varying radius; an end without cap is cut straight."""
        mask = self.blank()
        offset = normals(limb) * limb[:, 2:3]
        left, right = limb[:, :2] + offset, limb[:, :2] - offset
        quads = np.round(np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)).astype(np.int32)
        for quad in quads:  # one by one: filled together, overlapping quads of a sharp bend would leave holes
            cv2.fillConvexPoly(mask, quad, 255)
        caps = [0] * cap_start + [len(limb) - 1] * cap_end
        for x, y, r in limb[caps] if caps else ():
            cv2.circle(mask, (round(float(x)), round(float(y))), max(1, round(float(r))), 255, -1)
        return mask

    def faded(self, under: np.ndarray, joint: np.ndarray, along: np.ndarray, length: float) -> np.ndarray:
        """Opacity float32 (H, W) that lets a limb grow out of the shape `under` (mask) at `joint`, without a rim."""
        ys, xs = np.ogrid[: self.shape[0], : self.shape[1]]
        ramp = ((xs - joint[0]) * along[0] + (ys - joint[1]) * along[1]) / length + 0.1
        # A wide blur is slow at full size, and looks the same at a quarter of it.
        small = cv2.resize(under, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), length * 0.3 / 4).astype(np.float32) * (2 / 255) - 1
        soft = cv2.resize(small, self.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.clip(np.maximum(ramp, 1 - np.clip(soft, 0, 1)), 0, 1).astype(np.float32)

    def paint(
        self,
        mask: np.ndarray,
        label: int,
        fabric: Fabric,
        *,
        radius: float = 40.0,
        bulge: float = 0.8,
        folds: Sequence[Stroke] = (),
        seams: Sequence[Stroke] = (),
        alpha: np.ndarray | None = None,
        angle: float = 0.0,
        rim: float = 0.6,
        shadow: float = 0.35,
    ) -> None:
        """Fill `mask` (H, W) with `fabric` and `label`, shaded as a rounded surface.

        `radius`: distance from the edge, in canvas pixels, over which the surface curves; `bulge`: how much.
        `folds` raise or lower the surface, `seams` darken it, `alpha` is an opacity (H, W), `angle` turns the weave,
        `rim` is the light left at the outline, `shadow` the darkness thrown on what lies below.
        """
        x, y, w, h = cv2.boundingRect(mask)
        if w < 3 or h < 3:
            return
        # A ring of zeros around the shape lets its outline fall off; where the picture cuts it, there is none.
        x, y, x1, y1 = max(x - 2, 0), max(y - 2, 0), min(x + w + 2, self.shape[1]), min(y + h + 2, self.shape[0])
        w, h = x1 - x, y1 - y
        box = np.s_[y:y1, x:x1]
        if shadow:
            self._throw_shadow(mask, (x, y, w, h), shadow, radius)
        m = mask[box]
        depth = cv2.distanceTransform(m, cv2.DIST_L2, 3)
        reach = max(2.0, min(radius, float(depth.max())))
        height = bulge * reach * np.sqrt(1 - (1 - np.minimum(depth / reach, 1)) ** 2)
        height = cv2.GaussianBlur(height, (0, 0), max(1.0, reach * 0.12))
        height += self._strokes(folds, (x, y, w, h), fabric.stiffness) + fabric.crumple * self.crumple[box]
        gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        lx, ly, lz = (float(v) for v in self.light)
        facing = (lz - gx * lx - gy * ly) / np.sqrt(1 + gx * gx + gy * gy)
        light = self.ambient + (1 - self.ambient) * np.clip(facing / lz, 0, 1.35)
        light *= 1 - (1 - rim) * np.clip(1.9 - depth, 0, 1)
        if seams:
            light *= 1 - np.clip(self._strokes(seams, (x, y, w, h), 0.5), -0.3, 0.9)
        colour = fabric.sample((x, y, w, h), angle, gx, gy)
        colour = colour * (light[..., None] + np.maximum(1 - light, 0)[..., None] * fabric.SHADE)
        if fabric.gloss:
            colour += (fabric.gloss * np.clip(facing, 0, 1) ** 24)[..., None]
        opacity = (m > 0).astype(np.float32)
        if alpha is not None:
            opacity *= alpha[box]
        self.rgb[box] += (colour - self.rgb[box]) * opacity[..., None]
        self.label[box][opacity >= 0.5] = label

    def ink(
        self, outline: np.ndarray, colour: Sequence[float], opacity: float = 1.0, within: int | None = None
    ) -> None:
        """Fill an outline (n, 2) with a flat colour, without touching labels; `within` keeps it on one label."""
        self._ink(lambda mask, p: cv2.fillPoly(mask, [p], 255, cv2.LINE_AA), outline, colour, opacity, within, 2)

    def line(
        self, points: np.ndarray, colour: Sequence[float], width: float, opacity: float = 1.0, within: int | None = None
    ) -> None:
        """Draw a thin line (n, 2) of a flat colour, without touching labels."""
        thick = max(1, round(width))
        self._ink(
            lambda mask, p: cv2.polylines(mask, [p], False, 255, thick, cv2.LINE_AA),
            points, colour, opacity, within, thick + 2,
        )  # fmt: skip

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Picture float32 (h, w, 3), averaged over each block, and label uint8 (h, w), each block's majority."""
        h, w = (n // SUPERSAMPLE for n in self.shape)
        picture = cv2.resize(self.rgb, (w, h), interpolation=cv2.INTER_AREA)
        present = np.flatnonzero(np.bincount(self.label.ravel()))
        votes = [
            cv2.resize((self.label == k).astype(np.float32), (w, h), interpolation=cv2.INTER_AREA) for k in present
        ]
        return picture, present[np.argmax(votes, axis=0)].astype(np.uint8)

    def _ink(
        self, draw: Callable[[np.ndarray, np.ndarray], object], points: np.ndarray, colour: Sequence[float],
        opacity: float, within: int | None, pad: int,
    ) -> None:  # fmt: skip
        """Blend `colour` in where `draw` marks a mask that is cut to the points and `pad` pixels around them."""
        p = np.round(np.asarray(points)).astype(np.int32)
        x0, y0 = np.maximum(p.min(axis=0) - pad, 0)
        x1, y1 = np.minimum(p.max(axis=0) + pad + 1, self.shape[::-1])
        if x0 >= x1 or y0 >= y1:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        draw(mask, p - np.array([x0, y0], np.int32))
        share = mask.astype(np.float32) * (opacity / 255)
        if within is not None:
            share *= self.label[y0:y1, x0:x1] == within
        area = self.rgb[y0:y1, x0:x1]
        area += (np.asarray(colour, np.float32) - area) * share[..., None]

    def _throw_shadow(self, mask: np.ndarray, box: tuple[int, int, int, int], strength: float, radius: float) -> None:
        x, y, w, h = box
        reach = max(3, int(radius * 0.25))
        pad = 3 * reach
        x0, y0 = max(x - pad, 0), max(y - pad, 0)
        area = np.s_[y0 : y + h + pad, x0 : x + w + pad]
        shift = np.float32([[1, 0, -self.light[0] * reach], [0, 1, -self.light[1] * reach]])
        m = mask[area]
        soft = cv2.GaussianBlur(cv2.warpAffine(m, shift, m.shape[::-1]), (0, 0), reach * 0.6)
        # Only the figure receives it: a halo on a distant background would give the outline away.
        share = soft.astype(np.float32) * (strength / 255) * (self.label[area] > 0)
        self.rgb[area] *= 1 - share[..., None]

    @staticmethod
    def _strokes(strokes: Sequence[Stroke], box: tuple[int, int, int, int], softness: float) -> np.ndarray:
        x, y, w, h = box
        total = np.zeros((h, w), np.float32)
        for points, width, strength in strokes:
            p = np.round((spline(points, 5) if len(points) > 2 else np.asarray(points)) - [x, y]).astype(np.int32)
            cv2.polylines(total, [p], False, float(strength), max(1, round(width)))
        return cv2.GaussianBlur(total, (0, 0), max(0.4, softness)) if strokes else total
