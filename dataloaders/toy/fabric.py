"""Materials of the toy data set: skin, hair and cloth, as small tiles that repeat over a shape."""

from __future__ import annotations

import cv2
import numpy as np

TILE = 96
"""Side of a material's tile in its own pixels; every pattern's period divides it, so that tiles join without a seam."""

COLOURS = np.float32([
    [0.93, 0.92, 0.90], [0.86, 0.84, 0.80], [0.62, 0.62, 0.64], [0.36, 0.37, 0.40], [0.14, 0.14, 0.17],
    [0.10, 0.12, 0.22], [0.16, 0.23, 0.42], [0.27, 0.42, 0.68], [0.55, 0.70, 0.86], [0.12, 0.40, 0.45],
    [0.15, 0.33, 0.24], [0.36, 0.46, 0.28], [0.55, 0.66, 0.42], [0.80, 0.72, 0.52], [0.72, 0.56, 0.38],
    [0.42, 0.28, 0.20], [0.80, 0.58, 0.20], [0.92, 0.78, 0.32], [0.84, 0.42, 0.22], [0.72, 0.18, 0.18],
    [0.46, 0.12, 0.18], [0.88, 0.55, 0.58], [0.92, 0.75, 0.76], [0.60, 0.36, 0.56], [0.36, 0.24, 0.46],
])  # fmt: skip
"""Dyes (n, 3) in 0..1: neutrals first, since most wardrobes are."""

SKINS = np.float32([
    [0.97, 0.84, 0.76], [0.95, 0.79, 0.69], [0.91, 0.73, 0.60], [0.86, 0.66, 0.51], [0.78, 0.57, 0.42],
    [0.68, 0.47, 0.33], [0.56, 0.38, 0.27], [0.45, 0.30, 0.21], [0.35, 0.23, 0.17],
])  # fmt: skip

HAIRS = np.float32([
    [0.09, 0.07, 0.07], [0.16, 0.11, 0.09], [0.26, 0.17, 0.11], [0.38, 0.25, 0.15], [0.50, 0.34, 0.19],
    [0.68, 0.52, 0.30], [0.82, 0.68, 0.45], [0.55, 0.24, 0.12], [0.60, 0.59, 0.58], [0.82, 0.81, 0.79],
])  # fmt: skip

PATTERNS = ("plain", "stripes", "bars", "checks", "dots", "flowers", "patches", "ramp")


class Fabric:
    """A material: a tile float32 (TILE, TILE, 3) in 0..1 at `scale` canvas pixels each, and how it takes light.

    `gloss` is the strength of its highlight, `crumple` the height of random dents in canvas pixels, `stiffness` the
    softness of folds in canvas pixels, `fade` a second colour that the first runs into from top to bottom.
    """

    SHADE = np.float32([0.03, 0.05, 0.10])
    """Light that shadows keep: they lean to blue, as under an open sky."""

    def __init__(
        self,
        tile: np.ndarray,
        scale: float = 1.0,
        *,
        gloss: float = 0.0,
        crumple: float = 0.0,
        stiffness: float = 2.0,
        fade: np.ndarray | None = None,
    ) -> None:
        self.tile = np.broadcast_to(np.asarray(tile, np.float32), (TILE, TILE, 3))
        self.scale, self.gloss, self.crumple, self.stiffness, self.fade = scale, gloss, crumple, stiffness, fade

    @property
    def colour(self) -> np.ndarray:
        """Its mean colour (3,)."""
        return self.tile.mean(axis=(0, 1))

    def sample(self, box: tuple[int, int, int, int], angle: float, gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
        """Colours (h, w, 3) over a canvas box (x, y, w, h); slopes `gx`, `gy` bend the weave around the form."""
        x, y, w, h = box
        if self.tile.strides[0] == 0:
            colour = np.broadcast_to(self.tile[0, 0], (h, w, 3))
        else:
            xs = np.arange(x, x + w, dtype=np.float32)[None] - 2.5 * gx
            ys = np.arange(y, y + h, dtype=np.float32)[:, None] - 2.5 * gy
            c, s = np.cos(angle) / self.scale, np.sin(angle) / self.scale
            u = (xs * c + ys * s).astype(np.int32) % TILE
            v = (ys * c - xs * s).astype(np.int32) % TILE
            colour = self.tile[v, u]
        if self.fade is not None:
            share = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
            colour = colour * (1 - share) + self.fade * share
        return colour


def plain(colour: np.ndarray, **look: float) -> Fabric:
    """A material of a single colour (3,), such as skin, leather or rubber."""
    return Fabric(np.asarray(colour, np.float32), **look)


def dye(rng: np.random.Generator) -> np.ndarray:
    """A clothing colour (3,) in 0..1."""
    colour = COLOURS[rng.integers(len(COLOURS))] * rng.uniform(0.88, 1.08) + rng.normal(0, 0.02, 3)
    return np.clip(colour, 0.04, 0.97).astype(np.float32)


def cloth(rng: np.random.Generator, unit: float, *, pattern: str | None = None) -> Fabric:
    """A woven material for a figure whose head is `unit` canvas pixels high."""
    base, other = dye(rng), dye(rng)
    if np.abs(base - other).sum() < 0.5:  # a pattern of two like colours would not show
        other = np.clip(base + (0.3 if base.mean() < 0.5 else -0.3), 0.05, 0.95).astype(np.float32)
    if pattern is None:
        pattern = str(rng.choice(PATTERNS, p=[0.44, 0.12, 0.06, 0.1, 0.08, 0.09, 0.05, 0.06]))
    tile = np.empty((TILE, TILE, 3), np.float32)
    tile[:] = base
    if pattern in _DRAWERS:
        _DRAWERS[pattern](rng, tile, other)
    grain = rng.normal(0, rng.uniform(0.01, 0.035), (TILE, TILE, 1)).astype(np.float32)
    tile = np.clip(tile + grain, 0.02, 1)
    return Fabric(
        tile,
        unit / 72 * rng.uniform(0.8, 1.2),
        gloss=0.25 * (rng.random() < 0.1),
        crumple=rng.uniform(0.3, 1.1) * unit / 72,
        stiffness=unit * rng.uniform(0.025, 0.04),
        fade=other if pattern == "ramp" else None,
    )


def denim(rng: np.random.Generator, unit: float) -> Fabric:
    """Twill in a jeans blue, grey or black."""
    shades = [[0.17, 0.25, 0.42], [0.30, 0.42, 0.60], [0.50, 0.62, 0.76], [0.15, 0.16, 0.20], [0.45, 0.46, 0.50]]
    base = np.float32(shades[rng.integers(len(shades))])
    i = np.arange(TILE)
    twill = ((i[:, None] + i[None]) % 4 < 2)[..., None] * np.float32(0.035)
    patches = _noise(rng, 12)[..., None] * np.float32(0.012)
    tile = np.clip(base + twill + patches, 0.02, 1).astype(np.float32)
    return Fabric(tile, unit / 72, crumple=0.9 * unit / 72, stiffness=unit * 0.025)


def knit(rng: np.random.Generator, unit: float) -> Fabric:
    """Ribbed wool."""
    ribs = 0.06 * np.sin(np.arange(TILE) * 2 * np.pi / 8, dtype=np.float32)[None, :, None]
    rows = 0.025 * np.sin(np.arange(TILE) * 2 * np.pi / 4, dtype=np.float32)[:, None, None]
    tile = np.clip(dye(rng) + ribs + rows + rng.normal(0, 0.02, (TILE, TILE, 1)), 0.02, 1)
    return Fabric(tile.astype(np.float32), unit / 72, crumple=0.8 * unit / 72, stiffness=unit * 0.035)


def _noise(rng: np.random.Generator, grain: int) -> np.ndarray:
    """Smooth noise (TILE, TILE) of unit deviation that wraps around."""
    small = np.tile(rng.standard_normal((TILE // grain, TILE // grain)).astype(np.float32), (3, 3))
    field = cv2.resize(small, (3 * TILE, 3 * TILE), interpolation=cv2.INTER_CUBIC)[TILE : 2 * TILE, TILE : 2 * TILE]
    return (field - field.mean()) / max(float(field.std()), 1e-6)


def _stripes(rng: np.random.Generator, tile: np.ndarray, other: np.ndarray) -> None:
    period = int(rng.choice([12, 16, 24, 32]))
    tile[np.arange(TILE) % period < period * rng.uniform(0.25, 0.55)] = other


def _bars(rng: np.random.Generator, tile: np.ndarray, other: np.ndarray) -> None:
    period = int(rng.choice([8, 12, 16]))
    tile[:, np.arange(TILE) % period < period * rng.uniform(0.15, 0.5)] = other


def _checks(rng: np.random.Generator, tile: np.ndarray, other: np.ndarray) -> None:
    period = int(rng.choice([12, 16, 24]))
    band = (np.arange(TILE) % period < period * rng.uniform(0.3, 0.5)).astype(np.float32)
    share = 0.5 * (band[:, None] + band[None])
    if rng.random() < 0.5:  # a thin overcheck makes a tartan of a gingham
        thin = (np.arange(TILE) % (2 * period) < 2).astype(np.float32)
        share = np.maximum(share, np.maximum(thin[:, None], thin[None]))
    tile += (other - tile) * share[..., None]


def _dots(rng: np.random.Generator, tile: np.ndarray, other: np.ndarray) -> None:
    step = int(rng.choice([16, 24]))
    radius = max(2, round(step * rng.uniform(0.16, 0.3)))
    for row in range(-1, TILE // step + 2):
        for x in range(-step, TILE + 2 * step, step):
            cv2.circle(tile, (x + (row % 2) * step // 2, row * step), radius, other.tolist(), -1, cv2.LINE_AA)


def _flowers(rng: np.random.Generator, tile: np.ndarray, other: np.ndarray) -> None:
    leaf = np.float32([0.25, 0.45, 0.25])
    third = dye(rng)
    for _ in range(int(rng.integers(9, 16))):
        x, y = rng.uniform(0, TILE, 2)
        r, turn = rng.uniform(3.5, 6), rng.uniform(0, 6.28)
        petal = other if rng.random() < 0.65 else third
        for dx in (-TILE, 0, TILE):
            for dy in (-TILE, 0, TILE):
                cv2.circle(tile, (int(x + dx + 1.3 * r), int(y + dy + r)), round(r * 0.6), leaf.tolist(), -1)
                for k in range(5):
                    a = turn + k * 1.257
                    centre = (int(x + dx + r * np.cos(a)), int(y + dy + r * np.sin(a)))
                    cv2.circle(tile, centre, round(r * 0.7), petal.tolist(), -1, cv2.LINE_AA)
                cv2.circle(tile, (int(x + dx), int(y + dy)), round(r * 0.5), (0.95, 0.85, 0.4), -1, cv2.LINE_AA)


def _patches(rng: np.random.Generator, tile: np.ndarray, other: np.ndarray) -> None:
    tile[_noise(rng, 12) > 0.25] = other
    tile[_noise(rng, 8) > 0.9] = (other * 0.45).astype(np.float32)


_DRAWERS = {
    "stripes": _stripes,
    "bars": _bars,
    "checks": _checks,
    "dots": _dots,
    "flowers": _flowers,
    "patches": _patches,
}
