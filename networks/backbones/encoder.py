"""An encoder of any kind behind one interface."""

import timm
import torch
from torch import Tensor, nn

from . import timm_conv, xception


class Encoder(nn.Module):
    """(B, 3, H, W) -> low-level feature (B, low_channels, H/4, W/4), high-level (B, high_channels, H/16, W/16).

    `normalize` turns RGB images with values 0..255 into what the encoder was trained on. Raises `ValueError`
    for a name that neither this project nor timm knows, or a timm model without features at both strides.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        body = _body(name)
        self.body, (self.low_channels, self.high_channels) = body.module, body.channels
        self._bgr, self._channels_last = body.bgr, body.channels_last
        self.register_buffer("mean", torch.tensor(body.mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(body.std).reshape(3, 1, 1), persistent=False)

    def normalize(self, images: Tensor) -> Tensor:
        """RGB images (B, 3, H, W), values 0..255 of any dtype -> the encoder's input (Xception: BGR, -1..1)."""
        images = images[:, (2, 1, 0)] if self._bgr else images
        return (images.to(self.mean.dtype) - self.mean) / self.std

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.body(x)
        return (low.permute(0, 3, 1, 2), high.permute(0, 3, 1, 2)) if self._channels_last else (low, high)


def _body(name: str) -> timm_conv.Body:
    if name == xception.XCEPTION:
        return timm_conv.Body(xception.Xception65(), (256, 2048), (127.5,) * 3, (127.5,) * 3, bgr=True)
    if timm.is_model(name):
        return timm_conv.body(name)
    close = ", ".join(timm.list_models(f"*{name}*")[:5])
    unknown = f"encoder {name!r} is neither '{xception.XCEPTION}' nor a timm model"
    raise ValueError(unknown + (f" (did you mean {close}?)" if close else ""))
