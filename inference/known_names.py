"""Which class names of a reference mean a class that a checkpoint knows; told without torch."""

from collections import Counter
from collections.abc import Iterable, Sequence

from .annotations import plain_name

# Names of one meaning. Parts (face, left shoe) and things that are only one kind of a class (boots) are not here: they
# would blend with the whole class. `translation.KINDS` has these, since there they only need an id to stand in.
SAME = (
    {"bag", "bags", "handbag", "handbags", "purse"},
    {"belt", "belts"},
    {"dress", "dresses", "gown"},
    {"glove", "gloves"},
    {"hair", "hairs"},
    {"hat", "hats", "cap", "headwear", "headgear"},
    {"legwear", "socks", "stockings", "tights", "hosiery"},
    {"outerwear", "coat", "coats", "jacket", "jackets", "outer clothes", "overcoat"},
    {"pants", "pant", "trousers", "slacks"},
    {"scarf", "scarfs", "scarves"},
    {"shoes", "shoe", "footwear"},
    {"skirt", "skirts"},
    {"sunglasses", "glasses", "eyeglasses"},
    {"upper clothes", "upperclothes", "upper clothing", "upper body clothes", "top", "tops", "shirt"},
)
MEANING = {name: number for number, names in enumerate(SAME) for name in names}


def known_as(names: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """The known class that each of the reference's `names` means; names that mean none are left out.

    A name means the class of that name, whatever its case, spaces and hyphens, or of its plural: an arm is one of the
    arms. Another name means it by `SAME`. Not so where a second one of the reference does too: a coat and a jacket are
    two classes.
    """
    own = {plain_name(name): name for name in known}
    plain = {name: plain_name(name) for name in names}
    meant_by = {name: own[word] for name, word in plain.items() if word in own}
    for name, word in plain.items():
        other = word.removesuffix("s") if word.endswith("s") else f"{word}s"
        if word not in own and other in own and other not in plain.values():
            meant_by[name] = own[other]
    by_meaning = {MEANING[word]: name for word, name in own.items() if word in MEANING}
    meant = Counter(MEANING.get(word) for word in plain.values())
    for name, word in plain.items():
        meaning = MEANING.get(word)
        if name not in meant_by and meaning in by_meaning and meant[meaning] == 1:
            meant_by[name] = by_meaning[meaning]
    return meant_by


def shown_name(name: str, known: str) -> str:
    """How a name that means a known class is shown: with that class where it has another name."""
    return name if plain_name(name) == plain_name(known) else f"{name} (as {known})"
