"""What a network is made of; torch is not needed to read or check it."""

from dataclasses import dataclass
from typing import NamedTuple

from utils.config import option
from utils.constants import METHODS

EOP, POP, AOP, PUBLISHED = ("eop",), ("pop",), ("aop",), ("eop", "pop")  # methods that alone have a use for an option
LEVELS = {"eop": "mid", "pop": "high"}  # what each published network uses
BACKGROUNDS = ("fixed", "ucs")
ENCODER_WEIGHTS = ("encoder", "imagenet")  # names of the weights that an encoder's own name stands for
WAVES = 48  # of AOPNet's channels: random Fourier features of the place on the body
PRESENCE_BY = ("class", "question")
COCO_WEIGHTS = "data/pretrained_model/deeplab_v3plus_v3.pth"


class Departures(NamedTuple):
    """Points in which the published training step differs from this project's (docs/method.md, D2 to D4)."""

    padding_in_prototypes: bool = False
    coarse_running_mean: bool = False
    coarse_background_pass: bool = False


NO_DEPARTURES = Departures()


@dataclass
class NetworkSettings:
    """network"""

    method: str = option("eop", "network: the published EOPNet or POPNet, or AOPNet, this project's own", METHODS)
    encoder: str = option("xception65", "xception65, or a timm model: one with features at strides 4 and 16, or a ViT")
    freeze_encoder: bool = option(False, "the encoder keeps its weights, and computes in bf16 where the device can")
    ignore_place: int = option(
        0, "directions to take out of the encoder's feature that tell the place in the photo alone; 0: none", least=0
    )
    channels: int = option(256, "channels of the feature and of the prototypes", least=1, most=4096, old="hidden")
    level: str = option(
        "",
        "feature level of DeepLabV3+; by default mid for eop, high for pop",
        ("", *LEVELS.values()),
        only_for=PUBLISHED,
    )
    warmup_epochs: int = option(
        25, "last epoch (from 0) that uses static prototypes alone; -1: none", least=-1, only_for=PUBLISHED
    )
    bank_momentum: float = option(
        0.001,
        "share of an episode's prototype in what the bank keeps; eop, pop: also in the prototype that is used",
        least=0,
        most=1,
    )
    background: str = option(
        "fixed",
        "average the background over all class slots, or those of the support (ucs)",
        BACKGROUNDS,
        only_for=POP,
    )
    padding_in_prototypes: bool = option(
        False, "1-way training: ignored pixels of a support weigh 255 times in its prototype (published)", only_for=EOP
    )
    coarse_running_mean: bool = option(
        False, "in epoch 0 the coarse branch takes a running mean of the prototypes (published)", only_for=EOP
    )
    coarse_background_pass: bool = option(
        False, "the coarse branch's BatchNorm statistics take in a pass of the background too (published)", only_for=EOP
    )

    @property
    def departures(self) -> Departures:
        """Where the step of training is as published."""
        return Departures(*(getattr(self, name) for name in Departures._fields))

    pseudo_classes: int = option(
        0,
        "kinds into which person pixels without a base class are sorted in training",
        least=0,
        most=64,
        only_for=AOP,
    )

    def __post_init__(self) -> None:
        self.level = self.level or LEVELS.get(self.method, "")
