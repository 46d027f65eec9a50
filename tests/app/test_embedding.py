"""What other sites get of the service, where they are allowed: the script, public data by CORS, frames, oEmbed."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.errors import Unusable
from app.main import create_app
from app.settings import Settings
from app.widget import read_sites
from tests.app.conftest import NEED, OFFER, OTHERS, SECRET, World, populated, problem

SITE, STRANGER = "https://www.example.org", "https://evil.example"
MOST = 15_000  # bytes of the script, packed
FEED = "/feeds/listings.json"
ALLOWED = "access-control-allow-origin"


@contextmanager
def serving(settings: Settings) -> Iterator[World]:
    """A service with other settings than the test's."""
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as public:
        app.state.loading.join()
        yield populated(app, public)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service with listings that other sites may show, for tests that leave them as they are."""
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        model="hashing",
        secret=SecretStr(SECRET),
        public_limit="10000/minute",
        embedding_sites=f"{SITE}, http://127.0.0.1:9000",
    )
    with serving(settings) as world:
        for record in (OFFER, NEED, *OTHERS):
            world.post(world.offerer if record["side"] == "offer" else world.seeker, record)
        yield world


def preflight(filled: World, path: str, origin: str, method: str = "POST", header: str = "content-type") -> Any:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": header}
    return filled.public.options(path, headers=asked)


def test_the_script_is_small_kept_and_sent_once(filled: World) -> None:
    first = filled.public.get("/widget.js", headers={"Accept-Encoding": "gzip"})
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["content-encoding"] == "gzip"
    assert len(gzip.compress(first.content, mtime=0)) <= MOST
    assert int(first.headers["content-length"]) <= MOST
    assert "max-age" in first.headers["cache-control"]
    assert "Accept-Encoding" in first.headers["vary"]
    again = filled.public.get("/widget.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    plain = filled.public.get("/widget.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == first.content


def test_an_allowed_site_reads_what_the_widget_needs(filled: World) -> None:
    body = {"text": "wear resistant ceramic elbows", "side": "offer"}
    for answer in (
        filled.public.get("/widget.js", headers={"Origin": SITE}),
        filled.public.get(FEED, headers={"Origin": SITE}),
        filled.public.get(f"/api/v1/listings/{filled.ids['o1']}", headers={"Origin": SITE}),
        filled.public.post("/api/v1/search", json=body, headers={"Origin": SITE}),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.headers[ALLOWED] == SITE
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]
        assert "set-cookie" not in answer.headers


def test_a_site_that_is_not_allowed_reads_nothing(filled: World) -> None:
    for origin in (STRANGER, "null", "https://www.example.org.evil.example", "http://www.example.org"):
        for path in ("/widget.js", FEED, f"/api/v1/listings/{filled.ids['o1']}"):
            answer = filled.public.get(path, headers={"Origin": origin})
            assert ALLOWED not in answer.headers
            assert "Origin" in answer.headers["vary"]  # so that no cache gives it the answer for another
        refused = preflight(filled, "/api/v1/search", origin)
        assert refused.status_code == 400
        assert ALLOWED not in refused.headers


def test_a_browser_may_ask_for_a_search_first_and_for_nothing_that_changes_or_signs(filled: World) -> None:
    allowed = preflight(filled, "/api/v1/search", SITE)
    assert allowed.status_code == 200
    assert allowed.headers[ALLOWED] == SITE
    assert preflight(filled, "/api/v1/search", SITE, header="authorization").status_code == 400
    assert preflight(filled, "/api/v1/search", SITE, header="x-csrf-token").status_code == 400
    assert preflight(filled, "/api/v1/listings/x", SITE, method="PUT").status_code == 400


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/listings", "/api/v1/listings/export", "/api/v1/session", "/api/v1/export", "/health/ready"]
)
def test_whatever_else_there_is_stays_closed_to_other_sites(filled: World, path: str) -> None:
    assert ALLOWED not in filled.public.get(path, headers={"Origin": SITE}).headers
    assert ALLOWED not in preflight(filled, path, SITE).headers


def test_an_error_can_be_read_too(filled: World) -> None:
    gone = filled.public.get("/api/v1/listings/none", headers={"Origin": SITE})
    problem(gone, 404)
    assert gone.headers[ALLOWED] == SITE


def test_the_limit_holds_for_other_sites_too(settings: Settings) -> None:
    limited = settings.model_copy(update={"public_limit": "2/minute", "embedding_sites": SITE})
    with serving(limited) as world:
        paths = ("/embed/latest", "/oembed?url=http://testserver/en/", "/embed/listing", "/oembed?url=", FEED)
        answers = [world.public.get(path, headers={"Origin": SITE}) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 429]
    assert "Too many requests have come from your network. Try again in 60 seconds." in answers[2].text
    assert answers[-1].headers[ALLOWED] == SITE
    assert answers[-1].headers["access-control-expose-headers"] == "Retry-After"


@pytest.mark.parametrize(
    "wrong",
    ["www.example.org", "https://www.example.org/", "https://a.org;script-src *", "https://a.org https://b.org"],
)
def test_what_is_no_origin_is_refused_at_the_start(settings: Settings, wrong: str) -> None:
    with pytest.raises(Unusable, match="DUKOU_EMBEDDING_SITES"):
        create_app(settings.model_copy(update={"embedding_sites": wrong}))


def test_sites_are_read_with_their_ports() -> None:
    assert read_sites(" https://A.example.org ,http://[::1]:9000,") == ("https://a.example.org", "http://[::1]:9000")
    assert read_sites("") == ()


@pytest.mark.parametrize(
    ("sites", "ancestors"), [("", "'self'"), ("*", "*"), (f"{SITE},http://a.org", f"'self' {SITE} http://a.org")]
)
def test_the_setting_says_who_may_frame(settings: Settings, sites: str, ancestors: str) -> None:
    with serving(settings.model_copy(update={"embedding_sites": sites})) as world:
        answers = [world.public.get(f"/embed/{kind}?listing=none") for kind in ("search", "latest", "listing")]
        for answer in answers:
            policy = answer.headers["content-security-policy"]
            assert f"frame-ancestors {ancestors}" in policy.split("; ")
            assert "unsafe" not in policy
            assert "set-cookie" not in answer.headers
        assert "frame-ancestors 'none'" in world.public.get("/").headers["content-security-policy"]
        everybody = world.public.get(FEED, headers={"Origin": STRANGER}).headers.get(ALLOWED)
        assert everybody == ("*" if sites == "*" else None)


def test_a_frame_can_be_read_without_scripts(filled: World) -> None:
    latest = filled.public.get("/embed/latest?side=offer&lang=zh").text
    assert '<html lang="zh-CN">' in latest
    assert '<dukou-latest lang="zh" heading="2" side="offer">' in latest
    assert f'href="/zh/listings/{filled.ids["o1"]}"' in latest
    assert "耐磨陶瓷弯头" in latest
    assert "Solar pumps" not in latest  # a need
    one = filled.public.get(f"/embed/listing?listing={filled.ids['o1']}&lang=en").text
    assert f'<dukou-listing lang="en" heading="2" listing="{filled.ids["o1"]}">' in one
    assert "Alumina ceramic elbows" in one
    assert (
        '<dukou-search lang="en" heading="2" field="clean_energy">'
        in filled.public.get("/embed/search?field=clean-energy").text
    )


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("latest?side=offers", 422, 'side="offers" is not known'),
        ("search?field=%3Cscript%3E", 422, 'field="<script>" is not known'),
        ("listing?listing=none", 404, "This listing is not public"),
        ("listing", 404, "This listing is not public"),
        ("nothing", 404, "This listing is not public"),
    ],
)
def test_a_frame_says_what_is_wrong(filled: World, path: str, status: int, said: str) -> None:
    answer = filled.public.get(f"/embed/{path}")
    assert answer.status_code == status
    assert said in unescape(answer.text)
    assert "<script>" not in answer.text
    assert "widget.js" not in answer.text


def test_frames_and_oembed_show_what_is_public_to_anybody_whoever_asks(filled: World) -> None:
    own = filled.post(filled.offerer, OFFER | {"disclosure": "registered", "reference": "registered"})
    address = f"http://testserver/en/listings/{own['id']}"
    for client in (filled.public, filled.offerer, filled.administrator):
        assert client.get(f"/embed/listing?listing={own['id']}").status_code == 404
        assert own["id"] not in client.get("/embed/latest").text
        problem(client.get("/oembed", params={"url": address}), 404)


def test_oembed_makes_a_frame_of_a_listing_in_both_forms(filled: World) -> None:
    address = f"http://testserver/zh/listings/{filled.ids['o1']}"
    answer = filled.public.get("/oembed", params={"url": address, "maxwidth": 400, "maxheight": 300})
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert (told["type"], told["version"], told["width"], told["height"]) == ("rich", "1.0", 400, 300)
    assert told["title"] == OFFER["title"]
    assert told["author_name"] == "offerer"
    source = f"http://testserver/embed/listing?listing={filled.ids['o1']}&amp;lang=zh"
    assert told["html"].startswith(f'<iframe src="{source}" width="400" height="300"')
    xml = filled.public.get("/oembed", params={"url": address, "maxwidth": 400, "maxheight": 300, "format": "xml"})
    assert xml.headers["content-type"].startswith("text/xml")
    parsed = {child.tag: child.text for child in ElementTree.fromstring(xml.text)}
    assert parsed == {name: str(value) for name, value in told.items()}


@pytest.mark.parametrize("path", ["/en", "/en/", "/en/listings", "/en/listings/?side=need&field=clean_energy&page=2"])
def test_oembed_makes_a_frame_of_the_catalogue(filled: World, path: str) -> None:
    told = filled.public.get("/oembed", params={"url": f"http://testserver{path}"}).json()
    query = "side=need&amp;field=clean_energy&amp;lang=en" if "side" in path else "lang=en"
    assert f'src="http://testserver/embed/latest?{query}"' in told["html"]
    assert (told["width"], told["height"]) == (600, 720)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/en/",
        "/en/",
        "http://testserver/account",
        "http://testserver/en/listings/x",
        "http://[",
        "",
    ],
)
def test_oembed_knows_no_other_addresses(filled: World, url: str) -> None:
    problem(filled.public.get("/oembed", params={"url": url}), 404)


def test_oembed_in_another_form_is_not_implemented(filled: World) -> None:
    problem(filled.public.get("/oembed", params={"url": "http://testserver/en/", "format": "yaml"}), 501)
    problem(filled.public.get("/oembed"), 422)


def test_a_hostile_title_stays_text(filled: World) -> None:
    title = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    posted = filled.post(filled.offerer, OFFER | {"title": title, "description": title, "reference": "x"})
    frame = filled.public.get(f"/embed/listing?listing={posted['id']}").text
    assert "<script>alert" not in frame
    assert "<img" not in frame
    address = quote(f"http://testserver/en/listings/{posted['id']}", safe="")
    told = filled.public.get(f"/oembed?url={address}").json()["html"]
    assert told.count("<") == 2  # the frame's beginning and end
