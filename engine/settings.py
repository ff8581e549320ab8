"""What training and evaluation are asked to do; torch is not needed to read or check it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataloaders import catalog
from dataloaders.settings import DATA_ROOT, DataSettings
from networks.settings import COCO_WEIGHTS, NetworkSettings
from utils.config import option, require, require_at_least, require_positive, require_share
from utils.constants import WAYS
from utils.settings import DeviceSettings

PROTOTYPES = ("auto", "support-only", "bank")


@dataclass
class EpisodeSettings:
    """training episodes"""

    batch_size: int = option(2, "episodes a step on each process")
    accumulate: int = option(1, "batches whose gradients add up to one step")
    crop_size: tuple[int, int] = option((512, 512), "height and width of the training crops")
    scale: tuple[float, float] = option((0.5, 2.0), "range of the random resize factors")
    unlabelled_person: str = option(
        "background",
        "pixels on a person but of no base class (k-way): background, left out of the losses, or one more class",
        ("background", "ignore", "class"),
        old="hidden_pixels",
    )
    resample_supports: bool = option(False, "draw a new support for each query every epoch")
    workers: int = option(4, "processes that load data; 0: none beside this one")
    cache_mb: int = option(0, "memory for decoded training photos, in MB, split between the loading processes")

    def check(self) -> None:
        """Raise `UserError` for a value that cannot work."""
        require_at_least(1, self, "batch_size", "accumulate")
        require_at_least(0, self, "workers", "cache_mb")
        require(min(self.crop_size) >= 32, "crop_size", "must be at least 32 pixels each way")
        require(0 < self.scale[0] <= self.scale[1] < float("inf"), "scale", "needs two factors, the smaller first")


@dataclass
class OptimizerSettings:
    """optimiser and losses"""

    pretrained: str = option(COCO_WEIGHTS, "weights to start from: a file, 'imagenet' or 'none'")
    epochs: int = option(50, "passes over the training episodes; pop: in each stage")
    lr: float = option(0.001, "learning rate at the start")
    head_lr_scale: float = option(1.0, "factor on the learning rate of everything but the encoder")
    npm_lr_scale: float = option(1.0, "further factor on the rate of NPM's scalars; 0 holds its threshold")
    npm_threshold: float = option(0.5, "similarity from which NPM, untrained, prefers a class to the background")
    momentum: float = option(0.9, "SGD momentum")
    weight_decay: float = option(5e-4, "SGD weight decay")
    power: float = option(0.9, "power of the poly schedule, stepped every iteration")
    temperature: float = option(0.1, "temperature of the contrastive loss (k-way)")
    seed: int = option(0, "seed of everything that is random")

    def check(self) -> None:
        """Raise `UserError` for a value that cannot work."""
        require_at_least(1, self, "epochs")
        require_positive(self, "lr", "head_lr_scale", "temperature", "power")
        require_at_least(0, self, "weight_decay", "npm_lr_scale")
        require_share(self, "momentum")
        require(0 <= self.seed < 2**63, "seed", "must lie between 0 and 2^63")
        require(abs(self.npm_threshold) < float("inf"), "npm_threshold", "must be a number")


@dataclass
class TrainSettings(DataSettings, NetworkSettings, EpisodeSettings, OptimizerSettings, DeviceSettings):
    """run"""

    stage: int = option(0, "pop: train stage 1, 2 or 3 alone; 0: all in turn", (0, 1, 2, 3))
    test_size: int = option(0, "longest side at which photos are parsed in evaluation; 0: as they are")
    eval_every: int = option(5, "epochs between evaluations; 0: only after the last one")
    save_minutes: float = option(10.0, "minutes between checkpoints within an epoch")
    run_dir: str = option("", "folder of checkpoints and logs; by default runs/<set>_<method>_<way>_f<fold>")
    resume: str = option(
        "none", "'auto' goes on from the run folder's last checkpoint if there is one", ("none", "auto")
    )

    def check(self) -> None:
        """Raise `UserError` for a value that cannot work, alone or beside the others."""
        for part in (NetworkSettings, EpisodeSettings, OptimizerSettings, DataSettings):
            part.check(self)
        require_positive(self, "save_minutes")
        require_at_least(0, self, "eval_every", "test_size")
        require(not self.stage or self.method == "pop", "stage", "is for --method pop")
        published = self.unlabelled_person == "background"
        require(published or self.way == "kway", "unlabelled_person", f"{self.unlabelled_person} is for --way kway")
        plain = self.unlabelled_person != "class" or self.method == "eop"
        require(plain, "unlabelled_person", "class is for --method eop")

    def folder(self) -> Path:
        """The run folder."""
        name = Path(self.dataset).resolve().parent.name if self.dataset.endswith(".json") else self.dataset
        return Path(self.run_dir or f"runs/{name}_{self.method}_{self.way}_f{self.fold}")


@dataclass
class EvaluateSettings(DeviceSettings):
    """evaluation"""

    checkpoint: str = option("", "a checkpoint of this project, or one of the authors'")
    dataset: str = option("", "data set; needed for the authors' checkpoints")
    data_root: str = option(DATA_ROOT, "folder that holds the data sets' folders")
    fold: int = option(0, "fold; needed for the authors' checkpoints")
    way: str = option("", "kway or 1way; needed for the authors' checkpoints", ("", *WAYS))
    prototypes: str = option(
        "auto",
        "the support's alone, or blended with the bank; auto: the bank where the checkpoint's warm-up is over",
        PROTOTYPES,
    )
    epoch: int = option(-1, "", old_of="--prototypes")
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
        require_at_least(0, self, "save_pictures", "workers")
        self.dataset = catalog.validate_dataset(self.dataset, self.fold)
