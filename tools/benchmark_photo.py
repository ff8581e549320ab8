"""The part of the benchmark that is about one large photo: what a user waits for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import torch
from PIL import Image

from dataloaders.toy import JPEG_QUALITY, draw
from inference.parser import OneShotParser
from networks.fast import cells
from utils.imaging import to_rgb

SIZE = (3000, 2000)  # height and width of the photo: 6 megapixels


def photo_parts(
    folder: Path, device: torch.device, amp: str, medians: Callable[[dict[str, Callable[[], Any]]], Mapping[str, float]]
) -> dict[str, Any]:
    """Seconds from a photo's file to its results in `folder` with the released checkpoint, and those of the parts.

    The parts are run again by themselves.
    """
    file = folder / "photo.jpg"
    small, labels = draw(0, 1)
    pixels = cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    Image.fromarray(pixels).save(file, quality=JPEG_QUALITY)
    parser = OneShotParser(device=str(device), amp=amp)
    support = parser.set_reference(small, labels)
    parsing, maps = parser.parse(pixels), parser.maps(pixels, support)
    kept = torch.ones(len(maps.classes) - 1, dtype=torch.bool)
    found = medians(
        {
            "whole": lambda: parser.parse(to_rgb(file)).save(folder, "whole"),
            "read": lambda: to_rgb(file),
            "network": lambda: parser.maps(pixels, support),
            "decode": lambda: cells.decode(maps, kept, SIZE),
            "overlay": parsing.overlay,
            "save": lambda: parsing.save(folder, "part"),
        }
    )
    return {
        "photo": f"{SIZE[1]}x{SIZE[0]}, {len(support.classes)} classes, {(labels > 0).mean():.0%} person",
        "from file to results, s": found["whole"],
        "read the file, s": found["read"],
        "resize and network, s": found["network"],
        "label map at the photo's size, s": found["decode"],
        "save, s": found["save"],
        "of that the overlay, s": found["overlay"],
    }
