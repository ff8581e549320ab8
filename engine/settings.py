"""What training and evaluation are asked to do; torch is not needed to read or check it."""

from dataclasses import dataclass
from pathlib import Path

from dataloaders import catalog
from dataloaders.settings import DATA_ROOT, DataSettings
from dataloaders.spec import VAL
from networks.settings import AOP, COCO_WEIGHTS, EOP, POP, PRESENCE_BY, PUBLISHED, WAVES, NetworkSettings
from utils.config import option, refuse_unused, require
from utils.constants import LEAST_SIZE, MAX_SIDE, PRECISIONS, PROTOTYPES, WAYS

SCORED = ("test", VAL)


@dataclass
class DeviceSettings:
    """device and precision"""

    device: str = option("auto", "cuda, mps, cpu, or auto for the best there is")
    amp: str = option("off", "automatic mixed precision; auto: bf16 where the device is fast at it", PRECISIONS)
    channels_last: str = option(
        "auto", "memory format of the convolutions; auto: on for CPU and CUDA", ("auto", "on", "off")
    )
    compile: bool = option(False, "compile encoder and decoder with torch.compile; minutes at the start")


@dataclass
class EpisodeSettings:
    """training episodes"""

    batch_size: int = option(2, "episodes in a batch on each process; aop: photos", least=1)
    accumulate: int = option(1, "batches whose gradients add up to one step", least=1)
    crop_size: tuple[int, int] = option((512, 512), "height and width of the training crops", least=32, most=4096)
    scale: tuple[float, float] = option(
        (0.5, 2.0), "range of the random resize factors", above=0, most=16, only_for=PUBLISHED
    )
    unlabelled_person: str = option(
        "background",
        "pixels on a person but of no base class (k-way): background, left out of the losses, or one more class",
        ("background", "ignore", "class"),
        old="hidden_pixels",
        only_for=PUBLISHED,
    )
    resample_supports: bool = option(False, "draw a new support for each query every epoch", only_for=PUBLISHED)
    mixed_batches: bool = option(False, "1-way: a batch may hold several classes (published)", only_for=PUBLISHED)
    train_on: str = option(
        "rest", "train photos: those outside the validation list, where the set has one, or all", ("rest", "all")
    )
    workers: int = option(4, "processes that load data; 0: none beside this one", least=0, most=512)
    cache_mb: int = option(0, "memory for decoded training photos, in MB, split between the loading processes", least=0)


@dataclass
class PhotoSettings:
    """training photos of aop"""

    zoom: tuple[float, float] = option(
        (0.88, 1.32), "range of a photo's longer side, in heights of the crop", above=0, most=16, only_for=AOP
    )
    surroundings: float = option(
        0.0, "share of photos that are shown small, in surroundings that go on", least=0, most=1, only_for=AOP
    )
    tagged: str = option("", "folder of label maps of further photos, see tools/label_tagged.py", only_for=AOP)
    balance: float = option(
        0.0, "how much oftener photos with rare classes are drawn: 0 not, 1 fully", least=0, most=1, only_for=AOP
    )


@dataclass
class OptimizerSettings:
    """optimiser and losses"""

    pretrained: str = option(COCO_WEIGHTS, "weights to start from: a file, 'encoder' (the encoder's own) or 'none'")
    epochs: int = option(50, "passes over the training episodes; pop: in each stage", least=1)
    lr: float = option(0.001, "learning rate at the start", above=0)
    head_lr_scale: float = option(1.0, "factor on the learning rate of everything but the encoder", above=0)
    layer_decay: float = option(
        1.0, "factor on the encoder's rate with each layer before its last; 0.75 suits a ViT", above=0, most=1
    )
    npm_lr_scale: float = option(
        1.0, "further factor on the rate of NPM's scalars; 0 holds its threshold", least=0, only_for=PUBLISHED
    )
    npm_threshold: float = option(
        0.5,
        "similarity from which NPM, untrained, prefers a class to the background",
        least=-1,
        most=1,
        only_for=PUBLISHED,
    )
    kaiming_init: bool = option(
        False,
        "draw weights that are not pretrained by Kaiming's normal rule, NPM's scalars too (published)",
        only_for=EOP,
    )
    momentum: float = option(0.9, "momentum of SGD; aop takes AdamW", least=0, most=1, only_for=PUBLISHED)
    weight_decay: float = option(5e-4, "weight decay", least=0)
    schedule: str = option(
        "poly",
        "the learning rate falls at every iteration, or in five steps that forget the momentum: of 50 epochs, at 9, "
        "19, 29, 39 and 49 (published)",
        ("poly", "steps"),
    )
    power: float = option(0.9, "power of the learning rate's fall: (1 - done / all) ** power", above=0)
    lr_warmup: int = option(0, "steps in which the learning rate rises from 0 (poly)", least=0)
    temperature: float = option(0.1, "temperature of the contrastive loss (k-way)", above=0, only_for=EOP)
    presence_by: str = option(
        "class",
        "in the loss of the presence every class weighs alike, or every question for one",
        PRESENCE_BY,
        only_for=AOP,
    )
    seed: int = option(0, "seed of everything that is random", least=0, most=2**63 - 1)


@dataclass
class TrainSettings(DataSettings, NetworkSettings, EpisodeSettings, PhotoSettings, OptimizerSettings, DeviceSettings):
    """run"""

    stage: int = option(0, "train stage 1, 2 or 3 alone; 0: all in turn", (0, 1, 2, 3), only_for=POP)
    test_size: int = option(
        0, "longest side at which photos are parsed in evaluation; 0: as they are", least=0, most=MAX_SIDE
    )
    eval_every: int = option(5, "epochs between evaluations; 0: only after the last one", least=0)
    keep_every: int = option(0, "epochs between checkpoints that are kept as epoch_<number>.pt; 0: none", least=0)
    save_minutes: float = option(10.0, "minutes between checkpoints within an epoch", above=0)
    run_dir: str = option("", "folder of checkpoints and logs; by default runs/<set>_<method>_<way>_f<fold>")
    resume: str = option(
        "none", "'auto' goes on from the run folder's last checkpoint if there is one", ("none", "auto")
    )

    def check(self) -> None:
        """Raise `UserError` for a value that cannot work beside the others, and as `DataSettings` does."""
        super().check()
        require(self.test_size == 0 or self.test_size >= LEAST_SIZE, "test_size", f"must be 0 or at least {LEAST_SIZE}")
        require(self.schedule == "poly" or not self.lr_warmup, "lr_warmup", "is for --schedule poly")
        require(self.scale[0] <= self.scale[1], "scale", "needs two factors, the smaller first")
        refuse_unused(self, self.method)
        require(self.zoom[0] <= self.zoom[1], "zoom", "needs two factors, the smaller first")
        if self.method == "aop":
            require(self.way == "kway", "method", "aop is for --way kway")
            require(self.channels > WAVES, "channels", f"of aop must be more than {WAVES}, which tell the place")
            require(self.batch_size > 1, "batch_size", "of aop must be 2 or more: photos of a batch support each other")
        published = self.unlabelled_person == "background"
        require(published or self.way == "kway", "unlabelled_person", f"{self.unlabelled_person} is for --way kway")
        plain = self.unlabelled_person != "class" or self.method == "eop"
        require(plain, "unlabelled_person", "class is for --method eop")
        trained = not self.freeze_encoder or self.pretrained != "none"
        require(trained, "freeze_encoder", "would keep random weights; name others with --pretrained")

    def folder(self) -> Path:
        """The run folder."""
        name = catalog.results_name(self.dataset)
        return Path(self.run_dir or f"runs/{name}_{self.method}_{self.way}_f{self.fold}")


@dataclass
class EvaluateSettings(DeviceSettings):
    """evaluation"""

    checkpoint: str = option("", "a checkpoint of this project, or one of the authors'")
    dataset: str = option("", "data set; by default that of the training, which the authors' checkpoints do not tell")
    data_root: str = option(DATA_ROOT, "folder that holds the data sets' folders")
    fold: int = option(
        0,
        "which classes are novel: a fold of the data set; by default as in training, on another data set its first; "
        "the authors' checkpoints need it",
    )
    way: str = option("", "by default as in training; the authors' checkpoints need it", ("", *WAYS))
    prototypes: str = option(
        "auto",
        "the support's alone, or blended with the bank; auto: the bank where the checkpoint's warm-up is over",
        PROTOTYPES,
    )
    epoch: int = option(-1, "", old_of="--prototypes")
    split: str = option("test", "the photos to score: the test list, or the validation list", SCORED)
    test_size: int = option(
        -1,
        "longest side at which photos are parsed; by default as in training; 0: as they are",
        least=-1,
        most=MAX_SIDE,
    )
    agm: bool = option(False, "score the attention guidance module too", only_for=PUBLISHED)
    refine: bool = option(True, "let borders follow the photo", only_for=AOP)
    save_pictures: int = option(0, "save this many pictures of support, labels, query, prediction and truth", least=0)
    output: str = option(
        "",
        "folder for results.json and pictures; by default the checkpoint's, in it on_<set> for another data set "
        "than its own, and runs/<set>_<method>_<way>_f<fold>_authors for the authors' checkpoints",
    )
    workers: int = option(2, "processes that load data; 0: none beside this one", least=0, most=512)

    def check(self) -> None:
        """Raise `UserError` for a data set or fold that does not exist, and for photos that show nothing."""
        require(self.test_size <= 0 or self.test_size >= LEAST_SIZE, "test_size", f"must be 0 or at least {LEAST_SIZE}")
        self.dataset = catalog.validate_dataset(self.dataset, self.fold)
