"""The optimisers and their learning rates (docs/method.md, steps 30 and 39, and D1)."""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from utils.errors import UserError

from .settings import OptimizerSettings, TrainSettings

CLIP = 5.0  # largest norm of aop's gradients
AVERAGED_STEPS = 200  # about so many steps are averaged in aop's weights

LAYER = re.compile(r"^.*?\d+(?=[._]|$)")  # the beginning of a parameter's name, up to the number of its layer
FALLS = 5  # of a rate that falls in steps, in a training


def make_optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """SGD over what is not frozen, for aop AdamW; rates of encoder, NPM's scalars and the rest, scaled as asked.

    Raises `UserError` where nothing learns.
    """
    heads = settings.head_lr_scale
    scales = {"encoder.": 1.0, "npm.": heads * settings.npm_lr_scale, "": heads}
    decays = layer_decays(network, settings.layer_decay)
    members: dict[tuple[str, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            new = name.startswith("encoder.stem.")  # has no pretrained weights either
            prefix = "" if new else next(prefix for prefix in scales if name.startswith(prefix))
            members.setdefault((prefix, scales[prefix] * decays.get(name, 1.0)), []).append(parameter)
    if not any(scale for _, scale in members):
        raise UserError("nothing is left to train: --freeze-encoder needs layers that learn, at a rate above 0")
    order = sorted(members, key=lambda key: (list(scales).index(key[0]), -key[1]))
    groups = [{"params": members[key], "lr": settings.lr * key[1], "initial_lr": settings.lr * key[1]} for key in order]
    if settings.method == "aop":
        return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)


def layer_decays(network: nn.Module, decay: float) -> dict[str, float]:
    """Factors on the rates of the encoder's body by parameter: 1 in its last layer, `decay` times less in each before.

    A layer is what shares a number in its name: a block of a transformer, a stage or block of others. What stands
    before the first number (the patch embedding) is one too; later names without a number belong to the layer before.
    """
    layers, depths, layer = dict[str, int](), dict[str, int](), ""
    for name, _ in network.named_parameters():
        if name.startswith("encoder.body."):
            found = LAYER.match(name.removeprefix("encoder.body."))
            layer = found[0] if found else layer
            depths[name] = layers.setdefault(layer, len(layers))
    return {name: decay ** (len(layers) - 1 - depth) for name, depth in depths.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take an optimiser's saved state; the rates at the start of the run stay this run's own."""
    initial = [group["initial_lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, rate in zip(optimizer.param_groups, initial, strict=True):
        group["initial_lr"] = rate


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: OptimizerSettings, epoch_steps: int, done: int = 0
) -> LambdaLR:
    """The rates of a run with `epoch_steps` steps an epoch of which `done` steps are behind, as the settings say."""
    if settings.schedule == "poly":
        return poly_schedule(optimizer, settings.epochs * epoch_steps, settings.power, done, settings.lr_warmup)

    def factor_at(step: int) -> float:
        epoch = min(step // epoch_steps, settings.epochs - 1)
        factor: float = (1 - last_fall(epoch, settings.epochs) / settings.epochs) ** settings.power
        return factor

    return LambdaLR(optimizer, factor_at, last_epoch=done - 1)


def poly_schedule(
    optimizer: torch.optim.Optimizer, steps: int, power: float, done: int = 0, warmup: int = 0
) -> LambdaLR:
    """The rates of a run of `steps` of which `done` are behind: `initial * (1 - step / steps) ** power`.

    In the first `warmup` steps they rise to that.
    """
    return LambdaLR(
        optimizer,
        lambda step: min(1.0, (step + 1) / (warmup + 1)) * (1 - min(step, steps) / steps) ** power,
        last_epoch=done - 1,
    )


def last_fall(epoch: int, epochs: int) -> int:
    """The last epoch up to `epoch` in which a schedule in steps falls: of 50, 9, 19, 29, 39 and 49; 0 before the first.

    Other numbers of `epochs` have five falls too, at even distances, as far as they are long enough.
    """
    falls = (max(number * epochs // FALLS - 1, 0) for number in range(1, FALLS + 1))
    return max((fall for fall in falls if fall <= epoch), default=0)


def begin_epoch(optimizer: torch.optim.Optimizer, settings: OptimizerSettings, epoch: int) -> None:
    """Forget the momentum where a schedule in steps falls, as a new optimiser would."""
    if settings.schedule == "steps" and epoch and last_fall(epoch, settings.epochs) == epoch:
        optimizer.state.clear()


def averaged(network: nn.Module) -> AveragedModel:
    """A running mean of the network's weights over its last steps, buffers too."""

    def mean(old: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
        share = max(1 / AVERAGED_STEPS, 9 / (int(steps) + 10))
        return old + (new - old) * share if old.is_floating_point() else new

    return AveragedModel(network, avg_fn=mean, use_buffers=True)
