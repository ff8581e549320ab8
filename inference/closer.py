"""Where a photo is looked at again, closer: around people whom the network sees small; without torch.

The networks learned from photos that one person fills. In a photo where people take half of the height they are parsed
much worse, so the part of the photo around them is parsed as a photo of its own.
"""

from collections.abc import Callable

import cv2
import numpy as np

Window = tuple[slice, slice]  # rows and columns of a photo

# MARGIN and NARROWEST were chosen on the validation list of CCP-OS.
MARGIN = 0.08  # around people, of their own longer side
NARROWEST = 0.5  # width of the window, at the least, of its height, or height of its width
LARGEST = 0.92  # of the photo's longer side: a larger window would show the same
LEAST_SHARE = 0.05  # of the largest patch of people, in pixels: what is smaller is none
GRID = 64  # steps of the window along the longer side
LOOKED_AT = 512  # longest side, at the least, at which patches are looked for


def closer_window(foreground: np.ndarray, marked: np.ndarray | None = None) -> Window | None:
    """The window around the people of a photo, `foreground` (H, W) bool; None where they fill it or nobody is there.

    What is `marked` (H, W) bool lies inside too.
    """
    step = max(1, max(foreground.shape) // LOOKED_AT)
    _, _, stats, _ = cv2.connectedComponentsWithStats(foreground[::step, ::step].astype(np.uint8), connectivity=8)
    boxes, areas = stats[1:, : cv2.CC_STAT_AREA] * step, stats[1:, cv2.CC_STAT_AREA]
    boxes = boxes[areas >= LEAST_SHARE * areas.max(initial=0)]
    if marked is not None and marked.any():
        boxes = np.concatenate([boxes, [cv2.boundingRect(marked.astype(np.uint8))]])
    if not len(boxes):
        return None
    first, last = boxes[:, :2].min(axis=0), (boxes[:, :2] + boxes[:, 2:]).max(axis=0)  # x and y
    size, middle = np.array(foreground.shape[::-1]), (first + last) / 2
    sides = last - first + 2 * MARGIN * (last - first).max()
    sides = np.maximum(sides, NARROWEST * sides.max()).clip(max=size)
    first = (middle - sides / 2).clip(0, size - sides)
    grid = max(1, int(size.max()) // GRID)  # a pixel more or less is the same window
    last = (np.ceil((first + sides) / grid) * grid).clip(max=size).astype(int)
    first = (np.floor(first / grid) * grid).astype(int)
    if not 0 < (last - first).max() <= LARGEST * size.max():
        return None
    (left, top), (right, bottom) = first.tolist(), last.tolist()
    return slice(top, bottom), slice(left, right)


def closer_pair(
    rgb: np.ndarray, slots: np.ndarray, people: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """A labelled photo, RGB (H, W, 3), and its slots (H, W), both cut to the people where these are small.

    `people` tells the foreground (H, W) bool of a photo; it is not asked where the labels fill the photo.
    """
    if closer_window(slots > 0) is None:
        return rgb, slots
    window = closer_window(people(rgb), slots > 0)
    return (rgb[window], slots[window]) if window else (rgb, slots)
