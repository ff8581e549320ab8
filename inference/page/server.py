"""Serve the page from this machine, with nothing loaded from elsewhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import gradio as gr
from PIL import Image
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from utils.errors import UserError

from ..parser import OneShotParser
from .actions import MAX_PIXELS, Page
from .layout import CSS, build

MAX_FILE_SIZE = "16mb"
SESSIONS = 40  # how many sessions' references and results are kept at most
WAITING = 64  # requests that may wait for their turn
FONTS = ("system-ui", "sans-serif")
# The browser itself refuses whatever does not come from this server.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"


class LocalOnly:
    """ASGI middleware: tell the browser to load nothing from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self.app(scope, receive, with_policy if scope["type"] == "http" else send)


def serve(parser: OneShotParser, checkpoint: str, host: str, port: int) -> None:
    """Serve the page over `parser` until it is stopped. Raises `UserError` where nothing can listen at the address."""
    # Gradio reads the canvas's photo by itself: Pillow refuses at twice this number.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    with tempfile.TemporaryDirectory(prefix="demo_", ignore_cleanup_errors=True) as folder:
        page = Page(parser, Path(folder))
        os.environ["GRADIO_TEMP_DIR"] = str(page.cache)
        blocks = build(page, checkpoint).queue(max_size=WAITING, default_concurrency_limit=1)
        try:
            blocks.launch(
                server_name=host, server_port=port, max_file_size=MAX_FILE_SIZE, state_session_capacity=SESSIONS,
                share=False, footer_links=[], css=CSS, theme=gr.themes.Soft(font=FONTS, font_mono=("monospace",)),
                app_kwargs={"middleware": [Middleware(LocalOnly)]}, allowed_paths=page.toy_files, ssr_mode=False,
            )  # fmt: skip
        except OSError as error:
            why = str(error).splitlines()[0]
            raise UserError(
                f"--host {host} --port {port}: no page can be served there ({why}); choose others"
            ) from error
