"""Small networks and random episodes for tests."""

from __future__ import annotations

import torch

from networks.backbones import LITE0
from networks.eopnet import EOPNet
from networks.popnet import POPNet


def tiny_network(way: str = "kway", num_slots: int = 7, **options: object) -> EOPNet:
    """An EOPNet on EfficientNet-Lite0 with 8 channels and reproducible weights."""
    torch.manual_seed(0)
    return EOPNet(num_slots, way, LITE0, channels=8, warmup_epochs=1, **options)


def tiny_stages(way: str = "kway", stages: tuple[int, ...] = (2, 4, 7), **options: object) -> POPNet:
    """A POPNet like `tiny_network`, with the class slots of each stage."""
    torch.manual_seed(0)
    network = None
    for slots in stages:
        network = POPNet(slots, way, LITE0, channels=8, warmup_epochs=1, previous=network, **options)
    return network


def random_episode(
    way: str = "kway", batch: int = 2, size: tuple[int, int] = (65, 49), num_slots: int = 7, seed: int = 0
) -> dict:
    """Blocky random label maps, so that classes survive at feature size; some classes are missing in some samples."""
    generator = torch.Generator().manual_seed(seed)

    def blocks(high: int) -> torch.Tensor:
        coarse = torch.randint(0, high, (batch, 4, 3), generator=generator)
        return coarse.repeat_interleave(17, 1)[:, : size[0]].repeat_interleave(17, 2)[:, :, : size[1]]

    episode = {who: 128 + 48 * torch.randn(batch, 3, *size, generator=generator) for who in ("query", "support")}
    for who in ("query", "support"):
        label = blocks(2 if way == "1way" else num_slots - 2)
        label[:, :2] = 255
        episode[f"{who}_label"] = label
        episode[f"{who}_foreground"] = torch.where(label == 255, label, (label > 0).long())
    episode["class_id"] = torch.full((batch,), 3 if way == "1way" else 0)
    return episode
