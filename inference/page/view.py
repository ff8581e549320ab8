"""What the page takes and shows: painted masks, photos at the size shown, tables of areas, downloads."""

import html
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
from PIL import Image, ImageColor

from dataloaders.palette import RGB
from utils.errors import UserError
from utils.imaging import to_rgb

from ..parsing import Parsing

BRUSHES = ("#e6194b", "#0082c8", "#3cb44b", "#ffe119", "#911eb4", "#f58230", "#46f0f0", "#f032e6")
NAME_LENGTH = 50  # letters of a photo's name that its results keep
SHOWN_SIDE = 1280  # longest side of the photos kept for the page; bounds the memory of a session


class Canvas(TypedDict):
    """The value of a Gradio image editor: a photo, and layers of strokes, RGBA (H, W, 4)."""

    background: np.ndarray | None
    layers: list[np.ndarray]


class Painting(NamedTuple):
    """A painted photo, RGB (H, W, 3), and for each class name its mask (H, W) and the brush's colour (RGB)."""

    photo: np.ndarray
    masks: dict[str, np.ndarray]
    colors: dict[str, RGB]


def painted(canvas: Canvas | None, names: Sequence[str]) -> Painting:
    """What is painted on the canvas, with the names of the brushes.

    A pixel is of the nearest brush; brushes of one name make one class. Raises `UserError` where nothing is painted.
    """
    if not canvas or canvas["background"] is None:
        raise UserError("there is no reference photo yet; drop one on the canvas")
    photo = to_rgb(canvas["background"])
    brushes = np.array([ImageColor.getrgb(color) for color in BRUSHES])
    masks: dict[str, np.ndarray] = {}
    colors: dict[str, RGB] = {}
    for layer in canvas["layers"]:
        if layer.shape[:2] != photo.shape[:2]:
            raise UserError("the painting has another size than the photo; clear the canvas and paint again")
        solid = layer[..., 3] > 127
        distance = np.abs(layer[solid][:, None, :3].astype(int) - brushes).sum(axis=2)
        nearest = np.full(solid.shape, -1)
        nearest[solid] = distance.argmin(axis=1)
        for brush in np.unique(nearest[solid]):
            name = names[brush].strip() or f"class {brush + 1}"
            masks[name] = masks.get(name, np.zeros(solid.shape, bool)) | (nearest == brush)
            colors.setdefault(name, ImageColor.getrgb(BRUSHES[brush])[:3])
    if not masks:
        raise UserError("nothing is painted yet; choose a brush colour for each class and paint over it")
    return Painting(photo, masks, colors)


def reduced(parsing: Parsing) -> Parsing:
    """The parsing at a size to show: at most `SHOWN_SIDE` pixels."""
    height, width = parsing.labels.shape
    factor = SHOWN_SIDE / max(height, width)
    if factor >= 1:
        return parsing
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = Image.fromarray(parsing.image).resize(size, Image.Resampling.BILINEAR)
    maps = (Image.fromarray(map_) for map_ in (parsing.labels, parsing.foreground))
    labels, foreground = (np.array(map_.resize(size, Image.Resampling.NEAREST)) for map_ in maps)
    return replace(parsing, image=np.array(image), labels=labels, foreground=foreground)


def table(parsings: Sequence[Parsing], names: Sequence[str]) -> str:
    """HTML of the classes of every photo: colour, name, share of the photo, score; and names of absent classes."""
    parts = []
    for parsing, name in zip(parsings, names, strict=True):
        rows, absent = [], []
        for info in parsing.classes:
            area = parsing.areas()[info.name]
            if not area["pixels"]:
                absent.append(html.escape(info.name))
                continue
            chip = f'<span class="chip" style="background:rgb{tuple(info.color)}"></span>'
            cells = (chip + html.escape(info.name), f"{100 * area['share']:.1f} %", f"{area['score']:.2f}")
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        head = "<tr><th>class</th><th>area</th><th>score</th></tr>"
        rest = f"<p>not found: {', '.join(absent)}</p>" if absent else ""
        body = f"<table>{head}{''.join(rows)}</table>" if rows else "<p>no class found</p>"
        parts.append(f'<section class="areas"><h4>{html.escape(name)}</h4>{body}{rest}</section>')
    return "".join(parts)


def packed(parsings: Sequence[Parsing], names: Sequence[str], cache: Path) -> str:
    """Write index masks, overlays and areas of all photos into one zip file in a new folder of `cache`; returns it."""
    cache.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=cache))
    target = folder / "parsed.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (parsing, name) in enumerate(zip(parsings, names, strict=True), 1):
            for path in parsing.save(folder, f"{number:02d}_{Path(name).stem[:NAME_LENGTH]}"):
                archive.write(path, path.name)
                path.unlink()
    return str(target)
