"""The training loop: one epoch of steps, which stops cleanly when asked to and loudly when a loss is not finite."""

from __future__ import annotations

import contextlib
import itertools
import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from networks.base import Outputs
from networks.losses import eopnet_losses, popnet_losses
from utils.device import autocast
from utils.distributed import any_rank, mean_over_ranks, rank
from utils.errors import UserError

from .optim import set_poly_lr
from .settings import TrainSettings

T = TypeVar("T")
LABELS = ("query_label", "query_foreground", "support_label", "support_foreground", "class_id")


@dataclass
class Step:
    """What one step did: its number over the whole run, its batches, the learning rate, the loss terms."""

    number: int
    batches: int
    lr: float
    losses: dict[str, float]


@dataclass
class TrainPlan:
    """What the loop needs beside network and data. A step takes `accumulate` batches, an epoch's last maybe less."""

    epochs: int
    batches: int  # in an epoch
    lr: float
    power: float
    device: torch.device
    accumulate: int = 1
    amp: str = "off"
    progress: bool = True

    @property
    def epoch_steps(self) -> int:
        """Steps in an epoch."""
        return math.ceil(self.batches / self.accumulate)

    def step(self, epoch: int, batch: int) -> int:
        """The number, over the whole run, of the step that holds this batch."""
        return epoch * self.epoch_steps + batch // self.accumulate


class StopSignal:
    """Within `with`, SIGTERM and Ctrl-C only set `asked`, so that the step under way can finish."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> StopSignal:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked = True


def objective(settings: TrainSettings, epoch: int) -> Callable[[Outputs, Tensor], NamedTuple]:
    """The losses of the settings' method, `objective(outputs, query_foreground)`, as they are weighted in `epoch`."""
    progress = epoch / settings.epochs
    if settings.method == "pop":
        return partial(popnet_losses, progress=progress)
    return partial(
        eopnet_losses, progress=progress, temperature=settings.temperature if settings.way == "kway" else None
    )


def to_device(episode: Mapping[str, Any], device: torch.device) -> dict[str, Tensor]:
    """Move a batch of episodes; label maps become int64."""
    moved = {name: episode[name].to(device, non_blocking=True).long() for name in LABELS}
    return moved | {name: episode[name].to(device, non_blocking=True) for name in ("query", "support")}


def train_epoch(
    network: nn.Module,
    objective: Callable[[Any, Tensor], Any],
    batches: Iterable[Mapping[str, Any]],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    plan: TrainPlan,
    epoch: int,
    first_batch: int,
    after_step: Callable[[Step], bool],
) -> bool:
    """Train on `batches`, the epoch's from `first_batch` on. Returns False when `after_step` said to stop.

    `objective(outputs, query_foreground)` gives the named loss terms with their `total`. Raises `UserError`
    with the terms when the loss is not finite; no weight has then taken part in it.
    """
    network.train()
    steps = math.ceil((plan.batches - first_batch) / plan.accumulate)
    groups = _grouped(batches, plan.accumulate)
    bar = tqdm(
        groups,
        desc=f"epoch {epoch}",
        unit="step",
        leave=False,
        initial=plan.epoch_steps - steps,
        total=plan.epoch_steps,
        disable=not plan.progress or rank() > 0,
    )
    for number, group in enumerate(bar, start=plan.step(epoch, first_batch)):
        lr = set_poly_lr(optimizer, plan.lr, number, plan.epochs * plan.epoch_steps, plan.power)
        optimizer.zero_grad(set_to_none=True)
        terms: dict[str, float] = {}
        for i, batch in enumerate(group):
            with _without_sync(network, i + 1 < len(group)):
                losses = _losses(network, objective, batch, plan, epoch)
                _check_finite(losses, epoch, number)
                scaler.scale(losses["total"] / len(group)).backward()
            for name, value in losses.items():
                terms[name] = terms.get(name, 0.0) + mean_over_ranks(value).item() / len(group)
        scaler.step(optimizer)
        scaler.update()
        bar.set_postfix_str(f"loss {terms['total']:.3f}, lr {lr:.2e}", refresh=False)
        if not after_step(Step(number, len(group), lr, terms)):
            bar.close()
            return False
    return True


def _losses(
    network: nn.Module, objective: Callable, batch: Mapping[str, Any], plan: TrainPlan, epoch: int
) -> dict[str, Tensor]:
    episode = to_device(batch, plan.device)
    with autocast(plan.device, plan.amp):
        outputs = network(episode, epoch)
    return objective(outputs, episode["query_foreground"])._asdict()


def _check_finite(losses: Mapping[str, Tensor], epoch: int, step: int) -> None:
    if any_rank(not math.isfinite(losses["total"].item()), losses["total"].device):
        told = ", ".join(f"{name} {value.item():.4g}" for name, value in losses.items())
        raise UserError(f"the loss is not finite in epoch {epoch}, step {step} ({told}); lower --lr, or use --amp off")


def _without_sync(network: nn.Module, hold: bool) -> contextlib.AbstractContextManager:
    """While gradients accumulate, DDP need not reduce them over the ranks."""
    return network.no_sync() if hold and hasattr(network, "no_sync") else contextlib.nullcontext()


def _grouped(batches: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, size)):
        yield group


class Clock:
    """Time left over a run, from the steps done since `start`."""

    def __init__(self, done: int, steps: int) -> None:
        self.done, self.steps, self.began = done, steps, time.monotonic()

    def left(self, done: int) -> str:
        """Hours and minutes that the remaining steps will take."""
        seconds = (time.monotonic() - self.began) / max(done - self.done, 1) * (self.steps - done)
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
