"""The queue in a real browser: the keyboard alone, the way back, two managers, a lost page, a phone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from app.asking import COOKIE
from app.settings import Settings
from app.tables import StepRow
from app.web import queue
from tests.app import test_browser
from tests.app.conftest import SECRET
from tests.app.proposed import ASKED, forget, propose
from tests.app.serving import Served, served

pytestmark = test_browser.pytestmark
PATIENCE = 20
UNDO = 4  # seconds: shorter than for people


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, model="hashing", secret=SecretStr(SECRET), known_limit="10000/minute")
    with pytest.MonkeyPatch.context() as patch, served(settings) as service:
        patch.setattr(queue, "UNDO", UNDO)
        service.world.app.state.proposer.stop()
        yield service


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(test_browser.CHROMIUM)
    for flag in (*test_browser.FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    one = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(test_browser.DRIVER)))
    yield one
    one.quit()


class Desk:
    """A manager at the browser."""

    def __init__(self, driver: webdriver.Chrome, service: Served) -> None:
        self.driver, self.world, self.address = driver, service.world, service.address

    def sit_down(self, name: str = "manager") -> None:
        """Sign in without typing a password."""
        self.driver.get(f"{self.address}/sign-in?lang=en")
        self.driver.delete_all_cookies()
        cookie = getattr(self.world, name).cookies[COOKIE]
        self.driver.add_cookie({"name": COOKIE, "value": cookie, "httpOnly": True})
        self.driver.execute_script("localStorage.clear()")

    def open(self, path: str = "/queue") -> None:
        self.driver.get(f"{self.address}{path}")
        self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, "#queue.live"))

    def press(self, keys: str) -> None:
        """Press keys on whatever has the focus."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def until(self, met: Callable[[], Any]) -> Any:
        ignored = (StaleElementReferenceException, WebDriverException)
        return WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=ignored).until(lambda _: met())

    @property
    def shown(self) -> str | None:
        found: str | None = self.driver.find_element(By.ID, "current").get_attribute("data-id")
        return found

    def comes(self, pairing: str | None) -> None:
        self.until(lambda: self.shown == pairing)

    def has_the_next(self) -> None:
        """Wait until the next proposal is there."""
        come = "performance.getEntriesByType('resource').some((one) => one.name.includes('after=') && one.responseEnd)"
        self.until(lambda: self.driver.execute_script(f"return {come}"))

    def said(self, selector: str, text: str) -> None:
        """Wait for a part of the page to say something."""
        self.until(lambda: text in self.driver.find_element(By.CSS_SELECTOR, selector).text)

    def decided(self, pairing: str) -> list[tuple[str, str | None]]:
        """Action and reason of the steps that people have taken."""
        with self.world.database.reading() as session:
            steps = (session.get(StepRow, (pairing, number)) for number in range(2, 6))
            return [(step.action, step.reason) for step in steps if step is not None]


@pytest.fixture
def desk(driver: webdriver.Chrome, service: Served) -> Iterator[Desk]:
    forget(service.world)
    one = Desk(driver, service)
    driver.set_window_size(1280, 900)
    one.sit_down()
    driver.get_log("browser")
    yield one
    driver.get("about:blank")
    wrong = [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"]
    expected = ("favicon", "412", "403", "401", "ERR_INTERNET_DISCONNECTED", "/listings/")
    assert [line for line in wrong if not any(word in line for word in expected)] == []


def offline(driver: webdriver.Chrome, *, really: bool) -> None:
    driver.set_network_conditions(offline=really, latency=0, throughput=1_000_000)


def test_a_morning_at_the_keyboard_alone(desk: Desk) -> None:
    ids = propose(desk.world, 6)
    desk.open()
    assert desk.shown == ids[0]
    desk.press("j")
    desk.comes(ids[1])
    desk.press("k")
    desk.comes(ids[0])
    desk.press("a")
    desk.comes(ids[1])
    desk.said("#toasts", "Accepted: Offer number 0 ↔ Need number 0")
    desk.press("d")
    assert desk.driver.switch_to.active_element.get_attribute("name") == "reason"
    desk.press("6")
    desk.comes(ids[2])
    desk.press("h")
    desk.comes(ids[3])
    desk.press("d")
    desk.driver.find_element(By.ID, "no-note").send_keys("jad? it stays a note")
    assert desk.shown == ids[3]
    desk.press(Keys.ESCAPE)
    desk.press("d0")
    desk.comes(ids[4])
    desk.press("?")
    assert desk.driver.find_element(By.ID, "keys").get_attribute("open")
    desk.press("a")
    desk.press(Keys.ESCAPE)
    assert desk.shown == ids[4]
    desk.until(lambda: desk.decided(ids[3]))
    assert [desk.decided(one) for one in ids] == [
        [("shortlist", None)],
        [("decline", "terms")],
        [("shortlist", None), ("hold", None)],
        [("decline", "other")],
        [],
        [],
    ]
    with desk.world.database.reading() as session:
        last = session.get(StepRow, (ids[3], 2))
    assert last is not None
    assert last.note == "jad? it stays a note"
    desk.press("j")
    desk.comes(ids[5])
    desk.press("j")
    desk.comes(None)
    desk.said("#current", "That was the last one")
    desk.press("j")
    desk.comes(ids[4])
    desk.press("o")
    desk.until(lambda: desk.driver.current_url == f"{desk.address}/listings/offer-000004")


def test_what_is_undone_was_never_recorded(desk: Desk) -> None:
    ids = propose(desk.world, 3)
    desk.open()
    desk.press("a")
    desk.comes(ids[1])
    desk.press("d1")
    desk.comes(ids[2])
    desk.press("u")
    desk.comes(ids[1])
    desk.press("u")
    desk.comes(ids[0])
    desk.press("u")
    desk.said("#toasts", "nothing to take back")
    desk.driver.refresh()
    time.sleep(1)
    assert [desk.decided(one) for one in ids] == [[], [], []]
    assert desk.driver.execute_script("return localStorage.length") == 0


def test_one_does_not_come_back_to_what_is_decided(desk: Desk) -> None:
    ids = propose(desk.world, 3)
    desk.open()
    desk.press("j")
    desk.comes(ids[1])
    desk.press("a")
    desk.comes(ids[2])
    desk.press("k")
    desk.comes(ids[0])
    desk.press("j")
    desk.comes(ids[2])
    desk.until(lambda: desk.decided(ids[1]))
    desk.press("k")
    desk.comes(ids[0])
    desk.press("j")
    desk.comes(ids[2])


def test_leaving_the_page_sends_what_is_decided_at_once(desk: Desk) -> None:
    ids = propose(desk.world, 2)
    desk.open()
    desk.press("a")
    desk.comes(ids[1])
    desk.driver.get("about:blank")
    desk.until(lambda: desk.decided(ids[0]) == [("shortlist", None)])


def test_without_a_connection_nothing_is_lost(desk: Desk) -> None:
    ids = propose(desk.world, 3)
    desk.open()
    desk.has_the_next()
    offline(desk.driver, really=True)
    try:
        desk.press("a")
        desk.comes(ids[1])
        desk.said("#toasts", "no connection")
        desk.press("j")
        time.sleep(0.5)
        assert desk.shown == ids[1]
        desk.driver.execute_script("window.dispatchEvent(new Event('pagehide'))")
    finally:
        offline(desk.driver, really=False)
    assert desk.decided(ids[0]) == []
    desk.until(lambda: desk.decided(ids[0]) == [("shortlist", None)])
    desk.until(lambda: desk.driver.execute_script("return localStorage.length") == 0)


def test_what_a_lost_page_decided_is_sent_by_the_next(desk: Desk) -> None:
    ids = propose(desk.world, 2)
    desk.open()
    entry = {
        "id": ids[0],
        "path": f"/queue/{ids[0]}",
        "fields": [["read", "1.1.1"], ["decision", "decline"], ["reason", "terms"]],
        "at": 0,
    }
    person = desk.world.ids["manager"]
    for name in (person, "somebody else"):
        script = "localStorage.setItem(arguments[0], JSON.stringify(arguments[1]))"
        desk.driver.execute_script(script, f"dukou.queue.{name}.{ids[0]}", entry)
    desk.open()
    desk.until(lambda: desk.decided(ids[0]) == [("decline", "terms")])
    desk.until(lambda: desk.driver.execute_script("return localStorage.length") == 1)


def test_the_second_of_two_managers_is_told_and_the_queue_goes_on(desk: Desk) -> None:
    ids = propose(desk.world, 3)
    desk.open()
    path = f"/api/v1/pairings/{ids[0]}/steps"
    body = {"action": "decline", "reason": "too_early"}
    assert desk.world.other_manager.post(path, json=body, headers={"If-Match": '"1"'}).status_code == 201
    desk.press("a")
    desk.comes(ids[1])
    desk.press("j")
    desk.comes(ids[2])
    desk.said("#conflicts", "other_manager")
    said = desk.driver.find_element(By.ID, "conflicts").text
    assert "Too early a stage" in said
    assert "Your decision is not recorded: Accept" in said
    assert desk.shown == ids[2]
    assert desk.decided(ids[0]) == [("decline", "too_early")]
    desk.driver.find_element(By.CSS_SELECTOR, "[data-dismiss]").click()
    assert desk.driver.find_element(By.ID, "conflicts").text == ""


def test_signed_out_meanwhile_the_decision_waits_for_the_next_sign_in(desk: Desk) -> None:
    ids = propose(desk.world, 2)
    desk.open()
    cookie = desk.driver.get_cookie(COOKIE)
    desk.driver.delete_cookie(COOKIE)
    desk.press("a")
    desk.driver.execute_script("window.dispatchEvent(new Event('pagehide'))")
    desk.said("#toasts", "You are signed out")
    assert desk.decided(ids[0]) == []
    desk.driver.add_cookie(cookie)
    desk.open()
    desk.until(lambda: desk.decided(ids[0]) == [("shortlist", None)])


def test_titles_are_text_wherever_they_are_said(desk: Desk) -> None:
    title = "<img src=x onerror=\"document.title='taken over'\">"
    ids = propose(desk.world, 2, offers=[{"title": title}])
    body = {"action": "decline", "reason": "terms"}
    path = f"/api/v1/pairings/{ids[1]}/steps"
    desk.open()
    desk.has_the_next()
    assert desk.world.other_manager.post(path, json=body, headers={"If-Match": '"1"'}).status_code == 201
    desk.press("a")
    desk.said("#toasts", f"Accepted: {title}")
    desk.comes(ids[1])
    desk.press("h")
    desk.said("#conflicts", title)
    assert desk.driver.find_elements(By.CSS_SELECTOR, "#queue img, #toasts img") == []
    assert desk.driver.title == "Queue · Dukou"


def test_the_keys_can_be_switched_off(desk: Desk) -> None:
    ids = propose(desk.world, 2)
    desk.open()
    desk.driver.find_element(By.ID, "help").click()
    desk.driver.find_element(By.ID, "keys-on").click()
    desk.press(Keys.ESCAPE)
    desk.press("ja")
    time.sleep(0.5)
    assert desk.shown == ids[0]
    desk.driver.find_element(By.CSS_SELECTOR, ".go [rel=next]").click()
    desk.comes(ids[1])


def test_a_passage_shows_its_counterpart(desk: Desk) -> None:
    propose(desk.world, 1)
    desk.open()
    style = "return getComputedStyle(document.getElementById('need-1')).textDecorationLine"
    assert desk.driver.execute_script(style) == "none"
    spot = desk.driver.find_element(By.CSS_SELECTOR, "#offer-1 .spot")
    desk.driver.execute_script("arguments[0].focus()", spot)
    assert desk.driver.execute_script(style) == "underline"
    assert ASKED in desk.driver.find_element(By.ID, "need-1").text
    spot.send_keys(Keys.ENTER)
    assert desk.driver.current_url.endswith("#need-1")


def test_the_filters_come_when_they_are_asked_for(desk: Desk) -> None:
    ids = propose(desk.world, 3)
    desk.open()
    desk.driver.find_element(By.CSS_SELECTOR, ".unfold summary").click()
    desk.said(".unfold", "3 proposals in your queue")
    desk.driver.find_element(By.PARTIAL_LINK_TEXT, "Bringing in").click()
    desk.comes(ids[1])
    desk.press("a")
    desk.comes(None)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_on_a_phone_the_texts_stand_below_each_other_and_the_keys_at_the_bottom(desk: Desk, language: str) -> None:
    propose(desk.world, 2)
    desk.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        desk.open(f"/queue?lang={language}")
        offer, need = desk.driver.find_elements(By.CSS_SELECTOR, ".side")
        assert need.rect["y"] >= offer.rect["y"] + offer.rect["height"]
        assert desk.driver.execute_script("return document.documentElement.scrollWidth") <= 360
        bar = "return document.querySelector('.actions').getBoundingClientRect()"
        assert desk.driver.execute_script(bar)["bottom"] == pytest.approx(740, abs=1)
        desk.driver.find_element(By.CSS_SELECTOR, ".no summary").click()
        sheet = desk.driver.execute_script("return document.querySelector('.no form').getBoundingClientRect()")
        assert sheet["top"] >= 0
        assert sheet["right"] <= 360
        for button in desk.driver.find_elements(By.CSS_SELECTOR, ".actions :is(button, summary, .go a)"):
            assert not button.is_displayed() or button.rect["height"] >= 44
    finally:
        desk.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_forms_without_scripts_decide_too(desk: Desk, service: Served) -> None:
    ids = propose(desk.world, 2)
    desk.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        desk.driver.get(f"{service.address}/queue")
        desk.driver.find_element(By.CSS_SELECTOR, ".no summary").click()
        desk.driver.find_element(By.CSS_SELECTOR, "input[value=too_vague]").click()
        desk.driver.find_element(By.CSS_SELECTOR, ".no form button").click()
        desk.until(lambda: "done=" in desk.driver.current_url)
        desk.driver.find_element(By.CSS_SELECTOR, "button[value=accept]").click()
        desk.until(lambda: "That was the last one" in desk.driver.page_source)
        assert not desk.driver.find_element(By.ID, "help").is_displayed()
    finally:
        desk.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert [desk.decided(one) for one in ids] == [[("decline", "too_vague")], [("shortlist", None)]]
