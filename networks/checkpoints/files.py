"""Weights files as such: written whole or not at all, read without running code."""

import errno
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from utils import __version__
from utils.errors import UserError
from utils.files import remove_leftovers, replacing

FORMAT = "one-shot-human-parsing"
VERSION = 2  # of the format; 1 called `channels` hidden, and `unlabelled_person` hidden_pixels
RELEASED = ".safetensors"


def save_run(path: str | Path, network: nn.Module, record: Mapping[str, Any]) -> None:
    """Write a checkpoint of a run: the network's weights and `record`, tensors and plain values by name.

    `open_checkpoint` needs of these "settings" (a dict), "num_slots" and "trained_epoch". Raises `UserError` when the
    file cannot be written.
    """
    marks = {"format": FORMAT, "version": VERSION, "written_by": __version__}
    content = {**marks, **record, "network": network.state_dict()}
    remove_leftovers(path)
    with replacing(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch reports a full disk so
            if "unexpected pos" in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise OSError(str(error).splitlines()[0]) from error


def read(path: str | Path) -> Any:
    """The content of a weights file, a released one in the form of a run's. `UserError` where it cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; train one with train.py, or name another file")
    try:
        if path.suffix == RELEASED:
            return _read_released(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: no checkpoint, or one with Python objects beside its tensors, which is not loaded since it may "
            "run code; save the network's state_dict() instead"
        ) from error
    except Exception as error:  # files that cannot be read raise many kinds
        raise UserError(
            f"{path}: not a readable checkpoint ({first_line(error)}); it may be truncated: fetch or write it anew"
        ) from error


def first_line(error: Exception) -> str:
    """The beginning of an error's message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:160]


def _read_released(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        weights: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    if "content" not in metadata:
        return weights  # tensors alone, such as timm's of an encoder
    weights = {name: t.float() if t.dtype == torch.half else t for name, t in weights.items()}
    return {**json.loads(metadata["content"]), "format": metadata.get("format"), "network": weights}
