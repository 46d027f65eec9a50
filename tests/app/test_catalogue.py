"""The public catalogue as a stranger reads it: what is shown and to whom, ways between pages, what machines read."""

from __future__ import annotations

import gzip
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lxml import etree, html

from app import listings
from app.clock import utc_now
from app.errors import NotReady
from app.shelf import Chosen, Shelves
from app.tables import ListingRow
from matching import Side
from scripts.showcase import WHOLE
from tests.app.conftest import NEED, OFFER, World

NASTY = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }} \u2028"
FIELDS = ("title", "summary", "description", "requirement", "partner_role", "organisation")
MAP = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "x": "http://www.w3.org/1999/xhtml"}


@pytest.fixture
def catalogue(filled: World) -> World:
    """Five plain listings, one that says everything, and one for each narrower disclosure."""
    filled.post(filled.seeker, WHOLE)
    for level in ("registered", "introduction"):
        filled.post(filled.offerer, OFFER | {"reference": level, "title": f"Secret {level}", "disclosure": level})
    return filled


def page(world: World, path: str, status: int = 200, client: TestClient | None = None, **query: str) -> Any:
    """A page as a document."""
    response = (client or world.public).get(path, params=query or None)
    assert response.status_code == status, response.text
    return html.document_fromstring(response.text)


def classed(document: Any, name: str) -> list[Any]:
    """The elements of a class."""
    return list(document.xpath(f"//*[contains(concat(' ', @class, ' '), ' {name} ')]"))


def titles(document: Any) -> list[str]:
    return [one.text_content() for one in classed(document, "card-title")]


def filters(document: Any) -> list[Any]:
    """The chips of all filters."""
    return list(document.xpath("//nav[@class='narrowing']//a"))


def facts(document: Any) -> dict[str, str]:
    """What stands at a glance, by its name."""
    return {dt.text: dt.getnext().text_content() for dt in document.xpath("//dl[@class='terms']/dt")}


def linked(document: Any) -> dict[str, Any]:
    """What the page says as JSON-LD."""
    (script,) = document.xpath("//script[@type='application/ld+json']")
    found: dict[str, Any] = json.loads(script.text)
    return found


def test_the_first_page_says_what_is_there(catalogue: World) -> None:
    document = page(catalogue, "/en/")
    assert OFFER["title"] in titles(document)
    assert NEED["title"] in titles(document)
    environment = document.xpath("//li[.//h3='Environmental governance']")[0].text_content()
    assert "0 offers" in environment
    assert "1 need" in environment
    assert linked(document)["@type"] == "WebSite"


@pytest.mark.parametrize("path", ["/en/", "/en/offers", "/zh/offers", "/sitemap.xml", "/sitemaps/0.xml"])
@pytest.mark.parametrize("who", ["public", "administrator"])
def test_only_what_is_public_is_shown_to_anybody(catalogue: World, path: str, who: str) -> None:
    text = getattr(catalogue, who).get(path).text
    assert OFFER["title"] in text or path.endswith("xml")
    for level in ("registered", "introduction"):
        assert f"Secret {level}" not in text
        assert catalogue.ids[level] not in text
        page(catalogue, f"/en/listings/{catalogue.ids[level]}", 404)


def test_lists_keep_the_sides_apart_and_count(catalogue: World) -> None:
    assert len(titles(page(catalogue, "/en/offers"))) == 3
    needs = page(catalogue, "/en/needs")
    assert len(titles(needs)) == 3
    chips = {a.text_content().split()[0]: a.get("href") for a in filters(needs)}
    assert chips["Kazakhstan"] == "/en/needs?country=KZ"
    narrowed = page(catalogue, chips["Kazakhstan"])
    assert len(titles(narrowed)) == 2
    assert "country=KZ" in narrowed.xpath("//link[@type='application/atom+xml']/@href")[0]
    (chosen,) = [one for one in filters(narrowed) if one.get("aria-current")]
    assert chosen.get("href") == "/en/needs"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"field": "environment"}, 1),
        ({"stage": "demonstrated"}, 1),
        ({"stage": "unknown"}, 2),
        ({"maturity": "7-9", "mode": "joint_venture"}, 1),
        ({"language": "kk", "country": "EG"}, 0),
        ({"field": NASTY}, 0),
    ],
)
def test_filters_narrow_and_combine(catalogue: World, query: dict[str, str], count: int) -> None:
    document = page(catalogue, "/en/needs", **query)
    assert len(titles(document)) == count
    if not count:
        assert "Clear all filters" in document.text_content()
    assert not document.xpath("//script[not(@type='application/ld+json')]")


def test_a_manager_s_fields_count(catalogue: World) -> None:
    path = f"/api/v1/listings/{catalogue.ids['n1']}/fields"
    assert catalogue.other_manager.put(path, json={"fields": ["aerospace"]}).status_code == 200
    assert titles(page(catalogue, "/en/needs", field="aerospace")) == [NEED["title"]]


def test_pages_are_links_and_every_listing_is_on_one(world: World) -> None:
    for i in range(45):
        world.post(world.offerer, OFFER | {"reference": f"p{i}", "title": f"Offer {i}"})
    found, path = [], "/en/offers"
    while path:
        document = page(world, path)
        found += titles(document)
        path = next(iter(document.xpath("//nav[@class='pages']/a[@rel='next']/@href")), "")
    assert found == [f"Offer {i}" for i in reversed(range(45))]
    assert titles(page(world, "/en/offers", page="99")) == found[40:]
    assert titles(page(world, "/en/offers", page="-1")) == found[:20]


def test_a_text_is_searched_among_what_the_filters_leave(catalogue: World) -> None:
    text = "ceramic elbows for ore slurry pipelines"
    document = page(catalogue, "/en/needs", q=text)
    assert titles(document)[0] == NEED["title"]
    assert document.xpath("//meta[@name='robots']/@content") == ["noindex, follow"]
    assert titles(page(catalogue, "/en/needs", q=text, country="EG")) == ["Solar pumps"]
    assert "Secret" not in page(catalogue, "/en/offers", q=text, client=catalogue.administrator).text_content()


def test_what_cannot_be_searched_says_so_and_shows_what_is_new(
    catalogue: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "This text cannot be searched" in page(catalogue, "/en/needs", q="…").text_content()

    def loading(*_: object, **__: object) -> None:
        raise NotReady("loading")

    monkeypatch.setattr(catalogue.app.state.live, "search", loading)
    document = page(catalogue, "/en/needs", q="pumps")
    assert "just starting" in document.text_content()
    assert len(titles(document)) == 3


def test_a_listing_has_all_that_it_says_and_unknown_is_unknown(catalogue: World) -> None:
    document = page(catalogue, f"/en/listings/{catalogue.ids['whole']}")
    text = document.text_content()
    for one in ("200,000 to 900,000 EUR", "≤ 10", "mg/m³", "nice to have", "Joint venture", "Kazakhstan", "шаң"):
        assert one in text
    assert facts(document)["Intellectual property"] == "unknown"
    plain = facts(page(catalogue, f"/en/listings/{catalogue.ids['n1']}"))
    assert {plain[name] for name in ("TRL", "Budget", "Stage", "Written in")} == {"unknown"}


def test_the_version_in_the_page_s_language_stands_first_and_the_original_behind(catalogue: World) -> None:
    path = f"listings/{catalogue.ids['whole']}"
    english, chinese = page(catalogue, f"/en/{path}"), page(catalogue, f"/zh/{path}")
    assert [h1.text for h1 in english.xpath("//h1")] == ["Crushing line for iron ore without dust"]
    assert "Translated by a machine" in english.text_content()
    assert [h1.text for h1 in chinese.xpath("//h1")] == ["铁矿石无尘破碎线"]
    assert "作者翻译" in chinese.text_content()
    for document in (english, chinese):
        (original,) = document.xpath("//details[@id='original']")
        assert str(WHOLE["title"]) in original.text_content()
        assert original.xpath("div/@lang") == ["kk"]


def test_a_page_is_known_to_search_engines_in_both_languages(catalogue: World) -> None:
    path = f"listings/{catalogue.ids['whole']}"
    for lang in ("en", "zh"):
        document = page(catalogue, f"/{lang}/{path}")
        versions = {one.get("hreflang"): one.get("href") for one in document.xpath("//link[@hreflang]")}
        base = str(catalogue.public.base_url).rstrip("/")
        assert versions == {
            "en": f"{base}/en/{path}",
            "zh-CN": f"{base}/zh/{path}",
            "x-default": f"{base}/en/{path}",
        }
        assert document.xpath("//link[@rel='canonical']/@href") == [f"{base}/{lang}/{path}"]
        assert document.xpath("//meta[@property='og:url']/@content") == [f"{base}/{lang}/{path}"]
        assert document.get("lang") == {"en": "en", "zh": "zh-CN"}[lang]
        assert linked(document)["@type"] == "Demand"
        assert linked(document)["url"] == f"{base}/{lang}/{path}"
        (oembed,) = document.xpath("//link[@type='application/json+oembed']/@href")
        assert oembed.startswith(f"{base}/oembed?url=http")


@pytest.mark.parametrize("field", FIELDS)
def test_what_an_author_writes_is_text_wherever_it_stands(world: World, field: str) -> None:
    record = WHOLE | {"reference": "nasty", "title": "A title", field: NASTY, "keywords": [NASTY[:200]]}
    record["translations"] = [{"language": "zh", "origin": "author", "title": NASTY, "summary": NASTY}]
    record["requirements"] = [{"parameter": NASTY[:150], "operator": "<", "value": 1, "unit": "<b>x</b>"}]
    world.post(world.seeker, record)
    for path in ("/en/", "/zh/", "/en/needs", "/zh/needs", "/en/listings/", "/zh/listings/"):
        document = page(world, path + (world.ids["nasty"] if path.endswith("listings/") else ""))
        assert not document.xpath("//img | //b[.='x'] | //@onerror")
        assert not document.xpath("//script[not(@type='application/ld+json')]")
        assert "49" not in {one.strip() for one in document.itertext()}
    told = linked(page(world, f"/en/listings/{world.ids['nasty']}"))
    assert "onerror=alert(2)" in json.dumps(told)


def test_right_to_left_text_is_marked(catalogue: World) -> None:
    record = OFFER | {"reference": "ar", "title": "مضخات مياه", "description": "مضخات", "language": "ar"}
    catalogue.post(catalogue.offerer, record)
    (heading,) = page(catalogue, f"/en/listings/{catalogue.ids['ar']}").xpath("//h1")
    assert (heading.get("dir"), heading.get("lang")) == ("auto", "ar")


def test_what_was_public_is_gone_and_says_what_is_still_there(catalogue: World) -> None:
    path = f"/en/listings/{catalogue.ids['o1']}"
    assert catalogue.offerer.post(f"/api/v1/listings/{catalogue.ids['o1']}/withdraw").status_code == 200
    document = page(catalogue, path, 410)
    assert OFFER["title"] not in document.text_content()
    assert len(titles(document)) == 2
    assert document.xpath("//meta[@name='robots']/@content") == ["noindex, follow"]
    assert OFFER["title"] not in titles(page(catalogue, "/en/offers"))
    assert "没有这个页面" in page(catalogue, "/zh/listings/nothing", 404, lang="zh").text_content()


def test_an_expired_listing_is_gone(catalogue: World) -> None:
    with catalogue.database.writing() as session:
        listings.expire(session, utc_now() + timedelta(days=400))
    page(catalogue, f"/zh/listings/{catalogue.ids['n1']}", 410)
    assert "No need has been published yet" in page(catalogue, "/en/").text_content()


def test_of_what_is_no_longer_disclosed_nothing_is_told(catalogue: World) -> None:
    catalogue.post(catalogue.seeker, WHOLE | {"disclosure": "introduction"})
    text = page(catalogue, f"/en/listings/{catalogue.ids['whole']}", 410).text_content()
    assert "Environmental governance" not in text
    assert "Crushing" not in text


def test_a_stranger_s_copy_can_be_kept_and_checked(catalogue: World) -> None:
    for path in ("/en/", "/en/offers", f"/en/listings/{catalogue.ids['o1']}", "/sitemaps/pages.xml"):
        response = TestClient(catalogue.app).get(path, headers={"accept-encoding": "gzip"})
        assert response.headers["cache-control"] == "public, max-age=300"
        assert response.headers["content-encoding"] == "gzip"
        assert set(response.headers["vary"].split(", ")) == {"Accept-Encoding", "Cookie"}
        assert "set-cookie" not in response.headers
        assert "csrf" not in response.text
        assert catalogue.public.head(path).status_code == 200
        again = catalogue.public.get(path, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    etag = catalogue.public.get("/en/offers").headers["etag"]
    catalogue.post(catalogue.offerer, OFFER | {"reference": "later"})
    assert catalogue.public.get("/en/offers", headers={"if-none-match": etag}).status_code == 200


def test_who_is_signed_in_gets_a_page_of_their_own(catalogue: World) -> None:
    response = catalogue.manager.get("/en/offers")
    assert response.headers["cache-control"] == "no-store"
    assert "content-encoding" not in response.headers
    assert 'action="/language"' in response.text


def test_the_sitemap_names_each_public_listing_in_both_languages(catalogue: World) -> None:
    index = etree.fromstring(catalogue.public.get("/sitemap.xml").content)
    places = index.xpath("//s:loc/text()", namespaces=MAP)
    assert len(places) == 2
    found = []
    for place in places:
        part = etree.fromstring(catalogue.public.get(place).content)
        for url in part.findall("s:url", MAP):
            found.append(url.findtext("s:loc", namespaces=MAP))
            assert len(url.findall("x:link", MAP)) == 3
    assert len(found) == len(set(found)) == 2 * (1 + 2 * 10) + 2 * 6
    for place in found:
        assert catalogue.public.get(place).status_code == 200
    assert catalogue.public.get("/sitemaps/1.xml").status_code == 404


def test_robots_are_led_to_the_catalogue_and_away_from_the_workbench(world: World) -> None:
    text = world.public.get("/robots.txt").text
    closed = re.findall("^Disallow: (.*)$", text, re.M)
    assert {"/api/", "/queue", "/listings", "/administration", "/account"} <= set(closed)
    assert not any("/en/listings/1".startswith(path) for path in closed)
    assert text.rstrip().endswith("Sitemap: http://testserver/sitemap.xml")


def test_a_language_that_is_none_is_no_page(world: World) -> None:
    assert world.public.get("/fr/offers").status_code == 404
    assert world.public.get("/zh", follow_redirects=False).headers["location"].endswith("/zh/")


@pytest.mark.parametrize(
    ("query", "place"),
    [("", "/zh/"), ("?side=need", "/zh/needs"), ("?side=offer&field=aerospace", "/zh/offers?field=aerospace")],
)
def test_the_widget_s_way_leads_to_the_catalogue(world: World, query: str, place: str) -> None:
    response = world.public.get(f"/zh/listings{query}", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (308, place)


def test_a_list_can_be_embedded(world: World) -> None:
    answer = world.public.get("/oembed", params={"url": "http://testserver/en/needs?field=aerospace"})
    assert "/embed/latest?field=aerospace&amp;side=need&amp;lang=en" in answer.json()["html"]


def test_the_shelf_follows_what_is_written(catalogue: World) -> None:
    shelves: Shelves = catalogue.app.state.shelves
    before = shelves.current()
    assert shelves.current() is before
    catalogue.post(catalogue.seeker, NEED | {"title": "Changed", "country": "UZ"})
    catalogue.offerer.post(f"/api/v1/listings/{catalogue.ids['o2']}/withdraw")
    after = shelves.current()
    fresh = Shelves(catalogue.database).current()
    for side in Side:
        assert after.counts(Chosen(side)) == fresh.counts(Chosen(side))
        assert after.names(after.selected(Chosen(side))) == fresh.names(fresh.selected(Chosen(side)))
    assert after.counts(Chosen(Side.NEED))["country"]["UZ"] == 1
    with catalogue.database.reading() as session:
        assert session.get_one(ListingRow, catalogue.ids["o2"]).status == "withdrawn"


def test_compressed_pages_are_the_same_pages(catalogue: World) -> None:
    plain = catalogue.public.get("/en/offers", headers={"accept-encoding": "identity"})
    with catalogue.public.stream("GET", "/en/offers", headers={"accept-encoding": "gzip"}) as response:
        assert gzip.decompress(b"".join(response.iter_raw())) == plain.content
