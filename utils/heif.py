"""HEIC and HEIF photos: known by their names and contents, and read where `pillow-heif` is installed."""

from pathlib import Path
from typing import BinaryIO

HEIF_SUFFIXES = (".heic", ".heif", ".hif")
KINDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")  # what such a file says behind "ftyp"


def is_heif(path: str | Path | BinaryIO) -> bool:
    """Whether a file is one, by its suffix or, since phones and messengers call some .jpg, by its content."""
    head = b""
    if not isinstance(path, (str, Path)):
        path.seek(0)
        head = path.read(12)
    elif Path(path).is_file():
        with open(path, "rb") as file:
            head = file.read(12)
    return str(path).lower().endswith(HEIF_SUFFIXES) or (head[4:8] == b"ftyp" and head[8:] in KINDS)


def register_heif() -> bool:
    """Let Pillow read such files where `pillow-heif` is installed; returns whether it is."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True
