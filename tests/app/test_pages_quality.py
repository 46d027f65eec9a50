"""Every page of the service, from the route table, as each role, in both languages: what holds for all of them.

A new page is found by itself. One whose path names something new makes this fail until `filled` knows what to put.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from app import web, widget
from app.asking import COOKIE
from app.settings import Settings
from scripts.headless import CHROMIUM, DRIVER, be, browser, prefer, resize
from scripts.showcase import ROLES, Showcase, showcase
from tests.app.conftest import SECRET

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
WHO = ("stranger", *ROLES)
LANGUAGES = ("en", "zh")
NARROW = 360
PATIENCE = 30  # seconds
QUERIES = {
    "/": ("", "&q=pumps for dry fields"),
    "/{lang:tongue}/offers": ("", "&q=pumps", "&country=CN", "&stage=concept"),
}
VALUES = {
    "number": ["0"],
    "kind": ["latest", "search"],
    "form": ["csv"],
    "name": ["funnel"],
    "ending": ["close", "erase", "rotate", "delete"],
}
ABSENT = ("/sign-in/openid", "/oembed")  # there is no provider here; this is no page, and wants an address
WIDE = """
  const held = (e) => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX) || held(e.parentElement));
  const over = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > 361);
  return over.filter((e) => !held(e.parentElement)).map((e) => e.outerHTML.slice(0, 150)).slice(0, 4);
"""
RUN = (
    "const done = arguments[arguments.length - 1]; axe.run(document, arguments[0]).then(done, (e) => done(String(e)));"
)


def routes(router: Any) -> Iterator[APIRoute]:
    """The routes of a router, and of those that it includes."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            assert not route.include_context.prefix, "include a router whose own prefix its paths have"
            yield from routes(route.original_router)


ROUTES = [route for router in (*web.routers, *widget.routers) for route in routes(router)]
PAGES = sorted({route.path for route in ROUTES if "GET" in (route.methods or ())})

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER and AXE.exists()),
    reason="chromium, chromedriver or the packages of web/ are missing; scripts/test installs them as root",
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showcase]:
    home, plenty = tmp_path_factory.mktemp("home"), "100000/minute"
    settings = Settings(
        home=home, model="hashing", secret=SecretStr(SECRET), public_limit=plenty, known_limit=plenty, night_at=""
    )
    with showcase(settings) as found:
        yield found


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    with browser() as found:
        yield found


def filled(template: str, shown: Showcase, language: str) -> list[str]:
    """The addresses of a page, with what is there to be shown."""
    known = {f"{name}_id": [value] for name, value in shown.ids.items()} | VALUES
    known |= {"lang": [language], "person_id": [shown.ids["partner"]]}
    if template.startswith("/{lang"):
        known["listing_id"] = [shown.ids["whole"], shown.ids["gone"]]
    names = re.findall(r"\{(\w+)(?::\w+)?\}", template)
    for name in names:
        assert name in known, f"{template}: make one in scripts/showcase.py, or say here what to put for {name}"
    form = re.sub(r"\{(\w+):\w+\}", r"{\1}", template)
    found = [form.format(**dict(zip(names, put, strict=True))) for put in product(*(known[name] for name in names))]
    return [f"{path}?lang={language}{query}" for path in found for query in QUERIES.get(template, ("",))]


def cookies(shown: Showcase, who: str) -> dict[str, str]:
    return {COOKIE: shown.sessions[who]} if who in ROLES else {}


def is_page(answer: httpx.Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html")


def pages(shown: Showcase, template: str, language: str) -> Iterator[tuple[str, str, int]]:
    """Who sees which address of a page, with its status; of those who may not see it, the first."""
    refused, statuses = set[int](), set[int]()
    for who in WHO:
        with httpx.Client(base_url=shown.address, cookies=cookies(shown, who), timeout=PATIENCE) as client:
            for path in filled(template, shown, language):
                answer = client.get(path)
                assert answer.status_code < 500, (path, who, answer.text)
                statuses.add(answer.status_code)
                if not is_page(answer) or answer.status_code in refused:
                    continue
                if answer.status_code in (403, 404):
                    refused.add(answer.status_code)
                yield who, path, answer.status_code
    assert template.startswith(ABSENT) or any(one < 400 for one in statuses), f"nobody sees {template}: {statuses}"


def violations(driver: webdriver.Chrome, rules: list[str] | None = None) -> list[tuple[str, list[str]]]:
    """What axe finds wrong, each with where."""
    driver.execute_script(AXE.read_text("utf-8"))
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules is not None:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = driver.execute_async_script(RUN, options)
    assert isinstance(found, dict), found
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]


def said(driver: webdriver.Chrome, page: str) -> list[str]:
    """What the browser complains of; that the page itself is an error is no complaint."""
    entries: list[dict[str, str]] = driver.get_log("browser")  # type: ignore[no-untyped-call]
    return [
        one["message"]
        for one in entries
        if one["level"] in ("SEVERE", "WARNING") and not ("status of 4" in one["message"] and page in one["message"])
    ]


@needs_browser
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", PAGES)
def test_every_page_is_good_for_everybody(
    shown: Showcase, driver: webdriver.Chrome, template: str, language: str
) -> None:
    driver.set_script_timeout(PATIENCE)
    for who, path, status in pages(shown, template, language):
        case = (who, path, status)
        be(driver, shown.address, cookies(shown, who))
        driver.get_log("browser")  # type: ignore[no-untyped-call]
        resize(driver, NARROW)
        prefer(driver, "light")
        driver.get(shown.address + path)
        WebDriverWait(driver, PATIENCE).until(
            lambda one: one.execute_script("return document.readyState") == "complete"
        )
        assert said(driver, path.partition("?")[0]) == [], case
        assert driver.execute_script("return document.documentElement.lang").split("-")[0] == language, case
        assert len(driver.find_elements("tag name", "h1")) == 1, case
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= NARROW, (case, wide, driver.execute_script(WIDE))
        assert violations(driver) == [], case
        prefer(driver, "dark")
        assert violations(driver, ["color-contrast"]) == [], (case, "dark")
        resize(driver, 1280)
        prefer(driver, "light")
        assert violations(driver, ["color-contrast", "landmark-unique", "heading-order"]) == [], (case, "wide")


@pytest.mark.parametrize("template", PAGES)
def test_every_page_is_sent_with_what_protects_it(shown: Showcase, template: str) -> None:
    for who in WHO:
        with httpx.Client(base_url=shown.address, cookies=cookies(shown, who), timeout=PATIENCE) as client:
            for path in filled(template, shown, "en"):
                answer = client.get(path)
                if not is_page(answer):
                    continue
                policy = answer.headers["content-security-policy"]
                rules = dict(one.strip().split(" ", 1) for one in policy.split(";"))
                assert "unsafe" not in policy
                assert "frame-ancestors" in rules
                assert rules["default-src"] == "'none'"
                assert rules["base-uri"] == "'none'"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["referrer-policy"] == "no-referrer"
                for cookie in answer.headers.get_list("set-cookie"):
                    assert "httponly" in cookie.lower(), (path, cookie)
                    assert "samesite=lax" in cookie.lower(), (path, cookie)


@needs_browser
def test_what_is_wrong_is_found(shown: Showcase, driver: webdriver.Chrome) -> None:
    be(driver, shown.address, {})
    driver.get(f"{shown.address}/en/")
    bad = '<button></button><img src="/static/nothing.png" style="color: red"><p class="quiet-text">x</p>'
    driver.execute_script("document.querySelector('main').insertAdjacentHTML('beforeend', arguments[0])", bad)
    driver.execute_script("document.querySelector('h1').style.minWidth = '3000px'")
    assert {"button-name", "image-alt"} <= {name for name, _places in violations(driver)}
    WebDriverWait(driver, PATIENCE).until(lambda one: len(said(one, "/en/")) >= 1)
    assert driver.execute_script("return document.documentElement.scrollWidth") > NARROW


def test_there_are_pages() -> None:
    assert len(PAGES) > 10
    assert "/{lang:tongue}/listings/{listing_id}" in PAGES
