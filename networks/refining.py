"""Borders that follow the photo: logits are enlarged under its guidance (docs/method.md, step 42)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .layers import resize

STRIDE = 4  # of the feature
WINDOW = 3  # side of the windows in which logits are a linear function of the colour, in feature pixels
SMOOTH = 1e-3  # variance of colours, of values 0..1, below which they do not guide


def enlarge_under_guidance(maps: Tensor, guide: Tensor) -> Tensor:
    """Maps (B, K, h, w) at the size of `guide`, a photo (B, 3, H, W) with values 0..1: (B, K, H, W).

    The fast guided filter of He and Sun (arXiv 1505.00996) with a colour guide: in each window the map is fitted by a
    linear function of the photo's colour, and the enlarged functions are applied to the photo at its own size.
    """
    # With the maps side by side in memory, these steps are several times faster on the CPU.
    maps = maps.contiguous(memory_format=torch.channels_last)
    low = F.avg_pool2d(guide, STRIDE, ceil_mode=True, count_include_pad=False)
    # 1. Means and covariances in each window: of the colours (3 x 3), and of colours and maps (3 x K).
    mean = _box(low)
    mean_maps, *means = _box(torch.cat([maps, *(maps * low[:, i : i + 1] for i in range(3))], dim=1)).chunk(4, dim=1)
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    products = _box(torch.stack([low[:, i] * low[:, j] for i, j in pairs], dim=1))
    covariance = {
        pair: products[:, n] - mean[:, pair[0]] * mean[:, pair[1]] + SMOOTH * (pair[0] == pair[1])
        for n, pair in enumerate(pairs)
    }
    crossed = [means[i] - mean_maps * mean[:, i : i + 1] for i in range(3)]
    # 2. The slopes solve covariance * slopes = crossed; the symmetric 3 x 3 matrix is inverted by its cofactors.
    inverse = _inverse(covariance)
    slopes, offset = [], mean_maps
    for i in range(3):
        parts = [inverse[min(i, j), max(i, j)][:, None] * crossed[j] for j in range(3)]
        slopes.append(parts[0] + parts[1] + parts[2])
        offset = offset - slopes[i] * mean[:, i : i + 1]
    # 3. Each pixel takes the functions of the windows around it.
    offset, *slopes = _box(torch.cat([offset, *slopes], dim=1)).chunk(4, dim=1)
    enlarged = resize(offset, guide.shape[-2:])
    for i, slope in enumerate(slopes):
        enlarged = torch.addcmul(enlarged, resize(slope, guide.shape[-2:]), guide[:, i : i + 1])
    return enlarged


def _box(x: Tensor) -> Tensor:
    """The mean over the window around each pixel, as far as it lies in the map."""
    return F.avg_pool2d(x, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)


def _inverse(m: dict[tuple[int, int], Tensor]) -> dict[tuple[int, int], Tensor]:
    """The inverse of symmetric 3 x 3 matrices, each given by its upper half (row, column) -> (B, h, w)."""
    cofactors = {
        (0, 0): m[1, 1] * m[2, 2] - m[1, 2] * m[1, 2],
        (0, 1): m[0, 2] * m[1, 2] - m[0, 1] * m[2, 2],
        (0, 2): m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1],
        (1, 1): m[0, 0] * m[2, 2] - m[0, 2] * m[0, 2],
        (1, 2): m[0, 1] * m[0, 2] - m[0, 0] * m[1, 2],
        (2, 2): m[0, 0] * m[1, 1] - m[0, 1] * m[0, 1],
    }
    determinant = m[0, 0] * cofactors[0, 0] + m[0, 1] * cofactors[0, 1] + m[0, 2] * cofactors[0, 2]
    return {pair: cofactor / determinant for pair, cofactor in cofactors.items()}
