"""Encoders by name: `xception65` is the published networks' encoder; any other name is looked up in timm."""

from .encoder import Encoder
from .timm_conv import LITE0
from .xception import XCEPTION

__all__ = ["LITE0", "XCEPTION", "Encoder"]
