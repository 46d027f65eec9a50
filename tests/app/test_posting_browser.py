"""The posting form in a real browser: advice while one writes, and a draft that nothing takes away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from app.asking import COOKIE
from app.settings import Settings
from tests.app import test_browser
from tests.app.conftest import NEED, OFFER, SECRET
from tests.app.serving import Served, served
from tests.app.signing import PASSWORD, with_password
from tests.app.test_browser import CHROMIUM, DRIVER, FLAGS, PATIENCE

pytestmark = test_browser.pytestmark
TITLE, TEXT = str(NEED["title"]), str(NEED["description"])
ARABIC = "مضخات شمسية لري الحقول"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        model="hashing",
        secret=SecretStr(SECRET),
        sign_in_limit="1000/minute",
        known_limit="100000/minute",
    )
    with served(settings) as one:
        world = one.world
        world.post(world.seeker, OFFER | {"country": "KZ", "region": None})
        world.post(world.offerer, OFFER | {"reference": "near", "side": "need", "title": TITLE, "description": TEXT})
        yield one


def opened(profile: Path, **preferences: int) -> webdriver.Chrome:
    """A browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", preferences)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver = opened(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser without scripts."""
    driver = opened(tmp_path_factory.mktemp("plain"), **{"profile.managed_default_content_settings.javascript": 2})
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def password(service: Served) -> str:
    """The address of the partner, who has a password now."""
    return with_password(service.world, "partner")


@pytest.fixture
def form(service: Served, browser: webdriver.Chrome, password: str) -> webdriver.Chrome:
    """An empty form, open before a partner."""
    wide(browser, 1280)
    browser.get(f"{service.address}/listings/new?lang=en")
    if "/sign-in" in browser.current_url:
        sign_in(browser, password)
    browser.execute_script("localStorage.clear()")
    browser.get(f"{service.address}/listings/new?lang=en")
    browser.get_log("browser")
    return browser


def sign_in(browser: webdriver.Chrome, address: str) -> None:
    write(browser, email=address, password=PASSWORD)
    browser.find_element(By.CSS_SELECTOR, "main button").click()
    wait(browser, lambda: "/listings" in browser.current_url and "/sign-in" not in browser.current_url)


def wide(browser: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait(browser: webdriver.Chrome, condition: Any) -> Any:
    """Until something holds, also across pages: what is read may belong to one that is just going."""
    changing = (NoSuchElementException, StaleElementReferenceException)
    waiting = WebDriverWait(browser, PATIENCE, poll_frequency=0.05, ignored_exceptions=changing)
    return waiting.until(lambda _: condition())


def one(browser: webdriver.Chrome, css: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, css)


def write(browser: webdriver.Chrome, **fields: str) -> None:
    for name, text in fields.items():
        browser.find_element(By.ID, name).send_keys(text)


def choose(browser: webdriver.Chrome, side: str) -> None:
    one(browser, f"input[name=side][value={side}]").click()


def advice(browser: webdriver.Chrome) -> str:
    text: str = one(browser, "#advice").text
    return text


def value(browser: webdriver.Chrome, name: str) -> str:
    return str(browser.find_element(By.ID, name).get_property("value"))


def kept(browser: webdriver.Chrome, text: str) -> None:
    """Wait until what was typed is in the browser's draft."""
    wait(browser, lambda: text in str(browser.execute_script("return JSON.stringify({...localStorage})")))


def test_a_partner_posts_a_need_with_live_advice(service: Served, form: webdriver.Chrome) -> None:
    choose(form, "need")
    write(form, title=TITLE)
    wait(form, lambda: "What would make it easier to find" in advice(form))
    assert "There is only a title" in advice(form)
    one(form, '#advice a[href="#modes"]').click()
    assert form.switch_to.active_element.get_attribute("name") == "modes"
    write(form, description=TEXT)
    wait(form, lambda: "There is only a title" not in advice(form))
    wait(form, lambda: "Is it here already?" in advice(form))
    assert str(OFFER["title"]) in advice(form)
    wait(form, lambda: "match" in one(form, "#advice-said").get_attribute("textContent"))
    sections = form.find_elements(By.CSS_SELECTOR, "#posting > details > summary")
    sections[1].click()
    one(form, "[data-add=figure]").click()
    form.switch_to.active_element.send_keys("service life")
    one(form, "[name=figure-value]").send_keys("12")
    one(form, "[name=figure-unit]").send_keys("months")
    one(form, "[data-add=figure]").click()
    form.find_elements(By.CSS_SELECTOR, "[data-rows=figure] [data-remove]")[1].click()
    assert len(form.find_elements(By.CSS_SELECTOR, "[data-rows=figure] > [data-row]")) == 1
    kept(form, "service life")
    one(form, "#send").click()
    wait(form, lambda: "The listing is posted" in one(form, "main").text)
    listing_id = form.current_url.split("/listings/")[1].split("?")[0]
    found = service.world.offerer.get(f"/api/v1/listings/{listing_id}").json()
    assert (found["side"], found["title"], found["description"]) == ("need", TITLE, TEXT)
    assert found["requirements"][0] | {"must": True} == {
        "parameter": "service life",
        "operator": ">=",
        "value": 12.0,
        "unit": "months",
        "must": True,
    }
    assert form.execute_script("return localStorage.length") == 0
    form.get(f"{service.address}/listings/new")
    assert value(form, "title") == ""
    assert [line["message"] for line in form.get_log("browser") if line["level"] == "SEVERE"] == []


def test_a_draft_outlives_a_reload_and_can_be_discarded(form: webdriver.Chrome) -> None:
    choose(form, "offer")
    write(form, title="A dryer for tea", description="It dries tea.")
    form.execute_script("document.querySelectorAll('#posting > details').forEach((one) => { one.open = true })")
    one(form, "input[name=fields][value=clean_energy]").click()
    one(form, "[data-add=translation]").click()
    one(form, "[name=translation-title]").send_keys(ARABIC)
    form.refresh()
    assert value(form, "title") == "A dryer for tea"
    assert one(form, "input[name=side][value=offer]").is_selected()
    assert one(form, "input[name=fields][value=clean_energy]").is_selected()
    assert str(one(form, "[name=translation-title]").get_property("value")) == ARABIC
    assert one(form, "#restored").is_displayed()
    one(form, "#discard").click()
    wait(form, lambda: value(form, "title") == "")
    assert not one(form, "#restored").is_displayed()
    form.refresh()
    assert value(form, "title") == ""


def test_a_draft_outlives_a_session(form: webdriver.Chrome, password: str) -> None:
    choose(form, "offer")
    write(form, title="A dryer for coffee")
    kept(form, "A dryer for coffee")
    form.delete_cookie(COOKIE)
    write(form, description="It dries coffee.")
    wait(form, lambda: one(form, "#signed-out").is_displayed())
    kept(form, "It dries coffee.")
    one(form, "#send").click()
    wait(form, lambda: "/sign-in" in form.current_url)
    sign_in(form, password)
    wait(form, lambda: value(form, "title") == "A dryer for coffee")
    assert value(form, "description") == "It dries coffee."
    one(form, "#send").click()
    wait(form, lambda: "The listing is posted" in one(form, "main").text)


def test_what_is_wrong_is_focused_and_stays_as_it_was_typed(form: webdriver.Chrome) -> None:
    choose(form, "offer")
    write(form, title="A dryer for cocoa")
    form.execute_script("document.querySelectorAll('#posting > details').forEach((one) => { one.open = true })")
    write(form, region="Chongqing", keywords="cocoa")
    one(form, "#send").click()
    wait(form, lambda: form.find_elements(By.CSS_SELECTOR, ".errors"))
    assert form.switch_to.active_element.get_attribute("id") == "region"
    assert one(form, "#region").is_displayed()
    assert value(form, "title") == "A dryer for cocoa"
    assert one(form, ".errors a").text == "Region"
    form.refresh()
    assert value(form, "region") == "Chongqing"


def test_a_double_click_posts_once(service: Served, form: webdriver.Chrome) -> None:
    choose(form, "offer")
    write(form, title="A dryer for hops, clicked twice")
    webdriver.ActionChains(form).double_click(one(form, "#send")).perform()
    wait(form, lambda: "The listing is posted" in one(form, "main").text)
    items = service.world.offerer.get("/api/v1/listings?limit=200").json()["items"]
    assert [item["title"] for item in items].count("A dryer for hops, clicked twice") == 1


def test_arabic_is_laid_out_from_the_right_while_it_is_typed(form: webdriver.Chrome) -> None:
    write(form, title=ARABIC, description=ARABIC)
    for name in ("title", "description"):
        direction = form.execute_script(
            "return getComputedStyle(document.getElementById(arguments[0])).direction", name
        )
        assert direction == "rtl"


def test_on_a_phone_nothing_is_wider_than_it(service: Served, form: webdriver.Chrome) -> None:
    listing_id = service.world.ids["near"]
    write(form, title=TITLE, description=TEXT)
    choose(form, "need")
    wait(form, lambda: str(OFFER["title"]) in advice(form))
    for path in (
        "/listings/new",
        "/listings",
        *(f"/listings/{listing_id}{part}" for part in ("", "/matches", "/advice")),
    ):
        form.get(f"{service.address}{path}")
        wide(form, 360)
        if path == "/listings/new":
            wait(form, lambda: str(OFFER["title"]) in advice(form))
        assert form.execute_script("return document.documentElement.scrollWidth") <= 360, path


def test_a_draft_is_nobody_elses(service: Served, form: webdriver.Chrome) -> None:
    write(form, title="A secret of the partner")
    kept(form, "A secret of the partner")
    form.delete_cookie(COOKIE)
    form.get(f"{service.address}/sign-in?next=/listings/new")
    sign_in(form, with_password(service.world, "manager"))
    assert value(form, "title") == ""
    form.delete_cookie(COOKIE)


def test_a_draft_that_another_has_overtaken_is_told_so_and_kept(service: Served, form: webdriver.Chrome) -> None:
    record = {"reference": "both", "side": "offer", "title": "Dryer for maize"}
    listing_id = service.world.post(service.world.offerer, record)["id"]
    form.get(f"{service.address}/listings/{listing_id}/revise")
    write(form, title=" and rice")
    kept(form, "maize and rice")
    service.world.post(service.world.offerer, record | {"title": "Dryer for millet"})
    form.refresh()
    assert value(form, "title") == "Dryer for maize and rice"
    one(form, "#send").click()
    wait(form, lambda: form.find_elements(By.TAG_NAME, "ins"))
    assert "millet" in one(form, "ins").text
    assert value(form, "title") == "Dryer for maize and rice"
    one(form, "#send").click()
    wait(form, lambda: "The new text is kept" in one(form, "main").text)
    assert form.execute_script("return localStorage.length") == 0


def test_a_field_that_is_suggested_is_taken_with_one_press(form: webdriver.Chrome) -> None:
    form.execute_script(
        "document.getElementById('advice').innerHTML ="
        " '<ul><li><button type=button data-field=environment>x</button></li></ul>'"
    )
    one(form, "[data-field=environment]").click()
    assert one(form, "input[name=fields][value=environment]").is_selected()
    assert one(form, "input[name=fields][value=environment]").is_displayed()


def test_without_scripts_a_listing_is_looked_over_and_posted(
    service: Served, plain: webdriver.Chrome, password: str
) -> None:
    plain.get(f"{service.address}/sign-in?lang=en&next=/listings/new")
    sign_in(plain, password)
    choose(plain, "need")
    write(plain, title=TITLE, description=TEXT)
    one(plain, "button[value=check]").click()
    wait(plain, lambda: str(OFFER["title"]) in advice(plain))
    assert value(plain, "title") == TITLE
    plain.find_elements(By.CSS_SELECTOR, "#posting > details > summary")[1].click()
    one(plain, "button[value=figure]").click()
    wait(plain, lambda: one(plain, "#figure-0-parameter").is_displayed())
    write(plain, **{"figure-0-parameter": "life", "figure-0-value": "a year"})
    one(plain, "#send").click()
    wait(plain, lambda: "1500 or 0.5" in one(plain, ".errors").text)
    assert plain.switch_to.active_element.get_attribute("id") == "figure-0-value"
    plain.switch_to.active_element.clear()
    write(plain, **{"figure-0-value": "12"})
    one(plain, "#send").click()
    wait(plain, lambda: "The listing is posted" in one(plain, "main").text)
    assert "life ≥ 12" in one(plain, "main").text
