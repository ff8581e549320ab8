"""Aligned Xception-65 at output stride 16, as the published networks use it (docs/method.md, steps 2 and 3)."""

import re
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import SeparableConv

XCEPTION = "xception65"


class Block(nn.Module):
    """Separable convolutions with a ReLU before each, plus a skip: (B, C, H, W) -> (B, C', H/s, W/s).

    The skip branch sees the *rectified* input. The published weights depend on it: there the leading ReLU
    worked in place. `lead_relu=False` leaves that first ReLU out (block 1, whose input is rectified already).
    """

    def __init__(self, channels: tuple[int, int, int, int], stride: int = 1, lead_relu: bool = True) -> None:
        super().__init__()
        strides = (1, 1, stride)
        self.lead_relu = lead_relu
        self.convs = nn.ModuleList(
            SeparableConv(channels[i], channels[i + 1], stride=strides[i]) for i in range(len(strides))
        )
        self.skip: nn.Conv2d | None = None
        if stride != 1 or channels[0] != channels[-1]:
            self.skip = nn.Conv2d(channels[0], channels[-1], 1, stride=stride, bias=False)
            self.skip_bn = nn.BatchNorm2d(channels[-1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output and the output of its second convolution, before the ReLU that follows."""
        if self.lead_relu:
            x = F.relu(x)
        second = self.convs[1](F.relu(self.convs[0](x)))
        out = self.convs[2](F.relu(second))
        skip = x if self.skip is None else self.skip_bn(self.skip(x))
        return out + skip, second


class Xception65(nn.Module):
    """(B, 3, H, W) -> low-level feature (B, 256, H/4, W/4), block 2's output (B, 256, H/8, W/8), high-level feature
    (B, 2048, H/16, W/16).

    Sizes are rounded up. The low-level feature is the output of block 2's second separable convolution.
    """

    channels: ClassVar = {4: 256, 8: 256, 16: 2048}  # by stride

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.block1 = Block((64, 128, 128, 128), stride=2, lead_relu=False)
        self.block2 = Block((128, 256, 256, 256), stride=2)
        self.block3 = Block((256, 728, 728, 728), stride=2)
        self.middle = nn.ModuleList(Block((728, 728, 728, 728)) for _ in range(4, 20))
        self.block20 = Block((728, 728, 1024, 1024))
        self.conv3 = SeparableConv(1024, 1536, dilation=2, activate=True)
        self.conv4 = SeparableConv(1536, 1536, dilation=2, activate=True)
        self.conv5 = SeparableConv(1536, 2048, dilation=2, activate=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        x, _ = self.block1(x)
        at_8, low = self.block2(x)
        x, _ = self.block3(at_8)
        for block in self.middle:
            x, _ = block(x)
        x, _ = self.block20(x)
        return low, at_8, self.conv5(self.conv4(self.conv3(x)))


def load_timm_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load timm's `xception65` weights, the first convolution turned from RGB to BGR; `ValueError` for others."""
    renamed = {_name(k): v for k, v in weights.items() if not k.startswith("head.")}
    missing = [k for k in module.state_dict() if k not in renamed and not k.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(f"these are not the weights of timm's {XCEPTION}: no {missing[0]}")
    renamed["conv1.weight"] = renamed["conv1.weight"].flip(1)
    module.load_state_dict(renamed, strict=False)


def _name(timms: str) -> str:
    """timm's parameter name -> ours: blocks count from 0, and their last one is our conv3 to conv5."""
    name = re.sub(r"^stem\.(\d)\.conv", lambda m: f"conv{int(m[1]) + 1}", timms)
    name = re.sub(r"^stem\.(\d)\.bn", lambda m: f"bn{int(m[1]) + 1}", name)
    name = name.replace("shortcut.conv", "skip").replace("shortcut.bn", "skip_bn")
    for short, long in (("dw", "depthwise"), ("pw", "pointwise")):
        name = name.replace(f"conv_{short}", long).replace(f"bn_{short}", f"{long}_bn")
    name = re.sub(r"^blocks\.20\.stack\.conv(\d)", lambda m: f"conv{int(m[1]) + 2}", name)
    name = re.sub(r"^blocks\.(\d+)\.", lambda m: f"{block_name(int(m[1]) + 1)}.", name)
    return re.sub(r"stack\.conv(\d)", lambda m: f"convs.{int(m[1]) - 1}", name)


def block_name(number: int) -> str:
    """Name of a block in `Xception65`, by its number in the paper, from 1: the middle flow is a list."""
    return f"middle.{number - 4}" if 4 <= number <= 19 else f"block{number}"
