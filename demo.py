"""A web page: label one reference, parse photos with it. Works offline, on the CPU.

    pip install -r requirements-demo.txt
    python demo.py                                  # http://127.0.0.1:7860
    python demo.py --checkpoint runs/ccp_eop_kway_f1/best.pt --port 8000

Every visitor has a reference and results of their own, forgotten when they leave or after a quarter of an hour.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr
import numpy as np
from PIL import Image
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware

from dataloaders import catalog, toy
from inference import page as demo_view
from inference.annotations import read_labels
from inference.parsing import Parsing
from predict import DEFAULT_CHECKPOINT, OneShotParser, Support
from utils.config import ArgumentParser
from utils.errors import UserError, run_cli
from utils.imaging import to_rgb

MAX_PIXELS = 24_000_000
MAX_FILE_SIZE = "16mb"
MAX_PHOTOS, MAX_CLASSES = 8, 64
STATE_SECONDS = 15 * 60
SESSIONS = 40  # how many sessions' references and results are kept at most
WAITING = 64  # requests that may wait for their turn
TOY_SIZE = (384, 256)
TOY_PHOTOS = 4
FONTS = ("system-ui", "sans-serif")
# The browser itself refuses whatever does not come from this server.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
CSS = """
.chip {display: inline-block; width: .9em; height: .9em; border-radius: 3px; margin-right: .5em; vertical-align: -.1em}
.areas {display: inline-block; vertical-align: top; margin: 0 1.5em 1em 0; min-width: 14em}
.areas table {border-collapse: collapse}
#areas table, #areas tr, #areas td, #areas th {border: 0 !important}
#areas td, #areas th {padding: .15em 1em .15em 0; text-align: left}
#overlays .grid-wrap {min-height: 0; max-height: none; height: auto}
#overlays .grid-container {padding-top: 2.2em}
#overlays .grid-container {grid-template-columns: repeat(auto-fill, minmax(min(18em, 45%), 1fr)) !important}
@media (max-width: 640px) {.gradio-container {padding: .5em !important} h1 {font-size: 1.4em !important}}
""" + "".join(
    f".brush{i} {{border-left: 10px solid {color} !important}}\n" for i, color in enumerate(demo_view.BRUSHES)
)
SUGGESTED = ("hair", "skin", "upper clothes", "trousers", "shoes", "bag", "", "")


class LocalOnly:
    """ASGI middleware: tell the browser to load nothing from elsewhere."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self.app(scope, receive, with_policy if scope["type"] == "http" else send)


class Page:
    """The page's actions over one parser that all sessions share; what a session owns travels in and out.

    `folder` takes the drawn photos, and in `cache`, which Gradio empties of what is old, the downloads.
    """

    def __init__(self, parser: OneShotParser, folder: Path) -> None:
        self.parser, self.cache = parser, folder / "cache"
        self.toys = [toy.draw(7, index, TOY_SIZE) for index in range(TOY_PHOTOS + 1)]
        self.toy_files = []
        for number, (image, _) in enumerate(self.toys[1:], 1):
            self.toy_files.append(str(folder / f"toy_{number}.png"))
            Image.fromarray(image).save(self.toy_files[-1])

    def take_painted(self, editor: dict[str, Any] | None, *names: str) -> tuple[Support, str]:
        """Reference from the canvas; its classes keep the brushes' colours."""
        with errors_as_toasts():
            painting = demo_view.painted(editor, names)
            support = self.parser.make_support(painting.photo, painting.masks)
            classes = tuple(c._replace(color=painting.colors[c.name]) for c in support.classes)
            return self._taken(replace(support, classes=classes))

    def take_files(self, photo: str | None, labels: str | None, names: str) -> tuple[Support, str]:
        """Reference from a photo and an index PNG, with class names by id: "1 hat, 2 coat"."""
        with errors_as_toasts(photo, labels):
            if not photo or not labels:
                raise UserError("a photo and its label map are both needed; choose two files")
            index = read_labels(labels)
            if len(np.unique(index)) > MAX_CLASSES + 2:
                raise UserError(f"{labels}: holds more than {MAX_CLASSES} classes; use predict.py for so many")
            return self._taken(self.parser.make_support(to_rgb(photo, MAX_PIXELS), index, _names(names)))

    def take_toy(self) -> tuple[Support, str]:
        """The drawn reference with its exact labels."""
        spec = catalog.load("toy")
        image, label = self.toys[0]
        merged = spec.merge_table()[label]
        return self._taken(self.parser.make_support(image, merged, {c: spec.class_name(c) for c in spec.classes}))

    def parse(self, support: Support | None, files: Sequence[str] | None, opacity: float) -> tuple[Any, ...]:
        """Parse the photos; returns what is kept, overlays, table, zip file, and the classes to show."""
        with errors_as_toasts(*(files or ())):
            if support is None:
                raise UserError("there is no reference yet; finish step 1")
            if not files:
                raise UserError("there are no photos yet; drop some in step 2")
            if len(files) > MAX_PHOTOS:
                raise UserError(f"{len(files)} photos at once; choose at most {MAX_PHOTOS}")
            names = [Path(file).name for file in files]
            parsings = [self.parser.parse(to_rgb(file, MAX_PIXELS), support) for file in files]
        archive = demo_view.packed(parsings, names, self.cache)
        shown = [demo_view.reduced(parsing) for parsing in parsings]
        classes = [c.name for c in support.classes]
        opacities = dict.fromkeys(classes, opacity)
        kept = (shown, opacities)
        choices = gr.update(choices=classes, value=classes)
        which = gr.update(choices=["all classes", *classes], value="all classes")
        return kept, self.overlays(kept, classes), demo_view.table(shown, names), archive, choices, which

    def overlays(self, kept: tuple[list[Parsing], dict[str, float]] | None, visible: Sequence[str]) -> list[np.ndarray]:
        """The photos under the classes that are visible."""
        if kept is None:
            return []
        parsings, opacities = kept
        shown = {name: opacities[name] for name in visible if name in opacities}
        return [parsing.overlay(shown) for parsing in parsings]

    def fade(self, kept: Any, visible: Sequence[str], which: str, opacity: float) -> tuple[Any, list[np.ndarray]]:
        """Give one class, or all, another opacity."""
        if kept is None:
            return None, []
        parsings, opacities = kept
        changed = opacities if which == "all classes" else [which]
        kept = (parsings, {**opacities, **dict.fromkeys(changed, opacity)})
        return kept, self.overlays(kept, visible)

    @staticmethod
    def _taken(support: Support) -> tuple[Support, str]:
        return support, f"Reference ready: {', '.join(c.name for c in support.classes)}. Go on with step 2."


class errors_as_toasts:
    """Turns a `UserError` into a message on the page, without the server's folders in it."""

    def __init__(self, *paths: str | None) -> None:
        self.paths = [path for path in paths if path]

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, UserError):
            message = str(error)
            for path in self.paths:
                message = message.replace(path, Path(path).name)
            raise gr.Error(message) from None


def build(page: Page, checkpoint: str) -> gr.Blocks:
    """The page's layout and what its buttons do."""
    title, cleaning = "One-shot human parsing", (300, STATE_SECONDS)
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=cleaning) as blocks:
        support, kept = (gr.State(None, time_to_live=STATE_SECONDS) for _ in range(2))
        gr.Markdown(
            "# One-shot human parsing\nMark the parts that you care about in one photo, and find them in others.\n\n"
            f"Checkpoint: `{Path(checkpoint).name}` · photos seen at {page.parser.max_size} pixels · "
            f"on {page.parser.device}"
        )
        with gr.Row():
            with gr.Column(min_width=300):
                _reference(page, support)
            with gr.Column(min_width=300):
                gr.Markdown("## 2 Photos")
                several = {"file_count": "multiple", "file_types": ["image"]}
                files = gr.File(label=f"Photos, up to {MAX_PHOTOS}", elem_id="photos", **several)
                toys = gr.Button("Use drawn example photos", size="sm", elem_id="toy-photos")
                toys.click(lambda: page.toy_files, None, files, api_name="toy_photos")
                go = gr.Button("Parse", variant="primary", elem_id="parse")
        _results(page, support, kept, files, go)
    return blocks


def _reference(page: Page, support: gr.State) -> None:
    gr.Markdown("## 1 Reference")
    with gr.Tabs():
        with gr.Tab("Paint"):
            editor, names = _canvas(page)
            paint = gr.Button("Use this painting", variant="primary", elem_id="use-painting")
        with gr.Tab("Upload"):
            photo = gr.File(label="Photo", file_types=["image"], elem_id="reference-photo")
            told = "Label map: PNG of class ids, 0 = background, 255 = ignore"
            labels = gr.File(label=told, file_types=[".png"], elem_id="label-map")
            ids = gr.Textbox(label="Names by id", placeholder="1 hat, 2 coat", max_length=2000)
            upload = gr.Button("Use these files", variant="primary")
        with gr.Tab("Example"):
            gr.Markdown("A drawn person whose labels are known:")
            gr.Image(page.toys[0][0], show_label=False, interactive=False, height=300, buttons=[])
            example = gr.Button("Use the drawn example", variant="primary", elem_id="use-toy")
    told = gr.Markdown("No reference yet.", elem_id="reference-told")
    paint.click(page.take_painted, [editor, *names], [support, told], api_name="paint")
    upload.click(page.take_files, [photo, labels, ids], [support, told], api_name="reference")
    example.click(page.take_toy, None, [support, told], api_name="toy_reference")


def _canvas(page: Page) -> tuple[gr.ImageEditor, list[gr.Textbox]]:
    gr.Markdown("Drop a photo, choose the brush and a colour, and paint over each part. What each colour stands for:")
    with gr.Row(elem_id="names"):
        names = [_brush_name(i, name) for i, name in enumerate(SUGGESTED)]
    colors = list(demo_view.BRUSHES)
    brush = gr.Brush(default_size=14, colors=colors, default_color=colors[0], color_mode="fixed")
    editor = gr.ImageEditor(
        label="Canvas", type="numpy", format="png", transforms=(), layers=False, sources=("upload", "clipboard"),
        brush=brush, height=480, elem_id="canvas",
    )  # fmt: skip
    toy_canvas = gr.Button("Put the drawn person on the canvas", size="sm", elem_id="toy-canvas")
    toy_canvas.click(lambda: page.toys[0][0], None, editor, api_name="toy_canvas")
    return editor, names


def _brush_name(number: int, name: str) -> gr.Textbox:
    return gr.Textbox(
        name, show_label=False, placeholder="not used", elem_classes=f"brush{number}", min_width=110, max_lines=1,
        max_length=40, container=False,
    )  # fmt: skip


def _results(page: Page, support: gr.State, kept: gr.State, files: gr.File, go: gr.Button) -> None:
    gr.Markdown("## 3 Result")
    gallery = gr.Gallery(label="Overlays", height="auto", object_fit="contain", format="jpeg", elem_id="overlays")
    with gr.Row():
        visible = gr.CheckboxGroup(label="Visible classes", choices=[], min_width=320, elem_id="visible")
        which = gr.Dropdown(["all classes"], value="all classes", label="Opacity of")
        opacity = gr.Slider(0, 1, 0.6, step=0.05, label="Opacity", elem_id="opacity")
    areas = gr.HTML(elem_id="areas")
    archive = gr.DownloadButton("Download masks (zip)", interactive=False, elem_id="download")
    shown = [kept, gallery, areas, archive, visible, which]
    parsed = go.click(page.parse, [support, files, opacity], shown, api_name="parse")
    parsed.success(lambda: gr.update(interactive=True), None, archive, show_progress="hidden", api_visibility="private")
    visible.input(page.overlays, [kept, visible], gallery, api_name="show")
    # Not `release`, which the keyboard does not trigger; of many steps of a drag the last one counts.
    dragged = {"trigger_mode": "always_last", "show_progress": "hidden", "api_name": "fade"}
    opacity.input(page.fade, [kept, visible, which, opacity], [kept, gallery], **dragged)


def _names(text: str) -> dict[int, str]:
    names = {}
    for part in (text or "").split(","):
        number, _, name = part.strip().partition(" ")
        if part.strip() and not (number.isdigit() and name.strip()):
            raise UserError(f"names by id: {part.strip()!r} is not of the form '1 hat'; separate them by commas")
        if part.strip():
            names[int(number)] = name.strip()
    return names


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT, help="weights (default: %(default)s)")
    options.add_argument("--device", default="auto", help="cuda, mps, cpu, or auto for the best there is")
    options.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 lets others in (default: %(default)s)")
    options.add_argument("--port", type=int, default=7860, help="port (default: %(default)s)")
    chosen = options.parse_args(arguments)
    parser = OneShotParser(chosen.checkpoint, chosen.device)
    # Gradio reads the canvas's photo by itself: Pillow refuses at twice this number.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    folder = Path(tempfile.mkdtemp(prefix="demo_"))
    page = Page(parser, folder)
    os.environ["GRADIO_TEMP_DIR"] = str(page.cache)
    try:
        blocks = build(page, chosen.checkpoint).queue(max_size=WAITING, default_concurrency_limit=1)
        blocks.launch(
            server_name=chosen.host, server_port=chosen.port, max_file_size=MAX_FILE_SIZE,
            state_session_capacity=SESSIONS, share=False, footer_links=[], css=CSS,
            theme=gr.themes.Soft(font=FONTS, font_mono=("monospace",)),
            app_kwargs={"middleware": [Middleware(LocalOnly)]}, allowed_paths=page.toy_files, ssr_mode=False,
        )  # fmt: skip
    except OSError as error:
        taken = f"--host {chosen.host} --port {chosen.port}: no page can be served there"
        raise UserError(f"{taken} ({str(error).splitlines()[0]}); choose others") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    run_cli(main)
