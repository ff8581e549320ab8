"""The episodes of a run, as its settings describe them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.data import DataLoader

from dataloaders.oshp_loader import Episode, EpisodeBatches, TrainEpisodes
from dataloaders.spec import DatasetSpec
from dataloaders.stages import FINE
from utils import distributed
from utils.errors import UserError

from .settings import TrainSettings
from .workers import make_loader


def training_episodes(settings: TrainSettings, spec: DatasetSpec, root: Path, stage: int = FINE) -> TrainEpisodes:
    """The training episodes that the settings describe, with their share of the memory for decoded photos."""
    episodes = TrainEpisodes(
        spec,
        root,
        fold=settings.fold,
        way=settings.way,
        crop_size=settings.crop_size,
        scale=settings.scale,
        resample_supports=settings.resample_supports,
        seed=settings.seed,
        stage=stage,
        unlabelled_person=settings.unlabelled_person,
    )
    episodes.split.keep_decoded(settings.cache_mb * 2**20 // max(settings.workers, 1))
    return episodes


def training_batches(
    settings: TrainSettings, episodes: TrainEpisodes, device: torch.device
) -> tuple[EpisodeBatches, DataLoader[Episode]]:
    """The order of the batches of this process, and the loader that fills them.

    Raises `UserError` when the episodes do not fill a batch, or a batch is too small for the network.
    """
    rank, world, size = distributed.rank(), distributed.world_size(), settings.batch_size
    if len(episodes) < size * world:
        raise UserError(
            f"{episodes.split.root}: {len(episodes)} training episodes do not fill a batch of {size} x {world}; "
            "lower --batch-size"
        )
    if settings.level == "high" and size * world < 2:
        raise UserError("--batch-size 1: the high feature level normalises one pixel a photo, so it needs 2 or more")
    order = EpisodeBatches(episodes, size, seed=settings.seed, rank=rank, world=world)
    # The workers live through the epochs; every draw follows from (seed, epoch, index), so none is stale.
    lasting = settings.workers > 0
    return order, make_loader(episodes, settings.workers, device, batch_sampler=order, persistent_workers=lasting)
