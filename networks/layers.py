"""Building blocks that every network here shares."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.no_grad()
def kaiming_init(network: nn.Module) -> None:
    """Draw the weights of every convolution by Kaiming's normal rule, as the published networks start (D15).

    An `Affine` is drawn as the 1x1 convolution that it stands for. Biases are uniform, as torch has them.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | Affine):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                bound = module.weight[0].numel() ** -0.5
                nn.init.uniform_(module.bias, -bound, bound)


class Layer(nn.Module):
    """A module whose call gives one tensor; type checkers cannot know that of `nn.Module`."""

    if TYPE_CHECKING:

        def __call__(self, *inputs: Any, **options: Any) -> Tensor: ...


class SeparableConv(Layer):
    """Depthwise 3x3 -> BN -> pointwise 1x1 -> BN, optionally with a ReLU after each BN.

    (B, C, H, W) -> (B, C', H', W'); the padding equals the dilation, so stride 1 keeps the size.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1, activate: bool = False
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, stride, padding=dilation, dilation=dilation, groups=in_channels, bias=False
        )
        self.depthwise_bn = nn.BatchNorm2d(in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pointwise_bn = nn.BatchNorm2d(out_channels)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise_bn(self.depthwise(x))
        if self.activate:
            x = F.relu(x, inplace=True)
        x = self.pointwise_bn(self.pointwise(x))
        return F.relu(x, inplace=True) if self.activate else x


class ConvBNReLU(Layer):
    """1x1 convolution without bias -> BN -> ReLU: (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Affine(Layer):
    """`weight * x + bias` with one scalar each; shaped like a 1x1 convolution from 1 to 1 channel."""

    def __init__(self, weight: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1, 1, 1), weight))
        self.bias = nn.Parameter(torch.full((1,), bias))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.reshape(()) * x + self.bias.reshape(())


def resize(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resize (B, C, H, W) to (B, C, *size) bilinearly, corners aligned as the published networks do."""
    if x.shape[-2:] == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def rounded_up(size: Sequence[int], stride: int) -> tuple[int, int]:
    """Height and width of a feature at `stride` for a photo of `size` (H, W)."""
    height, width = ((side + stride - 1) // stride for side in size)
    return height, width


def pad_to_multiple(x: Tensor, multiple: int, mode: str = "constant") -> Tensor:
    """Zeros right of and below (B, C, H, W), so that its sides are multiples; "replicate": its last column and row."""
    if multiple == 1:
        return x
    height, width = rounded_up(x.shape[-2:], multiple)
    return F.pad(x, (0, width * multiple - x.shape[-1], 0, height * multiple - x.shape[-2]), mode=mode)


def resize_labels(labels: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resize integer label maps (B, H, W) to (B, *size) by the nearest pixel."""
    return F.interpolate(labels[:, None].float(), size=tuple(size), mode="nearest")[:, 0].to(labels.dtype)


def labels_on_corners(labels: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Integer label maps (B, H, W) at the pixels (B, *size) from which `resize` would enlarge with aligned corners."""
    if labels.shape[-2:] == tuple(size):
        return labels
    places = [
        (torch.arange(few, device=labels.device) * ((many - 1) / max(few - 1, 1))).round().long()
        for many, few in zip(labels.shape[-2:], size, strict=True)
    ]
    return labels[:, places[0]][:, :, places[1]]


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision becomes float32; float64 stays."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def plain_cpu_inference(x: Tensor) -> bool:
    """Whether `x` is on the CPU in single or double precision, and nobody records what happens to it.

    Only then do ways of convolving pay that save multiplications: a GPU's libraries have their own, in half precision
    the factors cost accuracy, and training and exported networks keep torch's convolutions.
    """
    watched = torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing()
    exact = not torch.is_autocast_enabled("cpu") and x.dtype in (torch.float32, torch.float64)
    return not watched and exact and x.device.type == "cpu"
