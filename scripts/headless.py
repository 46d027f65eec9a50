"""A browser without a window, which can be as narrow as a telephone: for pictures of the pages and for their checks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium, which keeps what pages say on its console."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def resize(driver: webdriver.Chrome, width: int, height: int = 900) -> None:
    """Give the page this much room, which a window cannot be made narrow enough for."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(driver: webdriver.Chrome, scheme: str) -> None:
    """Light or dark, and nothing that moves: a colour on its way to another is neither."""
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def be(driver: webdriver.Chrome, address: str, cookies: dict[str, str]) -> None:
    """Have these cookies at a site and no others."""
    driver.get(f"{address}/static/icon.svg")
    driver.delete_all_cookies()
    for name, value in cookies.items():
        cookie: dict[str, Any] = {"name": name, "value": value, "httpOnly": True, "sameSite": "Lax"}
        driver.add_cookie(cookie)
