"""Random changes of a training photo's light and colours, of single garments too; docs/method.md, step 43."""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from utils.constants import IGNORE

from .reading import ids_in
from .transforms import Sample

LIGHT, CONTRAST, SATURATION = 0.4, 0.4, 0.5  # largest relative change
TINT = 15.0  # largest shift of a colour channel
HUE, ANY_HUE = 0.15, 0.1  # turn of the hue in radians; how often any turn
PLAIN, GARMENT, BLURRED, NOISY, COVERED = 0.15, 0.4, 0.15, 0.15, 0.3  # how often
NOISE = 8.0
PATCH = (0.08, 0.3)  # sides of a covered patch, as shares of the photo's sides

TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
TO_RGB = np.linalg.inv(TO_YIQ)


def recolour(sample: Sample, rng: np.random.Generator) -> Sample:
    """The photo in another light; now and then a garment in a colour of its own, blur, noise, or a covered patch.

    Pixels under a patch have no label (255).
    """
    if rng.random() < PLAIN:
        return sample
    image = _tinted(sample.image.float(), rng)
    classes = ids_in(sample.label.numpy())
    if classes and rng.random() < GARMENT:
        garment = sample.label == int(rng.choice(classes))
        image[:, garment] = _tinted(image[:, garment][..., None], rng, any_hue=0.5)[..., 0]
    if rng.random() < BLURRED:
        image = F.gaussian_blur(image, [5, 5], [float(rng.uniform(0.5, 1.5))])
    if rng.random() < NOISY:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(0, NOISE)
        image += torch.from_numpy(noise.astype(np.float32))
    label, foreground = sample.label, sample.foreground
    if rng.random() < COVERED:
        rows, columns = _patch(image.shape[-2:], rng)
        image[:, rows, columns] = torch.from_numpy(rng.uniform(0, 255, size=(3, 1, 1))).float()
        label, foreground = label.clone(), foreground.clone()
        label[rows, columns] = foreground[rows, columns] = IGNORE
    return Sample(image.clamp(0, 255).to(torch.uint8), label, foreground, sample.id)


def _tinted(image: Tensor, rng: np.random.Generator, any_hue: float = ANY_HUE) -> Tensor:
    """RGB (3, H, W) under a random turn of the hue, saturation, light, contrast about its mean, and tint."""
    turn = rng.uniform(-np.pi, np.pi) if rng.random() < any_hue else rng.normal(0, HUE)
    saturation, light, contrast = (1 + rng.uniform(-most, most) for most in (SATURATION, LIGHT, CONTRAST))
    cosine, sine = saturation * np.cos(turn), saturation * np.sin(turn)
    chroma = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    matrix = torch.from_numpy(TO_RGB @ chroma @ TO_YIQ).float() * light
    coloured = torch.einsum("rc,chw->rhw", matrix, image)
    mean = coloured.mean()
    tint = torch.from_numpy(rng.uniform(-TINT, TINT, size=(3, 1, 1))).float()
    changed: Tensor = (coloured - mean) * contrast + mean + tint
    return changed.clamp(0, 255)


def _patch(size: torch.Size, rng: np.random.Generator) -> tuple[slice, slice]:
    """A random window of a photo of `size` (H, W)."""
    sides = [max(1, int(side * rng.uniform(*PATCH))) for side in size]
    starts = [int(rng.integers(0, whole - side + 1)) for whole, side in zip(size, sides, strict=True)]
    rows, columns = (slice(start, start + side) for start, side in zip(starts, sides, strict=True))
    return rows, columns
