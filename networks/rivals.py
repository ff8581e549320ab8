"""Which known classes compete with a support as background (docs/method.md, step 40)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from utils.rivals import UNKNOWN_BIAS, left_over, taken_pixels, thinned

from .base import Features, OneShotNetwork
from .decoding import decode
from .prototypes import Prototypes


def choose_rivals(
    network: OneShotNetwork,
    photos: Sequence[tuple[Features, np.ndarray]],
    others: Sequence[int],
    unknown: Sequence[int],
    like: Prototypes,
) -> list[int]:
    """The rows of the bank among `others` that are none of the `unknown` classes by another name.

    `photos` are the features (batch 1) and slots (H, W) of the labelled ones, `unknown` the slots that the bank
    lacks, `like` the prototypes. The photos are parsed with the others alone, and what these win is compared with the
    classes; so are the prototypes.
    """
    vectors = network.bank.rows[list(others)].to(like.classes.dtype)
    alone = Prototypes.of_classes(vectors, like.foreground[0, 0], network.way)
    kept = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
    taken = np.zeros((1 + len(vectors), len(unknown) + 1))
    for features, slots in photos:
        small = thinned(slots)
        won = decode(network.class_maps(features, alone)[0], kept, (small.shape[0], small.shape[1]))[0].cpu().numpy()
        taken += taken_pixels(won, small, unknown, len(vectors))
    own, theirs = (v.detach().float().cpu().numpy() for v in (like.classes[0, list(unknown)], vectors))
    return left_over(taken, own, theirs, others)


def blend_support(
    network: OneShotNetwork, alone: Prototypes, photo: Features, label: Tensor, class_id: int
) -> Prototypes:
    """A support's prototypes over all slots blended with the bank, its rivals chosen as for a reference.

    `photo` are its features (batch 1), `label` (1, H, W) its slots; `class_id` is that of a 1-way episode.
    """
    blended = network.blend_with_bank(alone, torch.tensor([class_id], device=label.device))
    if blended.rivals is None:
        return blended
    rivals, remembered = ((rows != 0).any(dim=1) for rows in (blended.rivals[0], network.bank.rows))
    lacking = alone.present & ~remembered
    unknown, others = (which.nonzero()[:, 0].tolist() for which in (lacking[0], rivals))
    kept = torch.ones_like(rivals)
    if unknown and others:
        kept[others] = False
        kept[choose_rivals(network, [(photo, label[0].cpu().numpy())], others, unknown, alone)] = True
    return blended._replace(rivals=blended.rivals * kept[:, None], presence_bias=lacking * UNKNOWN_BIAS)
