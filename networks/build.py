"""Networks from their settings."""

from utils.errors import UserError

from .aopnet import AOPNet
from .base import OneShotNetwork
from .eopnet import EOPNet
from .popnet import POPNet
from .settings import NetworkSettings


def build_network(
    num_slots: int, way: str, settings: NetworkSettings, previous: OneShotNetwork | None = None
) -> OneShotNetwork:
    """A network with random weights, for POPNet a stage on top of `previous`.

    `num_slots` counts the background and every label id. Raises `UserError` for an encoder that cannot be had.
    """
    try:
        network = _new(num_slots, way, settings, previous)
        if settings.ignore_place:
            network.encoder.ignore_place(settings.ignore_place)
    except ValueError as error:
        raise UserError(f"--encoder: {error}") from error
    if settings.freeze_encoder:
        network.encoder.freeze()
    return network


def _new(num_slots: int, way: str, settings: NetworkSettings, previous: OneShotNetwork | None) -> OneShotNetwork:
    if settings.method == "aop":
        return AOPNet(num_slots, settings.encoder, settings.channels, settings.pseudo_classes, settings.bank_momentum)
    shape = (settings.encoder, settings.channels, settings.level, settings.warmup_epochs, settings.bank_momentum)
    if settings.method == "eop":
        return EOPNet(num_slots, way, *shape, settings.departures)
    if not isinstance(previous, POPNet | None):
        raise TypeError("a stage of POPNet stands on another")
    return POPNet(num_slots, way, *shape, settings.background, previous)
