"""Picture files of every kind, opened: which page, how many bits, which way up, which colours. A fault is one line."""

import io
import math
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.ExifTags import Base as Exif

from .errors import UserError
from .heif import HEIF_SUFFIXES, is_heif, register_heif

MAX_PIXELS = 100_000_000
XMP = ("xmp", "XML:com.adobe.xmp")  # where Pillow keeps that
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".avif",
    *HEIF_SUFFIXES, ".jp2", ".ppm", ".pgm", ".tga",
)  # fmt: skip
"""File names of photos that can be read, in small letters."""
DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error, MemoryError, EOFError,
)  # fmt: skip
"""What Pillow raises at a file that is damaged."""
LOSSY = ("JPEG", "MPO", "JPEG2000")
GREY_STEPS = {"L;2": 85, "L;4": 17}
SIZ, DEPTH_BEHIND = b"\xff\x4f\xff\x51", 38  # how a JPEG 2000 code stream begins, and bytes until its first depth
PLANES = 284  # TIFF's PlanarConfiguration: 2 where each colour is a picture of its own
DNG_VERSION, SUB_PICTURES, KIND_OF_PAGE = 50706, 330, 254  # of raw files, which are TIFF; 1 is a small copy
SRGB = ("srgb", "srgb built-in", "srgb2014")
Tell = Callable[[str], None]
"""Takes a line that the user should read."""


def silent(line: str) -> None:
    """For callers that do not pass lines on."""


def open_picture(path: str | Path | BinaryIO, max_pixels: float = MAX_PIXELS, tell: Tell = silent) -> Image.Image:
    """The decoded picture in `path`, the largest of its pages, in the mode and the form in which it is stored.

    Raises `UserError` for what is missing, damaged, no image, or larger than `max_pixels`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, whose limit is `max_pixels`, and of damaged EXIF
            return _load(path, max_pixels, tell)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder where an image is expected; name a file in it") from error
    except Image.DecompressionBombError as error:
        raise UserError(_too_large(path, "far more pixels than its size in bytes suggests", max_pixels)) from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: {_unknown(path)}") from error
    except PermissionError as error:
        raise UserError(f"{path}: permission denied; change its mode or its folder's") from error
    except DAMAGED as error:
        raise UserError(f"{path}: the image is damaged ({str(error)[:100]}); replace the file") from error


def picture_size(path: str | Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size (H, W) of a photo by its header: as viewers show it, and as it is stored. Raises as `open_picture`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _opened(path) as picture:
                _to_largest_page(picture)
                size = (picture.height, picture.width)
                if picture.format == "TIFF":  # whose size Pillow has turned already
                    return size, size[::-1] if _turned_by_pillow(picture) >= 5 else size
                return (size[::-1] if orientation(picture) >= 5 else size), size
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: the image cannot be opened ({str(error)[:100]}); replace the file") from error


def orientation(picture: Image.Image) -> int:
    """How a viewer turns the picture: EXIF's 1 (as it is) to 8. What is damaged or out of range counts as 1."""
    if picture.format == "TIFF":  # Pillow has turned it
        return 1
    try:
        for other in XMP:  # Pillow would go by that where EXIF says nothing; browsers do not
            picture.info.pop(other, None)
        value = picture.getexif().get(Exif.Orientation, 1)
        value = value[0] if isinstance(value, tuple) else value
        return value if value in range(1, 9) else 1
    except Exception:  # damaged EXIF raises nearly anything
        return 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels (H, W, ...) as EXIF's `orientation` has them shown."""
    if orientation in (5, 7):
        pixels = pixels.swapaxes(0, 1)
    quarters = {3: 2, 6: -1, 7: 2, 8: 1}.get(orientation, 0)
    flips = {2: (slice(None), slice(None, None, -1)), 4: (slice(None, None, -1),)}.get(orientation, ())
    return np.ascontiguousarray(np.rot90(pixels, quarters)[flips])


def in_srgb(picture: Image.Image) -> Image.Image:
    """An 8-bit picture in sRGB, as L, RGB or RGBA: by the profile that it carries; a broken one is passed over."""
    if picture.mode == "LAB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif content := picture.info.get("icc_profile"):
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
            name = ImageCms.getProfileDescription(profile).strip().lower()
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            return picture
        if name in SRGB or name.startswith("srgb iec61966"):
            return picture
    else:
        return picture
    alpha = picture.convert("RGBA").getchannel("A") if picture.has_transparency_data else None
    if picture.mode not in ("L", "LA", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    try:
        colours = picture.convert("L") if picture.mode == "LA" else picture
        srgb = ImageCms.profileToProfile(colours, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        srgb = picture.convert("RGB")
    assert srgb is not None  # which it is in place alone
    if alpha is not None:
        srgb.putalpha(alpha)
    return srgb


def stored_values(picture: Image.Image) -> np.ndarray:
    """The pixels (H, W) of a loaded grey or palette picture as its file has them: the class ids of a label map."""
    pixels, step = np.array(picture), picture.info.get("grey_step", 1)
    return pixels // step if step > 1 else pixels


def colours_in_use(picture: Image.Image) -> set[tuple[int, int, int]]:
    """The colours (red, green, blue) of a palette picture that its pixels have."""
    indices = np.unique(np.array(picture)).astype(np.uint8)
    row = Image.fromarray(indices[None])
    row.putpalette(picture.getpalette("RGB") or [])
    return {(int(r), int(g), int(b)) for r, g, b in np.array(row.convert("RGB"))[0]}


def _source(path: str | Path | BinaryIO) -> str | Path | BinaryIO:
    """The path, or the content where it is a pipe such as /dev/stdin."""
    if isinstance(path, (str, Path)) and (Path(path).is_fifo() or Path(path).is_char_device()):
        return io.BytesIO(Path(path).read_bytes())
    return path


def _opened(path: str | Path | BinaryIO) -> Image.Image:
    """The picture, not yet decoded."""
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        if is_heif(path) and register_heif():
            return Image.open(path)
        raise


def _load(path: str | Path | BinaryIO, max_pixels: float, tell: Tell) -> Image.Image:
    source = _source(path)
    with _opened(source) as picture:
        pages = getattr(picture, "n_frames", 1)
        page = _to_largest_page(picture)
        width, height = picture.size
        if width * height > max_pixels:
            raise UserError(_too_large(path, f"{width}x{height} pixels", max_pixels))
        if _is_preview(picture):
            raise UserError(f"{path}: is a raw photo, of which only its preview can be read; export it as JPEG or TIFF")
        if pages > 1 and picture.format != "MPO":  # the other pictures of an MPO file belong to the camera
            tell(f"{path}: page {page + 1} of {pages} is taken")
        # Pillow stretches a grey PNG of 2 or 4 bits over 0..255 when it loads it; see `stored_values`
        tile = getattr(picture, "tile", None)
        by_pillow = _turned_by_pillow(picture)
        if by_pillow >= 5:
            vars(picture)["filename"] = ""  # else Pillow maps plain files into memory at the size of what is turned
        step = GREY_STEPS.get(str(tile[0][3]), 1) if tile else 1
        picture.load()
        copy = picture.copy() if pages > 1 else picture
        copy.format = picture.format
        copy.info |= {"grey_step": step, "bits": _bits(picture, source, tile), "orientation": orientation(picture)}
        tags = vars(picture).get("tag_v2", {})
        copy.info |= {"turned": by_pillow, "inverted": tags.get(Exif.PhotometricInterpretation) == 0}
        if copy.info["bits"] > 8 and copy.mode in ("RGB", "RGBA"):
            if tags.get(PLANES, 1) == 2:  # neither Pillow nor OpenCV reads these right
                raise UserError(f"{path}: holds 16-bit colours one after the other; save it with interleaved channels")
            deep = _deep(source, page, copy.size)
            copy.info["deep"] = deep if deep is None or copy.has_transparency_data else deep[..., :3]
        return copy


def _is_preview(picture: Image.Image) -> bool:
    """Whether a picture is but the small one of a camera's raw file (DNG, NEF, ARW), whose photo Pillow cannot read."""
    tags = vars(picture).get("tag_v2", {})
    return DNG_VERSION in tags or (SUB_PICTURES in tags and bool(tags.get(KIND_OF_PAGE, 0) & 1))


def _turned_by_pillow(picture: Image.Image) -> int:
    """The orientation that Pillow applies when it loads a TIFF picture; 1 for others."""
    value = vars(picture).get("tag_v2", {}).get(Exif.Orientation, 1) if picture.format == "TIFF" else 1
    return value if value in range(1, 9) else 1


def _to_largest_page(picture: Image.Image) -> int:
    """Go to the page with the most pixels, of pages of one size, as in animations, the first; returns its number."""
    pages = getattr(picture, "n_frames", 1)
    if picture.format not in ("TIFF", "ICO", "ICNS") or pages == 1:  # which stand on the first, or on the whole picture
        return 0
    areas = []
    for page in range(pages):
        picture.seek(page)
        areas.append(picture.width * picture.height)
    page = areas.index(max(areas))
    picture.seek(page)
    return page


def _bits(picture: Image.Image, path: str | Path | BinaryIO, tile: Any) -> int:
    """Bits of a sample that are in use, as the file says: TIFF's BitsPerSample, PNG's sBIT or else its depth.

    Of a PPM file its greatest value, which stands in the `tile` that Pillow was to decode; of JPEG 2000 what its code
    stream says.
    """
    if picture.format == "TIFF":
        return int(max(vars(picture).get("tag_v2", {}).get(Exif.BitsPerSample, (8,))))
    if picture.format in ("PPM", "JPEG2000") and picture.mode not in ("RGB", "RGBA"):
        return 16 if picture.mode.startswith("I") else 8  # greys are scaled to all bits that they may have
    if picture.format == "JPEG2000":
        _, marker, stream = _content(path).partition(SIZ)
        return (stream[DEPTH_BEHIND] & 127) + 1 if marker else 8  # the highest bit tells a sign
    if picture.format == "PPM":
        greatest = tile[0][3][1] if tile and isinstance(tile[0][3], tuple) else 255
        return greatest.bit_length() if greatest > 255 and not greatest & (greatest + 1) else 8
    if picture.format != "PNG":
        return 8
    if isinstance(path, (str, Path)):
        with open(path, "rb") as file:
            return _png_bits(file)
    path.seek(0)
    return _png_bits(path)


def _content(path: str | Path | BinaryIO) -> bytes:
    if isinstance(path, (str, Path)):
        return Path(path).read_bytes()
    path.seek(0)
    return path.read()


def _png_bits(file: BinaryIO) -> int:
    """The depth in a PNG file's header, or what its chunk sBIT says, which stands before the pixels."""
    head = file.read(33)
    while len(chunk := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", chunk)
        if kind == b"sBIT":
            return min(max(file.read(length), default=head[24]), head[24])
        if kind in (b"IDAT", b"PLTE"):
            break
        file.seek(length + 4, io.SEEK_CUR)
    return head[24]


def _deep(path: str | Path | BinaryIO, page: int, size: tuple[int, int]) -> np.ndarray | None:
    """16-bit colours (H, W, 3 or 4), RGB(A), of a page of this `size`, which Pillow would cut to 8 bits.

    None where OpenCV cannot read them.
    """
    import cv2  # late: it takes a while, and is needed for few photos

    data = np.frombuffer(_content(path), dtype=np.uint8)
    if page:
        pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED)[1]
        pixels = pages[page] if page < len(pages) else None
    else:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[1::-1] != size:
        return None
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _unknown(path: str | Path | BinaryIO) -> str:
    if is_heif(path):
        return "HEIC photos need a further package; run: pip install pillow-heif"
    return "not an image that can be read; give a JPEG, PNG, WebP, AVIF or TIFF file"


def _too_large(path: object, what: str, max_pixels: float) -> str:
    if not math.isfinite(max_pixels):
        return f"{path}: {what}; make the image smaller"
    return f"{path}: {what}, more than the {max_pixels / 1e6:g} million that are allowed; make the image smaller"
