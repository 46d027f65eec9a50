import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from app.clock import utc_now
from app.queries import listings as listing_queries
from app.tables import ListingRow
from tests.app.conftest import NEED, OFFER, World, problem

ATOM = {"a": "http://www.w3.org/2005/Atom"}
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def atom(world: World, **query: Any) -> etree._Element:
    response = world.public.get("/feeds/listings.atom", params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/atom+xml")
    return etree.fromstring(response.content)


def check_rfc_4287(feed: etree._Element) -> None:
    """What sections 4.1.1 and 4.1.2 ask of a feed and of each entry."""
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed"
    authored = bool(feed.xpath("a:author/a:name/text()", namespaces=ATOM))
    assert feed.xpath("count(a:link[@rel='self'])", namespaces=ATOM) == 1
    for node in (feed, *feed.findall("a:entry", ATOM)):
        for name in ("id", "title", "updated"):
            assert len(node.findall(f"a:{name}", ATOM)) == 1, (node, name)
            assert node.findtext(f"a:{name}", namespaces=ATOM)
        for name in ("updated", "published"):
            for time in node.findall(f"a:{name}", ATOM):
                assert datetime.fromisoformat(time.text or "").tzinfo is not None
        assert authored or node.xpath("a:author/a:name/text()", namespaces=ATOM)
        kinds = node.xpath("a:link[not(@rel) or @rel='alternate']", namespaces=ATOM)
        assert len({one.get("type") for one in kinds}) == len(kinds), "one alternate of each type, section 4.1.1"
        assert all(category.get("term") for category in node.findall("a:category", ATOM))
    ids = feed.xpath("a:entry/a:id/text()", namespaces=ATOM)
    assert len(set(ids)) == len(ids)


def references(world: World, feed: etree._Element) -> list[str]:
    ids = feed.xpath("a:entry/a:id/text()", namespaces=ATOM)
    return [world.reference(one.removeprefix("urn:uuid:")) for one in ids]


def json_references(world: World, feed: dict[str, Any]) -> list[str]:
    return [world.reference(item["id"].removeprefix("urn:uuid:")) for item in feed["items"]]


def test_the_atom_feed_is_a_valid_one_with_the_newest_first(filled: World) -> None:
    feed = atom(filled)
    check_rfc_4287(feed)
    assert references(filled, feed) == ["n2", "o3", "o2", "n1", "o1"]
    first = feed.findall("a:entry", ATOM)[-1]
    assert first.findtext("a:title", namespaces=ATOM) == OFFER["title"]
    assert "Alumina" in (first.findtext("a:content", namespaces=ATOM) or "")
    assert first.xpath("a:author/a:name/text()", namespaces=ATOM) == ["offerer"]
    assert set(first.xpath("a:category/@term", namespaces=ATOM)) == {"offer", "CN"}


def test_an_entry_says_its_language(world: World) -> None:
    world.post(world.offerer, OFFER | {"language": "zh"})
    assert atom(world).find("a:entry", ATOM).get(LANGUAGE) == "zh"
    assert world.public.get("/feeds/listings.json").json()["items"][0]["language"] == "zh"


def test_an_entry_leads_to_the_page_and_to_the_record(world: World) -> None:
    for language, reference in (("zh", "o1"), ("kk", "o2")):
        listing = world.post(world.offerer, OFFER | {"language": language, "reference": reference})
        page = f"/{'zh' if language == 'zh' else 'en'}/listings/{listing['id']}"
        links = atom(world).findall("a:entry", ATOM)[0].findall("a:link", ATOM)
        item = world.public.get("/feeds/listings.json").json()["items"][0]
        by_type = {link.get("type"): link.get("href") for link in links}
        assert by_type["text/html"] == item["url"]
        assert by_type["application/json"] == item["_dukou"]["record"]
        assert item["url"].endswith(page)
        assert world.public.get(page).status_code == 200
        record = item["_dukou"]["record"].removeprefix("http://testserver")
        assert world.public.get(record).json()["id"] == listing["id"]


def test_an_empty_feed_is_valid_too(world: World) -> None:
    feed = atom(world)
    check_rfc_4287(feed)
    assert feed.findall("a:entry", ATOM) == []


def test_a_json_feed_without_listings_says_so(world: World) -> None:
    assert world.public.get("/feeds/listings.json").json()["items"] == []


def test_the_json_feed_has_what_version_1_1_asks_for(filled: World) -> None:
    response = filled.public.get("/feeds/listings.json", params={"limit": 2})
    assert response.headers["content-type"] == "application/feed+json"
    feed = response.json()
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == str(response.url)
    assert json_references(filled, feed) == ["n2", "o3"]
    for item in feed["items"]:
        assert item["content_text"]
        assert datetime.fromisoformat(item["date_published"]) <= datetime.fromisoformat(item["date_modified"])
    told = feed["items"][0]["_dukou"]
    assert told.pop("record").endswith(feed["items"][0]["id"].removeprefix("urn:uuid:"))
    assert told == {"side": "need", "country": "EG", "fields": []}
    assert "next_url" in feed


@pytest.mark.parametrize("form", ["atom", "json"])
def test_next_links_lead_through_all_listings_once(filled: World, form: str) -> None:
    seen: list[str] = []
    address: str | None = f"/feeds/listings.{form}?limit=2"
    while address is not None:
        response = filled.public.get(address)
        if form == "json":
            seen += json_references(filled, response.json())
            address = response.json().get("next_url")
        else:
            feed = etree.fromstring(response.content)
            seen += references(filled, feed)
            address = next(iter(feed.xpath("a:link[@rel='next']/@href", namespaces=ATOM)), None)
    assert seen == ["n2", "o3", "o2", "n1", "o1"]


def test_a_feed_is_narrowed_by_side_field_country_and_language(filled: World) -> None:
    filled.post(filled.offerer, OFFER | {"reference": "o4", "language": "zh", "fields": ["advanced_materials"]})
    assert references(filled, atom(filled, side="need")) == ["n2", "n1"]
    assert references(filled, atom(filled, country="KZ")) == ["n1"]
    assert references(filled, atom(filled, language="zh")) == ["o4"]
    assert references(filled, atom(filled, field="advanced_materials", side="offer")) == ["o4"]


@pytest.mark.parametrize(
    ("name", "value"), [("side", "both"), ("field", "chemistry"), ("country", "China"), ("before", "x"), ("limit", "0")]
)
def test_what_no_feed_has_is_refused_by_name(world: World, name: str, value: str) -> None:
    body = problem(world.public.get("/feeds/listings.atom", params={name: value}), 422)
    assert body["errors"][0]["field"] == name


@pytest.mark.parametrize("disclosure", ["registered", "introduction"])
def test_nothing_that_is_not_public_is_fed_whoever_asks(filled: World, disclosure: str) -> None:
    filled.post(filled.offerer, OFFER | {"reference": "o4", "disclosure": disclosure})
    for client in (filled.public, filled.offerer, filled.administrator):
        assert "o4" not in json_references(filled, client.get("/feeds/listings.json").json())
        assert filled.ids["o4"] not in client.get("/api/v1/export").text
        problem(client.get(f"/api/v1/listings/{filled.ids['o4']}/schema.org"), 404)


def test_what_waits_or_is_withdrawn_is_not_fed(filled: World) -> None:
    filled.post(filled.waiting, OFFER | {"reference": "w1"})
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o1']}/withdraw")
    assert references(filled, atom(filled)) == ["n2", "o3", "o2", "n1"]


def test_no_feed_shows_a_contact(filled: World) -> None:
    addresses = ("/feeds/listings.atom", "/feeds/listings.json", "/api/v1/export")
    for address in (*addresses, f"/api/v1/listings/{filled.ids['o1']}/schema.org"):
        text = filled.public.get(address).text
        assert "offerer" in text
        assert "example.org" not in text
        assert "Contact of" not in text


@pytest.mark.parametrize("form", ["atom", "json"])
def test_a_copy_that_is_current_is_not_sent_again(filled: World, form: str) -> None:
    address = f"/feeds/listings.{form}"
    first = filled.public.get(address)
    tag = first.headers["etag"]
    assert "max-age=" in first.headers["cache-control"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = filled.public.get(address, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert filled.public.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o1']}/withdraw")
    assert filled.public.get(address, headers={"If-None-Match": tag}).status_code == 200


def age(world: World, by: timedelta) -> None:
    """Make all listings older, as if the tests had waited."""
    with world.database.writing() as session:
        for row in listing_queries.published_after(session, "", 1_000):
            row.updated_at -= by
            session.add(row)


def test_a_time_serves_where_no_tag_is_sent(filled: World) -> None:
    age(filled, timedelta(hours=1))
    first = filled.public.get("/feeds/listings.atom")
    since = {"If-Modified-Since": first.headers["last-modified"]}
    assert filled.public.get("/feeds/listings.atom", headers=since).status_code == 304
    assert filled.public.get("/feeds/listings.atom", headers=since | {"If-None-Match": '"x"'}).status_code == 200
    assert filled.public.get("/feeds/listings.atom", headers={"If-Modified-Since": "soon"}).status_code == 200
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o1']}/withdraw")
    fresh = filled.public.get("/feeds/listings.atom", headers=since)
    assert (fresh.status_code, fresh.headers.get("last-modified")) == (200, None)  # its second is not over


def test_characters_that_xml_cannot_hold_do_not_break_it(world: World) -> None:
    body = world.post(world.offerer, OFFER | {"title": "Elbows <b>&amp; ]]>"})
    with world.database.writing() as session:
        row = session.get(ListingRow, body["id"])
        assert row is not None
        row.record = row.record | {"keywords": ["a\ufffeb\uffff"]}
        session.add(row)
    entry = atom(world).find("a:entry", ATOM)
    assert entry.findtext("a:title", namespaces=ATOM) == "Elbows <b>&amp; ]]>"
    assert "a\ufffdb\ufffd" in entry.xpath("a:category/@term", namespaces=ATOM)


def test_an_offer_is_told_in_the_words_of_schema_org(world: World) -> None:
    more = {
        "language": "zh",
        "fields": ["advanced_materials"],
        "target_countries": ["KZ"],
        "translations": [{"language": "ru", "origin": "author", "title": "Отводы", "description": "Керамика."}],
    }
    listing_id = world.post(world.offerer, OFFER | more)["id"]
    response = world.public.get(f"/api/v1/listings/{listing_id}/schema.org")
    assert response.headers["content-type"] == "application/ld+json"
    found = response.json()
    assert (found["@context"], found["@type"], found["@id"]) == (
        "https://schema.org",
        "Offer",
        f"urn:uuid:{listing_id}",
    )
    assert found["seller"] == {"@type": "Organization", "name": "offerer"}
    assert found["areaServed"] == [{"@type": "Country", "name": "KZ"}]
    starts, ends = (datetime.fromisoformat(found[name]) for name in ("availabilityStarts", "availabilityEnds"))
    assert ends - starts == timedelta(days=365)
    assert found["itemOffered"]["@type"] == "Product"
    assert [(work["inLanguage"], work["name"]) for work in found["itemOffered"]["subjectOf"]] == [
        ("zh", OFFER["title"]),
        ("ru", "Отводы"),
    ]


def test_a_need_is_a_demand_that_its_organisation_seeks(world: World) -> None:
    listing_id = world.post(world.seeker, NEED | {"modes": ["consulting"]})["id"]
    found = world.public.get(f"/api/v1/listings/{listing_id}/schema.org").json()
    assert (found["@type"], found["itemOffered"]["@type"]) == ("Demand", "Service")
    assert found["@reverse"] == {"seeks": {"@type": "Organization", "name": "seeker"}}


def exported(world: World, address: str = "/api/v1/export", **query: Any) -> list[dict[str, Any]]:
    """All pages of the export from one on."""
    lines: list[dict[str, Any]] = []
    response = world.public.get(address, params=query or None)
    while True:
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("application/x-ndjson")
        lines += [json.loads(line) for line in response.text.splitlines()]
        if "next" not in response.links:
            return lines
        response = world.public.get(response.links["next"]["url"])


def test_the_export_holds_every_public_listing_once(filled: World) -> None:
    lines = exported(filled, limit=2)
    assert [filled.reference(one["id"]) for one in lines] == ["o1", "n1", "o2", "o3", "n2"]
    assert lines[0]["listing"]["title"] == OFFER["title"]
    assert "reference" not in lines[0]["listing"]


def test_the_export_tells_what_has_gone(filled: World) -> None:
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o1']}/withdraw")
    filled.post(filled.offerer, OFFER | {"reference": "o2", "disclosure": "registered"})
    gone = {filled.reference(one["id"]): one for one in exported(filled) if one["deleted"]}
    assert set(gone) == {"o1", "o2"}
    assert set(gone["o1"]) == {"id", "deleted", "updated_at"}


def test_the_export_says_nothing_of_what_was_never_public(filled: World) -> None:
    filled.post(filled.offerer, OFFER | {"reference": "o4", "disclosure": "registered"})
    filled.post(filled.waiting, OFFER | {"reference": "w1"})
    for reference, client in (("o4", filled.offerer), ("w1", filled.waiting)):
        client.post(f"/api/v1/listings/{filled.ids[reference]}/withdraw")
    assert {filled.reference(one["id"]) for one in exported(filled)} == {"o1", "o2", "o3", "n1", "n2"}


def test_the_export_is_narrowed_by_the_time_of_change(filled: World) -> None:
    age(filled, timedelta(days=2))
    middle = utc_now() - timedelta(days=1)
    filled.post(filled.offerer, OFFER | {"title": "Another title"})
    assert [filled.reference(one["id"]) for one in exported(filled, **{"from": middle.isoformat()})] == ["o1"]
    older = exported(filled, until=f"{middle.isoformat()}+00:00")
    assert {filled.reference(one["id"]) for one in older} == {"o2", "o3", "n1", "n2"}


def test_a_listing_that_changes_during_an_export_is_not_missed(filled: World) -> None:
    first = filled.public.get("/api/v1/export", params={"limit": 2})
    filled.post(filled.offerer, OFFER | {"title": "Another title"})
    assert exported(filled, first.links["next"]["url"])[-1]["listing"]["title"] == "Another title"


@pytest.mark.parametrize(("name", "value"), [("cursor", "x"), ("from", "soon"), ("until", "0001-01-01T00:00:00+10:00")])
def test_an_export_of_nonsense_is_refused(world: World, name: str, value: str) -> None:
    assert name in problem(world.public.get("/api/v1/export", params={name: value}), 422)["errors"][0]["field"]
