"""How photos look to an encoder that has not been trained on people: a sign for pseudo-classes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from dataloaders.pseudo_classes import FeatureExtractor
from networks.backbones import Encoder
from networks.backbones.timm_conv import HIGH_STRIDE
from networks.checkpoints.pretrained import encoder_weights
from utils.distributed import say
from utils.errors import UserError
from utils.imaging import resize_longest

SIDE = 256  # longest side of a photo that is looked at


def look_of(name: str, pretrained: str, device: torch.device) -> FeatureExtractor | None:
    """What an encoder, on `device`, sees at its coarse strides with the weights of its name, whatever a training starts
    from.

    None where a training has no pretrained weights, and where those of the encoder cannot be had; that is told.
    """
    if pretrained == "none":
        return None
    encoder = Encoder(name, deep=True).to(device).eval()
    try:
        encoder_weights(encoder)
    except UserError as error:
        say(f"pseudo-classes go by place and size alone: {error}")
        return None

    @torch.inference_mode()
    def look(photo: Tensor) -> Sequence[Tensor]:
        features = encoder.features(encoder.normalize(resize_longest(photo, SIDE)[None].to(device)))
        return [F.normalize(f, dim=1)[0].float().cpu() for stride, f in features.items() if stride >= HIGH_STRIDE]

    return look
