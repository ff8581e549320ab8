"""Where the golden files are, for the tests that read them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"
PARITY = SHARED / "parity"
needs_parity = pytest.mark.skipif(not PARITY.is_dir(), reason="the golden files (../shared/parity) are not here")


def standin_weights(shapes_file: str) -> dict[str, torch.Tensor]:
    """The stand-in state dict for an `official_*_shapes.json`."""
    sys.path.insert(0, str(PARITY))
    try:
        from standin_weights import state_dict_for
    finally:
        sys.path.remove(str(PARITY))
    return state_dict_for(json.loads((PARITY / shapes_file).read_text()))


def golden(name: str) -> dict[str, torch.Tensor]:
    """The arrays of a golden .npz as tensors."""
    with np.load(PARITY / name) as arrays:
        return {k: torch.from_numpy(np.asarray(arrays[k])) for k in arrays.files}
