"""A person comes in with a real browser: by a link with an invitation, by password, by an OpenID provider."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from app import accounts
from app.access import Role
from app.clock import utc_now
from app.main import create_app
from app.settings import Settings
from tests.app import test_browser, test_openid
from tests.app.conftest import SECRET
from tests.app.signing import PASSWORD

pytestmark = [test_browser.pytestmark, test_openid.pytestmark]
ADDRESS = "ada@example.org"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A running service's address, and an invitation to it."""
    base = f"http://127.0.0.1:{test_openid.free_port()}"
    people = {"ada": {"email": ADDRESS, "email_verified": True}}
    with test_openid.running_provider(f"{base}{test_openid.JOURNEY_PATH}/back", people) as issuer:
        settings = Settings(
            home=tmp_path_factory.mktemp("home"),
            model="hashing",
            secret=SecretStr(SECRET),
            oidc_issuer=issuer,
            oidc_client_id=test_openid.CLIENT,
            oidc_client_secret=SecretStr(test_openid.CLIENT_SECRET),
        )
        app = create_app(settings)
        config = uvicorn.Config(app, port=int(base.rpartition(":")[2]), log_level="warning", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        with app.state.database.writing() as session:
            _, invitation = accounts.invite(session, ADDRESS, "Ada Sample", Role.ADMINISTRATOR, None, [], utc_now())
        yield base, invitation
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(test_browser.CHROMIUM)
    for flag in (*test_browser.FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(test_browser.DRIVER)))
    yield driver
    driver.quit()


def until(browser: webdriver.Chrome, path: str) -> None:
    """Wait for the browser to be at an address that ends so."""
    WebDriverWait(browser, test_browser.PATIENCE).until(lambda one: one.current_url.split("?")[0].endswith(path))


def press(browser: webdriver.Chrome, **fields: str) -> None:
    """Fill in the form of the page and send it."""
    for name, text in fields.items():
        browser.find_element(By.ID, name).send_keys(text)
    browser.find_element(By.CSS_SELECTOR, "main button").click()


def said(browser: webdriver.Chrome) -> Any:
    return browser.find_element(By.TAG_NAME, "main").text


def test_a_person_comes_in_by_each_way(browser: webdriver.Chrome, service: tuple[str, str]) -> None:
    base, invitation = service
    browser.get(f"{base}/invitation?lang=en#{invitation}")
    assert browser.find_element(By.ID, "token").get_attribute("value") == invitation
    assert invitation not in browser.current_url
    press(browser, password=PASSWORD)
    until(browser, "/sign-in")
    assert "The password is set" in said(browser)
    press(browser, email=ADDRESS, password=PASSWORD)
    until(browser, "/queue")
    browser.find_element(By.LINK_TEXT, "Ada Sample").click()
    until(browser, "/account")
    assert "Administrator" in said(browser)
    browser.find_element(By.CSS_SELECTOR, "form[action='/sign-out'] button").click()
    until(browser, "/")

    browser.get(f"{base}/account?lang=zh")
    browser.find_element(By.CSS_SELECTOR, "a.elsewhere").click()
    WebDriverWait(browser, test_browser.PATIENCE).until(lambda one: "/interaction/" in one.current_url)
    browser.find_element(By.LINK_TEXT, "ada").click()
    until(browser, f"{base}/account")
    assert "管理员" in said(browser)
