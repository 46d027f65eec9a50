"""The pipeline in a real browser: by keyboard alone from proposal to contract, by mouse, two at once, on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from app.asking import COOKIE
from app.settings import Settings
from tests.app import test_browser
from tests.app.conftest import NEED, OFFER, SECRET, World
from tests.app.serving import Served, served
from tests.app.test_pairings import go, step

pytestmark = test_browser.pytestmark
MOST_TABS = 120


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), model="hashing", secret=SecretStr(SECRET))
    with served(settings) as running:
        running.world.app.state.proposer.stop()
        running.world.post(running.world.offerer, OFFER)
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, service: Served) -> Iterator[webdriver.Chrome]:
    """A browser in which the manager of the offerer's node has signed in."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(test_browser.CHROMIUM)
    profile: Path = tmp_path_factory.mktemp("profile")
    for flag in (*test_browser.FLAGS, f"--user-data-dir={profile}", "--window-size=1400,1000", "--lang=en-US"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(test_browser.DRIVER)))
    driver.get(f"{service.address}/sign-in")
    driver.add_cookie({"name": COOKIE, "value": service.world.manager.cookies[COOKIE]})
    yield driver
    driver.quit()


@pytest.fixture
def pairing(service: Served, request: pytest.FixtureRequest) -> str:
    """A pairing of its own for each test."""
    need = service.world.post(service.world.seeker, NEED | {"reference": request.node.name})
    body = {"offer": service.world.ids["o1"], "need": need["id"]}
    found: str = service.world.manager.post("/api/v1/pairings", json=body).json()["id"]
    return found


def until(browser: webdriver.Chrome, what: Any, why: str) -> Any:
    return WebDriverWait(browser, test_browser.PATIENCE).until(what, why)


def state_of(world: World, pairing: str) -> str:
    found: str = world.manager.get(f"/api/v1/pairings/{pairing}").json()["state"]
    return found


def column_of(browser: webdriver.Chrome, pairing: str) -> str:
    """The column that a card stands in."""
    script = "return document.getElementById(arguments[0])?.closest('.column')?.dataset.state ?? ''"
    found: str = browser.execute_script(script, f"card-{pairing}")
    return found


def press(browser: webdriver.Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def tab_to(browser: webdriver.Chrome, selector: str) -> None:
    """Go on with the tab key until the focus is on what the selector names."""
    for _ in range(MOST_TABS):
        if browser.execute_script("return document.activeElement.matches(arguments[0])", selector):
            return
        press(browser, Keys.TAB)
    raise AssertionError(f"the tab key does not lead to {selector}")


def written(browser: webdriver.Chrome, selector: str, text: str) -> None:
    tab_to(browser, selector)
    press(browser, text)


def pressed(browser: webdriver.Chrome, selector: str, key: str = Keys.ENTER) -> None:
    tab_to(browser, selector)
    press(browser, key)


def loaded(browser: webdriver.Chrome, old: Any) -> None:
    """Wait for the page after the one that the element `old` is on."""

    def gone(_: webdriver.Chrome) -> bool:
        try:
            old.is_enabled()
        except Exception:  # noqa: BLE001 - the driver has several ways of saying that an element is gone
            return True
        return False

    until(browser, gone, "the page does not change")


def sent(browser: webdriver.Chrome, selector: str) -> None:
    """Press a button by keyboard and wait for the page that answers."""
    tab_to(browser, selector)
    old = browser.find_element(By.TAG_NAME, "html")
    press(browser, Keys.ENTER)
    loaded(browser, old)


def test_from_proposal_to_completion_by_keyboard_alone(
    browser: webdriver.Chrome, service: Served, pairing: str
) -> None:
    world = service.world
    browser.get(f"{service.address}/pipeline")
    for action, state in (("shortlist", "shortlisted"), ("offer", "offered")):
        pressed(browser, f"#card-{pairing} summary")
        pressed(browser, f"#card-{pairing} button[value={action}]")
        until(browser, lambda one, state=state: column_of(one, pairing) == state, f"the card is not under {state}")
        focused = until(browser, lambda one: one.switch_to.active_element.get_attribute("id"), "nothing has the focus")
        assert focused == f"card-{pairing}", "the focus goes with the card"
    pressed(browser, f"#card-{pairing} summary")
    sent(browser, f"#card-{pairing} a[href*='do=interest']")
    for side in ("offer", "need"):
        if side == "offer":
            pressed(browser, "#do-interest input[name=side]", Keys.SPACE)
        pressed(browser, "#do-interest input[name=consent]", Keys.SPACE)
        written(browser, "#note-interest", f"the {side} wrote to us")
        sent(browser, "#do-interest button")
    assert state_of(world, pairing) == "mutual"
    assert not browser.find_elements(By.CSS_SELECTOR, "button[value=introduce]"), "the gate is shut"
    pressed(browser, "#do-hold summary")
    written(browser, "#note-hold", "until compliance has decided")
    sent(browser, "#do-hold button")
    assert state_of(world, pairing) == "held"
    sent(browser, f"form[action='/pairings/{pairing}/screening'] button")
    pressed(browser, "input[name=decision]", Keys.SPACE)
    written(browser, "#decision-reason", "ordinary ceramics; no entry covers them")
    sent(browser, f"form[action='/pairings/{pairing}/decision'] button")
    for action, state in (("release", "mutual"), ("introduce", "introduced"), ("negotiate", "negotiating")):
        sent(browser, f"#do-{action} button")
        assert state_of(world, pairing) == state
    tab_to(browser, "#contract-type")
    press(browser, "Technology licence")
    written(browser, "#contract-value", "120000.50")
    written(browser, "#contract-currency", "EUR")
    written(browser, "#contract-signed_on", "11012026")
    written(browser, "#contract-registration_number", "2026-50-0001")
    sent(browser, "button[name=then][value=contract]")
    assert state_of(world, pairing) == "contracted"
    sent(browser, "#do-complete button")
    assert state_of(world, pairing) == "completed"
    page = browser.find_element(By.TAG_NAME, "main").text
    for text in (
        "120,000.5 EUR",
        "Nov 1, 2026",
        "2026-50-0001",
        "until compliance has decided",
        "the need wrote to us",
    ):
        assert text in page
    steps = world.manager.get(f"/api/v1/pairings/{pairing}/steps").json()["items"]
    assert [one["state_after"] for one in steps][-7:] == [
        "mutual",
        "held",
        "mutual",
        "introduced",
        "negotiating",
        "contracted",
        "completed",
    ]


def dragged(browser: webdriver.Chrome, pairing: str, state: str) -> None:
    card = browser.find_element(By.CSS_SELECTOR, f"#card-{pairing} .badges")
    column = browser.find_element(By.CSS_SELECTOR, f"#column-{state} h2")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", column)
    ActionChains(browser).drag_and_drop(card, column).perform()


def test_a_card_is_dragged_to_where_it_may_go_and_told_where_it_may_not(
    browser: webdriver.Chrome, service: Served, pairing: str
) -> None:
    browser.get(f"{service.address}/pipeline")
    dragged(browser, pairing, "shortlisted")
    until(browser, lambda one: column_of(one, pairing) == "shortlisted", "the card is not moved")
    assert state_of(service.world, pairing) == "shortlisted"
    counts = [browser.find_element(By.ID, f"{kind}-shortlisted").text for kind in ("count", "chip")]
    assert counts[0] == counts[1] == str(len(browser.find_elements(By.CSS_SELECTOR, "#column-shortlisted .pairing")))
    dragged(browser, pairing, "proposed")
    said = until(
        browser, lambda one: [box.text for box in one.find_elements(By.CSS_SELECTOR, ".toast.bad")], "nothing is said"
    )
    assert any("Only the matching proposes" in text for text in said)
    assert column_of(browser, pairing) == "shortlisted"
    assert not browser.find_elements(By.CSS_SELECTOR, ".column.open, .column.shut"), "the columns are at rest again"
    go(service.world, pairing, "offered")
    browser.get(f"{service.address}/pipeline")
    dragged(browser, pairing, "mutual")
    until(browser, lambda one: f"/pairings/{pairing}?do=interest" in one.current_url, "the form is not opened")
    assert browser.find_element(By.ID, "do-interest").get_attribute("open")
    assert state_of(service.world, pairing) == "offered", "an interest needs its side and consent first"


def test_two_managers_at_once_are_told_of_each_other(browser: webdriver.Chrome, service: Served, pairing: str) -> None:
    world = service.world
    browser.get(f"{service.address}/pipeline")
    step(world.other_manager, pairing, "shortlist", note="I was here first")
    browser.find_element(By.CSS_SELECTOR, f"#card-{pairing} summary").click()
    browser.find_element(By.CSS_SELECTOR, f"#card-{pairing} button[value=shortlist]").click()
    until(browser, lambda one: one.find_elements(By.CSS_SELECTOR, f"#card-{pairing} [role=alert]"), "nothing is said")
    card = browser.find_element(By.ID, f"card-{pairing}").text
    assert "Someone else was quicker" in card
    assert "other_manager" in card
    browser.find_element(By.CSS_SELECTOR, f"#card-{pairing} button[value=offer]").click()
    until(browser, lambda one: column_of(one, pairing) == "offered", "the card does not go on from there")

    browser.get(f"{service.address}/pairings/{pairing}?do=decline")
    browser.find_element(By.ID, "note-decline").send_keys("they want <too> much")
    browser.find_element(By.ID, "reason-decline").send_keys("Terms do not fit")
    step(world.other_manager, pairing, "hold", note="wait for the ministry")
    old = browser.find_element(By.TAG_NAME, "html")
    browser.find_element(By.CSS_SELECTOR, "#do-decline button").click()
    loaded(browser, old)
    refused = browser.find_element(By.ID, "refused").text
    assert "Someone else was quicker" in refused
    assert "wait for the ministry" in refused
    assert browser.find_element(By.ID, "note-decline").get_attribute("value") == "they want <too> much"
    assert browser.find_element(By.ID, "reason-decline").get_attribute("value") == "terms"
    assert state_of(world, pairing) == "held"


def test_on_a_phone_nothing_sticks_out_and_a_card_can_be_moved(
    browser: webdriver.Chrome, service: Served, pairing: str
) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        step(service.world.manager, pairing, "shortlist")
        for path in ("/pipeline", f"/pairings/{pairing}", "/pipeline?view=exchanges", "/pipeline?q=nothing+at+all"):
            for language in ("en", "zh"):
                browser.get(f"{service.address}{path}{'&' if '?' in path else '?'}lang={language}")
                width = browser.execute_script("return document.documentElement.scrollWidth")
                assert width <= 360, f"{path} in {language} is {width} pixels wide"
        browser.get(f"{service.address}/pipeline")
        browser.find_element(By.CSS_SELECTOR, "a.chip[href='#column-shortlisted']").click()
        browser.find_element(By.CSS_SELECTOR, f"#card-{pairing} summary").click()
        browser.find_element(By.CSS_SELECTOR, f"#card-{pairing} button[value=hold]").click()
        until(browser, lambda one: column_of(one, pairing) == "held", "the card is not moved")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_browser_has_nothing_to_complain_of(browser: webdriver.Chrome, service: Served, pairing: str) -> None:
    """Least of all of a script or a style that the policy forbids."""
    browser.get_log("browser")  # what other tests caused, such as the answers that refuse
    for path in ("/pipeline?closed=1", f"/pairings/{pairing}"):
        browser.get(f"{service.address}{path}")
    assert [line["message"] for line in browser.get_log("browser") if "favicon" not in line["message"]] == []
