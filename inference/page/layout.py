"""The page's layout, which action each of its buttons calls, and how it is served: with nothing from elsewhere."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import gradio as gr
from PIL import Image
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from utils.errors import UserError
from utils.parallel import process_exists

from ..parser import OneShotParser
from . import view
from .actions import ALL_CLASSES, MAX_PHOTOS, MAX_PIXELS, Page

FOLDER = "demo_"  # what the name of a server's temporary folder begins with; its process's number follows
MAX_FILE_SIZE = "16mb"
SESSIONS = 40  # how many sessions' references and results are kept at most
WAITING = 64  # requests that may wait for their turn
FONTS = ("system-ui", "sans-serif")
# The browser itself refuses whatever does not come from this server.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
STATE_SECONDS = 15 * 60
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
""" + "".join(f".brush{i} {{border-left: 10px solid {color} !important}}\n" for i, color in enumerate(view.BRUSHES))
SUGGESTED = ("hair", "skin", "upper clothes", "trousers", "shoes", "bag", "", "")


def serve(parser: OneShotParser, checkpoint: str, host: str, port: int) -> None:
    """Serve the page over `parser` until it is stopped. Raises `UserError` where nothing can listen at the address."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: must lie between 0 and 65535")
    # Gradio reads the canvas's photo by itself: Pillow refuses at twice this number.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    sweep()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, so that what visitors gave is removed
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}_", ignore_cleanup_errors=True) as folder:
        page = Page(parser, Path(folder))
        os.environ["GRADIO_TEMP_DIR"] = str(page.cache)
        blocks = build(page, checkpoint).queue(max_size=WAITING, default_concurrency_limit=1)
        try:
            blocks.launch(
                server_name=host, server_port=port, max_file_size=MAX_FILE_SIZE, state_session_capacity=SESSIONS,
                share=False, footer_links=[], css=CSS, theme=gr.themes.Soft(font=FONTS, font_mono=("monospace",)),
                app_kwargs={"middleware": [Middleware(local_only)]}, allowed_paths=page.toy_files, ssr_mode=False,
            )  # fmt: skip
        except OSError as error:
            why = str(error).splitlines()[0]
            address = f"--host {host} --port {port}"
            raise UserError(f"{address}: no page can be served there ({why}); choose others") from error


def sweep() -> None:
    """Remove what servers that were killed have left behind: visitors' photos."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*_*"):
        number = folder.name.removeprefix(FOLDER).partition("_")[0]
        if number.isdecimal() and not process_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def build(page: Page, checkpoint: str) -> gr.Blocks:
    """The page. What a session owns, its reference and its results, is forgotten after `STATE_SECONDS`."""
    cleaning = (300, STATE_SECONDS)  # how often the downloads are looked at, and how old they may be
    blocks = gr.Blocks(title="One-shot human parsing", analytics_enabled=False, delete_cache=cleaning)
    with blocks:
        support, kept = (gr.State(None, time_to_live=STATE_SECONDS) for _ in range(2))
        facts = f"`{Path(checkpoint).name}` · photos seen at {page.parser.max_size} pixels · on {page.parser.device}"
        aim = "Mark the parts that you care about in one photo, and find them in others."
        gr.Markdown(f"# One-shot human parsing\n{aim}\n\nCheckpoint: {facts}")
        with gr.Row():
            with gr.Column(min_width=300):
                _reference(page, support)
            with gr.Column(min_width=300):
                gr.Markdown("## 2 Photos")
                files = gr.File(
                    label=f"Photos, up to {MAX_PHOTOS}", file_count="multiple", file_types=["image"], elem_id="photos"
                )
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
            form = "Label map: PNG of class ids, 0 = background, 255 = ignore"
            labels = gr.File(label=form, file_types=[".png"], elem_id="label-map")
            ids = gr.Textbox(label="Names by id", placeholder="1 hat, 2 coat", max_length=2000)
            upload = gr.Button("Use these files", variant="primary")
        with gr.Tab("Example"):
            gr.Markdown("A drawn person whose labels are known:")
            gr.Image(page.toys[0][0], show_label=False, interactive=False, height=300, buttons=[])
            example = gr.Button("Use the drawn example", variant="primary", elem_id="use-toy")
    message = gr.Markdown("No reference yet.", elem_id="reference-ready")
    paint.click(page.take_painted, [editor, *names], [support, message], api_name="paint")
    upload.click(page.take_files, [photo, labels, ids], [support, message], api_name="reference")
    example.click(page.take_toy, None, [support, message], api_name="toy_reference")


def _canvas(page: Page) -> tuple[gr.ImageEditor, list[gr.Textbox]]:
    gr.Markdown("Drop a photo, choose the brush and a colour, and paint over each part. What each colour stands for:")
    with gr.Row(elem_id="names"):
        names = [_brush_name(i, name) for i, name in enumerate(SUGGESTED)]
    brush = gr.Brush(default_size=14, colors=[*view.BRUSHES], default_color=view.BRUSHES[0], color_mode="fixed")
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
        which = gr.Dropdown([ALL_CLASSES], value=ALL_CLASSES, label="Opacity of")
        opacity = gr.Slider(0, 1, 0.6, step=0.05, label="Opacity", elem_id="opacity")
    areas = gr.HTML(elem_id="areas")
    archive = gr.DownloadButton("Download masks (zip)", interactive=False, elem_id="download")
    shown = [kept, gallery, areas, archive, visible, which]
    parsed = go.click(page.parse, [support, files, opacity], shown, api_name="parse")
    parsed.success(lambda: gr.update(interactive=True), None, archive, show_progress="hidden", api_visibility="private")
    visible.input(page.overlays, [kept, visible], gallery, api_name="show")
    # Not `release`, which the keyboard does not trigger; of many steps of a drag the last one counts.
    opacity.input(
        page.fade, [kept, visible, which, opacity], [kept, gallery], api_name="fade", show_progress="hidden",
        trigger_mode="always_last",
    )  # fmt: skip


def local_only(app: ASGIApp) -> ASGIApp:
    """ASGI middleware: tell the browser to load nothing from elsewhere."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await app(scope, receive, with_policy if scope["type"] == "http" else send)

    return guarded
