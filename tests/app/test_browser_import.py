"""A partner imports a file and makes a key, in a real browser; and the same file comes in without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from app.asking import COOKIE
from app.settings import Settings
from tests.app import test_browser
from tests.app.conftest import SECRET
from tests.app.serving import Served, served

pytestmark = test_browser.pytestmark
FILE = """Nummer,类型,Heading line,详细说明,国家或地区,TRL
b1,供给,Ceramic elbows for slurry,Alumina elbows that last six times longer than cast iron.,CN,9
b2,purchase,مضخات مياه شمسية,مضخات تعمل بالطاقة الشمسية لري الحقول.,EG,7
b3,需求,Solar pumps,Irrigation pumps without a grid are wanted.,EG,12
"""
DROP = """
const carried = new DataTransfer();
carried.items.add(new File([arguments[0]], "list.csv", { type: "text/csv" }));
const event = new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true });
document.querySelector(".drop").dispatchEvent(event);
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), model="hashing", secret=SecretStr(SECRET))
    with served(settings) as running:
        yield running


def opened(folder: Path, *, scripts: bool = True) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = str(test_browser.CHROMIUM)
    for flag in (*test_browser.FLAGS, f"--user-data-dir={folder}", "--window-size=1280,1000"):
        options.add_argument(flag)
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(str(test_browser.DRIVER)))


@pytest.fixture(scope="module", params=["with scripts", "without scripts"])
def browser(
    request: pytest.FixtureRequest, service: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[webdriver.Chrome]:
    """One in which the partner is signed in."""
    driver = opened(tmp_path_factory.mktemp("profile"), scripts=request.param == "with scripts")
    driver.get(f"{service.address}/sign-in?lang=en")
    token = service.world.partner.cookies[COOKIE]
    driver.add_cookie({"name": COOKIE, "value": token})
    driver.has_scripts = request.param == "with scripts"  # type: ignore[attr-defined]
    yield driver
    driver.quit()


def one(browser: webdriver.Chrome, selector: str) -> WebElement:
    return WebDriverWait(browser, test_browser.PATIENCE).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, selector)
    )


def press(browser: webdriver.Chrome, words: str) -> None:
    """Press a button, and wait for the next page."""
    page = browser.find_element(By.TAG_NAME, "html")
    browser.find_element(By.XPATH, f"//main//*[self::button or self::a][normalize-space(.)='{words}']").click()
    WebDriverWait(browser, test_browser.PATIENCE).until(lambda driver: driver.find_element(By.TAG_NAME, "html") != page)


def counts(browser: webdriver.Chrome) -> list[str]:
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".counts dd")]


def test_a_file_is_dropped_mapped_corrected_and_brought_in(
    browser: webdriver.Chrome, service: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.imports.BLOCK", 1)
    scripts: bool = browser.has_scripts  # type: ignore[attr-defined]
    text = FILE if scripts else FILE.replace("\nb", "\nc")
    browser.get(f"{service.address}/imports?lang=en")
    if scripts:
        browser.execute_script(DROP, text)
        assert browser.switch_to.active_element.text == "Read the file"
    else:
        path = tmp_path / "list.csv"
        path.write_text(text, encoding="utf-8")
        one(browser, "#file").send_keys(str(path))
    press(browser, "Read the file")

    assert [badge.text for badge in browser.find_elements(By.CSS_SELECTOR, ".columns .badge")] == ["ignored"] * 2
    Select(one(browser, "[name=column-0]")).select_by_visible_text("Reference")
    Select(one(browser, "[name=column-2]")).select_by_visible_text("Title")
    press(browser, "Check the rows")

    assert counts(browser) == ["1", "0", "0", "2"]
    assert "must be offer or need, not 'purchase'" in one(browser, "#cell-3-side-fix").text
    Select(one(browser, "#cell-3-side")).select_by_visible_text("offer")
    trl = one(browser, "#cell-4-trl")
    trl.clear()
    trl.send_keys("8")
    press(browser, "Save and check again")
    assert counts(browser) == ["3", "0", "0", "0"]
    browser.refresh()
    press(browser, "Import 3 rows")

    WebDriverWait(browser, test_browser.PATIENCE).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, ".written li")
    )
    assert counts(browser) == ["3", "0", "0", "0"]
    if scripts:
        assert one(browser, "#said").get_attribute("textContent") == "Imported"
    links = {link.text: link for link in browser.find_elements(By.CSS_SELECTOR, ".written a")}
    assert "Ceramic elbows for slurry" in links
    assert links["مضخات مياه شمسية"].value_of_css_property("direction") == "rtl"
    titles = [listing["title"] for listing in service.world.partner.get("/api/v1/listings").json()["items"]]
    assert set(titles) == {"Ceramic elbows for slurry", "مضخات مياه شمسية", "Solar pumps"}
    assert severe(browser) == []


def test_a_key_is_made_used_and_revoked(browser: webdriver.Chrome, service: Served) -> None:
    browser.get(f"{service.address}/administration?lang=en")
    assert [tab.text for tab in browser.find_elements(By.CSS_SELECTOR, ".tabs a")] == ["API keys", "Webhooks"]
    one(browser, "#name").send_keys("Catalogue program")
    one(browser, "[value='listings:read']").click()
    press(browser, "Make the key")
    secret = one(browser, "#secret").get_attribute("value")
    program = TestClient(service.world.app, headers={"Authorization": f"Bearer {secret}"})
    assert program.get("/api/v1/listings").status_code == 200
    press(browser, "Done")
    assert str(secret) not in browser.page_source
    revoke: Any = browser.find_element(By.XPATH, "//tr[contains(., 'Catalogue program')]//a[contains(., 'Revoke')]")
    revoke.click()
    press(browser, "Cancel")
    assert program.get("/api/v1/listings").status_code == 200
    browser.find_element(By.XPATH, "//tr[contains(., 'Catalogue program')]//a[contains(., 'Revoke')]").click()
    press(browser, "Revoke the key")
    assert program.get("/api/v1/listings").status_code == 401
    assert severe(browser) == []


def severe(browser: webdriver.Chrome) -> list[Any]:
    """What the browser complains of, such as a breach of the content policy."""
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
