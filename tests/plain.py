"""EOPNet as the published code runs it: a Python loop over the class slots. Slow, plain, and the reference for tests.

It works on the parameters of an `EOPNet`, so that both ways can be compared, forward and backward.
"""

from __future__ import annotations

import torch
from torch import Tensor

from networks.eopnet import EOPNet
from networks.heads import GuidedConv
from networks.layers import resize
from networks.oneshot import Logits, Outputs
from networks.prototypes import cosine_similarity


def run_guide(guide: GuidedConv, x: Tensor) -> Tensor:
    """The published layers one after another, with plain BatchNorm: (B, D, h, w) -> (B, 2, h, w)."""
    return guide.classify(guide.separable(guide.convs(x)))


def plain_agm(network: EOPNet, feature: Tensor, similarity: Tensor) -> Tensor:
    """k-way AGM with one pass for each class slot, present or not."""
    passes = [
        run_guide(network.agm.guide, (1 + similarity[:, c : c + 1]) * feature) for c in range(similarity.shape[1])
    ]
    background = network.agm.background(torch.stack([p[:, 1:] for p in passes]).mean(dim=0))
    return torch.cat([background, *(p[:, :1] for p in passes)], dim=1)


def plain_forward(network: EOPNet, episode: dict[str, Tensor], epoch: int) -> Outputs:
    """`EOPNet.forward` for k-way in training mode, class by class."""
    query, support = network.encode(episode["query"]), network.encode(episode["support"])
    static = network.refer(support, episode["support_label"], episode["support_foreground"])
    used = network._remember(static, epoch, episode["class_id"])
    size = episode["query"].shape[-2:]
    similarity = cosine_similarity(query.fine, used.prototypes[:, 1:])
    coarse_gain = 1 + cosine_similarity(query.coarse, used.foreground)
    logits = Logits(
        resize(network.npm(similarity), size),
        resize(plain_agm(network, query.fine, similarity), size),
        resize(run_guide(network.coarse.guide, coarse_gain * query.coarse), size),
    )
    return Outputs(
        logits,
        network.visible_label(episode["query_label"], static.present),
        network._contrasted(query, episode["query_label"], episode["query_foreground"]),
        network._contrasted(support, episode["support_label"], episode["support_foreground"]),
    )
