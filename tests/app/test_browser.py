"""The page in a real browser: a person types a need and reads the offers that answer it."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from pydantic import SecretStr
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

from app.main import create_app
from app.settings import Settings
from tests.app.conftest import SECRET, populated

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed; scripts/test installs them as root"
)
PATIENCE = 60  # seconds; the first search also loads the language detector
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
OFFERS = (
    ("dye", "Membrane unit for dye wastewater", "Removes 98 % of colour from textile dye wastewater.", "SG"),
    ("tea", "آلة تجفيف أوراق الشاي", "آلة تجفيف أوراق الشاي تعمل بالطاقة الشمسية وتوفر 40 % من الوقود.", "EG"),
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(home=tmp_path_factory.mktemp("home"), model="hashing", secret=SecretStr(SECRET))
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, timeout=30) as client:
        for _ in range(600):
            try:
                if client.get("/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    world = populated(app, TestClient(app))
    for name, title, description, country in OFFERS:
        record = {"reference": name, "side": "offer", "title": title, "description": description, "country": country}
        world.post(world.offerer, record)
    yield base
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    profile: Path = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def ask(browser: webdriver.Chrome, address: str, text: str, language: str = "en") -> None:
    """Type a text, send it, and wait for the page that answers: a click returns before the next page is there."""
    browser.get(f"{address}/?lang={language}")
    browser.find_element(By.NAME, "q").send_keys(text)
    browser.find_element(By.CSS_SELECTOR, "form.search button").click()
    # The page asked from holds no card. While it is being replaced the driver may find neither document: asked again.
    wait = WebDriverWait(browser, PATIENCE, ignored_exceptions=(WebDriverException,))
    wait.until(expected.url_contains("q="))
    wait.until(expected.presence_of_element_located((By.CSS_SELECTOR, "article.card")))


def test_a_typed_need_shows_the_offer_that_answers_it_first(browser: webdriver.Chrome, address: str) -> None:
    ask(browser, address, "We need to remove colour from textile dye wastewater")
    first = browser.find_element(By.CSS_SELECTOR, "article.card h3")
    assert first.get_attribute("textContent") == OFFERS[0][1]


def test_arabic_text_runs_from_right_to_left(browser: webdriver.Chrome, address: str) -> None:
    ask(browser, address, OFFERS[1][2], "zh")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "zh-CN"
    heading = browser.find_element(By.CSS_SELECTOR, "article.card h3")
    assert heading.get_attribute("textContent") == OFFERS[1][1]
    assert browser.execute_script("return getComputedStyle(arguments[0]).direction", heading) == "rtl"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways(browser: webdriver.Chrome, address: str, width: int) -> None:
    browser.set_window_size(width, 900)
    ask(browser, address, "We need to remove colour from textile dye wastewater")
    overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
