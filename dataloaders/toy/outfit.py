"""What a person of the toy data set wears, and the values of the labels."""

import numpy as np

LABELS = (
    "background", "hat", "hair", "sunglasses", "upper-clothes", "skirt", "pants", "dress", "belt", "left-shoe",
    "right-shoe", "face", "left-leg", "right-leg", "left-arm", "right-arm", "bag", "scarf",
)  # fmt: skip
"""Names of the label values, in ATR's order."""

HAT, HAIR, SUNGLASSES, UPPER, SKIRT, PANTS, DRESS, BELT = range(1, 9)
LEFT_SHOE, RIGHT_SHOE, FACE, LEFT_LEG, RIGHT_LEG, LEFT_ARM, RIGHT_ARM, BAG, SCARF = range(9, 18)

BOTTOMS = {SKIRT: "mini pencil aline maxi", PANTS: "slim straight wide shorts", DRESS: "pencil aline aline maxi"}
SLEEVES = {"tee": 0.36, "tank": 0.0, "shirt": 0.96, "hoodie": 0.96, "sweater": 0.96}
HAIRS = "short short short crop bald bob afro", "long long bob bun ponytail afro short"
"""Where a name stands twice, its share is twice as large."""


class Outfit:
    """A draw of garments, hair and accessories by name, an empty string where there is none.

    `feminine` (0..1) shapes the body, `bottom` is the label of skirt, pants or dress, `sleeve` the covered share of the
    arm. The shares of the rarer pieces are raised over those of street photographs.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.bottom = int(rng.choice(list(BOTTOMS), p=[0.26, 0.48, 0.26]))
        self.cut = pick(rng, BOTTOMS[self.bottom])
        self.feminine = rng.uniform(0.0 if self.bottom == PANTS else 0.65, 1.0)
        self.hair, self.shoes = pick(rng, HAIRS[self.feminine > 0.5]), pick(rng, "sneaker sneaker sneaker boot heel")
        self.upper = "" if self.bottom == DRESS else pick(rng, " ".join(SLEEVES))
        self.jacket = pick(rng, "blazer coat cardigan", 0.2)
        self.sleeve = 0.96 if self.jacket else SLEEVES.get(self.upper, float(rng.choice([0, 0, 0.3, 0.6, 0.95])))
        self.tights = self.bottom != PANTS and rng.random() < 0.15
        self.belt = rng.random() < 0.24
        self.hat = pick(rng, "cap beanie brim", 0.31)
        self.bag = pick(rng, "hand shoulder crossbody backpack", 0.4)
        self.scarf = pick(rng, "wrap tails", 0.16)
        self.sunglasses = rng.random() < 0.24


def pick(rng: np.random.Generator, names: str, share: float = 1.0) -> str:
    """One of the names in so large a share of cases, else an empty string."""
    return str(rng.choice(names.split())) if rng.random() < share else ""
