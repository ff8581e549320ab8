"""Where on the body a pixel lies: height and distance from the axis, in body heights (docs/method.md, step 33)."""

from typing import NamedTuple

import numpy as np

HEIGHT_RANGE, WIDTH_RANGE = (-0.3, 1.3), (0.0, 0.7)
LEAST_PIXELS = 30


class BodyFrame(NamedTuple):
    """A person's frame in a photo, in pixels: the top, the axis (a column) and the height."""

    top: float
    axis: float
    height: float

    def places(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Places of a grid of pixels with these rows (h,) and columns (w,): float32 (2, h, w), 0 at the top of the
        head and 1 at the feet, then the distance from the axis."""
        height = np.clip((rows - self.top) / self.height, *HEIGHT_RANGE)[:, None]
        width = np.clip(np.abs(columns - self.axis) / self.height, *WIDTH_RANGE)[None]
        shape = (len(rows), len(columns))
        return np.stack([np.broadcast_to(height, shape), np.broadcast_to(width, shape)]).astype(np.float32)


def body_frame(foreground: np.ndarray) -> BodyFrame:
    """The frame of the person in a mask (H, W), robust against single pixels; the whole photo's where it is empty."""
    rows, columns = np.nonzero(foreground == 1)
    if len(rows) < LEAST_PIXELS:
        return BodyFrame(0.0, foreground.shape[1] / 2, float(foreground.shape[0]))
    top, bottom = np.quantile(rows, (0.01, 0.99))
    return BodyFrame(float(top), float(np.median(columns)), max(float(bottom - top), 1.0))
