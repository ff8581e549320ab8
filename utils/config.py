"""Typed settings with the published values as defaults; the command line is made from them.

Every field with a help text is an option `--name`. Settings are saved beside the weights as a plain dict.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from .errors import UserError

T = TypeVar("T")
LEVELS = {"eop": "mid", "pop": "high"}  # what each published network uses
COCO_WEIGHTS = "data/pretrained_model/deeplab_v3plus_v3.pth"


def option(default: Any, help: str, choices: Sequence[Any] | None = None) -> Any:
    """A settings field that is also a command-line option."""
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass
class DataSettings:
    """Which data, seen how."""

    dataset: str = option("atr", "data set: atr, lip, cihp, ccp, toy, or the path of a dataset.json")
    data_root: str = option("data/datasets", "folder that holds the data sets' folders")
    fold: int = option(1, "which classes are novel: fold 1 or 2")
    way: str = option("kway", "all classes of the support at once, or one class an episode", ("kway", "1way"))


@dataclass
class NetworkSettings:
    """The network's shape."""

    method: str = option("eop", "published network: EOPNet or POPNet", ("eop", "pop"))
    encoder: str = option("xception65", "xception65 or a timm model with features at strides 4 and 16")
    hidden: int = option(256, "channels of the feature and of the prototypes")
    level: str = option("", "feature level of DeepLabV3+; by default mid for eop, high for pop", ("", *LEVELS.values()))
    warmup_epochs: int = option(25, "last epoch (from 0) that uses static prototypes alone")
    bank_momentum: float = option(0.001, "share of the episode's prototype in the blend with the bank")
    background: str = option(
        "fixed", "pop: average the background over all class slots, or those of the support (ucs)", ("fixed", "ucs")
    )

    def __post_init__(self) -> None:
        self.level = self.level or LEVELS[self.method]


@dataclass
class DeviceSettings:
    """Where to compute, and how."""

    device: str = option("auto", "cuda, mps, cpu, or auto for the best there is")
    amp: str = option(
        "off", "automatic mixed precision; auto: bf16 where the device is fast at it", ("off", "auto", "bf16", "fp16")
    )
    channels_last: str = option(
        "auto", "memory format of the convolutions; auto: on for CPU and CUDA", ("auto", "on", "off")
    )
    compile: bool = option(False, "compile encoder and decoder with torch.compile; minutes at the start")


@dataclass
class TrainSettings(DataSettings, NetworkSettings, DeviceSettings):
    """Everything a training run depends on; the defaults are the published settings."""

    pretrained: str = option(COCO_WEIGHTS, "weights to start from: a file, 'imagenet' or 'none'")
    epochs: int = option(50, "passes over the training episodes; pop: in each stage")
    stage: int = option(0, "pop: train stage 1, 2 or 3 alone; 0: all in turn", (0, 1, 2, 3))
    batch_size: int = option(2, "episodes a step on each process")
    accumulate: int = option(1, "batches whose gradients add up to one step")
    lr: float = option(0.001, "learning rate at the start")
    head_lr_scale: float = option(1.0, "factor on the learning rate of everything but the encoder")
    npm_lr_scale: float = option(1.0, "further factor on the rate of NPM's scalars; 0 holds its threshold")
    npm_threshold: float = option(0.5, "similarity from which NPM, untrained, prefers a class to the background")
    momentum: float = option(0.9, "SGD momentum")
    weight_decay: float = option(5e-4, "SGD weight decay")
    power: float = option(0.9, "power of the poly schedule, stepped every iteration")
    temperature: float = option(0.1, "temperature of the contrastive loss (k-way)")
    crop_size: tuple[int, int] = option((512, 512), "height and width of the training crops")
    scale: tuple[float, float] = option((0.5, 2.0), "range of the random resize factors")
    test_size: int = option(0, "longest side at which photos are parsed in evaluation; 0: as they are")
    hidden_pixels: str = option(
        "background",
        "pixels on a person but of no base class (k-way): background, left out of the losses, or one more class",
        ("background", "ignore", "class"),
    )
    resample_supports: bool = option(False, "draw a new support for each query every epoch")
    seed: int = option(0, "seed of everything that is random")
    eval_every: int = option(5, "epochs between evaluations; 0: only after the last one")
    save_minutes: float = option(10.0, "minutes between checkpoints within an epoch")
    workers: int = option(4, "processes that load data; 0: none beside this one")
    cache_mb: int = option(0, "memory for decoded training photos, in MB, split between the loading processes")
    run_dir: str = option("", "folder of checkpoints and logs; by default runs/<set>_<method>_<way>_f<fold>")
    resume: str = option(
        "none", "'auto' goes on from the run folder's last checkpoint if there is one", ("none", "auto")
    )

    def check(self) -> None:
        """Raise `UserError` for a value that cannot work."""
        for name in ("epochs", "batch_size", "accumulate", "hidden"):
            _require(getattr(self, name) >= 1, name, "must be at least 1")
        for name in ("lr", "head_lr_scale", "temperature", "power", "save_minutes"):
            _require(0 < getattr(self, name) < math.inf, name, "must be greater than 0")
        for name in ("workers", "cache_mb", "eval_every", "test_size", "weight_decay", "npm_lr_scale"):
            _require(0 <= getattr(self, name) < math.inf, name, "must not be negative")
        for name in ("momentum", "bank_momentum"):
            _require(0 <= getattr(self, name) <= 1, name, "must lie between 0 and 1")
        _require(0 <= self.seed < 2**63, "seed", "must lie between 0 and 2^63")
        _require(self.warmup_epochs >= -1, "warmup_epochs", "must be an epoch, or -1 for none")
        _require(math.isfinite(self.npm_threshold), "npm_threshold", "must be a number")
        _require(not self.stage or self.method == "pop", "stage", "is for --method pop")
        published = self.hidden_pixels == "background"
        _require(published or self.way == "kway", "hidden_pixels", f"{self.hidden_pixels} is for --way kway")
        _require(self.hidden_pixels != "class" or self.method == "eop", "hidden_pixels", "class is for --method eop")
        _require(min(self.crop_size) >= 32, "crop_size", "must be at least 32 pixels each way")
        _require(0 < self.scale[0] <= self.scale[1] < math.inf, "scale", "needs two factors, the smaller first")

    def folder(self) -> Path:
        """The run folder."""
        name = Path(self.dataset).resolve().parent.name if self.dataset.endswith(".json") else self.dataset
        return Path(self.run_dir or f"runs/{name}_{self.method}_{self.way}_f{self.fold}")


@dataclass
class EvaluateSettings(DeviceSettings):
    """What evaluate.py is asked to do. Data and network settings come from our checkpoints."""

    checkpoint: str = option("", "a checkpoint of this project, or one of the authors'")
    dataset: str = option("", "data set; needed for the authors' checkpoints")
    data_root: str = option("data/datasets", "folder that holds the data sets' folders")
    fold: int = option(0, "fold; needed for the authors' checkpoints")
    way: str = option("", "kway or 1way; needed for the authors' checkpoints", ("", "kway", "1way"))
    epoch: int = option(
        -1,
        "epoch to act as: up to the training's --warmup-epochs the support alone, later with the bank; "
        "by default the checkpoint's, 39 for the authors'",
    )
    test_size: int = option(-1, "longest side at which photos are parsed; by default as in training; 0: as they are")
    agm: bool = option(False, "score the attention guidance module too")
    save_pictures: int = option(0, "save this many pictures of support, labels, query, prediction and truth")
    output: str = option(
        "",
        "folder for results.json and pictures; by default the checkpoint's, "
        "and runs/<set>_<method>_<way>_f<fold>_authors for the authors' checkpoints",
    )
    workers: int = option(2, "processes that load data; 0: none beside this one")

    def check(self) -> None:
        """Raise `UserError` for a value that cannot work."""
        for name in ("save_pictures", "workers"):
            _require(getattr(self, name) >= 0, name, "must not be negative")


def parse(
    kind: type[T],
    arguments: Sequence[str] | None = None,
    description: str = "",
    settle: Callable[[T], None] | None = None,
) -> T:
    """Fill the settings class `kind` from command-line arguments; `--dry-run` prints them as JSON and exits.

    `settle` may mend them, or raise `UserError`, by what this module knows nothing of. Raises `UserError` for values
    that cannot work.
    """
    parser = ArgumentParser(
        description=description,
        epilog="@FILE reads further options from a file, one a line.",
        fromfile_prefix_chars="@",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    hints = typing.get_type_hints(kind)
    for entry in dataclasses.fields(kind):
        _add(parser, entry, hints[entry.name])
    parser.add_argument("--dry-run", action="store_true", help="print the settings as JSON and exit")
    values = vars(parser.parse_args(arguments))
    dry_run = values.pop("dry_run")
    settings = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    settings.check()
    if settle:
        settle(settings)
    if dry_run:
        print(json.dumps(dataclasses.asdict(settings), indent=2))
        raise SystemExit(0)
    return settings


def restore(kind: type[T], values: dict[str, Any]) -> T:
    """Settings from the dict in a checkpoint. What it lacks takes its default; fields unknown today are left out."""
    known = {entry.name for entry in dataclasses.fields(kind)}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known})


class ArgumentParser(argparse.ArgumentParser):
    """Tells a mistake in one line, as all of this project's commands do."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help lists the options")


def _add(parser: argparse.ArgumentParser, entry: dataclasses.Field, hint: Any) -> None:
    flag = "--" + entry.name.replace("_", "-")
    help, choices = entry.metadata["help"], entry.metadata["choices"]
    if hint is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=entry.default, help=help)
    elif isinstance(hint, types.GenericAlias):
        first, *others = typing.get_args(hint)
        parser.add_argument(flag, type=first, nargs=1 + len(others), default=entry.default, help=help)
    else:
        parser.add_argument(flag, type=hint, choices=choices, default=entry.default, help=help)


def _require(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise UserError(f"--{name.replace('_', '-')} {what}")
