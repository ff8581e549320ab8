"""Devices for tests whose body runs on each of them."""

import pytest
import torch

CUDA = pytest.param(
    "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
)
on_each_device = pytest.mark.parametrize("name", ["cpu", CUDA])
