"""What the page takes and shows: painted strokes, photos at the size shown, bars, tables of areas, zip files."""

import html
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import gradio as gr
import numpy as np
from PIL import Image, ImageColor

from dataloaders.palette import RGB
from dataloaders.prepare.formats.common import is_background
from utils.constants import IGNORE
from utils.errors import UserError
from utils.imaging import to_rgb

from ..parsing import Parsing

BRUSHES = ("#e6194b", "#0082c8", "#3cb44b", "#ffe119", "#911eb4", "#f58230", "#46f0f0", "#f032e6")
NAME_LENGTH = 50  # letters of a photo's name that its results keep
SHOWN_SIDE = 1280  # longest side of the photos kept for the page; bounds the memory of a session


def toast(file: str, line: str) -> None:
    """Show a line about a visitor's file, without the server's folders."""
    gr.Info(html.escape(line.replace(file, Path(file).name)))


class CanvasValue(TypedDict):
    """The value of a Gradio image editor: a photo, and layers of strokes, RGBA (H, W, 4)."""

    background: np.ndarray | None
    layers: list[np.ndarray]


class Painting(NamedTuple):
    """A painted photo, RGB (H, W, 3), and its strokes (H, W): ids, 0 for background, 255 where nothing is painted.

    `names` are of the classes by id, `colors` the brushes' (RGB) by name.
    """

    photo: np.ndarray
    strokes: np.ndarray
    names: dict[int, str]
    colors: dict[str, RGB]


def painted(canvas: CanvasValue | None, names: Sequence[str]) -> Painting:
    """What is painted on the canvas, with the names of the brushes.

    A pixel is of the nearest brush; brushes of one name make one class. Raises `UserError` where no class is painted.
    """
    if not canvas or canvas["background"] is None:
        raise UserError("there is no reference photo yet; drop one on the canvas")
    photo = to_rgb(canvas["background"])
    brushes = np.array([ImageColor.getrgb(color) for color in BRUSHES])
    strokes = np.full(photo.shape[:2], IGNORE, dtype=np.uint8)
    ids: dict[str, int] = {}
    colors: dict[str, RGB] = {}
    for layer in canvas["layers"]:
        if layer.shape[:2] != photo.shape[:2]:
            raise UserError("the painting has another size than the photo; clear the canvas and paint again")
        solid = layer[..., 3] > 127
        nearest = np.abs(layer[solid][:, None, :3].astype(int) - brushes).sum(axis=2).argmin(axis=1)
        for brush in np.unique(nearest):
            name = names[brush].strip() or f"class {brush + 1}"
            place = np.zeros_like(solid)
            place[solid] = nearest == brush
            strokes[place] = 0 if is_background(name) else ids.setdefault(name, int(brush) + 1)
            colors.setdefault(name, ImageColor.getrgb(BRUSHES[brush])[:3])
    if not ids:
        raise UserError("nothing is painted yet; choose a brush colour for each class and paint over it")
    return Painting(photo, strokes, {i: name for name, i in ids.items()}, colors)


def compared(parsing: Parsing, shown: Mapping[str, float], name: str) -> dict[str, Any]:
    """Gradio's update of a slider between a photo and its overlay, in which the classes `shown` have an opacity."""
    return gr.update(value=(parsing.image, parsing.overlay(shown, legend=False)), label=name, visible=True)


def progress(names: Sequence[str], done: int) -> str:
    """HTML of a bar for each photo, of which the first `done` are parsed and the next one is being parsed.

    When all are parsed, only their number is told.
    """
    told = f"<p>{done} of {len(names)} photos parsed</p>"
    rows = []
    for number, name in enumerate(names if done < len(names) else ()):
        state = "parsed" if number < done else "is being parsed" if number == done else "waits"
        value = "" if number == done else f' value="{int(number < done)}"'
        label = html.escape(f"{name}: {state}", quote=True)
        rows.append(f'<li><progress aria-label="{label}"{value} max="1"></progress> {label}</li>')
    return told + (f'<ul class="bars">{"".join(rows)}</ul>' if rows else "")


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


def packed(folder: Path, name: str) -> str:
    """Put all files of a folder into the zip file `name` beside it, and remove them; returns the zip file."""
    target = folder.parent / name
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    shutil.rmtree(folder)
    return str(target)


def title(number: int, name: str) -> str:
    """What the results of a photo are called, counted from 1."""
    return f"{number:02d}_{Path(name).stem[:NAME_LENGTH]}"
