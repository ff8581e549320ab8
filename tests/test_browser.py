"""demo.py in a real Chromium: painting, the example by keyboard alone on a phone, names for screen readers."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the page needs gradio: pip install -r requirements-demo.txt")

from utils.errors import UserError

from . import browsing, load_test
from .browsing import PHONE, PHOTO_SIZE, Visitor
from .own_photos import picture, write_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A started demo.py with the tiny checkpoint, on a free port of this machine."""
    with load_test.serving(write_checkpoint(tmp_path_factory.mktemp("server") / "tiny.pt")) as started:
        yield started


@pytest.fixture(scope="module")
def downloads(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    """A headless Chromium. Without one the tests are skipped, or fail where NEED_BROWSER is set."""
    try:
        started = browsing.chromium(tmp_path_factory.mktemp("profile"), downloads)
    except UserError as error:
        pytest.fail(str(error)) if os.environ.get("NEED_BROWSER") else pytest.skip(str(error))
    yield started
    started.quit()


def test_paint_parse_read_and_download(server, browser, downloads, tmp_path):
    image, label = picture(PHOTO_SIZE)
    Image.fromarray(image).save(tmp_path / "bands.png")
    visitor = Visitor(browser, server.address)
    visitor.click("#parse")
    visitor.text(".toast-body", "there is no reference yet")
    visitor.find("#canvas input[type=file]").send_keys(str(tmp_path / "bands.png"))
    visitor.click("#canvas button[aria-label='Brush']")
    for band, brush in enumerate((0, 1, 4)):  # ids: hair, skin, shoes
        middle = (2.5 + 3 * band) / 10
        visitor.stroke(brush, (0.45, middle), (0.55, middle))
    visitor.click("#use-painting")
    assert visitor.text("#reference-ready", "ready").startswith("Reference ready: hair, skin, shoes.")
    visitor.find("#photos input[type=file]").send_keys(str(tmp_path / "bands.png"))
    visitor.text("#photos", "bands")
    visitor.click("#parse")
    areas = visitor.text("#areas", "bands.png")
    assert "1 of 1 photos parsed" in visitor.text("#bars", "parsed")
    visitor.click("#download")
    with visitor.downloaded(downloads / "parsed.zip") as packed, packed.open("01_bands.png") as file:
        found = np.array(Image.open(file))
        told = json.loads(packed.read("01_bands.json"))["classes"]
    ids = np.array([0, 1, 2, 5])[label]
    assert found.shape == PHOTO_SIZE and (found == ids)[label > 0].mean() > 0.6
    for name, row in told.items():
        assert not row["pixels"] or f"{name} {100 * row['share']:.1f} %" in areas
    first = visitor.overlay()
    visitor.click("#visible label:first-of-type input")
    visitor.changed(first)
    second = visitor.overlay()
    visitor.find("#opacity input[type=range]").send_keys("\ue012" * 4)  # arrow left
    visitor.changed(second)
    visitor.click("#more button")
    visitor.click("#make")
    visitor.wait.until(lambda b: b.find_element("css selector", "#download-masks").is_enabled())
    visitor.click("#download-masks")
    with visitor.downloaded(downloads / "masks.zip") as packed:
        assert {"01_bands_person.png", "01_bands_person_cutout.png"} <= set(packed.namelist())
    assert visitor.nameless() == []
    assert visitor.complaints() == []


def test_the_example_on_a_phone_by_keyboard_alone(server, browser, downloads):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    visitor = Visitor(browser, server.address)
    (downloads / "parsed.zip").unlink(missing_ok=True)
    visitor.tab_to("#try-example")
    visitor.press("\ue007")  # Enter
    visitor.text("#photos", "example_4")
    visitor.wait.until(lambda b: b.execute_script("return document.activeElement.id") == "parse", "focus on Parse")
    visitor.press("\ue007")
    visitor.text("#areas", "example_4.png")
    slider = "#overlays [role=slider]"
    visitor.tab_to(slider)
    before = int(visitor.find(slider).get_attribute("aria-valuenow"))
    visitor.press("\ue014", "\ue014")  # arrow right
    visitor.wait.until(
        lambda _: int(visitor.find(slider).get_attribute("aria-valuenow")) > before + 5, "the line moves"
    )
    first = visitor.overlay()
    visitor.tab_to("#visible input")
    visitor.press(" ")
    visitor.changed(first)
    visitor.tab_to("#download")
    visitor.press("\ue007")
    with visitor.downloaded(downloads / "parsed.zip") as packed:
        assert len(packed.namelist()) == 12 + 3  # of the reference
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE["width"]
    for selector in ("#try-example", "#photos", "#parse", "#overlays", "#visible", "#areas", "#download", "#canvas"):
        box = browser.find_element("css selector", selector).rect
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"], selector
    assert visitor.complaints() == []
