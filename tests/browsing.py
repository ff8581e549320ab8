"""A headless Chromium, and what a visitor does in it on the page of demo.py."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np

from utils.errors import UserError

PHOTO_SIZE = (384, 256)  # of the photo that is painted on
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
CONTROLS = "button, input, select, textarea, a[href], [role=slider], [role=tab], [role=checkbox], [role=combobox]"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "apt-get install chromium chromium-driver; pip install selenium"


def chromium(profile: Path, downloads: Path):
    """A started browser with a profile of its own. Raises `UserError` where what it needs is not installed."""
    try:
        from selenium import webdriver
    except ImportError:
        webdriver = None
    chromium, driver = next(filter(None, map(shutil.which, CHROMIUM)), None), shutil.which("chromedriver")
    if not (webdriver and chromium and driver):
        raise UserError(f"a browser needs selenium, Chromium and chromedriver: {INSTALL}")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-quic", "no-first-run",
        "disable-sync", "disable-background-networking", "disable-component-update",
        f"user-data-dir={profile}", "window-size=1280,1100", "enable-unsafe-swiftshader",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


class Visitor:
    """Acts on the page as a user does: clicks, mouse strokes, keys, files."""

    def __init__(self, browser, address: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        self.browser, self.wait = browser, WebDriverWait(browser, 120)
        browser.get(address)
        self.find("#canvas canvas")

    def find(self, selector: str):
        return self.wait.until(lambda b: next(iter(b.find_elements("css selector", selector)), None), selector)

    def click(self, selector: str) -> None:
        found = self.find(selector)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        self.wait.until(lambda _: found.is_displayed() and found.is_enabled())
        found.click()

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
        width = height * PHOTO_SIZE[1] / PHOTO_SIZE[0]
        (x, y), (x_end, y_end) = (((u - 0.5) * width, (v - 0.5) * height) for u, v in (start, end))
        mouse = ActionChains(self.browser, duration=50).move_to_element_with_offset(canvas, round(x), round(y))
        mouse.click_and_hold()
        for part in np.linspace(0, 1, 9)[1:]:
            to = (x + part * (x_end - x), y + part * (y_end - y))
            mouse.move_to_element_with_offset(canvas, round(to[0]), round(to[1]))
        mouse.release().perform()

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def tab_to(self, selector: str) -> None:
        """Press Tab until the focus is on the control."""
        for _ in range(100):
            if self.browser.execute_script("return document.activeElement.matches(arguments[0])", selector):
                return
            self.press("\ue004")
        raise AssertionError(f"{selector}: not reached with Tab")

    def overlay(self) -> list[str]:
        """The addresses of the first photo and of its overlay."""
        self.find("#overlays [data-testid=imageslider-image]")
        images = "[...document.querySelectorAll('#overlays [data-testid=imageslider-image]')]"
        return self.browser.execute_script(f"return {images}.slice(0, 2).map(i => i.src)")

    def changed(self, before: list[str]) -> None:
        self.wait.until(lambda _: self.overlay() != before, "another overlay")

    def downloaded(self, archive: Path) -> zipfile.ZipFile:
        self.wait.until(lambda _: archive.exists() and zipfile.is_zipfile(archive), archive.name)
        return zipfile.ZipFile(archive)

    def nameless(self) -> list[str]:
        """The controls on show that have no name for a screen reader, or that Tab does not reach."""
        found = [e for e in self.browser.find_elements("css selector", CONTROLS) if e.is_displayed()]
        assert len(found) > 30
        reached = self.browser.execute_script("return arguments[0].map(e => e.tabIndex >= 0 || e.role == 'tab')", found)
        hidden = self.browser.execute_script("return arguments[0].map(e => !!e.closest('[aria-hidden=true]'))", found)
        told = zip(found, reached, hidden, strict=True)
        return [
            e.get_attribute("outerHTML") for e, tab, out in told if not (out or (tab and e.accessible_name.strip()))
        ]

    def complaints(self) -> list[str]:
        """What the browser's console holds of errors of the page, and requests to elsewhere."""
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
