"""The pictures of the overview and of the night report in a real browser: drawn, saved, in the dark, on a phone."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from app.asking import COOKIE
from app.clock import utc_now
from app.settings import Settings
from tests.app import test_browser
from tests.app.conftest import SECRET
from tests.app.programme import programme
from tests.app.serving import Served, served
from tests.app.test_night_report import add_night

pytestmark = test_browser.pytestmark
PATIENCE = 30  # seconds
PAGES = {
    "/overview": ["map", "flows", "funnel", "times", "listings"],
    "/nights": ["exposure", "quality", "decisions", "calibration"],
}
INK = """
const canvas = document.querySelector(`[data-picture="${arguments[0]}"] canvas`);
const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
let ink = 0;
for (let at = 3; at < data.length; at += 4) ink += data[at] > 0;
return ink / (data.length / 4);
"""
TABLES = """
return [...document.querySelectorAll("[data-picture]:has(.canvas)")].map((one) => [
  one.dataset.picture,
  JSON.parse(one.querySelector("script").textContent).rows,
  [...one.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent)),
  one.querySelector(".canvas").getAttribute("aria-label"),
  JSON.parse(one.querySelector("script").textContent).said,
]);
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with served(Settings(home=home, model="hashing", secret=SecretStr(SECRET), known_limit="10000/minute")) as running:
        programme(running.world, utc_now())
        for day in range(3):
            add_night(running.world, f"night-{day}", day)
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, service: Served) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(test_browser.CHROMIUM)
    for flag in (*test_browser.FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(test_browser.DRIVER)))
    driver.get(f"{service.address}/sign-in")
    driver.add_cookie({"name": COOKIE, "value": service.world.centre.cookies[COOKIE]})
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def as_it_was(browser: webdriver.Chrome) -> Iterator[None]:
    """Each test begins on a desk, in the light, with scripts, and with nothing on the console."""
    browser.set_window_size(1280, 900)
    browser.get_log("browser")
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def drawn(browser: webdriver.Chrome, service: Served, path: str, language: str = "en") -> None:
    """Open a page and wait until all its pictures are there."""
    browser.get(f"{service.address}{path}?lang={language}")
    names = PAGES[path]
    found = (By.CSS_SELECTOR, "[data-drawn]")
    WebDriverWait(browser, PATIENCE).until(lambda one: len(one.find_elements(*found)) == len(names))
    time.sleep(0.6)  # the bars grow for 0.4 s


def complaints(browser: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_picture_is_drawn_from_its_table_and_nothing_complains(
    browser: webdriver.Chrome, service: Served, path: str, language: str
) -> None:
    drawn(browser, service, path, language)
    assert complaints(browser) == [], "no error, and nothing that the security policy forbids"
    for name in PAGES[path]:
        assert browser.execute_script(INK, name) > 0.005, f"{name} is blank"
    found = browser.execute_script(TABLES)
    assert [name for name, *_ in found] == PAGES[path]
    for _name, rows, shown, label, said in found:
        assert len(rows) == len(shown) > 0
        assert [row[0] for row in rows] == [row[0] for row in shown]
        for row, cells in zip(rows, shown, strict=True):
            whole = [(value, cell) for value, cell in zip(row, cells, strict=True) if isinstance(value, int)]
            assert all(cell in (f"{value:,}", "0%", "100%", f"{value}.0") for value, cell in whole), (row, cells)
        assert label == said, "a picture says what it shows to those who cannot see it"


@pytest.mark.parametrize(("path", "name"), [("/overview", "flows"), ("/overview", "listings"), ("/nights", "quality")])
def test_what_a_pointer_asks_for_is_drawn_without_a_complaint(
    browser: webdriver.Chrome, service: Served, path: str, name: str
) -> None:
    drawn(browser, service, path)
    canvas = browser.find_element(By.CSS_SELECTOR, f'[data-picture="{name}"] canvas')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    before = browser.execute_script("return arguments[0].toDataURL()", canvas)
    for across in range(-4, 5):
        aside = across * canvas.size["width"] // 10
        ActionChains(browser, 20).move_to_element_with_offset(canvas, aside, 0).perform()
    after = browser.execute_script("return arguments[0].toDataURL()", canvas)
    assert after != before, "a tooltip is part of the picture"
    assert complaints(browser) == []


def test_a_picture_is_saved_with_what_it_shows(browser: webdriver.Chrome, service: Served, tmp_path: Path) -> None:
    drawn(browser, service, "/overview")
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    for name in PAGES["/overview"]:
        browser.find_element(By.CSS_SELECTOR, f'[data-picture="{name}"] button.png').click()
        file = tmp_path / f"{name}.png"
        WebDriverWait(browser, PATIENCE).until(lambda _, file=file: file.exists() and file.stat().st_size > 0)
        content = file.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", content[16:24])
        shown = browser.find_element(By.CSS_SELECTOR, f'[data-picture="{name}"] .canvas').size
        assert width == 2 * shown["width"]
        assert height > 2 * shown["height"] + 90, "the title and a sentence stand above the picture"
        assert len(content) > 4_000
    assert complaints(browser) == []


def test_the_pictures_follow_the_dark_without_a_reload(browser: webdriver.Chrome, service: Served) -> None:
    drawn(browser, service, "/overview")
    pixels = "return document.querySelector('[data-picture=\"map\"] canvas').toDataURL()"
    light = browser.execute_script(pixels)
    features = [
        {"name": "prefers-color-scheme", "value": "dark"},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    WebDriverWait(browser, PATIENCE).until(lambda one: one.execute_script(pixels) != light)
    assert complaints(browser) == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [360, 768])
def test_a_narrow_screen_scrolls_one_way_only(
    browser: webdriver.Chrome, service: Served, path: str, width: int
) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        drawn(browser, service, path)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        for one in browser.find_elements(By.CSS_SELECTOR, ".canvas canvas"):
            assert 0 < one.size["width"] <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_picture_fits_a_window_that_changes(browser: webdriver.Chrome, service: Served) -> None:
    drawn(browser, service, "/overview")
    canvas = browser.find_element(By.CSS_SELECTOR, '[data-picture="map"] canvas')
    before = canvas.size["width"]
    browser.set_window_size(800, 900)
    WebDriverWait(browser, PATIENCE).until(lambda _: canvas.size["width"] < before)


@pytest.mark.parametrize("path", PAGES)
def test_without_scripts_everything_can_be_read_as_tables(
    browser: webdriver.Chrome, service: Served, path: str
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(f"{service.address}{path}?lang=en")
    for name in PAGES[path]:
        section = browser.find_element(By.CSS_SELECTOR, f'[data-picture="{name}"]')
        assert not section.find_element(By.CSS_SELECTOR, "button.png").is_displayed()
        section.find_element(By.TAG_NAME, "summary").click()
        assert section.find_element(By.CSS_SELECTOR, "tbody tr").is_displayed()


def test_where_the_library_does_not_come_the_tables_open(browser: webdriver.Chrome, service: Served) -> None:
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*vendor/charts.js*"]})
    try:
        browser.get(f"{service.address}/overview?lang=en")
        told: Any = WebDriverWait(browser, PATIENCE).until(
            lambda one: one.find_elements(By.CSS_SELECTOR, ".picture .notice.warn")
        )
        assert "could not be drawn" in told[0].text
        assert len(browser.find_elements(By.CSS_SELECTOR, "details.table[open]")) == len(PAGES["/overview"])
    finally:
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": False})
