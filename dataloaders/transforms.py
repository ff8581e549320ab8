"""Joint transforms of a photo and its label maps; the randomness comes in from outside.

The query and the support of an episode draw their own numbers, and these must follow from the seed alone whichever
worker loads the episode.
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

    @property
    def rgb(self) -> np.ndarray:
        """The photo as pixels, uint8 (H, W, 3)."""
        return self.image.permute(1, 2, 0).numpy()


def resize(sample: Sample, size: tuple[int, int]) -> Sample:
    """Resize to `size` (H, W): photo bilinear with antialiasing, label maps nearest."""
    height, width = sample.label.shape
    if (height, width) == size:
        return sample
    image = F.resize(sample.image, list(size), InterpolationMode.BILINEAR, antialias=True)
    rows, columns = _nearest(height, size[0], 0, size[0]), _nearest(width, size[1], 0, size[1])
    label, foreground = (
        torch.from_numpy(one.numpy().take(rows, axis=0).take(columns, axis=1))
        for one in (sample.label, sample.foreground)
    )
    return Sample(image, label, foreground, sample.id)


class DecodedPhoto(NamedTuple):
    """One photo and its raw label map, as they were read, and which of them are still to be mirrored left to right."""

    image: Tensor  # uint8 (3, H, W), RGB
    raw: np.ndarray  # uint8 (H, W): raw ids, 255 = ignore
    id: str
    mirror_image: bool = False
    mirror_label: bool = False


def random_scaled_crop(
    photo: DecodedPhoto, scale: tuple[float, float], size: tuple[int, int], rng: np.random.Generator
) -> DecodedPhoto:
    """Resize height and width by two independent factors, each uniform in `scale`, and crop to `size` (H, W) at random.

    A photo that is smaller then is padded at the right and bottom (image 0, label map 255).
    """
    height, width = photo.raw.shape
    factors = rng.uniform(*scale, size=2)
    whole = max(1, int(height * factors[0])), max(1, int(width * factors[1]))
    top, left = (int(rng.integers(0, max(w - s, 0) + 1)) for w, s in zip(whole, size, strict=True))
    return scaled_crop(photo, whole, (top, left), size)


def scaled_crop(
    photo: DecodedPhoto, whole: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]
) -> DecodedPhoto:
    """The crop of `size` (H, W) at `corner` (top, left) of the photo, mirrored and resized to `whole`; padded as above.

    The image is resized bilinearly with antialiasing. Of the label map, those pixels alone are looked up that the crop
    shows: the nearest to each pixel's centre, so that the labels lie where the photo does.
    """
    (top, left), shown = corner, (min(size[0], whole[0]), min(size[1], whole[1]))
    image = photo.image
    if image.shape[-2:] != whole:
        image = F.resize(image, list(whole), InterpolationMode.BILINEAR, antialias=True)
    first = whole[1] - left - shown[1] if photo.mirror_image else left
    pixels = image.numpy()[:, top : top + shown[0], first : first + shown[1]]
    pixels = pixels[..., ::-1] if photo.mirror_image else pixels
    rows = _nearest(photo.raw.shape[0], whole[0], top, shown[0])
    columns = _nearest(photo.raw.shape[1], whole[1], left, shown[1])
    columns = photo.raw.shape[1] - 1 - columns if photo.mirror_label else columns
    raw = photo.raw.take(rows, axis=0).take(columns, axis=1)
    return DecodedPhoto(torch.from_numpy(_padded(pixels, size, 0)), _padded(raw, size, IGNORE), photo.id)


def _nearest(source: int, whole: int, start: int, number: int) -> np.ndarray:
    """Of `source` pixels that are resized to `whole`, which are the nearest to `number` pixels from `start` on."""
    return ((np.arange(start, start + number) + 0.5) * (source / whole)).astype(np.intp)


def _padded(pixels: np.ndarray, size: tuple[int, int], fill: int) -> np.ndarray:
    """The pixels (..., h, w) in memory of their own, padded to `size` at the right and bottom."""
    height, width = pixels.shape[-2:]
    whole = (*pixels.shape[:-2], *size)
    out = np.empty(whole, np.uint8) if (height, width) == size else np.full(whole, fill, np.uint8)
    out[..., :height, :width] = pixels  # numpy takes interleaved colours apart in half of torch's time
    return out
