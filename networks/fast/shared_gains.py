"""Two 3x3 convolutions of one feature under many gains, at the cost of few.

The published networks multiply a feature with each class's gain and run the same layers on every product. Their
first two convolutions have no activation between them, so they are one linear map of `gain * feature`, and its
products with the feature can be shared by all gains: each gain only weighs 25 of them a pixel. One query under many
supports shares those of the first convolution, 9 a pixel.
"""

import math
from collections.abc import Iterator
from types import EllipsisType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import plain_cpu_inference
from . import switches

REACH = 2  # pixels that two 3x3 convolutions reach in each direction
TAPS = (2 * REACH + 1) ** 2
SHARING_PAYS = 3  # from so many gains on
_Place = tuple[slice | int | EllipsisType, ...]


def convolve_under_gains(feature: Tensor, gains: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """`second(first(gain * feature))` for each gain: (B, D, h, w) and (B, P, h, w) -> (B, P * D', h, w).

    Either batch size may be 1. Products are shared where that pays.
    """
    passes = gains.shape[1]
    if switches.shared_gains and passes >= SHARING_PAYS:
        return shared_products(feature, gains, first, second)
    x: Tensor
    if switches.shared_gains and len(feature) == 1 and len(gains) >= SHARING_PAYS and plain_cpu_inference(feature):
        x = second(shared_conv(feature, gains.flatten(0, 1)[:, None], first))
    else:
        x = second(first((gains[:, :, None] * feature[:, None]).flatten(0, 1)))
    return x.view(-1, passes, *x.shape[1:]).flatten(1, 2)


def shared_products(feature: Tensor, gains: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """`convolve_under_gains` with all products shared, in channels-last memory."""
    batch, passes, height, width = gains.shape
    channels = second.out_channels
    # 1. The two convolutions as one, W2 * W1, which has 5x5 taps.
    with torch.autocast(feature.device.type, enabled=False):
        taps = F.conv2d(first.weight.transpose(0, 1), second.weight.flip(2, 3), padding=REACH)
        taps = taps.permute(2, 3, 1, 0).reshape(TAPS * channels, -1)
    # 2. products[v] = (sum over u + t = v of W2[u] W1[t]) feature, each at the pixel that it counts for.
    products = F.linear(feature.permute(0, 2, 3, 1), taps).unflatten(-1, (TAPS, channels))
    products = _Align.apply(products).expand(batch, -1, -1, -1, -1).flatten(0, 2)
    # 3. A pixel of a pass is the sum of its 25 products, weighed with the gains around it.
    weights = F.unfold(gains, 2 * REACH + 1, padding=REACH).unflatten(1, (passes, TAPS))
    weights = weights.permute(0, 3, 1, 2).flatten(0, 1).to(products.dtype)
    x = torch.bmm(weights, products).view(batch, height, width, passes * channels).permute(0, 3, 1, 2)
    # 4. The two convolutions in turn see zeros outside the photo; their product alone would see through the edge.
    for edge, beyond in _beyond_edges(feature, gains, first.weight, second.weight):
        x[edge] -= beyond.to(x.dtype)
    # 5. The biases, the first's as the second convolution passes it on.
    bias: Tensor = second(_bias(first).view(1, -1, 1, 1).expand(1, -1, height, width))
    return x + bias.repeat(1, passes, 1, 1).to(x.dtype)


def shared_conv(feature: Tensor, gains: Tensor, conv: nn.Conv2d) -> Tensor:
    """`conv(gain * feature)`, 3x3 with padding 1, for each gain: (1, D, h, w) and (S, 1, h, w) -> (S, D', h, w)."""
    height, width = feature.shape[-2:]
    taps = conv.weight.permute(2, 3, 0, 1).reshape(-1, conv.in_channels)
    products = F.linear(feature.permute(0, 2, 3, 1), taps).unflatten(-1, (-1, conv.out_channels))
    weights = F.unfold(gains, 3, padding=1).permute(2, 0, 1)
    x = torch.bmm(weights, _shifted(products, 1).flatten(0, 2)) + _bias(conv)
    return x.view(height, width, len(gains), -1).permute(2, 3, 0, 1)


class _Align(torch.autograd.Function):
    """Bring each tap's product to the pixel that it counts for: (B, h, w, 25, D) -> the same.

    A function of its own, since slices that autograd follows would each fill a whole gradient.
    """

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return _shifted(x, 1)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _shifted(gradient, -1)


def _shifted(x: Tensor, sign: int) -> Tensor:
    """(B, h, w, V, D) -> the same: out[b, q, v] = x[b, q + sign * v, v] for V taps v of a square, zero outside."""
    out = torch.zeros_like(x)
    height, width, taps = x.shape[1:4]
    side = math.isqrt(taps)
    for tap in range(taps):
        dy, dx = (sign * (offset - side // 2) for offset in divmod(tap, side))
        to, source = zip(*(_overlap(d, length) for d, length in ((dy, height), (dx, width))), strict=True)
        out[:, to[0], to[1], tap] = x[:, source[0], source[1], tap]
    return out


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Places q with q + shift inside 0..length-1, and those q + shift."""
    start, stop = max(0, -shift), max(max(0, -shift), min(length, length - shift))
    return slice(start, stop), slice(start + shift, stop + shift)


def _beyond_edges(feature: Tensor, gains: Tensor, first: Tensor, second: Tensor) -> Iterator[tuple[_Place, Tensor]]:
    """For each edge: where its pixels lie in (B, P * D', h, w), and what came to them from just outside the photo.

    The rows above and below include the corners outside, which the columns left and right must then leave out.
    """
    for axis, padding in ((2, 2), (3, 1)):
        for place, tap in ((0, 0), (-1, 2)):
            one, two = first.select(axis, 2 - tap), second.select(axis, tap)
            line = gains.select(axis, place)[:, :, None] * feature.select(axis, place)[:, None]
            line = F.conv1d(F.conv1d(line.flatten(0, 1), one, padding=padding), two, padding=2 - padding)
            where: _Place = (slice(None), slice(None), place) if axis == 2 else (..., place)
            yield where, line.unflatten(0, (len(gains), -1)).flatten(1, 2)


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
