"""Checkpoints: everything a run needs to go on, written whole or not at all, read without running code."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from utils.errors import UserError
from utils.files import remove_leftovers, replacing

FORMAT = "one-shot-human-parsing"
VERSION = 1
RELEASED = ".safetensors"


def save(path: str | Path, content: dict[str, Any]) -> None:
    """Write a checkpoint of this project: `content` plus a format mark."""
    remove_leftovers(path)
    with replacing(path) as temporary:
        try:
            torch.save({"format": FORMAT, "version": VERSION, **content}, temporary)
        except RuntimeError as error:  # torch reports a full disk so
            raise OSError(str(error).splitlines()[0]) from error


def read(path: str | Path) -> Any:
    """Read any file of tensors and plain values, a released one in the form of our checkpoints.

    Raises `UserError` where that is not what it is.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    if path.suffix == RELEASED:
        return _read_released(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: no checkpoint, or one with Python objects beside its tensors, which is not loaded since it may "
            "run code; save the network's state_dict() instead"
        ) from error
    except Exception as error:  # torch raises many kinds for files it cannot read
        raise UserError(
            f"{path}: not a readable checkpoint ({_first_line(error)}); it may be truncated: fetch or write it anew"
        ) from error


def _read_released(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        content = json.loads(metadata["content"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a released checkpoint ({str(error)[:100]}); fetch or write it anew") from error
    content["class_names"] = {int(c): name for c, name in content.get("class_names", {}).items()}
    weights = {name: t.float() if t.dtype == torch.half else t for name, t in weights.items()}
    return {**content, "format": metadata.get("format"), "network": weights}


def is_ours(content: Any) -> bool:
    """Whether what `read` gave is a checkpoint of this project."""
    return isinstance(content, dict) and content.get("format") == FORMAT


def revision() -> str:
    """The git revision of the code, with `+` for uncommitted changes; empty outside a git checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=10,
            cwd=Path(__file__).parent,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]
