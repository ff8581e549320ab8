"""How the page is served: with nothing from elsewhere, and with what visitors gave removed at the end."""

import contextlib
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
from utils.locks import LOCK, locked

from ..parser import OneShotParser
from . import example, view
from .actions import MAX_PIXELS, Page
from .layout import build

FOLDER = "one-shot-parsing-page-"  # what the name of a server's temporary folder begins with
MAX_FILE_SIZE = "16mb"
SESSIONS = 40  # how many sessions' references and results are kept at most
WAITING = 64  # requests that may wait for their turn
FONTS = ("system-ui", "sans-serif")
# The browser itself refuses whatever does not come from this server.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
CSS = Path(__file__).with_name("page.css").read_text(encoding="utf-8") + "".join(
    f".brush{i} {{border-left: 10px solid {color} !important}}\n" for i, color in enumerate(view.BRUSHES)
)
HEAD = f"<script>{Path(__file__).with_name('page.js').read_text(encoding='utf-8')}</script>"


def serve(parser: OneShotParser, checkpoint: str, data_root: str, host: str, port: int) -> None:
    """Serve the page over `parser` until it is stopped. Raises `UserError` where nothing can listen at the address."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: must lie between 0 and 65535")
    # Gradio reads the canvas's photo by itself: Pillow refuses at twice this number.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    sweep()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, so that what visitors gave is removed
    with tempfile.TemporaryDirectory(prefix=FOLDER, ignore_cleanup_errors=True) as folder, locked(folder):
        page = Page(parser, Path(folder), example.load(data_root))
        os.environ["GRADIO_TEMP_DIR"] = str(page.cache)
        blocks = build(page, checkpoint).queue(max_size=WAITING, default_concurrency_limit=1)
        try:
            blocks.launch(
                server_name=host, server_port=port, max_file_size=MAX_FILE_SIZE, state_session_capacity=SESSIONS,
                share=False, footer_links=[], css=CSS, head=HEAD, ssr_mode=False,
                theme=gr.themes.Soft(font=FONTS, font_mono=("monospace",)),
                app_kwargs={"middleware": [Middleware(local_only)]}, allowed_paths=page.example_files,
            )  # fmt: skip
        except OSError as error:
            why = str(error).splitlines()[0]
            address = f"--host {host} --port {port}"
            raise UserError(f"{address}: no page can be served there ({why}); choose others") from error


def sweep() -> None:
    """Remove what servers that were killed have left behind: visitors' photos. A server that runs holds its folder."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        with contextlib.suppress(UserError, OSError):  # another user's may not be entered
            if (folder / LOCK).is_file():  # else it is not a server's
                with locked(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def local_only(app: ASGIApp) -> ASGIApp:
    """ASGI middleware: tell the browser to load nothing from elsewhere."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await app(scope, receive, with_policy if scope["type"] == "http" else send)

    return guarded
