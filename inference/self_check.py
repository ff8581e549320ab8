"""How a reference is parsed under itself: a class that is not found even there is found nowhere."""

from collections.abc import Sequence

import torch
from torch import Tensor

from networks.decoding import Maps, class_scores, decode

POOR = 0.2  # IoU


def poorly_parsed(
    maps: Sequence[Maps],
    labels: Sequence[Tensor],
    names: Sequence[str],
    unknown: Sequence[int],
    min_score: float,
    adapted: bool = False,
) -> list[str]:
    """A line that names those of the slots `unknown`, if any, that are hardly found in the labelled photos themselves.

    `maps` are those of each photo under the reference, `labels` its slots (h, w), -1 for what does not count; `names`
    are those of the slots from 1 on, `adapted` tells whether the prototypes are turned already.
    """
    hits, unions = (torch.zeros(1 + len(names)) for _ in range(2))
    for one, label in zip(maps, labels, strict=True):
        size = (label.shape[0], label.shape[1])
        slots = decode(one, class_scores([one]) >= min_score, size)[0]
        for slot in unknown:
            there, won = label == slot, (slots == slot) & (label >= 0)
            hits[slot] += (there & won).sum().cpu()
            unions[slot] += (there | won).sum().cpu()
    shares = {slot: float(hits[slot] / unions[slot].clamp(min=1)) for slot in unknown}
    poor = [f"{names[slot - 1]} {100 * share:.0f} %" for slot, share in shares.items() if share < POOR]
    if not poor:
        return []
    remedy = "mark more of them, or give further references" if adapted else "mark more of them, or try --adapt"
    return [f"hardly found even in the reference itself (IoU): {', '.join(poor)}; {remedy}"]
