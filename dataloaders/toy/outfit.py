"""What a person of the toy data set wears: one draw of garments, hair and accessories, before anything is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .fabric import HAIRS, SKINS, Fabric, plain

LABELS = (
    "background", "hat", "hair", "sunglasses", "upper-clothes", "skirt", "pants", "dress", "belt", "left-shoe",
    "right-shoe", "face", "left-leg", "right-leg", "left-arm", "right-arm", "bag", "scarf",
)  # fmt: skip
"""Names of the label values, in ATR's order."""

HAT, HAIR, SUNGLASSES, UPPER, SKIRT, PANTS, DRESS, BELT = 1, 2, 3, 4, 5, 6, 7, 8
LEFT_SHOE, RIGHT_SHOE, FACE, LEFT_LEG, RIGHT_LEG, LEFT_ARM, RIGHT_ARM, BAG, SCARF = 9, 10, 11, 12, 13, 14, 15, 16, 17


@dataclass(frozen=True)
class Outfit:
    """Everything chosen about a person's looks. An empty string means that the piece is not worn.

    `sleeve` is the covered share of the arm (0..1), `bottom` one of skirt, pants and dress, `cut` its shape;
    `trousers` the share of the leg that trousers cover.
    """

    front: bool
    feminine: float
    skin: Fabric
    hair_colour: np.ndarray
    hair: str
    beard: bool
    bottom: str
    cut: str
    trousers: float
    upper: str
    sleeve: float
    tucked: bool
    jacket: str
    shoes: str
    tights: bool
    hat: str
    bag: str
    bag_side: int
    scarf: str
    sunglasses: bool
    belt: bool


def choose(rng: np.random.Generator) -> Outfit:
    """Draw an outfit. The shares of the rarer pieces are raised over those of street photographs."""
    bottom = pick(rng, {"skirt": 0.26, "pants": 0.48, "dress": 0.26})
    feminine = rng.uniform(0.65, 1.0) if bottom != "pants" else rng.uniform(0.0, 1.0)
    front = bool(rng.random() > 0.09)
    cuts = {
        "skirt": {"mini": 0.2, "pencil": 0.22, "aline": 0.25, "pleated": 0.2, "maxi": 0.13},
        "pants": {"slim": 0.38, "straight": 0.22, "wide": 0.15, "shorts": 0.25},
        "dress": {"sheath": 0.27, "aline": 0.35, "maxi": 0.18, "shirt": 0.2},
    }
    if bottom == "dress":
        upper, sleeve = "", float(rng.choice([0.0, 0.32, 0.6, 0.95], p=[0.4, 0.3, 0.1, 0.2]))
    else:
        upper = pick(rng, {"tee": 0.28, "long": 0.16, "tank": 0.14, "shirt": 0.18, "hoodie": 0.1, "sweater": 0.14})
        sleeve = {"tee": 0.36, "tank": 0.0}.get(upper, 0.96)
        if upper == "shirt" and rng.random() < 0.3:
            sleeve = 0.4
    jacket = pick(rng, {"blazer": 0.08, "coat": 0.05, "cardigan": 0.07, "": 0.8}) if upper != "hoodie" else ""
    belt = bool(rng.random() < (0.28 if upper in ("", "tee", "tank", "shirt") else 0.1))
    tucked = belt or (rng.random() < (0.6 if bottom == "skirt" else 0.25) and upper not in ("hoodie", "sweater"))
    cut = pick(rng, cuts[bottom])
    return Outfit(
        front=front,
        feminine=feminine,
        skin=plain(SKINS[rng.integers(len(SKINS))] * rng.uniform(0.95, 1.04), gloss=0.03),
        hair_colour=HAIRS[rng.integers(len(HAIRS))] * rng.uniform(0.85, 1.15),
        hair=_choose_hair(rng, feminine),
        beard=bool(front and feminine < 0.4 and rng.random() < 0.4),
        bottom=bottom,
        cut=cut,
        trousers=rng.uniform(0.3, 0.5) if cut == "shorts" else rng.uniform(0.88, 0.99),
        upper=upper,
        sleeve=sleeve,
        tucked=bool(tucked),
        jacket=jacket,
        shoes=_choose_shoes(rng, feminine),
        tights=bool(bottom != "pants" and rng.random() < 0.15),
        hat=pick(rng, {"cap": 0.1, "beanie": 0.09, "brim": 0.12, "": 0.69}),
        bag=pick(rng, {"hand": 0.12, "shoulder": 0.09, "crossbody": 0.09, "backpack": 0.08, "": 0.62}),
        bag_side=int(rng.choice([-1, 1])),
        scarf=pick(rng, {"wrap": 0.07, "tails": 0.1, "": 0.83}) if upper != "hoodie" else "",
        sunglasses=bool(front and rng.random() < 0.24),
        belt=belt,
    )


def pick(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """One of the keys, with these probabilities."""
    return list(shares)[rng.choice(len(shares), p=np.array(list(shares.values())) / sum(shares.values()))]


def tone(colour: Sequence[float] | np.ndarray, factor: float) -> np.ndarray:
    """A colour (3,) made darker (< 1) or lighter (> 1)."""
    return np.clip(np.asarray(colour, np.float32) * factor, 0, 1).astype(np.float32)


def _choose_hair(rng: np.random.Generator, feminine: float) -> str:
    if feminine > 0.5:
        return pick(rng, {"long": 0.36, "bob": 0.2, "bun": 0.14, "ponytail": 0.16, "afro": 0.06, "short": 0.08})
    return pick(rng, {"short": 0.56, "crop": 0.18, "bald": 0.09, "bob": 0.06, "afro": 0.06, "bun": 0.05})


def _choose_shoes(rng: np.random.Generator, feminine: float) -> str:
    if feminine > 0.5:
        return pick(rng, {"sneaker": 0.32, "heel": 0.3, "boot": 0.2, "flat": 0.18})
    return pick(rng, {"sneaker": 0.52, "derby": 0.28, "boot": 0.2})
