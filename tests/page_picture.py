"""Makes the picture of the web page in the docs: its example, parsed with the project's checkpoint. Tells how long.

python -m tests.page_picture docs/images/demo.png
python -m tests.page_picture phone.png --width 360
"""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from inference.settings import DEFAULT_CHECKPOINT
from utils.config import ArgumentParser, whole
from utils.errors import run_cli
from utils.files import replacing

from .browsing import PHONE, Visitor, chromium
from .load_test import serving


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("out", help="PNG file to write")
    options.add_argument("--width", type=whole(320, 4000), default=1280, help="of the window (default: %(default)s)")
    options.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT, help="(default: %(default)s)")
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, serving(chosen.checkpoint) as server:
        browser = chromium(Path(folder) / "profile", Path(folder))
        try:
            screen = {**PHONE, "width": chosen.width, "deviceScaleFactor": 1, "mobile": chosen.width < 600}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            visitor = Visitor(browser, server.address)
            began = time.monotonic()
            visitor.click("#try-example")
            visitor.text("#photos", "example_4")
            visitor.click("#parse")
            visitor.text("#areas", "example_4")
            print(f"from the first click to the four parsed photos: {time.monotonic() - began:.1f} s")
            time.sleep(2)  # images appear slowly
            height = browser.execute_script("return document.documentElement.scrollHeight")
            clip = {"x": 0, "y": 0, "width": chosen.width, "height": height, "scale": 1}
            shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        finally:
            browser.quit()
    with replacing(Path(chosen.out)) as temporary:
        temporary.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    run_cli(main)
