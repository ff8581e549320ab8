"""Where the golden files are, for the tests that read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"
PARITY = SHARED / "parity"
needs_parity = pytest.mark.skipif(not PARITY.is_dir(), reason="the golden files (../shared/parity) are not here")


def golden(name: str) -> dict[str, torch.Tensor]:
    """The arrays of a golden .npz as tensors."""
    with np.load(PARITY / name) as arrays:
        return {k: torch.from_numpy(np.asarray(arrays[k])) for k in arrays.files}
