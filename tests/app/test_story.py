"""The whole way in a browser, in both languages: a need is posted on a page, found in the queue, brought to a contract,
and a platform outside has received every event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from app.access import Permission
from app.asking import COOKIE
from app.settings import Settings
from tests.app import test_browser
from tests.app.conftest import NEED, OFFER, OTHERS, World
from tests.app.signing import signed_in
from tests.app.test_browser import CHROMIUM, DRIVER, FLAGS
from tests.app.test_end_to_end import complete, make_key, received, receiving, with_worker

pytestmark = test_browser.pytestmark
PATIENCE = 30  # seconds


@pytest.fixture
def served(settings: Settings) -> Iterator[tuple[World, str]]:
    with with_worker(settings) as one:
        yield one


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def until(browser: webdriver.Chrome, met: Callable[[], Any]) -> Any:
    """Wait, also across pages: what is read may belong to one that is just going."""
    changing = (NoSuchElementException, StaleElementReferenceException)
    return WebDriverWait(browser, PATIENCE, ignored_exceptions=changing).until(lambda _: met())


def be(browser: webdriver.Chrome, address: str, client: TestClient, language: str) -> None:
    """Sit down at the browser as somebody who is signed in and reads that language."""
    browser.get(f"{address}/robots.txt")
    browser.delete_all_cookies()
    browser.add_cookie({"name": COOKIE, "value": client.cookies[COOKIE]})
    browser.get(f"{address}/account")
    button = browser.find_elements(By.CSS_SELECTOR, f"form.switch button[value={language}]")
    if button:  # it offers the other language than the page's
        button[0].click()
        until(browser, lambda: browser.find_element(By.TAG_NAME, "html").get_attribute("lang").startswith(language))


def press(browser: webdriver.Chrome, css: str) -> None:
    """Press a button or link and wait for the page after it."""
    old = browser.find_element(By.TAG_NAME, "html").id
    element = until(browser, lambda: browser.find_element(By.CSS_SELECTOR, css))
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()
    until(browser, lambda: browser.find_element(By.TAG_NAME, "html").id != old)


def write(browser: webdriver.Chrome, css: str, text: str) -> None:
    element = browser.find_element(By.CSS_SELECTOR, css)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.send_keys(text)


def open_step(browser: webdriver.Chrome, action: str) -> None:
    browser.execute_script(f"document.getElementById('do-{action}').open = true")


def post_need(browser: webdriver.Chrome, address: str) -> str:
    """Post it on the form; its id."""
    browser.get(f"{address}/listings/new")
    browser.find_element(By.CSS_SELECTOR, "input[name=side][value=need]").click()
    write(browser, "#title", str(NEED["title"]))
    write(browser, "#description", str(NEED["description"]))
    browser.execute_script("for (const one of document.querySelectorAll('#posting details')) one.open = true")
    Select(browser.find_element(By.ID, "country")).select_by_value("KZ")
    press(browser, "#send")
    until(browser, lambda: "/listings/new" not in browser.current_url)
    return browser.current_url.split("/listings/")[1].split("?")[0]


def take_from_queue(browser: webdriver.Chrome, address: str, world: World, need: str) -> str:
    """Find the proposal for that need in the queue and accept it with a key; the pairing's id."""

    def there() -> Any:
        browser.get(f"{address}/queue")
        return browser.find_elements(By.PARTIAL_LINK_TEXT, str(NEED["title"])) or NEED["title"] in browser.page_source

    until(browser, there)
    items = world.administrator.get("/api/v1/pairings").json()["items"]
    (pairing,) = [one["id"] for one in items if one["need"]["id"] == need]
    browser.find_element(By.TAG_NAME, "body").send_keys("a")
    browser.get(f"{address}/pipeline")  # leaving sends the decision
    until(browser, lambda: world.administrator.get(f"/api/v1/pairings/{pairing}").json()["state"] == "shortlisted")
    return str(pairing)


def bring_to_contract(browser: webdriver.Chrome, address: str, pairing: str) -> None:
    """All steps on the pairing's page, through the compliance gate."""
    browser.get(f"{address}/pairings/{pairing}")
    open_step(browser, "offer")
    press(browser, "#do-offer button")
    for side in ("offer", "need"):
        open_step(browser, "interest")
        choices = browser.find_elements(By.CSS_SELECTOR, f"#do-interest input[name=side][value={side}]")
        if choices and not choices[0].is_selected():
            choices[0].send_keys(Keys.SPACE)
        browser.find_element(By.CSS_SELECTOR, "#do-interest input[name=consent]").send_keys(Keys.SPACE)
        write(browser, "#note-interest", f"{side}: said so by telephone")
        press(browser, "#do-interest button")
    assert not browser.find_elements(By.CSS_SELECTOR, "button[value=introduce]"), "the gate is shut"
    if browser.find_elements(By.CSS_SELECTOR, f"form[action='/pairings/{pairing}/screening'] button"):
        press(browser, f"form[action='/pairings/{pairing}/screening'] button")
    browser.find_element(By.CSS_SELECTOR, "input[name=decision][value=not_covered]").send_keys(Keys.SPACE)
    write(browser, "#decision-reason", "ordinary ceramics; no entry covers them")
    press(browser, f"form[action='/pairings/{pairing}/decision'] button")
    for action in ("introduce", "negotiate"):
        open_step(browser, action)
        press(browser, f"#do-{action} button")
    Select(browser.find_element(By.ID, "contract-type")).select_by_value("licence")
    write(browser, "#contract-value", "120000")
    write(browser, "#contract-currency", "EUR")
    browser.execute_script("document.getElementById('contract-signed_on').value = '2026-11-01'")
    press(browser, "button[name=then][value=contract]")
    open_step(browser, "complete")
    press(browser, "#do-complete button")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_from_the_posted_need_to_the_contract_that_the_platform_learns_of(
    served: tuple[World, str],
    browser: webdriver.Chrome,
    tmp_path: Path,
    language: str,
) -> None:
    world, address = served
    key = make_key(world, "offerer", Permission.WEBHOOKS, Permission.TRADING)
    with receiving(address, "trading", key, tmp_path / "trading.db") as platform:
        for record in (OFFER, *OTHERS):
            world.post(world.seeker, record)
        be(browser, address, signed_in(world, "partner"), language)
        need = post_need(browser, address)
        be(browser, address, signed_in(world, "centre"), language)
        pairing = take_from_queue(browser, address, world, need)
        bring_to_contract(browser, address, pairing)
        report = complete(platform, 4)
    assert (report["doubled_in_feed"], report["only_in_feed"], report["only_by_webhook"]) == (0, 0, 0)
    traded = [kind for _, kind in received(tmp_path / "trading.db")]
    assert traded == [f"pairing.{state}" for state in ("introduced", "negotiating", "contracted", "completed")]
    page = browser.find_element(By.TAG_NAME, "main").text
    assert {"en": "Technology licence", "zh": "技术许可"}[language] in page
