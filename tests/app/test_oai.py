from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from app import oai
from app.clock import utc_now
from app.queries import listings as listing_queries
from tests.app.conftest import OFFER, World

NAMES = {"o": oai.OAI, "dc": oai.DC, "oai_dc": oai.OAI_DC}


def ask(world: World, *, by_post: bool = False, **arguments: Any) -> etree._Element:
    given = {name.rstrip("_"): value for name, value in arguments.items()}
    response = world.public.post("/oai", data=given) if by_post else world.public.get("/oai", params=given)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/xml")
    root = etree.fromstring(response.content)
    assert [child.tag for child in root][:2] == [f"{{{oai.OAI}}}responseDate", f"{{{oai.OAI}}}request"]
    assert len(root) == 3
    return root


def texts(node: etree._Element, path: str) -> list[str]:
    return [str(text) for text in node.xpath(path, namespaces=NAMES)]


def listed(world: World, root: etree._Element) -> list[str]:
    return [world.reference(one.removeprefix("urn:uuid:")) for one in texts(root, "//o:header/o:identifier/text()")]


def test_the_archive_introduces_itself(world: World) -> None:
    root = ask(world, verb="Identify")
    assert texts(root, "//o:Identify/o:protocolVersion/text()") == ["2.0"]
    assert texts(root, "//o:Identify/o:deletedRecord/text()") == ["persistent"]
    assert texts(root, "//o:Identify/o:baseURL/text()") == ["http://testserver/oai"]
    assert texts(root, "//o:Identify/o:adminEmail/text()") == ["postmaster@testserver"]
    assert texts(ask(world, verb="ListMetadataFormats"), "//o:metadataPrefix/text()") == ["oai_dc"]


def test_records_are_dublin_core(world: World) -> None:
    more = {"language": "zh", "fields": ["advanced_materials"], "keywords": ["a\x07b"]}
    listing_id = world.post(world.offerer, OFFER | more)["id"]
    root = ask(world, verb="GetRecord", identifier=f"urn:uuid:{listing_id}", metadataPrefix="oai_dc")
    assert texts(root, "//oai_dc:dc/dc:title/text()") == [OFFER["title"]]
    assert texts(root, "//dc:title/@xml:lang") == ["zh"]
    assert texts(root, "//dc:creator/text()") == ["offerer"]
    assert texts(root, "//dc:subject/text()")[0] == "advanced_materials"
    assert texts(root, "//dc:type/text()") == ["offer"]
    assert texts(root, "//dc:identifier/text()") == [f"http://testserver/api/v1/listings/{listing_id}"]
    assert "example.org" not in etree.tostring(root).decode()


@pytest.mark.parametrize("by_post", [False, True])
def test_a_list_is_gone_through_by_its_tokens(filled: World, monkeypatch: pytest.MonkeyPatch, by_post: bool) -> None:
    monkeypatch.setattr(oai, "BLOCK", 2)
    root = ask(filled, verb="ListRecords", metadataPrefix="oai_dc", by_post=by_post)
    seen, tokens = listed(filled, root), texts(root, "//o:resumptionToken/text()")
    while tokens:
        root = ask(filled, verb="ListRecords", resumptionToken=tokens[0], by_post=by_post)
        seen += listed(filled, root)
        tokens = texts(root, "//o:resumptionToken/text()")
    assert seen == ["o1", "n1", "o2", "o3", "n2"]
    assert len(root.findall(".//o:resumptionToken", NAMES)) == 1  # the last is empty


def test_what_has_gone_is_deleted_and_what_was_never_public_is_not_there(filled: World) -> None:
    filled.post(filled.offerer, OFFER | {"reference": "o4", "disclosure": "registered"})
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o1']}/withdraw")
    root = ask(filled, verb="ListRecords", metadataPrefix="oai_dc")
    assert listed(filled, root) == ["n1", "o2", "o3", "n2", "o1"]
    gone = root.xpath("//o:record[o:header/@status='deleted']", namespaces=NAMES)
    assert [len(record) for record in gone] == [1]  # a header and nothing else
    hidden = ask(filled, verb="GetRecord", identifier=f"urn:uuid:{filled.ids['o4']}", metadataPrefix="oai_dc")
    assert texts(hidden, "//o:error/@code") == ["idDoesNotExist"]


def test_a_list_is_narrowed_by_days_and_times(filled: World) -> None:
    with filled.database.writing() as session:
        for row in listing_queries.published_after(session, "", 1_000):
            row.updated_at -= timedelta(days=2)
            session.add(row)
    filled.post(filled.offerer, OFFER | {"title": "Another title"})
    now = utc_now()
    yesterday, today = (now - timedelta(days=1)).strftime("%Y-%m-%d"), now.strftime("%Y-%m-%dT%H:%M:%SZ")
    new = ask(filled, verb="ListIdentifiers", metadataPrefix="oai_dc", from_=yesterday)
    assert listed(filled, new) == ["o1"]
    old = ask(filled, verb="ListIdentifiers", metadataPrefix="oai_dc", until=yesterday)
    assert set(listed(filled, old)) == {"o2", "o3", "n1", "n2"}
    second = ask(filled, verb="ListIdentifiers", metadataPrefix="oai_dc", from_=f"{yesterday}T00:00:00Z", until=today)
    assert listed(filled, second) == ["o1"]  # the second of `until` belongs to it


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "badVerb"),
        ({"verb": "Listen"}, "badVerb"),
        ({"verb": ["Identify", "Identify"]}, "badVerb"),
        ({"verb": "Identify", "from": "2026-01-01"}, "badArgument"),
        ({"verb": "Identify", "\x01": "x"}, "badArgument"),
        ({"verb": "ListRecords"}, "badArgument"),
        ({"verb": "ListRecords", "metadataPrefix": ["oai_dc", "oai_dc"]}, "badArgument"),
        ({"verb": "ListRecords", "metadataPrefix": "marc21"}, "cannotDisseminateFormat"),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "from": "yesterday"}, "badArgument"),
        (
            {"verb": "ListRecords", "metadataPrefix": "oai_dc", "from": "2026-01-02", "until": "2026-01-01"},
            "badArgument",
        ),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "until": "2020-01-01"}, "noRecordsMatch"),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "until": "9999-12-31"}, "noRecordsMatch"),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "set": "offers"}, "noSetHierarchy"),
        ({"verb": "ListRecords", "resumptionToken": "x"}, "badResumptionToken"),
        ({"verb": "ListRecords", "resumptionToken": "WzEsMiwzXQ=="}, "badResumptionToken"),
        ({"verb": "ListRecords", "resumptionToken": "x", "metadataPrefix": "oai_dc"}, "badArgument"),
        ({"verb": "GetRecord", "metadataPrefix": "oai_dc"}, "badArgument"),
        ({"verb": "GetRecord", "metadataPrefix": "oai_dc", "identifier": "\x01"}, "idDoesNotExist"),
        ({"verb": "ListMetadataFormats", "identifier": "urn:uuid:x"}, "idDoesNotExist"),
        ({"verb": "ListSets"}, "noSetHierarchy"),
    ],
)
def test_errors_are_the_protocols(world: World, arguments: dict[str, Any], code: str) -> None:
    root = ask(world, **arguments)
    assert texts(root, "//o:error/@code") == [code]
    shown = root.find("o:request", NAMES).attrib
    assert bool(shown) is (code not in ("badVerb", "badArgument"))
