"""Photos that are parsed together or, where memory does not suffice for that, one by one."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from utils.errors import UserError, out_of_memory

if TYPE_CHECKING:  # who only reads a collection need not wait for torch
    from .boxes import Box
    from .parser import OneShotParser
    from .parsing import Parsing

Key = TypeVar("Key", bound=Hashable)


def parse_together(
    parser: OneShotParser, photos: Mapping[Key, np.ndarray], boxes: Mapping[Key, Sequence[Box]] | None = None
) -> Iterator[tuple[Key, Parsing | UserError]]:
    """What is found in each photo, RGB uint8 (H, W, 3), or the error that there is too little memory even for it alone.

    `boxes` are those of the persons to parse.
    """
    try:
        own = None if boxes is None else [boxes[key] for key in photos]
        yield from zip(photos, parser.parse(list(photos.values()), boxes=own), strict=True)
    except Exception as error:  # OpenCV has a kind of its own
        if not out_of_memory(error):
            raise
        for key, rgb in photos.items():
            if len(photos) == 1:
                yield key, UserError(f"memory has run out ({str(error)[:80]}); choose a smaller --max-size")
            else:
                yield from parse_together(parser, {key: rgb}, boxes)
