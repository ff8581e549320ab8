"""How far a run is: what is shown of it, and what its checkpoints hold so that it goes on as if never stopped."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from networks.checkpoints import Checkpoint
from networks.checkpoints.checkpoint import load_weights
from utils.distributed import rank

from .optim import load_optimizer

OF_CHECKPOINT = ("weights", "train_ids")  # digests that are of the checkpoint, not of what it was scored on


@dataclass
class Progress:
    """What a run, or a stage of POPNet's, has done; `epoch` and `batch` are the next to do."""

    epoch: int = 0
    batch: int = 0
    seen: int = 0  # steps done in the epoch
    sums: dict[str, float] = field(default_factory=dict)  # of their loss terms
    best: float = -1.0
    history: list[dict[str, float]] = field(default_factory=list)
    scored_on: dict[str, Any] = field(default_factory=dict)  # digests of the last evaluation

    def count(self, batches: int, losses: Mapping[str, float]) -> None:
        """Take note of a step that is done."""
        self.batch += batches
        self.seen += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def next_epoch(self) -> dict[str, float]:
        """Move to the next epoch; returns the means of the loss terms of the one that is done."""
        means = {name: value / self.seen for name, value in self.sums.items()}
        self.epoch, self.batch, self.seen, self.sums = self.epoch + 1, 0, 0, {}
        return means

    def record(self, weights: str, train_ids: str) -> dict[str, Any]:
        """As checkpoints hold it, with the digests of their weights and of the ids of the photos trained on."""
        return {
            "position": {"epoch": self.epoch, "batch": self.batch},
            "epoch_sums": {"steps": self.seen, "terms": dict(self.sums)},
            "best": self.best,
            "history": self.history,
            "digests": {**dict(zip(OF_CHECKPOINT, (weights, train_ids), strict=True)), **self.scored_on},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Progress":
        """What `record` gave. Earlier files lack the sums and the digests. A crafted file raises as a dict does."""
        position, sums = record["position"], record.get("epoch_sums", {"steps": 0, "terms": {}})
        return cls(
            epoch=position["epoch"],
            batch=position["batch"],
            seen=int(sums["steps"]),
            sums={name: float(value) for name, value in sums["terms"].items()},
            best=record["best"],
            history=record["history"],
            scored_on={name: value for name, value in record.get("digests", {}).items() if name not in OF_CHECKPOINT},
        )


@dataclass
class Learning:
    """What changes with every step: `averaged` is the mean of the last steps, for networks that keep one."""

    network: nn.Module
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler

    def record(self) -> dict[str, Any]:
        """As checkpoints hold it, beside the weights of the result, and the state of torch's generators."""
        return {
            **({"training_weights": self.network.state_dict()} if self.averaged is not None else {}),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rng": _rng_state(),
        }

    def restore(self, saved: Checkpoint) -> None:
        """Take up what `saved` holds. A file that does not fit raises as torch and dicts do."""
        record = saved.record
        load_weights(self.network, record.get("training_weights", saved.weights))
        if self.averaged is not None:
            load_weights(self.averaged.module, saved.weights)
            self.averaged.n_averaged.fill_(record["steps"])
        load_optimizer(self.optimizer, record["optimizer"])
        self.scaler.load_state_dict(record["scaler"])
        _set_rng_state(record["rng"])


def _rng_state() -> dict[str, Any]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_rng_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


class Clock:
    """Tells the time that a run of so many `steps` still takes, from the pace since it was made."""

    def __init__(self, done: int, steps: int) -> None:
        self.done, self.steps, self.began = done, steps, time.monotonic()

    def left(self, done: int) -> str:
        """Hours, minutes and seconds that the remaining steps will take."""
        seconds = (time.monotonic() - self.began) / max(done - self.done, 1) * (self.steps - done)
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"


def progress_bar(epoch: int, steps: int, done: int) -> tqdm:
    """The bar of an epoch of which some steps are `done`; of several processes the first shows it."""
    return tqdm(desc=f"epoch {epoch}", unit="step", leave=False, initial=done, total=steps, disable=rank() > 0)
