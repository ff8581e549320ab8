"""Pictures of label maps: overlays with a legend, and rows of support, labels, query, prediction and truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.files import replacing

from .fonts import font_for
from .palette import RGB

OPACITY = 0.6
GAP = 6
LEAST_LETTERS, LARGEST_LETTERS = 13, 64  # pixels


def overlay(image: np.ndarray, label: np.ndarray, palette: Sequence[RGB], opacity: float = OPACITY) -> np.ndarray:
    """Lay the colours of a label map (H, W) over an RGB image (H, W, 3); the background stays as it is.

    Ids without a colour, 255 among them, are white.
    """
    table = np.full((256, 3), 255, dtype=np.uint8)
    table[: len(palette)] = palette
    blended = (1 - opacity) * image + opacity * table[label]
    return np.where((label > 0)[..., None], blended, image).astype(np.uint8)


def legend(entries: Sequence[tuple[str, RGB]], width: int) -> np.ndarray:
    """A strip, RGB uint8 (h, width, 3), of class names behind squares of their colours, wrapped to the width.

    The letters grow with the width, so that they can be read where a large picture is shown smaller.
    """
    size = min(max(LEAST_LETTERS, width // 60), LARGEST_LETTERS)
    font, line, x, y = font_for([name for name, _ in entries], size), size + 7, GAP, 2
    places = []
    for name, color in entries:
        length = size + 3 + int(font.getlength(name)) + 2 * GAP
        if x + length > width and x > GAP:
            x, y = GAP, y + line
        places.append((x, y, name, color))
        x += length
    strip = Image.new("RGB", (width, y + line), "white")
    draw = ImageDraw.Draw(strip)
    for x, y, name, color in places:
        draw.rectangle((x, y + 3, x + size - 1, y + size + 2), fill=color, outline="gray")
        draw.text((x + size + 4, y + 1), name, fill="black", font=font)
    return np.asarray(strip)


def numbered(image: np.ndarray, boxes: Mapping[int, tuple[int, int, int, int]]) -> np.ndarray:
    """An RGB image (H, W, 3) with each number above its box (x, y, width, height), white on black."""
    if not boxes:
        return image
    picture = Image.fromarray(image)
    draw, size = ImageDraw.Draw(picture), min(max(LEAST_LETTERS, image.shape[1] // 50), LARGEST_LETTERS)
    for number, (x, y, width, _) in boxes.items():
        place = (x + width / 2, max(y - size // 2, size))
        font = ImageFont.load_default(size)
        draw.rectangle(draw.textbbox(place, f" {number} ", font, anchor="mm"), fill="black")
        draw.text(place, str(number), fill="white", font=font, anchor="mm")
    return np.asarray(picture)


def titled_row(panels: Mapping[str, np.ndarray], height: int = 256) -> np.ndarray:
    """RGB images by their titles, resized to `height` and set side by side, a white gap between them."""
    gap = np.full((height, GAP, 3), 255, dtype=np.uint8)
    parts = []
    for panel in panels.values():
        width = max(1, round(panel.shape[1] * height / panel.shape[0]))
        parts += [np.asarray(Image.fromarray(panel).resize((width, height), Image.Resampling.LANCZOS)), gap]
    row = np.concatenate(parts[:-1], axis=1)
    strip = Image.new("RGB", (row.shape[1], 20), "white")
    for i, title in enumerate(panels):
        place = (i * row.shape[1] / len(panels) + 2, 2)
        ImageDraw.Draw(strip).text(place, title, fill="black", font=ImageFont.load_default(13))
    return np.concatenate([np.asarray(strip), row])


def stack(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Set RGB images one below the other, narrower ones filled up with white."""
    width = max(row.shape[1] for row in rows)
    filled = [np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(filled)


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write an RGB image (H, W, 3), whole or not at all."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary)
