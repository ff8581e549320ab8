"""Pictures of label maps: overlays with a legend, and rows of support, labels, query, prediction and truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.files import replacing

from .palette import RGB

OPACITY = 0.6
GAP = 6
Palette = Sequence[RGB]


def colorize(label: np.ndarray, palette: Palette) -> np.ndarray:
    """Label map (H, W) -> RGB uint8 (H, W, 3); ids without a colour, 255 among them, are white."""
    table = np.full((256, 3), 255, dtype=np.uint8)
    table[: len(palette)] = palette
    colours: np.ndarray = table[label]
    return colours


def overlay(image: np.ndarray, label: np.ndarray, palette: Palette, opacity: float = OPACITY) -> np.ndarray:
    """Lay the colours of a label map (H, W) over an RGB image (H, W, 3); the background stays as it is."""
    blended = (1 - opacity) * image + opacity * colorize(label, palette)
    return np.where((label > 0)[..., None], blended, image).astype(np.uint8)


def legend(entries: Sequence[tuple[str, RGB]], width: int) -> np.ndarray:
    """A strip, RGB uint8 (h, width, 3), of class names behind squares of their colours, wrapped to the width."""
    font, line, x, y = ImageFont.load_default(13), 20, GAP, 2
    places = []
    for name, color in entries:
        length = 16 + int(font.getlength(name)) + 2 * GAP
        if x + length > width and x > GAP:
            x, y = GAP, y + line
        places.append((x, y, name, color))
        x += length
    strip = Image.new("RGB", (width, y + line), "white")
    draw = ImageDraw.Draw(strip)
    for x, y, name, color in places:
        draw.rectangle((x, y + 3, x + 12, y + 15), fill=color, outline="gray")
        draw.text((x + 17, y + 1), name, fill="black", font=font)
    return np.asarray(strip)


def episode_row(
    support: tuple[np.ndarray, np.ndarray],
    query: tuple[np.ndarray, np.ndarray],
    prediction: np.ndarray,
    palette: Palette,
    height: int = 256,
) -> np.ndarray:
    """One row: support, its labels, query, prediction, truth. Pairs are (image (H, W, 3), label (H, W))."""
    (support_image, support_label), (query_image, query_label) = support, query
    panels = [
        support_image,
        overlay(support_image, support_label, palette),
        query_image,
        overlay(query_image, prediction, palette),
        overlay(query_image, query_label, palette),
    ]
    return beside([to_height(panel, height) for panel in panels])


def beside(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Set RGB images of one height side by side, a white gap between them."""
    gap = np.full((panels[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    parts = [part for panel in panels for part in (panel, gap)][:-1]
    return np.concatenate(parts, axis=1)


def stack(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Set RGB images one below the other, narrower ones filled up with white."""
    width = max(row.shape[1] for row in rows)
    filled = [np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(filled)


def titled(row: np.ndarray, titles: Sequence[str]) -> np.ndarray:
    """Put evenly spaced titles above a row."""
    strip = Image.new("RGB", (row.shape[1], 20), "white")
    draw = ImageDraw.Draw(strip)
    for i, title in enumerate(titles):
        draw.text((i * row.shape[1] / len(titles) + 2, 2), title, fill="black", font=ImageFont.load_default(13))
    return np.concatenate([np.asarray(strip), row])


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write an RGB image (H, W, 3), whole or not at all."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary)


def to_height(image: np.ndarray, height: int) -> np.ndarray:
    """An RGB image (H, W, 3) resized to `height`."""
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
