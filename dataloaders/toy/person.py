"""The order in which a person of the toy data set is painted: from what lies behind to what lies in front."""

from __future__ import annotations

import numpy as np

from . import body as body
from . import bottoms as bottoms
from . import extras as extras
from . import garments as garments
from .fabric import Fabric, cloth, dye, plain
from .figure import Figure
from .outfit import DRESS, UPPER, Outfit, tone
from .paint import Canvas


def paint_person(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    """Paint a whole person over the backdrop, with labels."""
    hair = body.hair_fabric(outfit.hair_colour, rng, figure.unit)
    leather = plain(dye(rng), gloss=0.12, crumple=0.4) if rng.random() < 0.6 else cloth(rng, figure.unit)
    if outfit.front:
        body.paint_hair_behind(canvas, figure, outfit, hair, rng)
        if outfit.bag == "backpack":
            extras.paint_backpack_behind(canvas, figure, leather)
    _paint_legs(canvas, figure, outfit, rng)
    cloth_of_sleeves, under = _paint_trunk(canvas, figure, outfit, rng)
    if outfit.bag == "backpack":
        extras.paint_backpack(canvas, figure, leather)
    elif outfit.bag in ("shoulder", "crossbody"):
        extras.paint_strap(canvas, figure, outfit, leather)
    _paint_head(canvas, figure, outfit, hair, rng)
    if outfit.scarf:
        extras.paint_scarf(canvas, figure, outfit, rng)
    if outfit.bag in ("hand", "shoulder"):
        extras.paint_bag(canvas, figure, outfit, leather, rng)
    for side in (-1, 1):
        _paint_arm(canvas, figure, side, outfit, cloth_of_sleeves, under, rng)
    if outfit.bag == "crossbody":  # it lies before the arm, all others behind it
        extras.paint_bag(canvas, figure, outfit, leather, rng)


def _paint_legs(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> None:
    """Bare legs and shoes; low shoes go under trousers, boots over them."""
    stockings = plain(tone(dye(rng), 0.5)) if outfit.tights else outfit.skin
    shoe = plain(dye(rng) if rng.random() < 0.6 else np.array([0.1, 0.09, 0.09]), gloss=0.1)
    accent = np.array([0.94, 0.94, 0.92]) if rng.random() < 0.7 else dye(rng)
    cover = outfit.trousers if outfit.bottom == "pants" else 0.12
    for side in (-figure.near, figure.near):
        if cover < 0.95:
            body.paint_leg(canvas, figure, side, stockings, cover)
        extras.paint_shoe(canvas, figure, side, outfit, shoe, accent)


def _paint_trunk(canvas: Canvas, figure: Figure, outfit: Outfit, rng: np.random.Generator) -> tuple[Fabric, np.ndarray]:
    """Neck and garments without sleeves. Returns the fabric of the sleeves and the mask (H, W) they grow out of."""
    under = body.paint_neck(canvas, figure, outfit.skin)
    if outfit.bottom == "dress":
        fabric, mask = bottoms.paint_dress(canvas, figure, outfit, rng)
    else:
        paint_bottom = bottoms.paint_pants if outfit.bottom == "pants" else bottoms.paint_skirt
        if not outfit.tucked:
            paint_bottom(canvas, figure, outfit, rng)
        fabric, mask = garments.paint_upper(canvas, figure, outfit, rng)
        if outfit.tucked:
            paint_bottom(canvas, figure, outfit, rng)
    if outfit.belt:
        bottoms.paint_belt(canvas, figure, outfit, rng)
    if outfit.jacket:
        fabric, mask = garments.paint_jacket(canvas, figure, outfit, rng)
    return fabric, under | mask


def _paint_head(canvas: Canvas, figure: Figure, outfit: Outfit, hair: Fabric, rng: np.random.Generator) -> None:
    body.paint_head(canvas, figure, outfit, rng)
    if not outfit.front:
        body.paint_hair_behind(canvas, figure, outfit, hair, rng)
    body.paint_hair(canvas, figure, outfit, hair, rng)
    if outfit.sunglasses:
        extras.paint_sunglasses(canvas, figure, rng)
    if outfit.hat:
        extras.paint_hat(canvas, figure, outfit, rng)


def _paint_arm(
    canvas: Canvas, figure: Figure, side: int, outfit: Outfit, fabric: Fabric, under: np.ndarray,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    share = 0.96 if outfit.jacket else outfit.sleeve
    body.paint_arm(canvas, figure, side, outfit.skin, share, under)
    if share > 0:
        label = UPPER if outfit.jacket or outfit.upper else DRESS
        garments.paint_sleeve(canvas, figure, side, fabric, label, share, under, rng, 0.08 if outfit.jacket else 0.05)
