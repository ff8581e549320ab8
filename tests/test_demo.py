"""demo.py: the page's actions, several sessions, bad input, and the whole page in a real browser."""

import json
import os
import shutil
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the page needs gradio: pip install -r requirements-demo.txt")

import gradio as gr

import demo
from inference.page import actions, layout, view
from inference.parser import OneShotParser
from utils.errors import UserError

from . import load_test
from .own_photos import picture, write_checkpoint

SIZE = (384, 256)
NAMES = ("hair", "skin", "coat")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    return actions.Page(OneShotParser(write_checkpoint(folder / "tiny.pt"), "cpu"), folder)


@pytest.fixture
def photo(tmp_path):
    """Files of a photo and of its label map."""
    image, label = picture()
    Image.fromarray(image).save(tmp_path / "photo.png")
    Image.fromarray(label).save(tmp_path / "labels.png")
    return str(tmp_path / "photo.png"), str(tmp_path / "labels.png")


def painting(strokes: dict[int, np.ndarray], image: np.ndarray) -> dict:
    """What the canvas hands over: the photo, and one layer with the brushes' colours."""
    layer = np.zeros((*image.shape[:2], 4), dtype=np.uint8)
    for brush, mask in strokes.items():
        color = view.BRUSHES[brush]
        layer[mask] = [*(int(color[i : i + 2], 16) for i in (1, 3, 5)), 255]
    return {"background": np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]), "layers": [layer]}


def test_a_painting_is_the_same_as_masks(page):
    image, label = picture()
    strokes = {0: label == 1, 1: label == 2, 6: label == 3}
    support, told = page.take_painted(painting(strokes, image), "hair", "skin", "", "", "", "", "skin")
    assert [c.name for c in support.classes] == ["hair", "skin"] and "hair, skin" in told
    masks = {"hair": label == 1, "skin": (label == 2) | (label == 3)}
    expected = page.parser.make_support(image, masks).prototypes.classes
    assert (support.prototypes.classes == expected).all()
    assert [c.color for c in support.classes] == [(230, 25, 75), (0, 130, 200)], "as painted"
    support, _ = page.take_painted(painting({7: label == 1}, image), *[""] * 8)
    assert [c.name for c in support.classes] == ["class 8"]


def test_soft_edges_of_strokes_belong_to_the_nearest_brush(page):
    image, label = picture()
    editor = painting({0: label == 1}, image)
    editor["layers"][0][..., :3] = np.clip(editor["layers"][0][..., :3].astype(int) - 9, 0, 255)
    editor["layers"][0][label == 2] = [230, 25, 75, 100]  # too faint to count
    masks = view.painted(editor, ["hair"] + [""] * 7).masks
    assert list(masks) == ["hair"] and (masks["hair"] == (label == 1)).all()


def test_parse_shows_and_packs_what_the_parser_finds(page, photo):
    support, told = page.take_files(*photo, "1 hat, 2 <b>coat</b>")
    assert "hat" in told and page.parser.support is None, "a session's reference stays out of the shared parser"
    kept, overlays, areas, archive, choices, which = page.parse(support, [photo[0]], 0.5)
    expected = page.parser.parse(photo[0], support)
    assert (overlays[0] == expected.overlay(dict.fromkeys(("hat", "<b>coat</b>", "class 3"), 0.5))).all()
    assert "&lt;b&gt;coat" in areas and "<b>coat" not in areas and "photo.png" in areas
    assert choices["value"] == ["hat", "<b>coat</b>", "class 3"] and which["choices"][0] == "all classes"
    with zipfile.ZipFile(archive) as packed:
        assert sorted(packed.namelist()) == ["01_photo.json", "01_photo.png", "01_photo_overlay.jpg"]
        with packed.open("01_photo.png") as file:
            assert (np.array(Image.open(file)) == expected.labels).all()
        assert json.loads(packed.read("01_photo.json"))["classes"] == expected.areas()
    hidden = page.overlays(kept, ["hat"])[0][: expected.labels.shape[0]]
    assert (hidden == expected.image)[expected.labels != 1].all()
    faded, overlays = page.fade(kept, ["hat", "class 3"], "class 3", 1.0)
    assert faded[1] == {"hat": 0.5, "<b>coat</b>": 0.5, "class 3": 1.0}
    solid = overlays[0][: expected.labels.shape[0]][expected.labels == 3]
    assert len(solid) and (solid == support.classes[2].color).all()
    assert kept[1]["class 3"] == 0.5, "the state of before is left alone"


def test_drawn_examples(page):
    support, _ = page.take_toy()
    kept, overlays, *_ = page.parse(support, page.toy_files, 0.6)
    assert len(overlays) == len(page.toy_files) == len(kept[0])
    assert {"hair", "face"} <= {c.name for c in support.classes}
    assert page.overlays(None, []) == [] and page.fade(None, [], "all classes", 1) == (None, [])


def test_large_photos_are_kept_small(page, tmp_path):
    image, label = picture((1600, 400))
    Image.fromarray(image).save(tmp_path / "large.png")
    support = page.parser.make_support(image, label)
    kept, _, _, archive, *_ = page.parse(support, [str(tmp_path / "large.png")], 0.6)
    assert kept[0][0].labels.shape == kept[0][0].image.shape[:2] == (view.SHOWN_SIDE, 320)
    with zipfile.ZipFile(archive) as packed, packed.open("01_large.png") as file:
        assert Image.open(file).size == (400, 1600)


def refused(action, *arguments) -> str:
    with pytest.raises(gr.Error) as raised:
        action(*arguments)
    message = str(raised.value.message)
    assert "\n" not in message and "/" not in message.replace("and/or", ""), "no folder of the server is told"
    return message


def test_bad_input_is_told_on_the_page(page, photo, tmp_path):
    image, label = picture()
    image_file, label_file = photo
    empty, text, other, bomb = (str(tmp_path / name) for name in ("empty.png", "text.png", "other.png", "bomb.png"))
    Image.fromarray(np.zeros_like(label)).save(empty)
    Path(text).write_text("no picture")
    Image.new("L", (7, 5), 1).save(other)
    Image.new("1", (20000, 20000)).save(bomb)
    assert "no reference photo" in refused(page.take_painted, None, *NAMES)
    assert "no reference photo" in refused(page.take_painted, {"background": None, "layers": []}, *NAMES)
    assert "nothing is painted" in refused(page.take_painted, painting({}, image), *NAMES)
    shifted = {**painting({0: label == 1}, image), "layers": [np.full((3, 3, 4), 255, np.uint8)]}
    assert "another size" in refused(page.take_painted, shifted, *NAMES)
    assert "both needed" in refused(page.take_files, image_file, None, "")
    assert "no class" in refused(page.take_files, image_file, empty, "")
    assert "text.png: not an image" in refused(page.take_files, text, label_file, "")
    assert "text.png: not an image" in refused(page.take_files, image_file, text, "")
    assert "7x5" in refused(page.take_files, image_file, other, "")
    assert "'hat 1'" in refused(page.take_files, image_file, label_file, "hat 1")
    support, _ = page.take_files(image_file, label_file, "")
    assert "no reference yet" in refused(page.parse, None, [image_file], 0.6)
    assert "no photos yet" in refused(page.parse, support, None, 0.6)
    assert "text.png: not an image" in refused(page.parse, support, [image_file, text], 0.6)
    assert "bomb.png" in refused(page.parse, support, [bomb], 0.6)
    assert "at most" in refused(page.parse, support, [image_file] * (actions.MAX_PHOTOS + 1), 0.6)


def test_mistakes_of_visitors_are_quiet_in_the_terminal(page):
    with pytest.raises(gr.Error) as caught:
        page.parse(None, None, 0.5)
    assert caught.value.print_exception is False


@pytest.mark.parametrize("names", ["² hair", f"{'9' * 5000} hair", "1", "99999 hair"])
def test_ids_that_cannot_be_are_refused(names, page, photo):
    assert "class names by id" in refused(page.take_files, *photo, names) or "not of the form" in refused(
        page.take_files, *photo, names
    )


def test_a_label_map_of_too_many_pixels_names_the_pages_own_limit(page, photo, tmp_path):
    Image.new("L", (6000, 7000)).save(tmp_path / "large.png")
    assert "more than the 24 million" in refused(page.take_files, photo[0], str(tmp_path / "large.png"), "")


def test_long_names_of_photos_are_packed(page, tmp_path):
    name = str(tmp_path / ("n" * 240 + ".png"))
    Image.fromarray(picture()[0]).save(name)
    support, _ = page.take_toy()
    assert zipfile.is_zipfile(page.parse(support, [name], 0.5)[3])


def test_what_killed_servers_left_is_removed_at_the_start(tmp_path, monkeypatch):
    for name in ("demo_999999999_a", f"demo_{os.getpid()}_b", "demo_mine"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(layout.tempfile, "gettempdir", lambda: str(tmp_path))
    layout.sweep()
    assert {path.name for path in tmp_path.iterdir()} == {f"demo_{os.getpid()}_b", "demo_mine"}


@pytest.mark.parametrize("port", [99999, -1])
def test_a_port_that_cannot_be_is_refused(port, page):
    with pytest.raises(UserError, match="must lie between 0 and 65535"):
        layout.serve(page.parser, "tiny.pt", "127.0.0.1", port)


def test_many_classes_and_pixels_are_refused(page, photo, tmp_path):
    many, large = str(tmp_path / "many.png"), str(tmp_path / "large.png")
    Image.fromarray(
        np.kron(np.arange(32 * 21, dtype=np.uint16).reshape(32, 21) % 200, np.ones((3, 3), np.uint16))
    ).save(many)
    Image.new("L", (6000, 4001)).save(large)
    assert "more than 64 classes" in refused(page.take_files, photo[0], many, "")
    support, _ = page.take_files(*photo, "")
    assert "24 million" in refused(page.parse, support, [large], 0.6)


def test_a_missing_checkpoint_is_told(tmp_path):
    with pytest.raises(UserError, match=r"gone\.pt"):
        demo.main(["--checkpoint", str(tmp_path / "gone.pt")])


def test_a_port_in_use_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # main sets both, for its process
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(UserError, match=f"--port {port}: no page can be served"):
            demo.main(["--checkpoint", str(write_checkpoint(tmp_path / "tiny.pt")), "--port", port])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A started demo.py with the tiny checkpoint, on a free port of this machine."""
    with load_test.serving(write_checkpoint(tmp_path_factory.mktemp("server") / "tiny.pt")) as started:
        yield started


@pytest.mark.slow
def test_users_at_once_see_their_own_reference(server):
    outcome = load_test.work(server, users=3, parses=2, seconds=120)
    assert outcome.failures == [] and len(outcome.seconds) == 6


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told(tmp_path):
    with pytest.raises(UserError, match=r"did not start: error: .*gone\.pt"), load_test.serving(tmp_path / "gone.pt"):
        pass


@pytest.fixture
def browser(tmp_path):
    """A headless Chromium that downloads into `tmp_path`/downloads."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="the browser test needs selenium")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("the browser test needs Chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-quic", "no-first-run",
        "disable-sync", "disable-background-networking", "disable-component-update",
        f"user-data-dir={tmp_path / 'profile'}", "window-size=1280,1100", "enable-unsafe-swiftshader",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


class Visitor:
    """Acts on the page as a user does: clicks, mouse strokes, files."""

    def __init__(self, browser, address: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        self.browser, self.wait = browser, WebDriverWait(browser, 60)
        browser.get(address)
        self.find("#canvas canvas")

    def find(self, selector: str):
        return self.wait.until(lambda b: next(iter(b.find_elements("css selector", selector)), None), selector)

    def click(self, selector: str) -> None:
        found = self.find(selector)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        self.wait.until(lambda _: found.is_displayed() and found.is_enabled())
        found.click()

    def tab(self, name: str) -> None:
        self.wait.until(lambda b: b.find_element("xpath", f"//button[@role='tab' and contains(., '{name}')]")).click()

    def text(self, selector: str, contains: str) -> str:
        self.wait.until(lambda b: contains in b.find_element("css selector", selector).text, f"{selector}: {contains}")
        return self.browser.find_element("css selector", selector).text

    def stroke(self, color: int, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Paint with brush `color` from `start` to `end`, given as shares (x, y) of the photo."""
        from selenium.webdriver.common.action_chains import ActionChains

        palette = "#canvas button[aria-label='Color']"
        self.click(palette)
        self.click(f"#canvas button.color:nth-of-type({color + 1})")
        if self.browser.find_elements("css selector", "#canvas button.color"):
            self.click(palette)  # it lies over the photo
        canvas = self.find("#canvas canvas")
        height = 420  # the photo as the editor fits it into its canvas
        width = height * SIZE[1] / SIZE[0]
        (x, y), (x_end, y_end) = (((u - 0.5) * width, (v - 0.5) * height) for u, v in (start, end))
        mouse = ActionChains(self.browser, duration=50).move_to_element_with_offset(canvas, round(x), round(y))
        mouse.click_and_hold()
        for part in np.linspace(0, 1, 9)[1:]:
            to = (x + part * (x_end - x), y + part * (y_end - y))
            mouse.move_to_element_with_offset(canvas, round(to[0]), round(to[1]))
        mouse.release().perform()

    def overlay(self) -> str:
        return self.find("#overlays img").get_attribute("src")

    def changed(self, before: str) -> None:
        self.wait.until(lambda _: self.overlay() != before, "another overlay")

    def complaints(self) -> list[str]:
        """What the browser's console holds of errors of the page, and requests to elsewhere."""
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.mark.slow
def test_paint_parse_read_and_download_in_a_browser(server, browser, tmp_path):
    image, label = picture(SIZE)
    Image.fromarray(image).save(tmp_path / "bands.png")
    visitor = Visitor(browser, server.address)
    assert "tiny.pt" in browser.find_element("tag name", "body").text
    visitor.find("#canvas input[type=file]").send_keys(str(tmp_path / "bands.png"))
    visitor.click("#canvas button[aria-label='Brush']")
    for band, brush in enumerate((0, 1, 4)):  # ids: hair, skin, shoes
        middle = (2.5 + 3 * band) / 10
        visitor.stroke(brush, (0.45, middle), (0.7, middle))
    visitor.click("#use-painting")
    assert visitor.text("#reference-ready", "ready").startswith("Reference ready: hair, skin, shoes.")
    visitor.find("#photos input[type=file]").send_keys(str(tmp_path / "bands.png"))
    visitor.text("#photos", "bands")
    visitor.click("#parse")
    areas = visitor.text("#areas", "bands.png")
    visitor.click("#download")
    archive = tmp_path / "downloads" / "parsed.zip"
    visitor.wait.until(lambda _: archive.exists())
    with zipfile.ZipFile(archive) as packed, packed.open("01_bands.png") as file:
        found = np.array(Image.open(file))
        told = json.loads(packed.read("01_bands.json"))["classes"]
    assert found.shape == SIZE and (found == label)[label > 0].mean() > 0.6
    for name, row in told.items():
        assert not row["pixels"] or f"{name} {100 * row['share']:.1f} %" in areas
    first = visitor.overlay()
    visitor.click("#visible label:first-of-type input")
    visitor.changed(first)
    second = visitor.overlay()
    slider = visitor.find("#opacity input[type=range]")
    visitor.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
    slider.send_keys("\ue012" * 4)  # arrow left
    visitor.changed(second)
    assert visitor.complaints() == []


@pytest.mark.slow
def test_the_page_fits_a_phone(server, browser):
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    visitor = Visitor(browser, server.address)
    visitor.tab("Example")
    visitor.click("#use-toy")
    visitor.text("#reference-ready", "ready")
    visitor.click("#toy-photos")
    visitor.text("#photos", "toy_4")
    visitor.click("#parse")
    visitor.text("#areas", "toy_4.png")
    visitor.find("#overlays img")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    for selector in ("#use-toy", "#photos", "#parse", "#overlays", "#visible", "#areas", "#download"):
        box = browser.find_element("css selector", selector).rect
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390, selector
    assert visitor.complaints() == []


@pytest.mark.slow
def test_mistakes_are_told_in_a_browser(server, browser, tmp_path):
    visitor = Visitor(browser, server.address)
    visitor.click("#parse")
    visitor.text(".toast-body", "there is no reference yet")
