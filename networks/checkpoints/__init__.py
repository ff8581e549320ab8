"""Weights files: one door to those of this project, released ones, the authors', and pretrained encoders."""

from .checkpoint import Checkpoint, open_checkpoint
from .files import save_run
from .pretrained import initialise
from .released import export_released

__all__ = ["Checkpoint", "export_released", "initialise", "open_checkpoint", "save_run"]
