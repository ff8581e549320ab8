"""An encoder of any kind behind one interface."""

import difflib

import timm
import torch
from timm.models import is_model_in_modules
from torch import Tensor, nn
from torch.nn import functional as F

from utils.device import autocast, resolve_amp
from utils.errors import UserError

from ..layers import pad_to_multiple, rounded_up
from . import timm_conv, timm_vit, xception
from .timm_conv import HIGH_STRIDE, LOW_STRIDE, Body

EMPTY_SIDE = 512  # of the photo that shows what features say of the place alone


class Encoder(nn.Module):
    """(B, 3, H, W) -> low-level feature (B, low_channels, H/4, W/4), high-level (B, high_channels, H/16, W/16).

    Sizes are rounded up. `normalize` turns RGB images with values 0..255 into what the encoder was trained on.
    `features` has the feature at stride 8 too, where `channels` (channels by stride) holds one. A `deep` encoder does
    not dilate its last stage, and gives its feature at stride 32 too, where the model has one. `body` is what
    pretrained weights are for. Raises `ValueError` for a name that neither this project nor timm knows, or a timm model
    without such features.
    """

    mean: Tensor
    std: Tensor
    place: Tensor

    def __init__(self, name: str, deep: bool = False) -> None:
        super().__init__()
        self.name = name
        body = _body(name, deep)
        self.body, self.channels = body.module, body.channels
        self.low_channels, self.high_channels = self.channels[LOW_STRIDE], self.channels[HIGH_STRIDE]
        self.stem = body.stem
        self._bgr, self._channels_last, self._multiple = body.bgr, body.channels_last, body.multiple
        self.width = self.high_channels // body.parts  # of a transformer's block; all of them stand side by side
        self.frozen = False
        self.register_buffer("mean", torch.tensor(body.mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(body.std).reshape(3, 1, 1), persistent=False)

    def freeze(self) -> None:
        """From now on `body` does not learn, BatchNorm statistics included, and may compute in half precision."""
        self.frozen = True
        self.body.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Encoder":
        """As of every module, but a frozen body stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def ignore_place(self, directions: int) -> None:
        """Take out of the high-level feature as many directions, which `find_place` fills and checkpoints carry."""
        if not 0 < directions < self.width:
            raise UserError(f"--ignore-place {directions}: must be below {self.width}, the channels of the features")
        self.register_buffer("place", torch.zeros(self.high_channels // self.width, self.width, directions))

    @torch.no_grad()
    def find_place(self) -> None:
        """Find the directions in which the features of a photo without content differ: they tell the place alone.

        As INSID3 does (Cuttano et al., CVPR 2026): the first left singular vectors of its features, centred.
        """
        if not hasattr(self, "place"):
            return
        training = self.training
        self.eval()
        self.place.zero_()
        empty = self.normalize(torch.zeros(1, 3, EMPTY_SIDE, EMPTY_SIDE, device=self.mean.device))
        high = self(empty)[1].float().reshape(-1, self.width, (EMPTY_SIDE // HIGH_STRIDE) ** 2)
        high = F.normalize(high, dim=1)
        directions = torch.linalg.svd(high - high.mean(dim=2, keepdim=True), full_matrices=False)[0]
        self.place.copy_(directions[..., : self.place.shape[2]])
        self.train(training)

    def normalize(self, images: Tensor) -> Tensor:
        """RGB images (B, 3, H, W), values 0..255 of any dtype -> the encoder's input (Xception: BGR, -1..1)."""
        images = images[:, (2, 1, 0)] if self._bgr else images
        return (images.to(self.mean.dtype) - self.mean) / self.std

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(x)
        return features[LOW_STRIDE], features[HIGH_STRIDE]

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """Normalised images (B, 3, H, W) -> by stride s of `channels` a feature (B, C, H/s, W/s), sizes rounded up."""
        features = self._of_body(pad_to_multiple(x, self._multiple))
        if self._multiple > 1:
            strides = list(self.channels)[-len(features) :]
            sizes = [rounded_up(x.shape[-2:], stride) for stride in strides]
            features = [f[..., :height, :width] for f, (height, width) in zip(features, sizes, strict=True)]
        if hasattr(self, "place"):
            features[-1] = _without(features[-1], self.place)
        if self.stem is not None:
            features.insert(0, self.stem(x))
        return dict(zip(self.channels, features, strict=True))

    def _of_body(self, x: Tensor) -> list[Tensor]:
        """The body's features as (B, C, H, W)."""
        if self.frozen:
            exact = x.dtype != torch.float32 or torch.jit.is_tracing()
            with torch.no_grad(), autocast(x.device, "off" if exact else resolve_amp("auto", x.device)):
                features = [feature.to(x.dtype) for feature in self.body(x)]
        else:
            features = list(self.body(x))
        return [feature.permute(0, 3, 1, 2) for feature in features] if self._channels_last else features


def _without(feature: Tensor, place: Tensor) -> Tensor:
    """A feature (B, P C, h, w) of P parts without its components along the columns of `place` (P, C, K)."""
    parts = feature.reshape(len(feature), *place.shape[:2], -1)
    return (parts - place @ (place.mT @ parts)).reshape(feature.shape)


def _body(name: str, deep: bool) -> Body:
    if name == xception.XCEPTION:
        middle = (127.5,) * 3
        return Body(xception.Xception65(), xception.Xception65.channels, middle, middle, bgr=True)
    if not timm.is_model(name):
        close = difflib.get_close_matches(name.split(".")[0], timm.list_models(), 5)
        unknown = f"encoder {name!r} is neither '{xception.XCEPTION}' nor a timm model"
        raise ValueError(unknown + (f" (did you mean {', '.join(close)}?)" if close else ""))
    try:
        timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        architecture = name.split(".")[0]
        tags = ", ".join(timm.list_pretrained(f"{architecture}.*")[:5]) or architecture
        raise ValueError(f"encoder {name!r}: timm has no such weights for this model (it has {tags})") from error
    return timm_vit.body(name) if is_model_in_modules(name, timm_vit.MODULES) else timm_conv.body(name, deep)
