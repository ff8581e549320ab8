"""Plain vision transformers of timm (DINOv2, DINOv3, EVA02, SigLIP and their like), by timm's names."""

from typing import Any, cast

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.errors import UserError

from ..layers import rounded_up
from .timm_conv import HIGH_STRIDE, LOW_STRIDE, PROBES, UNSUITABLE, Body, freeze_unused, trained_on

MODULES = ("vision_transformer", "eva")  # timm's files of such models
# Of `timm.create_model`: no classifier, photos of any size.
OPTIONS: dict[str, Any] = {"num_classes": 0, "dynamic_img_size": True}
BLOCKS = 4  # whose features are taken
STEM_CHANNELS = 64


class PlainTransformer(nn.Module):
    """(B, 3, H, W) -> the features of four evenly spaced blocks beside each other (B, 4 D, H/16, W/16).

    Height and width are multiples of 16. Whatever the size of its patches, the transformer's grid is that of stride 16:
    it sees the photo at patch / 16 of its size.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.vit = cast(Any, timm.create_model(name, **OPTIONS))  # timm's types do not tell of its methods
        depth = len(self.vit.blocks)
        self.blocks = [depth * (i + 1) // BLOCKS - 1 for i in range(BLOCKS)]
        self.vit.prune_intermediate_layers(self.blocks, prune_norm=False)  # its pooling and head
        if getattr(self.vit, "rope", None) is not None and not getattr(self.vit, "rope_mixed", False):
            self.vit.rope = TraceableRotary(self.vit.rope)
        self.patch = int(self.vit.patch_embed.patch_size[0])

    def forward(self, x: Tensor) -> tuple[Tensor]:
        if self.patch != HIGH_STRIDE:
            height, width = (side // HIGH_STRIDE * self.patch for side in x.shape[-2:])
            x = F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
        features: list[Tensor] = self.vit.forward_intermediates(
            x, indices=self.blocks, norm=True, output_fmt="NCHW", intermediates_only=True
        )
        return (torch.cat(features, dim=1),)


class TraceableRotary(nn.Module):
    """timm's rotary positions of any grid; while a graph is traced they follow its size, where timm's are constants."""

    def __init__(self, rope: Any) -> None:
        super().__init__()
        self.rope = rope

    def get_embed(self, shape: tuple[int, int]) -> Tensor:
        """Sines and cosines (H W, 2 D) of the grid `shape` (H, W).

        Raises `UserError` where a graph is traced with other positions than DINOv3's.
        """
        if not torch.jit.is_tracing():
            return cast(Tensor, self.rope.get_embed(shape=shape))
        if not hasattr(self.rope, "periods"):
            raise UserError("the encoder's rotary positions cannot be exported; export a network on another encoder")
        rows, columns = (2 * (torch.arange(side, dtype=torch.float32) + 0.5) / side - 1 for side in shape)
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)
        angles = (2 * torch.pi * places[..., None] / self.rope.periods).flatten(1)
        angles = torch.cat([angles, angles], dim=-1)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


def stem() -> nn.Sequential:
    """What gives a transformer its feature at stride 4: (B, 3, H, W) -> (B, STEM_CHANNELS, H/4, W/4), rounded up."""
    layers: list[nn.Module] = []
    for before, after in ((3, STEM_CHANNELS // 2), (STEM_CHANNELS // 2, STEM_CHANNELS)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
    return nn.Sequential(*layers)


def body(name: str) -> Body:
    """timm's transformer `name` with random weights; `ValueError` where it gives no grid of features."""
    try:
        module = PlainTransformer(name)
        channels = BLOCKS * int(module.vit.embed_dim)
        for height, width in PROBES:
            grid = rounded_up((height, width), HIGH_STRIDE)
            with torch.enable_grad():
                (feature,) = module.eval()(torch.zeros(1, 3, *(HIGH_STRIDE * side for side in grid)))
            if feature.shape != (1, channels, *grid):
                raise ValueError(f"a feature of shape {tuple(feature.shape)}")
        freeze_unused(module, [feature])
    except UNSUITABLE as error:
        raise ValueError(f"encoder {name!r} gives no features on a grid; choose another timm model") from error
    strides = {LOW_STRIDE: STEM_CHANNELS, HIGH_STRIDE: channels}
    return Body(module.train(), strides, *trained_on(module.vit), multiple=HIGH_STRIDE, stem=stem(), parts=BLOCKS)
