"""Joint transforms of a photo and its label maps; the randomness comes in from outside.

The functional forms of torchvision are used, as the query and the support of an episode draw their own numbers, and
these must follow from the seed alone whichever worker loads the episode.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from utils.constants import IGNORE


class Sample(NamedTuple):
    """One photo with its label maps."""

    image: Tensor  # uint8 (3, H, W), RGB
    label: Tensor  # uint8 (H, W): merged class ids, 255 = ignore
    foreground: Tensor  # uint8 (H, W): 1 = any part of a person, 0 = background, 255 = ignore
    id: str


def resize(sample: Sample, size: tuple[int, int]) -> Sample:
    """Resize to `size` (H, W): photo bilinear with antialiasing, label maps nearest."""
    if sample.image.shape[-2:] == size:
        return sample
    image = F.resize(sample.image, list(size), InterpolationMode.BILINEAR, antialias=True)
    maps = torch.stack([sample.label, sample.foreground])
    # "exact" samples pixel centres, as the photo does; plain "nearest" would shift the labels by up to half a pixel
    label, foreground = F.resize(maps, list(size), InterpolationMode.NEAREST_EXACT)
    return Sample(image, label, foreground, sample.id)


def random_scale(sample: Sample, scale: tuple[float, float], rng: np.random.Generator) -> Sample:
    """Resize height and width by two independent factors, each uniform in `scale`."""
    height, width = sample.label.shape
    factors = rng.uniform(*scale, size=2)
    return resize(sample, (max(1, int(height * factors[0])), max(1, int(width * factors[1]))))


def random_crop(sample: Sample, size: tuple[int, int], rng: np.random.Generator) -> Sample:
    """Crop to `size` (H, W) at random; a smaller photo is padded at the right and bottom (image 0, label maps 255)."""
    height, width = sample.label.shape
    top = int(rng.integers(0, max(height - size[0], 0) + 1))
    left = int(rng.integers(0, max(width - size[1], 0) + 1))
    rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
    image = sample.image[:, rows, columns]
    maps = torch.stack([sample.label, sample.foreground])[:, rows, columns]
    missing = [0, 0, size[1] - image.shape[2], size[0] - image.shape[1]]
    if any(missing):
        image, maps = F.pad(image, missing, fill=0), F.pad(maps, missing, fill=IGNORE)
    label, foreground = maps.contiguous()
    return Sample(image.contiguous(), label, foreground, sample.id)
