"""Released checkpoints: one small safetensors file with the weights, and the settings as JSON in its metadata."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from utils.errors import UserError
from utils.files import replacing

from ..base import OneShotNetwork
from . import files as checkpoint
from .loading import load_authors, load_ours


@dataclasses.dataclass(frozen=True)
class Opened:
    """A network ready to use, with what its file says of it."""

    network: OneShotNetwork
    epoch: int
    test_size: int  # longest side at which photos were parsed in its evaluation; 0: as they are
    class_names: dict[int, str]  # of the data set it was trained on; empty for the authors' files
    min_score: float | None  # score below which a class counts as absent, where it was measured
    notes: list[str]


def export_released(source: str | Path, out: str | Path, min_score: float | None = None) -> int:
    """Write the network of our checkpoint `source` as a released file; returns its size in bytes.

    Convolution weights and the bank are stored in half precision; BatchNorm and all other vectors and scalars, whose
    range half precision does not cover, stay in single. `min_score` is the score below which a class counts as absent.
    Raises `UserError` when `source` is no checkpoint of this project.
    """
    content = checkpoint.read(source)
    if not checkpoint.is_ours(content):
        raise UserError(f"{source}: not a checkpoint of this project; give the last.pt or best.pt of a run")
    network = load_ours(str(source), content).network  # complains about a checkpoint whose parts do not fit
    weights = {name: _compact(tensor) for name, tensor in network.state_dict().items()}
    kept = {key: content[key] for key in ("settings", "num_slots", "class_names", "trained_epoch") if key in content}
    if min_score is not None:
        kept["min_score"] = min_score
    metadata = {"format": checkpoint.FORMAT, "content": json.dumps(kept)}
    with replacing(out) as temporary:
        save_file(weights, temporary, metadata)
    return Path(out).stat().st_size


def open_checkpoint(path: str | Path, num_slots: int | None = None, way: str = "") -> Opened:
    """Open a released file, a checkpoint of this project, or (with `num_slots` and `way`) one of the authors'.

    Raises `UserError` when the file is missing, damaged or of something else.
    """
    path = str(path)
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint; train one with train.py, or name another file")
    content = checkpoint.read(path)
    if not checkpoint.is_ours(content):
        if num_slots is None or not way:
            raise UserError(f"{path}: not of this project, so --dataset and --way must be given")
        loaded, names = load_authors(path, content, num_slots, way), {}
        min_score = None
    else:
        loaded, names = load_ours(path, content), content.get("class_names", {})
        min_score = content.get("min_score")
    test_size = (loaded.record or {}).get("test_size", 0)
    return Opened(loaded.network.eval(), loaded.epoch, test_size, names, min_score, loaded.notes)


def _compact(tensor: Tensor) -> Tensor:
    matrix = tensor.is_floating_point() and tensor.numel() > max(tensor.shape, default=1)
    return (tensor.half() if matrix else tensor).contiguous()
