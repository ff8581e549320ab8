"""EOPNet's training step as the published code runs it: Python loops over samples and class slots.

The reference of tests and benchmark (docs/method.md, steps 7 to 16): it works on the parameters of an `EOPNet`, and
shares with it only encoder, decoder and layers. AGM takes the whole batch at once, since its BatchNorm statistics run
over the batch; everything else goes sample by sample and class by class.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import Features, Logits, Outputs
from .eopnet import EOPNet
from .heads import AttentionGuidance, GuidedConv, NearestPrototype
from .layers import resize


def plain_forward(network: EOPNet, episode: Mapping[str, Tensor], epoch: int) -> Outputs:
    """`EOPNet.forward` in training mode."""
    query, support = network.encode(episode["query"]), network.encode(episode["support"])
    slots = network.num_slots if network.way == "kway" else 2
    used, present = plain_prototypes(network, support.fine, episode, epoch, slots)
    foreground = _average_of(support.coarse, episode["support_foreground"], 1)[0].detach()
    coarse = run_guide(network.coarse.guide, (1 + plain_similarity(query.coarse, foreground)) * query.coarse)
    similarities = [plain_similarity(query.fine, used[:, c]) for c in range(1, slots)]
    size = episode["query"].shape[-2:]
    if isinstance(network.agm, AttentionGuidance) and isinstance(network.npm, NearestPrototype):
        npm, agm = plain_npm(network.npm, similarities), plain_agm(network.agm, query.fine, similarities)
    else:
        npm = network.npm(similarities[0])
        agm = run_guide(network.agm.guide, similarities[0] * query.fine)
    return Outputs(
        Logits(resize(npm, size), resize(agm, size), resize(coarse, size)),
        plain_drop_unsupported(episode["query_label"], present),
        plain_contrasted(query, episode["query_label"], episode["query_foreground"], slots),
        plain_contrasted(support, episode["support_label"], episode["support_foreground"], slots),
    )


def run_guide(guide: GuidedConv, x: Tensor) -> Tensor:
    """The published layers one after another, with plain BatchNorm: (B, D, h, w) -> (B, 2, h, w)."""
    for conv in guide.convs.children():
        if isinstance(conv, nn.Conv2d):
            x = F.conv2d(x, conv.weight, conv.bias, padding=1)
    logits: Tensor = guide.classify(guide.separable(x))
    return logits


def plain_agm(agm: AttentionGuidance, feature: Tensor, similarities: list[Tensor]) -> Tensor:
    """k-way AGM with one pass for each class slot, present or not."""
    passes = [run_guide(agm.guide, (1 + s) * feature) for s in similarities]
    background = agm.background(torch.stack([p[:, 1:] for p in passes]).mean(dim=0))
    return torch.cat([background, *(p[:, :1] for p in passes)], dim=1)


def plain_npm(npm: NearestPrototype, similarities: list[Tensor]) -> Tensor:
    """k-way NPM, class by class."""
    background = npm.fusion(torch.stack([npm.background(1 - s) for s in similarities]).mean(dim=0))
    return npm.scaler * torch.cat([background, *(npm.foreground(s) for s in similarities)], dim=1)


def plain_similarity(feature: Tensor, prototypes: Tensor) -> Tensor:
    """Cosine of every pixel of (B, D, h, w) with its sample's prototype (B, D) -> (B, 1, h, w)."""
    rows = [
        F.cosine_similarity(f, p[:, None, None].to(f.dtype), dim=0) for f, p in zip(feature, prototypes, strict=True)
    ]
    return torch.stack(rows)[:, None]


def plain_prototypes(
    network: EOPNet, feature: Tensor, episode: Mapping[str, Tensor], epoch: int, slots: int
) -> tuple[Tensor, Tensor]:
    """Prototypes to use (B, N, D) and presence (B, N); the bank takes them sample by sample, class by class."""
    a, bank = network.bank.momentum, network.bank.rows
    used, present = [], []
    for i in range(len(feature)):
        row, shown = [torch.zeros_like(bank[0])], [False]
        for c in range(1, slots):
            static, here = _average_of(feature[i : i + 1], episode["support_label"][i : i + 1], c)
            place = c if network.way == "kway" else int(episode["class_id"][i])
            known = epoch > network.warmup_epochs and bool((bank[place] != 0).any())
            row.append((1 - a) * bank[place].clone() + a * static[0] if here[0] and known else static[0])
            shown.append(bool(here[0]))
            if here[0]:
                bank[place] = row[-1].detach()
        used.append(torch.stack(row))
        present.append(shown)
    return torch.stack(used), torch.tensor(present)


def plain_drop_unsupported(label: Tensor, present: Tensor) -> Tensor:
    """Remove, sample by sample, the classes that the support lacks."""
    label = label.clone()
    for i in range(len(label)):
        for c in label[i].unique().tolist():
            if c not in (0, 255) and not present[i, c]:
                label[i][label[i] == c] = 0
    return label


def plain_contrasted(features: Features, label: Tensor, foreground: Tensor, slots: int) -> tuple[Tensor, Tensor]:
    """Prototypes of a photo's own classes, slot 0 from the coarse background, and which of them are present."""
    means = [_average_of(features.fine, foreground, 0)[0]]
    means += [_average_of(features.fine, label, c)[0] for c in range(1, slots)]
    present = [_average_of(features.fine, label, c)[1] for c in range(slots)]
    return torch.stack(means, dim=1), torch.stack(present, dim=1)


def _average_of(feature: Tensor, label: Tensor, class_id: int) -> tuple[Tensor, Tensor]:
    """Mean feature (B, D) of the pixels of one class, zero where there are none, and whether there are any (B,)."""
    feature = feature.float() if feature.dtype == torch.bfloat16 else feature
    small = F.interpolate(label[:, None].float(), size=feature.shape[-2:], mode="nearest")[:, 0]
    means, present = [], []
    for one, where in zip(feature, small == class_id, strict=True):
        present.append(where.any())
        means.append(one[:, where].mean(dim=1) if where.any() else torch.zeros_like(one[:, 0, 0]))
    return torch.stack(means), torch.stack(present)
