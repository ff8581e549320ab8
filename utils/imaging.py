"""Photos of any kind, from a file or from memory, as RGB pixels; a fault is an error of one line."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 100_000_000
LEAST_SIDE = 16  # of a photo at network size: below one cell of the deepest feature nothing is left to see
GREY_STEPS = {"L;2": 85, "L;4": 17}
Photo = str | Path | np.ndarray | Image.Image


def to_rgb(photo: Photo, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a photo: a path, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    EXIF orientation is applied, transparent pixels become white, 16-bit values (and floats 0..1) are scaled down.
    Raises `UserError` for what is missing, damaged, no image, or larger than `max_pixels`.
    """
    if isinstance(photo, np.ndarray):
        return _array_to_rgb(photo)
    if isinstance(photo, Image.Image):
        return _picture_to_rgb(photo)
    return _picture_to_rgb(open_picture(photo, max_pixels))


def open_picture(path: str | Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The decoded picture in `path`, in the mode it is stored in. Raises `UserError` as `to_rgb` does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `max_pixels` is the limit here
            return load_picture(path, max_pixels)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder where an image is expected; name a file in it") from error
    except Image.DecompressionBombError as error:
        raise UserError(_too_large(path, "far more pixels than its size in bytes suggests", max_pixels)) from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not an image that can be read; give a JPEG, PNG, WebP or TIFF file") from error
    except (OSError, SyntaxError, ValueError, MemoryError) as error:
        raise UserError(f"{path}: the image is damaged ({str(error)[:100]}); replace the file") from error


def resize_longest(image: Tensor, longest: int, enlarge: bool = True) -> Tensor:
    """A photo (3, H, W), uint8, as the network sees it: its longer side has `longest` pixels, no side less than 16.

    Without `enlarge` smaller photos keep their size. The pixels are averaged where the photo gets smaller.
    """
    from torchvision.transforms.v2 import functional  # late: who only reads photos need not wait for torch

    factor = longest / max(image.shape[-2:])
    factor = factor if enlarge else min(1.0, factor)
    size = [max(LEAST_SIDE, round(side * factor)) for side in image.shape[-2:]]
    resized: Tensor = functional.resize(image, size, antialias=True)
    return resized


def load_picture(path: str | Path | BinaryIO, max_pixels: float = math.inf) -> Image.Image:
    """As `open_picture`, but faults are raised as Pillow does; `UserError` when larger than `max_pixels`."""
    with Image.open(path) as picture:
        width, height = picture.size
        if width * height > max_pixels:
            raise UserError(_too_large(path, f"{width}x{height} pixels", max_pixels))
        # Pillow stretches a grey PNG of 2 or 4 bits over 0..255 when it loads it; see `stored_values`
        picture.info["grey_step"] = GREY_STEPS.get(str(picture.tile[0][3]), 1) if picture.tile else 1
        picture.load()
        return picture.copy() if getattr(picture, "is_animated", False) else picture


def stored_values(picture: Image.Image) -> np.ndarray:
    """The pixels (H, W) of a loaded grey or palette picture as its file has them: the class ids of a label map."""
    pixels, step = np.array(picture), picture.info["grey_step"]
    return pixels // step if step > 1 else pixels


def _too_large(path: object, what: str, max_pixels: float) -> str:
    return f"{path}: {what}, more than the {max_pixels / 1e6:g} million that are allowed; make the image smaller"


def _picture_to_rgb(picture: Image.Image) -> np.ndarray:
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        return _array_to_rgb(np.asarray(picture))
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(picture.convert("RGB"))


def _array_to_rgb(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise UserError(f"an image array of shape {pixels.shape}; it must be (H, W), (H, W, 3) or (H, W, 4)")
    pixels = _to_bytes(pixels)
    if pixels.shape[2] == 4:
        return _picture_to_rgb(Image.fromarray(pixels))
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Values as uint8: 16-bit ones keep their high byte, floats are taken as 0..1 when none is above 1."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    pixels = np.nan_to_num(pixels.astype(np.float32))
    top = pixels.max()
    scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 1 / 257
    return np.clip(np.rint(pixels * scale), 0, 255).astype(np.uint8)
