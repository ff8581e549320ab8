"""Photos of any kind, from a file or from memory, as RGB pixels; a fault is an error of one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from .errors import UserError
from .pictures import MAX_PIXELS, Tell, in_srgb, open_picture, orientation, silent, turned

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SIDE = 16  # of a photo at network size: below one cell of the deepest feature nothing is left to see
LOOKED_AT = 512  # pixels of the longer side that tell whether a photo shows anything
FLAT = 4.0  # of 255: blocks of a photo that differ by less are of one colour
NOISE = 0.15  # share of the pixels' deviation that is left in the means of blocks of noise
OVERSHOOT = 2.0  # resizing can bring floats of 0..1 somewhat above 1
UNDERSHOOT = 0.5  # and below 0, as a share of the greatest; what networks take, from -1 on, lies lower
CAMERA_BITS = (8, 10, 12)  # what cameras and scanners put into 16
Photo = str | Path | np.ndarray | Image.Image


def to_rgb(
    photo: Photo,
    max_pixels: float = MAX_PIXELS,
    *,
    depth: int = 0,
    upright: bool = True,
    tell: Tell = silent,
) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a photo: a path, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    The photo is as viewers show it: turned as its EXIF orientation says (where `upright`), its colours brought from
    their profile to sRGB, white where it is transparent. More than 8 bits are scaled by the `depth` in bits, by
    default the one that the file declares, else by the whole range of its type; floats are 0..1, or 0..255.
    `tell` takes lines such as which page of several was read. Raises `UserError` for what is missing, damaged, no
    image, or larger than `max_pixels`.
    """
    if isinstance(photo, np.ndarray):
        return _array_to_rgb(photo, depth)
    if isinstance(photo, Image.Image):
        name, picture = "the photo", _loaded(photo)
    elif isinstance(photo, (str, Path)):
        name, picture = str(photo), open_picture(photo, max_pixels, tell)
    else:
        raise UserError(f"a photo cannot be {type(photo).__name__}; give a path, a PIL image or an array")
    way = picture.info.get("orientation") or orientation(picture)
    if not upright:  # a TIFF picture, which Pillow has turned, goes back
        way = {6: 8, 8: 6}.get(by := picture.info.get("turned", 1), by)
    return turned(_picture_to_rgb(picture, depth, tell, name), way)


def is_blank(rgb: np.ndarray) -> bool:
    """Whether a photo (H, W, 3) shows nothing: one colour, black with a camera's noise, or noise alone.

    Its means over 16 x 16 blocks or so are then alike, or differ by no more than means over so many independent pixels.
    """
    step = max(1, max(rgb.shape[:2]) // LOOKED_AT)
    rgb = rgb[::step, ::step]
    side = max(1, max(rgb.shape[:2]) // 16)
    rows, columns = (length // side for length in rgb.shape[:2])
    if not rows or not columns:  # narrower than a block
        return bool((np.ptp(rgb, axis=(0, 1)) < FLAT).all())
    whole = rgb[: rows * side, : columns * side].astype(np.float32)
    blocks = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    low, high = np.percentile(blocks, (1, 99), axis=(0, 1))
    noise = blocks.std(axis=(0, 1)) < NOISE * cv2.meanStdDev(whole)[1][:, 0]
    return bool((high - low < FLAT).all() or noise.all())


def resize_longest(image: Tensor, longest: int, enlarge: bool = True) -> Tensor:
    """A photo (3, H, W), uint8, as the network sees it: its longer side has `longest` pixels, no side less than 16.

    Without `enlarge` smaller photos keep their size. The pixels are averaged where the photo gets smaller.
    """
    from torchvision.transforms.v2 import functional  # late: who only reads photos need not wait for torch

    size = network_size((image.shape[-2], image.shape[-1]), longest, enlarge)
    resized: Tensor = functional.resize(image, list(size), antialias=True)
    return resized


def network_size(size: tuple[int, int], longest: int, enlarge: bool = True) -> tuple[int, int]:
    """The size (H, W) at which the network sees a photo of `size`; see `resize_longest`."""
    factor = longest / max(size)
    factor = factor if enlarge else min(1.0, factor)
    height, width = (max(LEAST_SIDE, round(side * factor)) for side in size)
    return height, width


def _loaded(picture: Image.Image) -> Image.Image:
    """A program's PIL image, decoded. Raises `UserError` where it cannot be, and for one without pixels."""
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, AttributeError) as error:  # damaged, or closed by the program
        raise UserError(f"the photo: its PIL image cannot be read ({str(error)[:100]}); open the file anew") from error
    if 0 in picture.size:
        raise UserError(
            f"the photo: a PIL image of {picture.width}x{picture.height} pixels; give one that shows something"
        )
    return picture


def _picture_to_rgb(picture: Image.Image, depth: int, tell: Tell, name: str) -> np.ndarray:
    deep, declared = picture.info.get("deep"), picture.info.get("bits", 0)
    if picture.mode.startswith("I") or picture.mode == "F":
        deep = np.asarray(picture)
    if deep is None:
        return _on_white(in_srgb(picture))
    if deep.dtype.kind == "i" and deep.min() < 0:
        raise UserError(f"{name}: holds values below zero; save it with 0 as black")
    if of_16_bits := deep.dtype.kind in "iu" and 8 < declared <= 16:  # as a file says
        deep = deep.astype(np.uint16)
    if of_16_bits and picture.info.get("inverted"):  # white is zero, which Pillow minds in 8 bits alone
        deep = deep.dtype.type(2**declared - 1) - deep
    colours = deep[..., :3] if deep.ndim == 3 else deep
    top = float(colours.max())
    read_as_16 = deep.dtype == np.uint16 or top > 255  # the others hold bytes, or 0 to 1
    if read_as_16 and not depth and not 8 < declared < 16 and 0 < top < 2**12:
        bits = next(bits for bits in CAMERA_BITS if top < 2**bits)
        tell(f"{name}: its 16-bit values all lie below {2**bits}, so it looks black; for {bits} bits: --depth {bits}")
    if of_16_bits:
        depth = depth or (declared if declared < 16 and top < 2**declared else 16)
    shown = _to_bytes(colours, depth)
    if deep.ndim == 3 and deep.shape[2] == 4:  # opacity may have all 16 bits where colours have fewer
        opacity = deep[..., 3:]
        shown = np.concatenate([shown, _to_bytes(opacity, depth if opacity.max() < 2**depth else 16)], axis=2)
    bytes_ = Image.fromarray(shown)
    bytes_.info["icc_profile"] = picture.info.get("icc_profile")
    return _on_white(in_srgb(bytes_))


def _on_white(picture: Image.Image) -> np.ndarray:
    """RGB of an 8-bit picture, white behind what is transparent."""
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(picture.convert("RGB"))


def _array_to_rgb(pixels: np.ndarray, depth: int) -> np.ndarray:
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise UserError(f"an image array of shape {pixels.shape}; it must be (H, W), (H, W, 3) or (H, W, 4)")
    least, top = (0, 0) if pixels.dtype.kind in "bu" else (float(np.nanmin(pixels)), float(np.nanmax(pixels)))
    if least < -UNDERSHOOT * max(top, 1):
        raise UserError(f"an image array of values from {least:g} to {top:g}; give 0 to 1, or 0 to 255")
    pixels = _to_bytes(pixels, depth)
    if pixels.shape[2] == 4:
        return _on_white(Image.fromarray(pixels))
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _to_bytes(pixels: np.ndarray, depth: int) -> np.ndarray:
    """Values as uint8. `depth` is that of 16-bit ones, 0 for the whole range; floats are 0..1 if none is far above."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    kind, pixels = pixels.dtype, np.nan_to_num(pixels.astype(np.float32))
    is_float, top = np.issubdtype(kind, np.floating), pixels.max()
    scale = 255 / (2 ** (depth or 16) - 1)
    if top <= 255 and (is_float or (kind != np.uint16 and not depth)):  # or whole numbers of a wider type: bytes
        scale = 255.0 if top <= (OVERSHOOT if is_float else 1) else 1.0
    scaled: np.ndarray = np.clip(np.rint(pixels * scale), 0, 255).astype(np.uint8)
    return scaled
