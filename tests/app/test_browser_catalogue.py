"""A stranger walks through the catalogue in a real browser that runs no script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

from app.settings import Settings
from scripts.headless import CHROMIUM, DRIVER, browser, resize
from scripts.showcase import WHOLE, Showcase, showcase
from tests.app.conftest import SECRET

PATIENCE = 30  # seconds
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed; scripts/test installs them as root"
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showcase]:
    home = tmp_path_factory.mktemp("home")
    with showcase(Settings(home=home, model="hashing", secret=SecretStr(SECRET))) as found:
        yield found


@pytest.fixture
def driver() -> Iterator[webdriver.Chrome]:
    with browser() as found:
        found.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        resize(found, 360)
        yield found


def follow(driver: webdriver.Chrome, css: str) -> None:
    """Click, and wait until the next page is there."""
    link = driver.find_element(By.CSS_SELECTOR, css)
    link.click()
    WebDriverWait(driver, PATIENCE).until(expected.staleness_of(link))


def test_from_the_first_page_to_a_listing_and_back_in_the_other_language(
    shown: Showcase, driver: webdriver.Chrome
) -> None:
    driver.get(f"{shown.address}/en/")
    follow(driver, "a[href='/en/needs?field=environment']")
    assert "Field: Environmental governance" in driver.find_element(By.CSS_SELECTOR, ".chosen .chip").text
    summaries = driver.find_elements(By.CSS_SELECTOR, ".narrowing > details > summary")
    next(one for one in summaries if one.text == "Country").click()
    follow(driver, ".narrowing a[href='/en/needs?field=environment&country=KZ']")
    follow(driver, f".card-title a[href='/en/listings/{shown.ids['whole']}']")
    assert driver.find_element(By.TAG_NAME, "h1").text == "Crushing line for iron ore without dust"
    driver.find_element(By.CSS_SELECTOR, "#original summary").click()
    assert str(WHOLE["description"]) in driver.find_element(By.ID, "original").text
    follow(driver, ".switch")
    assert driver.current_url == f"{shown.address}/zh/listings/{shown.ids['whole']}"
    assert driver.find_element(By.TAG_NAME, "h1").text == "铁矿石无尘破碎线"
    follow(driver, ".touch .button")
    assert driver.find_element(By.NAME, "password").is_displayed()
    assert driver.find_element(By.NAME, "next").get_attribute("value") == f"/listings/{shown.ids['whole']}"


def test_a_text_is_searched_on_either_side(shown: Showcase, driver: webdriver.Chrome) -> None:
    driver.get(f"{shown.address}/zh/")
    driver.find_element(By.NAME, "q").send_keys(str(WHOLE["title"]))
    follow(driver, "button[formaction='/zh/needs']")
    assert driver.current_url.startswith(f"{shown.address}/zh/needs?q=")
    assert driver.find_elements(By.CSS_SELECTOR, ".card-title a")
    assert driver.find_element(By.NAME, "q").get_attribute("value") == WHOLE["title"]
