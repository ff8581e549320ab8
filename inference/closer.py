"""Where a photo is looked at again, closer: around people whom the network sees small; without torch.

The networks learned from photos that one person fills. In a photo where people take half of the height they are parsed
much worse, so the part of the photo around them is parsed as a photo of its own.
"""

from collections.abc import Callable

import cv2
import numpy as np

Window = tuple[slice, slice]  # rows and columns of a photo

FILLS = 0.7  # of the photo's longer side: people who take that much are not looked at again
MARGIN = 0.15  # around them, of their own longer side; both were chosen on the validation list of CCP-OS
LEAST_SHARE = 0.02  # of the largest patch of people, in pixels: what is smaller is none
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
    if marked is not None:
        boxes = np.concatenate([boxes, [cv2.boundingRect(marked.astype(np.uint8))]])
    if not len(boxes):
        return None
    first, last = boxes[:, :2].min(axis=0), (boxes[:, :2] + boxes[:, 2:]).max(axis=0)  # x and y
    side, longest = int((last - first).max()), max(foreground.shape)
    if not 0 < side <= FILLS * longest:
        return None
    margin, grid = MARGIN * side, max(1, longest // GRID)  # on a grid: a pixel more or less is the same window
    (left, top), (right, bottom) = np.floor((first - margin) / grid) * grid, np.ceil((last + margin) / grid) * grid
    height, width = foreground.shape
    return slice(max(0, int(top)), min(height, int(bottom))), slice(max(0, int(left)), min(width, int(right)))


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
