"""Training photos in larger surroundings: people as small, and as far from the middle, as in photos of every day.

The surroundings are the photo's own: its margins beside the person go on outwards, mirrored again and again.
"""

import numpy as np
import torch
from torch import Tensor

from utils.constants import IGNORE

from .transforms import Sample

LEAST_MARGIN = 6  # pixels beside the person of which surroundings can be made
GAP = 2  # pixels beside the person that may still show some of them
GREY = 127  # where there is no photo


def window(sample: Sample, corner: np.ndarray, size: tuple[int, int], surrounded: bool = False) -> Sample:
    """The window of `size` (H, W) with its first pixel at `corner`, in which the photo may end at any side.

    Beyond it is grey, and 255 in the maps; where the photo is `surrounded`, its margins go on instead, if they are wide
    enough.
    """
    person = sample.foreground.numpy() == 1
    lines, inside = [], []
    for axis in (0, 1):
        length = person.shape[axis]
        places = np.arange(int(corner[axis]), int(corner[axis]) + size[axis])
        if surrounded:
            places = _beyond(places, length, person.any(axis=1 - axis).nonzero()[0])
        inside.append(torch.from_numpy((places >= 0) & (places < length)))
        lines.append(torch.from_numpy(places.clip(0, length - 1)))
    rows, columns = lines
    there = inside[0][:, None] & inside[1]

    def cut(part: Tensor, outside: int) -> Tensor:
        return torch.where(there, part[..., rows, :][..., columns], torch.tensor(outside, dtype=part.dtype))

    return Sample(cut(sample.image, GREY), cut(sample.label, IGNORE), cut(sample.foreground, IGNORE), sample.id)


def _beyond(places: np.ndarray, length: int, taken: np.ndarray) -> np.ndarray:
    """Lines of a photo of so many for `places` that may lie outside: within its margins beside the lines `taken`."""
    if not len(taken):
        return places
    before, after = int(taken[0]) - GAP, length - int(taken[-1]) - 1 - GAP
    if before >= LEAST_MARGIN:
        places = np.where(places < 0, _mirrored(-1 - places, before), places)
    if after >= LEAST_MARGIN:
        places = np.where(places >= length, length - 1 - _mirrored(places - length, after), places)
    return places


def _mirrored(distance: np.ndarray, margin: int) -> np.ndarray:
    """How far from its outer edge a margin holds what lies at a `distance` beyond that edge."""
    back = distance % (2 * margin)
    mirrored: np.ndarray = np.minimum(back, 2 * margin - 1 - back)
    return mirrored
