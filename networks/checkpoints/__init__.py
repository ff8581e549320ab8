"""Weights files: one door to those of this project, released ones, the authors', and pretrained encoders."""

from .checkpoint import Checkpoint, export_released, open_checkpoint
from .files import save_run
from .pretrained import initialise

__all__ = ["Checkpoint", "export_released", "initialise", "open_checkpoint", "save_run"]
