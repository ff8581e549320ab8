"""Training: the episodes of a run, and steps over them that end loudly at a broken loss."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import timm.layers
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

from dataloaders.batches import EpisodeBatches
from dataloaders.oshp_loader import TrainEpisodes
from dataloaders.pseudo_classes import Sorting
from dataloaders.spec import DatasetSpec
from dataloaders.stages import FINE
from dataloaders.training_photos import TrainingPhotos
from networks import losses
from networks.aop_losses import aop_losses
from networks.base import OneShotNetwork, Outputs
from networks.batchnorm import synchronize
from utils.device import autocast
from utils.distributed import any_rank, is_distributed, mean_over_ranks, rank, world_size
from utils.errors import UserError

from .looks import look_of
from .settings import TrainSettings
from .workers import make_loader

T = TypeVar("T")
Objective = Callable[[Any, Mapping[str, Tensor]], NamedTuple]
"""From a network's outputs and the batch: named loss terms with their `total`, scalars."""


class Step(NamedTuple):
    """What one step did: its batches, the learning rate, the loss terms as means over its batches.

    The rate is the encoder's; where that is frozen, the first of the others that is not 0.
    """

    batches: int
    lr: float
    losses: dict[str, float]


@dataclass
class Trainer:
    """What a step of training needs beside its episodes. A step takes `accumulate` batches, an epoch's last maybe less.

    `network` maps a batch of episodes and the epoch to `Outputs`. Where they are given, `averaged` follows its weights,
    and the norm of the gradients stays within `clip`.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    scaler: torch.amp.GradScaler
    device: torch.device
    amp: str = "off"
    accumulate: int = 1
    averaged: AveragedModel | None = None
    clip: float | None = None

    def steps(
        self, batches: Iterable[Mapping[str, Tensor]], objective: Objective, epoch: int, bar: tqdm | None = None
    ) -> Iterator[Step]:
        """Train on the batches, and tell of each step once its weights are updated.

        Raises `UserError` with the loss terms when a loss is not finite; no weight has then taken part in it.
        """
        self.network.train()
        for number, group in enumerate(_grouped(batches, self.accumulate), start=bar.n if bar else 0):
            lr = next((float(rate) for rate in self.schedule.get_last_lr() if rate), 0.0)
            terms = self._gradients(group, objective, epoch, number)
            if self.clip:
                self.scaler.unscale_(self.optimizer)
                nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            if self.averaged is not None:
                self.averaged.update_parameters(unwrapped(self.network))
            self.schedule.step()
            if bar is not None:
                bar.set_postfix_str(f"loss {terms['total']:.3f}, lr {lr:.2e}", refresh=False)
                bar.update()
            yield Step(len(group), lr, terms)

    def _gradients(
        self, group: list[Mapping[str, Tensor]], objective: Objective, epoch: int, number: int
    ) -> dict[str, float]:
        """Add up the gradients of a group of batches; returns the means of their loss terms."""
        self.optimizer.zero_grad(set_to_none=True)
        means: dict[str, float] = {}
        for i, batch in enumerate(group):
            episode = to_device(batch, self.device)
            with _without_sync(self.network, i + 1 < len(group)):
                with autocast(self.device, self.amp):
                    outputs = self.network(episode, epoch)
                terms: dict[str, Tensor] = objective(outputs, episode)._asdict()
                _check_finite(terms, epoch, number)
                self.scaler.scale(terms["total"] / len(group)).backward()
            for name, value in terms.items():
                means[name] = means.get(name, 0.0) + mean_over_ranks(value).item() / len(group)
        return means


def in_parallel(network: OneShotNetwork, device: torch.device) -> tuple[OneShotNetwork, nn.Module]:
    """The network, its BatchNorms over all processes, and what these train together; both are it where it is alone."""
    if not is_distributed():
        return network, network
    ids = None
    if device.type == "cuda":
        ids, network = [device.index], timm.layers.convert_sync_batchnorm(network)
    else:
        synchronize(network)
    return network, DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)


def training_episodes(
    settings: TrainSettings,
    spec: DatasetSpec,
    root: Path,
    device: torch.device,
    stage: int = FINE,
    sorting: Sorting | None = None,
) -> TrainEpisodes | TrainingPhotos:
    """What the settings' method trains on, with its share of the memory for decoded photos: episodes, or photos, whose
    pseudo-classes are those of the `sorting` of a run that goes on, or are found on `device`."""
    cache = settings.cache_mb * 2**20 // max(settings.workers, 1)
    shared: dict[str, Any] = {
        "fold": settings.fold,
        "crop_size": settings.crop_size,
        "train_on": settings.train_on,
        "seed": settings.seed,
    }
    if settings.method == "aop":
        sorted_anew = settings.pseudo_classes and sorting is None
        look = look_of(settings.encoder, settings.pretrained, device) if sorted_anew else None
        photos = TrainingPhotos(
            spec,
            root,
            **shared,
            zoom=settings.zoom,
            surroundings=settings.surroundings,
            pseudo_classes=settings.pseudo_classes,
            look=look,
            sorting=sorting,
            balance=settings.balance,
            tagged=settings.tagged,
            # what the survey reads is of use to this process alone: workers would inherit it in place of their shares
            cache_bytes=0 if settings.workers else cache,
        )
        if settings.workers:
            photos.keep_decoded(cache)
        return photos
    episodes = TrainEpisodes(
        spec,
        root,
        **shared,
        way=settings.way,
        scale=settings.scale,
        resample_supports=settings.resample_supports,
        stage=stage,
        unlabelled_person=settings.unlabelled_person,
    )
    episodes.split.keep_decoded(cache)
    return episodes


def training_batches(
    settings: TrainSettings, episodes: TrainEpisodes | TrainingPhotos, device: torch.device
) -> tuple[EpisodeBatches, DataLoader]:
    """The order of the batches of this process, and the loader that fills them.

    Raises `UserError` when the episodes do not fill a batch, or a batch is too small for the network.
    """
    number, world, size = rank(), world_size(), settings.batch_size
    if len(episodes) < size * world:
        raise UserError(
            f"{episodes.split.root}: {len(episodes)} training episodes do not fill a batch of {size} x {world}; "
            "lower --batch-size"
        )
    if settings.level == "high" and size * world < 2:
        raise UserError("--batch-size 1: the high feature level normalises one pixel a photo, so it needs 2 or more")
    order = EpisodeBatches(episodes, size, seed=settings.seed, rank=number, world=world, mixed=settings.mixed_batches)
    # The workers live through the epochs; every draw follows from (seed, epoch, index), so none is stale.
    return order, make_loader(episodes, settings.workers, device, lasting=True, batch_sampler=order)


def objective_of(settings: TrainSettings, epoch: int) -> Objective:
    """The losses of the settings' method, as they are weighted in `epoch`."""
    progress = epoch / settings.epochs
    if settings.method == "aop":
        return partial(aop_losses, presence_by=settings.presence_by)
    temperature = settings.temperature if settings.way == "kway" else None

    def published(outputs: Outputs, episode: Mapping[str, Tensor]) -> NamedTuple:
        foreground = episode["query_foreground"]
        if settings.method == "pop":
            return losses.popnet_losses(outputs, progress)
        return losses.eopnet_losses(outputs, foreground, progress, temperature)

    return published


def to_device(episode: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Move a batch of episodes or photos; label maps become int64."""
    moved = {name: part.to(device, non_blocking=True) for name, part in episode.items() if isinstance(part, Tensor)}
    return {name: part.long() if part.ndim == 3 or part.ndim == 1 else part for name, part in moved.items()}


def unwrapped(network: nn.Module) -> nn.Module:
    """The network itself, where it may stand within DDP."""
    return network.module if isinstance(network, DistributedDataParallel) else network


def _check_finite(terms: Mapping[str, Tensor], epoch: int, step: int) -> None:
    if any_rank(not math.isfinite(terms["total"].item()), terms["total"].device):
        values = ", ".join(f"{name} {value.item():.4g}" for name, value in terms.items())
        raise UserError(
            f"the loss is not finite in epoch {epoch}, step {step} ({values}); lower --lr, or use --amp off"
        )


def _without_sync(network: nn.Module, hold: bool) -> contextlib.AbstractContextManager:
    """While gradients accumulate, DDP need not reduce them over the ranks."""
    if hold and isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return contextlib.nullcontext()


def _grouped(batches: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, size)):
        yield group
