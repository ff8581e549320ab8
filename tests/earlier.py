"""Checkpoints as earlier code wrote them: a record of what they hold, and files made from it.

`tests/data/earlier_checkpoints.json.gz` holds, for each file, its keys, values, tensor names, kinds and shapes, but no
weights. `write` fills them from a seed. New code is tested to open these files, so an entry is never changed. To add
the files of today's code:

    python -m tests.earlier eop_kway/last.pt=runs/ccp_eop_kway_f1/last.pt ...

Recorded at revision 737721f, all on the toy data set with tf_efficientnet_lite0: `eop_kway`, `eop_1way` (the options of
scripts/quickstart.args) and `pop_kway` (those of scripts/small.args, 16 channels), each after one short epoch; and the
released file of that day.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .standin import draw

RECORD = Path(__file__).parent / "data" / "earlier_checkpoints.json.gz"


def names() -> list[str]:
    """Names of the recorded files, such as 'eop_kway/last.pt'."""
    return list(_load())


def write(name: str, path: Path) -> Path:
    """Write the recorded file to `path`, its weights drawn from a seed, the optimiser's tensors 0; returns `path`."""
    filled = _filled(_load()[name], "")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(filled["tensors"], path, filled["metadata"])
    else:
        torch.save(filled, path)
    return path


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, as it is stored; a released one as {"metadata", "tensors"}."""
    if path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True)
    with safe_open(path, "pt") as file:
        return {"metadata": file.metadata(), "tensors": {key: file.get_tensor(key) for key in file.keys()}}  # noqa: SIM118


def describe(value: Any) -> Any:
    """The record of a value of a checkpoint, in JSON's own kinds."""
    if isinstance(value, Tensor):
        return {"tensor": [str(value.dtype).removeprefix("torch."), *value.shape]}
    if isinstance(value, dict):
        return {"dict": [[key, describe(inner)] for key, inner in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [describe(inner) for inner in value]}
    return [describe(inner) for inner in value] if isinstance(value, list) else value


def _filled(record: Any, name: str) -> Any:
    if isinstance(record, list):
        return [_filled(inner, name) for inner in record]
    if not isinstance(record, dict):
        return record
    (kind, inside), *_ = record.items()
    if kind == "tuple":
        return tuple(_filled(inner, name) for inner in inside)
    if kind == "dict":
        return {key: _filled(inner, f"{name}.{key}".lstrip(".")) for key, inner in inside}
    if name == "rng.cpu":
        return torch.Generator().manual_seed(0).get_state()
    dtype, *shape = inside
    if name.startswith("optimizer."):
        return torch.zeros(shape, dtype=getattr(torch, dtype))
    return draw(name, shape).to(getattr(torch, dtype))


def _load() -> dict[str, Any]:
    return json.loads(gzip.decompress(RECORD.read_bytes()))


def _add(pairs: list[str]) -> None:
    record = _load() if RECORD.exists() else {}
    for name, _, path in (pair.partition("=") for pair in pairs):
        if name in record:
            sys.exit(f"{name} is recorded already; an entry stays as it is: give the new one another name")
        record[name] = describe(read(Path(path)))
    RECORD.write_bytes(gzip.compress(json.dumps(record, separators=(",", ":")).encode(), mtime=0))


if __name__ == "__main__":
    _add(sys.argv[1:])
