"""The toy data set: drawn people in clothes, with exact labels."""

from .dataset import JPEG_QUALITY, build, draw

__all__ = ["JPEG_QUALITY", "build", "draw"]
