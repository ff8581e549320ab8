"""Logits that are enlarged under a photo's guidance follow its borders."""

import pytest
import torch

from networks.refining import enlarge_under_guidance


def steps(height: int, width: int, border: int) -> torch.Tensor:
    """A photo (1, 3, H, W): dark left of the column `border`, light from there on."""
    photo = torch.full((1, 3, height, width), 0.2)
    photo[..., border:] = 0.8
    return photo


@pytest.mark.parametrize("border", [14, 17, 18])
def test_a_border_moves_to_that_of_the_photo(border):
    photo = steps(32, 32, border)
    low = torch.nn.functional.avg_pool2d(photo, 4)
    maps = (low[:, :1] - 0.5) * 10  # known at the feature's pixels alone
    high = enlarge_under_guidance(maps, photo)[0, 0]
    assert (high[:, :border] < 0).all() and (high[:, border:] > 0).all()


def test_without_colours_it_is_a_smoothed_enlargement():
    maps = torch.arange(64.0).reshape(1, 1, 8, 8)
    high = enlarge_under_guidance(maps, torch.full((1, 3, 32, 32), 0.5))
    assert high.shape == (1, 1, 32, 32) and torch.isfinite(high).all()
    assert high[0, 0, 16].diff().ge(-1e-4).all() and abs(high.mean() - maps.mean()) < 0.5


def test_sizes_that_the_stride_does_not_divide():
    high = enlarge_under_guidance(torch.randn(2, 3, 9, 23), torch.rand(2, 3, 33, 90))
    assert high.shape == (2, 3, 33, 90) and torch.isfinite(high).all()
