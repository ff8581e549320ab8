"""Released checkpoints: one small safetensors file with the weights, and the settings as JSON in its metadata."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from utils import __version__
from utils.files import replacing

from . import files
from .checkpoint import open_checkpoint


def export_released(source: str | Path, out: str | Path, min_score: float | None = None) -> int:
    """Write the network of our checkpoint `source` as a released file; returns its size in bytes.

    Convolution weights and the bank are stored in half precision; BatchNorm and all other vectors and scalars, whose
    range half precision does not cover, stay in single. `min_score` is the score below which a class counts as absent.
    Raises `UserError` when `source` is no checkpoint of this project.
    """
    checkpoint = open_checkpoint(source)
    network = checkpoint.build()  # complains about a checkpoint whose parts do not fit
    weights = {name: _compact(tensor) for name, tensor in network.state_dict().items()}
    kept = ("settings", "num_slots", "class_names", "trained_epoch")
    content = {"version": files.VERSION, "written_by": __version__}
    content |= {name: checkpoint.record[name] for name in kept if name in checkpoint.record}
    if min_score is not None:
        content["min_score"] = min_score
    metadata = {"format": files.FORMAT, "content": json.dumps(content)}
    with replacing(out) as temporary:
        save_file(weights, temporary, metadata)
    return Path(out).stat().st_size


def _compact(tensor: Tensor) -> Tensor:
    matrix = tensor.is_floating_point() and tensor.numel() > max(tensor.shape, default=1)
    return (tensor.half() if matrix else tensor).contiguous()
