"""Label maps that are computed where classes meet equal those that are resized whole."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from networks import decoding
from networks.decoding import Maps
from networks.fast import cells, switches


def smooth(slots: int, size: tuple[int, int]) -> torch.Tensor:
    """Logits (N, h, w) that change slowly, so that classes have areas."""
    return F.interpolate(torch.randn(1, slots, 5, 4), size=size, mode="bicubic")[0]


@pytest.mark.parametrize(
    "slots, feature, size",
    [
        (2, (24, 16), (96, 64)),
        (12, (24, 16), (301, 199)),
        (300, (9, 12), (70, 95)),
        (3, (2, 2), (500, 4)),
        (5, (8, 8), (9, 9)),
    ],
)
def test_cells_give_the_plain_label_map(slots, feature, size, monkeypatch):
    torch.manual_seed(0)
    maps = Maps(smooth(slots, feature), smooth(2, feature))
    kept = torch.arange(slots - 1) % 5 != 1
    labels, foreground = decoding.decode(maps, kept, size)
    ours, person = cells.decode(maps, kept, size)
    assert ours.shape == person.shape == size and ours.dtype == (np.uint8 if slots <= 256 else np.uint16)
    assert (ours == labels.numpy()).mean() > 0.9999 and (person == foreground.numpy()).mean() > 0.9999
    monkeypatch.setattr(switches, "cells", False)
    plain, person = cells.decode(maps, kept, size)
    assert (plain == labels.numpy()).all() and (person == foreground.numpy()).all() and plain.dtype == ours.dtype


def test_a_class_that_wins_between_cells_alone_is_found_where_it_meets_others():
    """Second in both cells, and first between them."""
    logits = torch.tensor([[[3.0, 0.0], [3.0, 0.0]], [[0.0, 3.0], [0.0, 3.0]], [[2.0, 2.0], [2.0, 2.0]]])
    assert sorted(set(cells.winner(logits, (5, 30)).flatten().tolist())) == [0, 1, 2]


def test_classes_that_tie_at_a_corner_are_one_class_between():
    logits = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    found = cells.winner(logits, (6, 6))
    assert found[0, 0] in (0, 1) and (found.flatten()[1:] == 1).all()
