"""What parsing goes by where nothing else is asked for; torch is not needed to read it."""

from pathlib import Path
from typing import NamedTuple

from utils.constants import LEAST_SIZE, MAX_SIDE, PRECISIONS, PROTOTYPES
from utils.errors import UserError

DEFAULT_CHECKPOINT = str(Path(__file__).resolve().parents[1] / "data/released/aopnet_lite2_3.2.safetensors")
DEFAULT_SIZE = 512  # longest side that the network sees, for checkpoints whose evaluation took photos as they are
PEOPLE = ("off", "auto")  # whether persons are looked for
SEVERAL_BIAS = 0.53  # times log(references), added to the logit of the presence; chosen on CCP-OS's validation list
MIN_SCORE = 0.0  # for checkpoints on which no score of absent classes was measured


class Defaults(NamedTuple):
    """The longest side at which the network takes photos, whether smaller ones are enlarged to it, and the score below
    which a class counts as absent."""

    max_size: int
    enlarge: bool
    min_score: float


def defaults_of(test_size: int, measured: float | None, min_presence: float) -> Defaults:
    """The defaults for a checkpoint whose evaluation took photos with a longest side of `test_size`, 0 for as they are.

    The least score is the `measured` one that it stores, or else the network's own, `min_presence`, 0 for none.
    """
    min_score = (min_presence or MIN_SCORE) if measured is None else measured
    return Defaults(test_size or DEFAULT_SIZE, bool(test_size), min_score)


def check_choices(
    prototypes: str, max_size: int, depth: int, min_score: float | None, people: str, tile: bool, amp: str
) -> None:
    """Raise `UserError` for arguments of `OneShotParser` out of range."""
    if prototypes not in PROTOTYPES:
        raise UserError(f"prototypes {prototypes!r}: choose one of {', '.join(PROTOTYPES)}")
    if max_size and max_size < LEAST_SIZE:
        raise UserError(f"max_size {max_size}: must be at least {LEAST_SIZE} pixels")
    if max_size > MAX_SIDE:
        raise UserError(f"max_size {max_size}: must be at most {MAX_SIDE} pixels")
    if depth and depth not in range(8, 17):
        raise UserError(f"depth {depth}: must be 8 to 16 bits, or 0 for what the files say")
    if min_score is not None and not 0 <= min_score <= 1:
        raise UserError(f"min_score {min_score}: must lie between 0 and 1")
    if people not in PEOPLE:
        raise UserError(f"people {people!r}: choose one of {', '.join(PEOPLE)}")
    if tile and people == "auto":
        raise UserError("people: each is parsed at its own scale already; leave tile away")
    if amp not in PRECISIONS:
        raise UserError(f"amp {amp!r}: choose one of {', '.join(PRECISIONS)}")
