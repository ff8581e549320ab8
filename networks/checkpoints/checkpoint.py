"""The door to checkpoints: what is in a file is checked here, and typed from here on."""

import json
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from utils import __version__
from utils.config import restore
from utils.constants import IGNORE, MAX_SIDE, STAGES, WAYS
from utils.errors import UserError
from utils.files import replacing

from ..backbones import XCEPTION
from ..backbones.licences import licence_of
from ..base import OneShotNetwork
from ..build import build_network
from ..settings import ENCODER_WEIGHTS, NetworkSettings
from . import authors, files

T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights, opened: what its network is made of, what else it says. Tensors have this project's names."""

    path: Path
    kind: Literal["run", "released", "authors"]  # written by train.py, by tools/release.py, or by the authors
    settings: NetworkSettings
    way: str
    num_slots: int  # background and every label id of the stage that the network parses
    weights: dict[str, Tensor]
    epoch: int  # of the weights, from 0, which decides whether the bank is in use
    earlier_slots: tuple[int, ...] = ()  # as `num_slots`, of the stages that a stage of POPNet stands on
    stage: int = STAGES  # whose labels the network parses: POPNet's 1, 2 or 3; those of other networks are of stage 3
    class_names: Mapping[int, str] = field(default_factory=dict)  # by label id; empty for the authors' files
    test_size: int = 0  # longest side at which photos were parsed in the evaluation; 0: as they are
    min_score: float | None = None  # score below which a class counts as absent, where it was measured
    notes: tuple[str, ...] = ()  # what is worth telling the user
    record: Mapping[str, Any] = field(default_factory=dict)  # all else in the file, as plain values

    @property
    def trained_with(self) -> Mapping[str, Any]:
        """The run's settings as they were saved; empty for the authors' files."""
        settings: Mapping[str, Any] = self.record.get("settings", {})
        return settings

    @property
    def encoder_licence(self) -> str:
        """The licence of the weights that the encoder's training started from; '' where that is not known."""
        if "encoder_licence" in self.record:
            return str(self.record["encoder_licence"])
        return _encoder_licence(self.settings, self.trained_with)

    def build(self) -> OneShotNetwork:
        """A network with these weights, in evaluation mode. Raises `UserError` where they do not make one."""
        first, *others = (*self.earlier_slots, self.num_slots)

        def made() -> OneShotNetwork:
            network = build_network(first, self.way, self.settings)
            for slots in others:
                network = build_network(slots, self.way, self.settings, network)
            return network

        try:
            if shell := _without_memory(made):
                check_weights(shell, self.weights)
            network = made()
            load_weights(network, self.weights)
        except (UserError, ValueError) as error:
            raise UserError(f"{self.path}: {error}; fetch or write the file anew") from error
        if network.min_presence and self.min_score is not None:
            network.min_presence = self.min_score
        return network.eval()


def open_checkpoint(path: str | Path, *, num_slots: int | None = None, way: str = "") -> Checkpoint:
    """Open a checkpoint of a run, a released file, or one of the authors', which needs `num_slots` and `way`.

    Raises `UserError` when the file is missing, damaged or something else.
    """
    path, content = Path(path), files.read(path)
    if is_own(content):
        return own(path, content)
    if num_slots is None or not way:
        raise UserError(
            f"{path}: not a checkpoint of this project; for one of the authors' give --dataset and --way too"
        )
    return _of_authors(path, content, num_slots, way)


def is_own(content: object) -> bool:
    """Whether a file with this content was written by this project."""
    return isinstance(content, dict) and content.get("format") == files.FORMAT


def own(path: Path, content: Mapping[str, Any]) -> Checkpoint:
    """The checked `content` of a file of this project. Raises `UserError` when it is damaged or too new."""
    try:
        if _take(content, "version", int, default=1) > files.VERSION:
            raise UserError(f"{path}: written by a newer version of this project; update the code to open it")
        return _checked(path, content)
    except ValueError as error:
        raise UserError(
            f"{path}: damaged, or not a checkpoint of this project ({error}); fetch or write it anew"
        ) from error


def export_released(
    source: str | Path, out: str | Path, min_score: float | None = None, mean_with: str | Path | None = None
) -> int:
    """Write the network of our checkpoint `source` as a released file; returns its size in bytes.

    Convolution weights and the bank are stored in half precision; BatchNorm and all other vectors and scalars, whose
    range half precision does not cover, stay in single. `min_score` is the score below which a class counts as absent.
    `mean_with` is another checkpoint of the same classes, from which this training went on or the other way: the file
    has the mean of both weights. Raises `UserError` when one is no checkpoint of this project, or they do not fit.
    """
    checkpoint = open_checkpoint(source)
    network = checkpoint.build()  # complains about a checkpoint whose parts do not fit
    if mean_with is not None:
        _mean(network, checkpoint, open_checkpoint(mean_with))
    weights = {name: _compact(tensor) for name, tensor in network.state_dict().items()}
    kept = ("settings", "num_slots", "class_names", "novel", "trained_epoch")
    content = {"version": files.VERSION, "written_by": __version__}
    content |= {name: checkpoint.record[name] for name in kept if name in checkpoint.record}
    if min_score is not None:
        content["min_score"] = min_score
    if checkpoint.encoder_licence:
        content["encoder_licence"] = checkpoint.encoder_licence
    metadata = {"format": files.FORMAT, "content": json.dumps(content)}
    with replacing(out) as temporary:
        save_file(weights, temporary, metadata)
    return Path(out).stat().st_size


def _mean(network: nn.Module, checkpoint: Checkpoint, other: Checkpoint) -> None:
    """Bring the network of `checkpoint` to the mean of its weights and those of `other`."""
    theirs = other.build().state_dict()
    own = network.state_dict()
    alike = checkpoint.class_names == other.class_names
    if not alike or any(name not in theirs or theirs[name].shape != tensor.shape for name, tensor in own.items()):
        raise UserError(
            f"{other.path}: is of other classes or another network than {checkpoint.path}; name one of its run"
        )
    for name, tensor in own.items():
        if tensor.is_floating_point():
            tensor.lerp_(theirs[name], 0.5)


def check_weights(network: nn.Module, weights: Mapping[str, Tensor], needed: str = "") -> list[str]:
    """As `load_weights`, but nothing is loaded: names and shapes are compared, so `network` may hold no memory."""
    state = network.state_dict()
    for name, tensor in weights.items():
        if name not in state:
            raise ValueError(f"{name} has no place in the network")
        if tensor.shape != state[name].shape:
            raise ValueError(f"{name} is {tuple(tensor.shape)}, the network needs {tuple(state[name].shape)}")
    lacking = [name for name in state if name not in weights and not name.endswith("num_batches_tracked")]
    missed = [name for name in lacking if name.startswith(needed)]
    if missed:
        raise ValueError(f"{len(missed)} tensors are missing, the first is {missed[0]}")
    return lacking


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], needed: str = "") -> list[str]:
    """Give a network these weights; returns the names of its tensors that they lack, which stay as they are.

    Raises `ValueError` where one lacks whose name begins with `needed`, where one has another shape, and where one has
    no place in the network.
    """
    lacking = check_weights(network, weights, needed)
    try:
        network.load_state_dict({**network.state_dict(), **weights})
    except RuntimeError as error:  # a kind of tensor that cannot be copied
        raise ValueError(" ".join(str(error).split())[:160]) from error
    return lacking


def _without_memory(made: Callable[[], OneShotNetwork]) -> OneShotNetwork | None:
    """A network of names and shapes alone, so that a stranger's file takes no memory before it fits.

    None for an encoder that cannot be made so.
    """
    try:
        with torch.device("meta"):
            return made()
    except (RuntimeError, NotImplementedError):
        return None


def _checked(path: Path, content: Mapping[str, Any]) -> Checkpoint:
    trained_with = _take(content, "settings", dict)
    settings = restore(NetworkSettings, trained_with, path)
    weights = _take(content, "network", dict, lambda tensors: all(isinstance(t, Tensor) for t in tensors.values()))
    slots = _slots_of_stages(weights, settings)
    stage = len(slots) if settings.method == "pop" else STAGES
    return Checkpoint(
        path,
        "released" if path.suffix == files.RELEASED else "run",
        settings,
        _take(trained_with, "way", str, WAYS.__contains__, WAYS[0]),
        _take(content, "num_slots", int, lambda number: number == slots[-1]),
        weights,
        _take(content, "trained_epoch", int, lambda epoch: epoch >= 0),
        tuple(slots[:-1]),
        stage,
        _class_names(content.get("class_names", {}), slots[-1]),
        _take(trained_with, "test_size", int, lambda size: 0 <= size <= MAX_SIDE, 0),
        None if content.get("min_score") is None else _take(content, "min_score", float, lambda score: 0 <= score <= 1),
        (f"stage {stage} of {STAGES}, scored at its own labels",) if stage < STAGES else (),
        {name: value for name, value in content.items() if name not in ("format", "version", "network")},
    )


def _take(
    values: Mapping[str, Any], name: str, kind: type[T], holds: Callable[[T], bool] | None = None, default: Any = None
) -> T:
    """The value of that name, of type `kind` and such that it `holds`; `ValueError` for any other."""
    value = values.get(name, default)
    if not isinstance(value, kind) or isinstance(value, bool) or (holds and not holds(value)):
        raise ValueError(f"{name} is {reprlib.repr(value)}")
    return value


def _slots_of_stages(weights: Mapping[str, Tensor], settings: NetworkSettings) -> list[int]:
    """Class slots of each stage that the weights hold, the first stage's first; EOPNet's are those of its only one."""
    slots: list[int] = []
    while (rows := weights.get("previous." * len(slots) + authors.BANK)) is not None:
        if rows.shape[1:] != (settings.channels,) or not 2 <= len(rows) <= IGNORE:
            raise ValueError(f"the prototype bank is {tuple(rows.shape)}, and the setting channels {settings.channels}")
        slots.insert(0, len(rows))
    if not 1 <= len(slots) <= (STAGES if settings.method == "pop" else 1):
        raise ValueError(f"it holds {len(slots)} prototype banks")
    return slots


def _encoder_licence(settings: NetworkSettings, trained_with: Mapping[str, Any]) -> str:
    start = trained_with.get("pretrained", "none")
    authors_own = settings.encoder == XCEPTION and start not in ENCODER_WEIGHTS  # who name no licence
    return "" if start == "none" or authors_own else licence_of(settings.encoder)


def _class_names(names: object, num_slots: int) -> dict[int, str]:
    if isinstance(names, dict):
        by_id = {int(c) if isinstance(c, str) else c: name for c, name in names.items()}
        if all(c in range(num_slots) and isinstance(name, str) for c, name in by_id.items()):
            return by_id
    raise ValueError(f"class_names is {reprlib.repr(names)}")


def _of_authors(path: Path, content: object, num_slots: int, way: str) -> Checkpoint:
    method = "pop" if authors.identify(content) == "pop_kway" else "eop"
    settings = NetworkSettings(method=method)
    try:
        converted = authors.convert(content, f"{method}_{way}", num_slots, settings.level)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    if converted.kind == authors.DEEPLAB:
        raise UserError(f"{path}: these are DeepLabV3+ weights to start training from; evaluate a trained checkpoint")
    weights = {name: tensor for name, tensor in converted.weights.items() if not name.startswith("infuse.")}
    alone = ["one stage of POPNet without the earlier ones: parsed without knowledge infusion"]
    notes = (*converted.notes, *(alone if method == "pop" else []))
    return Checkpoint(path, "authors", settings, way, num_slots, weights, authors.EPOCH, notes=notes)


def _compact(tensor: Tensor) -> Tensor:
    matrix = tensor.is_floating_point() and tensor.numel() > max(tensor.shape, default=1)
    return (tensor.half() if matrix else tensor).contiguous()
