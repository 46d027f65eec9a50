"""The widget in a real browser, on a made-up centre's website that is served from another origin."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.shadowroot import ShadowRoot
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from app.settings import Settings
from examples.website.serve import website
from tests.app.conftest import SECRET
from tests.app.serving import served

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed; scripts/test installs them as root"
)
PATIENCE = 30  # seconds
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
TEXT = "We need to remove colour from textile dye wastewater"
OFFERS = (
    ("dye", "Membrane unit for dye wastewater", "Removes 98 % of colour from textile dye wastewater.", "SG"),
    ("tea", "آلة تجفيف أوراق الشاي", "آلة تجفيف أوراق الشاي تعمل بالطاقة الشمسية وتوفر 40 % من الوقود.", "EG"),
    ("ore", "<img src=x onerror=alert(1)>", "Ceramic elbows & <script>alert(1)</script> for slurry.", "KZ"),
)
NEEDS = (
    ("water", "印染废水脱色", "寻求印染废水脱色的膜技术，处理量每天两千吨。", "CN"),
    *((f"need{n}", f"Need {n}", f"Irrigation pumps without a grid, {n} litres a second.", "EG") for n in range(5)),
)
TRANSLATED = {"language": "zh", "origin": "author", "title": "染料废水膜装置", "summary": "去除百分之九十八的颜色。"}


@dataclass(frozen=True)
class Places:
    """The addresses of the service, of a site that may hold the widget and of one that may not; ids of listings."""

    service: str
    site: str
    stranger: str
    ids: dict[str, str]


@contextmanager
def listening() -> Iterator[ThreadingHTTPServer]:
    """A web server on a free port, whose pages are given later."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with listening() as site, listening() as stranger:
        origins = [f"http://127.0.0.1:{one.server_port}" for one in (site, stranger)]
        settings = Settings(
            home=tmp_path_factory.mktemp("home"),
            model="hashing",
            secret=SecretStr(SECRET),
            public_limit="10000/minute",
            embedding_sites=origins[0],
        )
        with served(settings) as service:
            world = service.world
            for owner, side, listings in ((world.offerer, "offer", OFFERS), (world.seeker, "need", NEEDS)):
                for name, title, description, country in listings:
                    more = {"translations": [TRANSLATED], "fields": ["environment"]} if name == "dye" else {}
                    record = {"title": title, "description": description, "country": country, "sample": True, **more}
                    world.post(owner, {"reference": name, "side": side, **record})
            for server in (site, stranger):
                server.RequestHandlerClass = website(service.address, world.ids["dye"])
            yield Places(service.address, *origins, world.ids)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    driver.set_window_size(1280, 1000)
    yield driver
    driver.quit()


def inside(browser: webdriver.Chrome, name: str) -> ShadowRoot:
    """The inside of an element of the widget, once it has shown what it shows first."""
    return WebDriverWait(browser, PATIENCE).until(lambda _: browser.find_element(By.TAG_NAME, name).shadow_root)


def entries(browser: webdriver.Chrome, name: str, at_least: int = 1) -> list[WebElement]:
    """The listings in an element, once there are that many."""

    def found(_: Any) -> list[WebElement] | None:
        items = inside(browser, name).find_elements(By.CSS_SELECTOR, ".item")
        return items if len(items) >= at_least else None

    return WebDriverWait(browser, PATIENCE).until(found)


def said(browser: webdriver.Chrome, name: str, part: str) -> None:
    """Wait until an element's live region holds this."""
    WebDriverWait(browser, PATIENCE).until(
        lambda _: part in (inside(browser, name).find_element(By.CSS_SELECTOR, "[role=status]").text)
    )


def search(browser: webdriver.Chrome, text: str = TEXT) -> list[WebElement]:
    """Type a text, send it with the Enter key, and wait for what answers."""
    field = inside(browser, "dukou-search").find_element(By.CSS_SELECTOR, "input[type=search]")
    field.clear()
    field.send_keys(text, Keys.ENTER)
    return entries(browser, "dukou-search")


def text_of(item: WebElement, selector: str) -> str:
    return str(item.find_element(By.CSS_SELECTOR, selector).get_attribute("textContent"))


def test_a_visitor_searches_reads_and_follows_a_link_by_keyboard_alone(
    browser: webdriver.Chrome, places: Places
) -> None:
    browser.get(places.site)
    first = search(browser)[0]
    assert text_of(first, ".title") == OFFERS[0][1]
    assert "Singapore" in text_of(first, ".meta")
    said(browser, "dukou-search", "atch")
    for _ in range(30):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.execute_script("return document.activeElement.shadowRoot?.activeElement?.href"):
            break
    inside(browser, "dukou-search").find_element(By.CSS_SELECTOR, "a:focus").send_keys(Keys.ENTER)
    WebDriverWait(browser, PATIENCE).until(lambda _: browser.current_url != f"{places.site}/")
    assert browser.current_url == f"{places.service}/en/listings/{places.ids['dye']}"


def test_the_latest_are_shown_page_by_page_and_the_focus_goes_on_to_what_is_new(
    browser: webdriver.Chrome, places: Places
) -> None:
    browser.get(places.site)
    assert [text_of(item, ".title") for item in entries(browser, "dukou-latest")] == [
        "Need 4",
        "Need 3",
        "Need 2",
        "Need 1",
    ]
    said(browser, "dukou-latest", "The latest 4")
    inside(browser, "dukou-latest").find_element(By.CSS_SELECTOR, ".actions button").click()
    assert len(entries(browser, "dukou-latest", 5)) == len(NEEDS)
    said(browser, "dukou-latest", "This is all.")
    focused = browser.execute_script("return document.activeElement.shadowRoot.activeElement.textContent")
    assert focused == "Need 0"
    assert inside(browser, "dukou-latest").find_elements(By.CSS_SELECTOR, ".actions button") == []


def test_one_listing_is_shown_in_the_readers_language_where_its_author_wrote_in_it(
    browser: webdriver.Chrome, places: Places
) -> None:
    browser.get(places.site)
    (english,) = entries(browser, "dukou-listing")
    assert text_of(english, ".title") == OFFERS[0][1]
    assert "Environmental governance" in text_of(english, ".facts")
    assert "Invented sample" in text_of(english, ".meta")
    browser.get(f"{places.site}/zh.html")
    (chinese,) = entries(browser, "dukou-listing")
    assert text_of(chinese, ".title") == TRANSLATED["title"]
    assert chinese.find_element(By.CSS_SELECTOR, ".title").get_attribute("lang") == "zh"
    assert "作者提供的译文" in chinese.text
    assert chinese.find_element(By.CSS_SELECTOR, ".further a").get_attribute("href") == (
        f"{places.service}/zh/listings/{places.ids['dye']}"
    )


def test_listing_text_is_text_and_runs_in_its_own_direction(browser: webdriver.Chrome, places: Places) -> None:
    browser.get(f"{places.site}/zh.html")
    browser.execute_script("document.querySelector('dukou-latest').setAttribute('side', 'offer')")
    said(browser, "dukou-latest", "最新 3 条")
    hostile, arabic, _ = entries(browser, "dukou-latest", 3)
    assert text_of(hostile, ".title") == OFFERS[2][1]
    assert hostile.find_elements(By.TAG_NAME, "img") == []
    for selector in (".title", ".text"):
        element = arabic.find_element(By.CSS_SELECTOR, selector)
        assert browser.execute_script("return getComputedStyle(arguments[0]).direction", element) == "rtl"
    assert browser.execute_script("return getComputedStyle(arguments[0]).direction", arabic) == "ltr"


def test_the_widget_takes_on_the_look_of_the_page(browser: webdriver.Chrome, places: Places) -> None:
    for scheme, accent in (("light", "rgb(156, 61, 31)"), ("dark", "rgb(240, 160, 127)")):
        dress(browser, scheme)
        browser.get(places.site)
        button = inside(browser, "dukou-search").find_element(By.CSS_SELECTOR, "button")
        assert browser.execute_script("return getComputedStyle(arguments[0]).backgroundColor", button) == accent
        assert "Georgia" in browser.execute_script("return getComputedStyle(arguments[0]).fontFamily", button)
        assert browser.execute_script("return getComputedStyle(arguments[0]).letterSpacing", button) != "normal"
    dress(browser, "light")


def dress(browser: webdriver.Chrome, scheme: str) -> None:
    """Prefer light or dark pages."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def test_a_site_that_is_not_allowed_gets_nothing_and_frames_nothing(browser: webdriver.Chrome, places: Places) -> None:
    browser.get(places.stranger)
    link = browser.find_element(By.CSS_SELECTOR, "dukou-search a")
    assert link.is_displayed()  # what stands in the element for those without scripts
    assert browser.execute_script("return customElements.get('dukou-search') === undefined")
    read = "fetch(arguments[0], arguments[1]).then(() => 'read', () => 'nothing').then(arguments[2])"
    asked = {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": '{"text": "pumps"}'}
    for path, options in (("feeds/listings.json", {}), ("widget.js", {}), ("api/v1/search", asked)):
        assert browser.execute_async_script(read, f"{places.service}/{path}", options) == "nothing"
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    assert browser.find_elements(By.TAG_NAME, "dukou-latest") == []
    assert "chrome-error" in browser.execute_script("return document.URL")


def test_a_frame_shows_the_element_under_a_strict_policy(browser: webdriver.Chrome, places: Places) -> None:
    browser.get(places.site)
    browser.get_log("browser")
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    links = [item.find_element(By.TAG_NAME, "a") for item in entries(browser, "dukou-latest")]
    assert [link.get_attribute("target") for link in links] == ["_blank"] * len(OFFERS)
    assert "opens in a new tab" in str(links[0].get_attribute("textContent"))
    root = inside(browser, "dukou-latest").find_element(By.CSS_SELECTOR, ".dukou")
    assert root.value_of_css_property("border-top-width") == "1px"  # its style sheet was let in
    assert [
        line["message"] for line in browser.get_log("browser") if "Content Security Policy" in line["message"]
    ] == []


def test_where_wordpress_allows_a_frame_only_scripts_it_is_read_told_its_height_and_its_links_open(
    browser: webdriver.Chrome, places: Places
) -> None:
    browser.get(places.site)
    browser.execute_script(
        """
        window.told = [];
        window.addEventListener("message", ({ data }) => window.told.push(data));
        const frame = document.querySelector("iframe");
        frame.setAttribute("sandbox", "allow-scripts");
        frame.src = arguments[0];
        """,
        f"{places.service}/embed/listing?listing={places.ids['dye']}&lang=en#?secret=abc123",
    )
    told = WebDriverWait(browser, PATIENCE).until(lambda _: browser.execute_script("return window.told"))
    assert {"message": "height", "secret": "abc123"}.items() <= told[0].items()
    assert 60 < told[0]["value"] < 600
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    link = browser.find_element(By.CSS_SELECTOR, "h2 a")
    assert link.text == OFFERS[0][1]
    link.click()
    browser.switch_to.default_content()
    address = f"{places.service}/en/listings/{places.ids['dye']}"
    wanted = {"message": "link", "value": address, "secret": "abc123"}
    WebDriverWait(browser, PATIENCE).until(lambda _: wanted in browser.execute_script("return window.told"))


def test_no_cookie_is_set_or_sent(browser: webdriver.Chrome, places: Places) -> None:
    browser.get(f"{places.service}/embed/frame.css")
    browser.add_cookie({"name": "dukou_session", "value": "somebody"})
    browser.get(places.site)  # one host: only what the widget asks for keeps the cookie from being sent along
    entries(browser, "dukou-listing")
    browser.get_log("performance")
    browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    browser.refresh()
    search(browser)
    entries(browser, "dukou-latest")
    browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": False})
    sent, received = headers(browser, places)
    assert {"/widget.js", "/feeds/listings.json", "/api/v1/search"} <= set(sent)
    assert [path for path, names in sent.items() if "cookie" in names] == []
    assert [path for path, names in received.items() if "set-cookie" in names] == []
    assert [cookie["name"] for cookie in browser.get_cookies()] == ["dukou_session"]
    stored = "return [localStorage.length, sessionStorage.length]"
    assert browser.execute_script(stored) == [0, 0]
    browser.delete_all_cookies()


def headers(browser: webdriver.Chrome, places: Places) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The names of headers that the site's page really sent to the service and received from it, by path."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    paths: dict[str, str] = {}
    for asked in (event["params"] for event in events if event["method"] == "Network.requestWillBeSent"):
        if asked["request"]["url"].startswith(places.service) and asked["documentURL"].startswith(places.site):
            paths[asked["requestId"]] = urlsplit(asked["request"]["url"]).path
    found: tuple[dict[str, set[str]], dict[str, set[str]]] = ({}, {})
    kinds = ("Network.requestWillBeSentExtraInfo", "Network.responseReceivedExtraInfo")
    for event in events:
        path = paths.get(event["params"].get("requestId", ""))
        if event["method"] in kinds and path is not None:
            names = {name.lower() for name in event["params"]["headers"]}
            found[kinds.index(event["method"])].setdefault(path, set()).update(names)
    return found


def test_without_a_network_it_says_so_and_goes_on_by_itself(browser: webdriver.Chrome, places: Places) -> None:
    browser.get(f"{places.site}/zh.html")
    entries(browser, "dukou-latest")
    browser.set_network_conditions(offline=True, latency=0, throughput=0)
    try:
        field = inside(browser, "dukou-search").find_element(By.CSS_SELECTOR, "input[type=search]")
        field.send_keys(TEXT, Keys.ENTER)
        said(browser, "dukou-search", "您处于离线状态")
    finally:
        browser.delete_network_conditions()
    assert entries(browser, "dukou-search")


@pytest.mark.parametrize(
    ("name", "attributes", "text"),
    [
        ("dukou-listing", {"listing": "none"}, "This listing is not public"),
        ("dukou-latest", {"side": "offers"}, 'side="offers" is not known'),
        ("dukou-search", {"field": "clean-energi"}, 'field="clean-energi" is not known'),
        ("dukou-latest", {"field": "clean-energy"}, "Nothing has been published here yet."),
    ],
)
def test_what_goes_wrong_is_told(
    browser: webdriver.Chrome, places: Places, name: str, attributes: dict[str, str], text: str
) -> None:
    browser.get(places.site)
    change = "for (const [name, value] of Object.entries(arguments[1])) arguments[0].setAttribute(name, value)"
    browser.execute_script(change, browser.find_element(By.TAG_NAME, name), attributes)
    said(browser, name, text)


def test_no_good_match_is_an_answer(browser: webdriver.Chrome, places: Places) -> None:
    browser.get(places.site)
    browser.execute_script(
        """
        const real = window.fetch;
        window.fetch = async (...asked) => {
          const answer = await (await real(...asked)).json();
          answer.items.forEach((item) => { item.probability = 0.06; });
          return Response.json(answer);
        };
        """
    )  # the model of the tests understands nothing, and would find a match for everything
    search(browser)
    said(browser, "dukou-search", "No good match")
    assert inside(browser, "dukou-search").find_element(By.CSS_SELECTOR, "details").get_attribute("open")


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_website_never_scrolls_sideways(browser: webdriver.Chrome, places: Places, width: int) -> None:
    wide = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", wide)
    browser.get(places.site)
    search(browser)
    entries(browser, "dukou-listing")
    assert browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth") <= 0
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.skipif(
    not AXE.is_file(),
    reason="axe-core is not installed; scripts/test does so where there is npm, and installs it as root",
)
@pytest.mark.parametrize("page", ["index.html", "zh.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: webdriver.Chrome, places: Places, page: str, scheme: str) -> None:
    dress(browser, scheme)
    browser.get(f"{places.site}/{page}")
    search(browser)
    for name in ("dukou-latest", "dukou-listing"):
        entries(browser, name)
    assert violations(browser) == []
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    entries(browser, "dukou-latest")
    assert violations(browser) == []
    browser.get(f"{places.service}/embed/search?lang={page[:2].replace('in', 'en')}")
    inside(browser, "dukou-search")
    assert violations(browser) == []
    browser.get(f"{places.service}/embed/listing?listing=none")
    assert violations(browser) == []
    dress(browser, "light")


def violations(browser: webdriver.Chrome) -> list[str]:
    """What axe-core finds in this page or frame, the shadow roots included; best practices too."""
    browser.execute_script(AXE.read_text("utf-8"))
    run = "axe.run(document, {iframes: false}).then(({violations}) => arguments[0](violations))"
    found = browser.execute_async_script(run)
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
