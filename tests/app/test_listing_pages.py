"""The pages of listings without a browser: the list, one listing, the form; what they refuse and never lose."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings
from tests.app.conftest import NEED, OFFER, OTHERS, SECRET, World, populated
from tests.app.signing import browser, signed_in

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
TEXT = "Ceramic elbows for slurry pipelines, lasting 20 months at 80 °C, are offered to mines."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One service for all tests here: each posts what it looks at."""
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        model="hashing",
        secret=SecretStr(SECRET),
        public_limit="100000/minute",
        known_limit="100000/minute",
        sign_in_limit="1000/minute",
    )
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as public:
        app.state.loading.join()
        made = populated(app, public)
        for record in (OFFER, NEED, *OTHERS):
            made.post(made.offerer if record["side"] == "offer" else made.seeker, record)
        yield made


@pytest.fixture(scope="module")
def partner(world: World) -> TestClient:
    return signed_in(world, "partner")


@pytest.fixture(scope="module")
def manager(world: World) -> TestClient:
    return signed_in(world, "manager")


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the form that posts."""
    form = page[page.index('id="posting"') :]
    found = re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)">', form)
    return {name: html.unescape(value) for name, value in found}


def csrf(client: TestClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/account").text)
    assert found is not None
    return found[1]


def post(client: TestClient, path: str = "/listings/new", **typed: Any) -> Any:
    """Open the form and send it with what was typed."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    return client.post(path, data=hidden(page.text) | {"do": "post", "disclosure": "public"} | typed)


def listing_of(world: World, response: Any) -> dict[str, Any]:
    """What a form has posted, as the API tells it."""
    assert response.status_code == 303, re.sub(r"<[^>]+>", " ", response.text)[:2000]
    listing_id = response.headers["location"].split("?")[0].split("/")[2]
    found: dict[str, Any] = world.administrator.get(f"/api/v1/listings/{listing_id}").json()
    return found


def act(client: TestClient, listing_id: str, action: str, **given: Any) -> Any:
    return client.post(f"/listings/{listing_id}/{action}", data={"csrf": csrf(client), **given})


# The form


def test_all_that_can_be_typed_is_posted_and_comes_back_into_the_form(world: World, partner: TestClient) -> None:
    typed: dict[str, Any] = {
        "side": "offer",
        "title": "Heat pump dryer",
        "description": "Dries tea.\r\nSaves 40 % of the fuel.",
        "summary": "A dryer",
        "advantages": "Cheaper than gas",
        "requirement": "Power",
        "partner_role": "To try it",
        "reference": "whole form",
        "language": "en",
        "country": "CN",
        "region": "cn-50",
        "fields": ["clean_energy", "food_health"],
        "trl": "7",
        "stage": "prototype",
        "ipr": "granted",
        "keywords": "dryer, heat pump，茶",
        "classifications": "a23f 3/06; F26B",
        "modes": ["turnkey", "training"],
        "partner_types": "industry",
        "target_countries": "Kazakhstan, 埃及, it",
        "excluded_countries": "FR",
        "budget-minimum": "1 000",
        "budget-maximum": "2500.5",
        "budget-currency": "eur",
        "figure-parameter": ["temperature", "", "power"],
        "figure-operator": [">=", "=", "<"],
        "figure-value": ["80", "", "1.5"],
        "figure-unit": ["°C", "", ""],
        "figure-must": ["yes", "yes", "no"],
        "translation-language": ["ar", ""],
        "translation-origin": ["machine", "author"],
        "translation-title": ["مجفف", ""],
        "translation-summary": ["", ""],
        "translation-description": ["نص", ""],
        "disclosure": "registered",
        "organisation": "Dryers of Chongqing",
        "sample": "yes",
    }
    found = listing_of(world, post(partner, **typed))
    expected = {
        "title": "Heat pump dryer",
        "description": "Dries tea.\nSaves 40 % of the fuel.",
        "country": "CN",
        "region": "CN-50",
        "fields": ["clean_energy", "food_health"],
        "trl": 7,
        "keywords": ["dryer", "heat pump", "茶"],
        "classifications": ["A23F 3/06", "F26B"],
        "modes": ["turnkey", "training"],
        "partner_types": ["industry"],
        "target_countries": ["KZ", "EG", "IT"],
        "excluded_countries": ["FR"],
        "budget": {"minimum": 1000, "maximum": 2500.5, "currency": "EUR"},
        "requirements": [
            {"parameter": "temperature", "operator": ">=", "value": 80, "unit": "°C", "must": True},
            {"parameter": "power", "operator": "<", "value": 1.5, "unit": "", "must": False},
        ],
        "translations": [{"language": "ar", "origin": "machine", "title": "مجفف", "summary": "", "description": "نص"}],
        "disclosure": "registered",
        "organisation": "Dryers of Chongqing",
        "sample": True,
        "partner_role": "To try it",
    }
    assert {name: found[name] for name in expected} == expected
    again = partner.get(f"/listings/{found['id']}/revise").text
    for text in ("Heat pump dryer", "1000", "2500.5", "Kazakhstan, Egypt, Italy", "مجفف", "Dryers of Chongqing"):
        assert f'value="{text}"' in again
    page = partner.get(f"/listings/{found['id']}").text
    for text in ("Translated by a machine", "temperature ≥ 80 °C", "power &lt; 1.5 (nice to have)", "1000–2500.5 EUR"):
        assert text in page
    assert 'dir="auto" lang="ar">نص</p>' in page


def test_each_mistake_is_told_at_its_field_and_all_that_was_typed_stays(partner: TestClient) -> None:
    typed = {
        "side": "",
        "title": "?",
        "summary": "s" * 2_001,
        "region": "Chongqing",
        "classifications": "F26B, dryer",
        "target_countries": "Atlantis",
        "budget-minimum": "much",
        "budget-currency": "euros",
        "figure-parameter": "",
        "figure-operator": ">=",
        "figure-value": "1,5",
        "figure-unit": "kW",
        "figure-must": "yes",
        "translation-language": "",
        "translation-origin": "author",
        "translation-title": "Titre",
        "translation-summary": "",
        "translation-description": "",
    }
    page = post(partner, **typed)
    assert page.status_code == 422
    places = re.findall(r'<li><a href="#([\w-]+)">', page.text)
    assert places[:3] == ["side", "title", "summary"]
    wrong = {"region", "classifications", "target_countries", "budget-minimum", "budget-currency"}
    wrong |= {"figure-0-value", "figure-0-parameter", "translation-0-language"}
    assert wrong <= set(places)
    for place in places:
        assert f'id="{place}"' in page.text
        assert f'id="{place}-wrong"' in page.text
    assert len(re.findall("autofocus", page.text)) == 1
    for text in ("Atlantis", "Chongqing", "much", "euros", "1,5", "kW", "Titre"):
        assert f'value="{text}"' in page.text
    assert "s" * 2_001 in page.text


def test_a_mistake_is_told_in_chinese(partner: TestClient) -> None:
    page = partner.get("/listings/new?lang=zh")
    page = partner.post("/listings/new?lang=zh", data=hidden(page.text) | {"do": "post", "side": "need"})
    assert "请填写标题或描述" in page.text, page.text


def test_a_form_posts_once_however_often_it_is_sent(world: World, partner: TestClient) -> None:
    data = hidden(partner.get("/listings/new").text) | {
        "do": "post",
        "side": "offer",
        "title": TEXT,
        "reference": "once",
    }
    first, again = (partner.post("/listings/new", data=data) for _ in range(2))
    assert listing_of(world, first)["id"] == listing_of(world, again)["id"]
    changed = partner.post("/listings/new", data=data | {"title": TEXT + " B", "reference": "twice"})
    assert changed.status_code == 422
    assert "has posted a listing already" in changed.text
    second = partner.post(
        "/listings/new", data=data | hidden(changed.text) | {"title": TEXT + " B", "reference": "twice"}
    )
    assert listing_of(world, second)["id"] != listing_of(world, first)["id"]


def test_a_new_listing_takes_no_others_place(partner: TestClient) -> None:
    page = post(partner, side="offer", title=TEXT, reference="o1")
    assert page.status_code == 422
    assert "There is a listing with this reference already" in page.text


def test_without_scripts_rows_are_added_and_the_text_is_looked_over(partner: TestClient) -> None:
    typed = {"side": "need", "title": "Wear resistant elbows for ore slurry pipelines"}
    page = post(partner, **typed, do="figure").text
    assert page.count('class="figure-row"') == 2  # one, and the template of others
    page = post(partner, **typed, do="translation").text
    assert page.count('class="translation"') == 2
    page = post(partner, **typed, do="check").text
    assert "There is no figure with a unit" in page
    assert typed["title"] in page


def test_a_manager_posts_for_an_organisation_of_their_nodes(world: World, manager: TestClient) -> None:
    for owner in ("", "nobody", "seeker"):
        page = post(manager, side="offer", title=TEXT, owner=owner)
        assert page.status_code == 422
        assert 'href="#owner"' in page.text
    found = listing_of(world, post(manager, side="offer", title=TEXT, owner="waiting · Chongqing"))
    assert (found["organisation_id"], found["status"]) == (world.ids["waiting"], "published")


def test_who_changes_at_the_same_time_is_told_and_nothing_is_lost(
    world: World, partner: TestClient, manager: TestClient
) -> None:
    one = world.post(world.offerer, OFFER | {"reference": "both", "title": "Elbows of alumina for mines"})
    path = f"/listings/{one['id']}/revise"
    mine, theirs = partner.get(path), manager.get(path)
    sent = hidden(theirs.text) | {"do": "post", "title": "Elbows of zirconia for mines", "description": TEXT}
    assert manager.post(path, data=sent).status_code == 303
    assert manager.post(path, data=sent).status_code == 303  # twice is once
    assert world.offerer.get(f"/api/v1/listings/{one['id']}").json()["version"] == 2
    ours = {"do": "post", "title": "Elbows of my own", "description": TEXT}
    page = partner.post(path, data=hidden(mine.text) | ours)
    assert page.status_code == 412
    assert "Somebody has changed this listing while you were writing" in page.text
    assert re.search(r"<del>alumina\s*</del><ins>zirconia\s*</ins>", page.text)
    assert 'value="Elbows of my own"' in page.text
    again = partner.post(path, data=hidden(page.text) | ours)
    assert again.status_code == 303
    assert world.offerer.get(f"/api/v1/listings/{one['id']}").json()["title"] == "Elbows of my own"


def test_the_advice_is_a_part_of_the_page_and_keeps_nothing(world: World, partner: TestClient) -> None:
    data = hidden(partner.get("/listings/new").text) | {
        "side": "need",
        "title": NEED["title"],
        "description": NEED["description"],
        "trl": "12",
        "country": "KZ",
    }
    before = len(world.administrator.get("/api/v1/listings?limit=200").json()["items"])
    page = partner.post("/listings/preview", data=data, headers={"HX-Request": "true"})
    assert page.status_code == 200
    assert "<html" not in page.text
    assert "Is it here already?" in page.text
    assert "ceramic" in page.text.lower()
    assert len(world.administrator.get("/api/v1/listings?limit=200").json()["items"]) == before
    empty = partner.post("/listings/preview", data=data | {"title": "", "description": ""})
    assert "Write a title or a few sentences" in empty.text


def test_who_is_signed_out_is_led_to_the_form_again(world: World) -> None:
    stranger = browser(world)
    sent = stranger.post("/listings/new", data={"csrf": "x", "title": TEXT})
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?lang=en&next=%2Flistings%2Fnew")
    assert stranger.post("/listings/preview", headers={"HX-Request": "true"}).status_code == 401
    assert stranger.post("/listings/x/withdraw").status_code == 401
    assert stranger.get("/listings").status_code == 303


def test_a_forged_form_posts_nothing(partner: TestClient) -> None:
    for path in ("/listings/new", "/listings/x/withdraw", "/listings/x/revise", "/listings/preview"):
        assert partner.post(path, data={"csrf": "x", "do": "post", "side": "offer", "title": TEXT}).status_code == 403


# The list and the moderation


def test_the_list_shows_ones_own_and_counts_them(world: World, partner: TestClient) -> None:
    seen = {name: signed_in(world, name).get("/listings").text for name in ("other_manager", "centre")}
    own = partner.get("/listings").text
    assert str(NEED["title"]) not in own
    assert str(NEED["title"]) in seen["other_manager"]
    assert str(OTHERS[0]["title"]) not in seen["other_manager"]
    assert str(NEED["title"]) in seen["centre"]
    total = len(world.offerer.get(f"/api/v1/listings?limit=200&organisation={world.ids['offerer']}").json()["items"])
    assert f'>All <span class="number">{total}</span>' in own


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("q=heat pump dryer for", False),  # stands in its text: that is what the search is for
        ("q=O2", True),
        ("q=absent", False),
        ("side=need", False),
        ("side=offer", True),
        ("status=returned", False),
        ("field=aerospace", False),
        ("sort=ending", True),
        ("side=nonsense&status=nonsense", True),
        ("q=%", False),
    ],
)
def test_the_list_is_narrowed(partner: TestClient, query: str, there: bool) -> None:
    page = partner.get(f"/listings?{query}")
    assert page.status_code == 200
    assert (">Tea drying</a>" in page.text) is there


def test_the_list_goes_on_page_by_page(world: World, manager: TestClient) -> None:
    for number in range(60):
        world.post(world.waiting, {"reference": f"many {number}", "side": "need", "title": f"Pump number {number:03}"})
    seen, address = list[str](), "/listings?status=submitted&q=Pump+number"
    while address:
        page = manager.get(address).text
        seen += re.findall(r"Pump number (\d+)</a>", page)
        onwards = re.search(r'href="([^"]+)" rel="next"', page)
        address = html.unescape(onwards[1]) if onwards else ""
    assert seen == [f"{number:03}" for number in range(60)]  # those that wait longest first
    assert manager.get("/listings?after=nonsense").status_code == 422


def test_a_manager_publishes_and_returns_with_a_reason(world: World, manager: TestClient, partner: TestClient) -> None:
    first = world.post(world.waiting, {"reference": "w1", "side": "offer", "title": "Waiting pump"})
    second = world.post(world.waiting, {"reference": "w2", "side": "offer", "title": "Waiting valve"})
    page = manager.get("/listings?status=submitted&q=Waiting").text
    assert f'action="/listings/{first["id"]}/publish"' in page
    onward = {"next": "/listings?status=submitted"}
    sent = act(manager, first["id"], "publish", **onward)
    assert sent.headers["location"] == "/listings?status=submitted&done=publish"
    assert "The listing is published." in manager.get(sent.headers["location"]).text
    assert act(manager, second["id"], "return", reason=" ").status_code == 422
    assert act(manager, second["id"], "return", reason="Which <b>size</b>?").status_code == 303
    assert "Which &lt;b&gt;size&lt;/b&gt;?" in manager.get(f"/listings/{second['id']}").text
    late = act(manager, first["id"], "publish")
    assert late.status_code == 409
    assert "somebody has changed the listing meanwhile" in late.text
    assert act(partner, second["id"], "publish").status_code == 403
    actions = [one["action"] for one in world.administrator.get("/api/v1/audit?limit=200").json()["items"]]
    assert {"listing.publish", "listing.return"} <= set(actions)


# One listing


def test_what_is_not_said_is_unknown(world: World, partner: TestClient) -> None:
    bare = world.post(world.offerer, {"reference": "bare", "side": "offer", "title": "Bare valve"})
    page = partner.get(f"/listings/{bare['id']}").text
    for name in ("Maturity (TRL)", "Stage", "Intellectual property", "Ways of transfer", "Budget"):
        assert re.search(rf'<dt>{re.escape(name)}</dt><dd><span class="quiet-text">unknown</span>', page)


def test_anothers_published_listing_is_read_and_no_more(world: World, partner: TestClient) -> None:
    need = world.ids["n1"]
    page = partner.get(f"/listings/{need}")
    assert page.status_code == 200
    assert "/revise" not in page.text
    assert need not in re.findall(r"<dd[^>]*>([^<]+)</dd>", page.text)
    for path in ("advice", "matches", "versions", "revise"):
        assert partner.get(f"/listings/{need}/{path}").status_code == 403
    assert act(partner, need, "withdraw").status_code == 403
    assert partner.get("/listings/nothing").status_code == 404


def test_a_listing_is_withdrawn_renewed_and_told_so(world: World, partner: TestClient) -> None:
    one = world.post(world.offerer, {"reference": "life", "side": "offer", "title": "Valve with a life"})
    done = act(partner, one["id"], "renew")
    assert "runs for another year" in partner.get(done.headers["location"]).text
    assert act(partner, one["id"], "renew").status_code == 409
    done = act(partner, one["id"], "withdraw")
    page = partner.get(done.headers["location"]).text
    assert "The listing is withdrawn" in page
    assert "Withdraw it" not in page


def test_a_manager_corrects_the_fields_and_takes_it_back(world: World, manager: TestClient) -> None:
    one = world.post(world.offerer, OFFER | {"reference": "fields", "fields": ["aerospace"]})
    page = manager.get(f"/listings/{one['id']}/advice").text
    assert 'value="aerospace" checked>' in page
    assert "stated by the author" in page
    act(manager, one["id"], "fields", fields=["clean_energy", "environment"], do="correct")
    page = manager.get(f"/listings/{one['id']}/advice").text
    assert page.count("stated by a manager") == 2
    assert 'value="environment" checked>' in page
    act(manager, one["id"], "fields", do="reset")
    assert world.offerer.get(f"/api/v1/listings/{one['id']}").json()["fields_by"] == "author"


def test_two_versions_are_compared_word_by_word(world: World, partner: TestClient) -> None:
    one = world.post(world.offerer, {"reference": "v", "side": "offer", "title": "Dry <b>tea</b> slowly", "trl": 3})
    world.post(world.offerer, {"reference": "v", "side": "offer", "title": "Dry <b>tea</b> quickly", "trl": 5})
    world.post(world.offerer, {"reference": "v", "side": "offer", "title": "Dry <b>tea</b> at once", "trl": 5})
    page = partner.get(f"/listings/{one['id']}/versions?before=1&after=2").text
    assert "Dry &lt;b&gt;tea&lt;/b&gt; <del>slowly</del><ins>quickly</ins>" in page
    assert "<del>3</del> → <ins>5</ins>" in page
    arabic = {"language": "ar", "origin": "author", "title": "شاي"}
    world.post(world.offerer, {"reference": "v", "side": "offer", "title": "Dry tea", "translations": [arabic]})
    assert re.search(
        r"Title · Arabic</h3>\s*<p class=.whole. dir=.auto.><ins>شاي</ins>",
        partner.get(f"/listings/{one['id']}/versions").text,
    )
    assert (
        "<del>quickly</del><ins>at once</ins>" in partner.get(f"/listings/{one['id']}/versions?before=2&after=3").text
    )


def test_matches_come_with_what_was_left_out_and_why(world: World, partner: TestClient) -> None:
    world.post(
        world.seeker, NEED | {"reference": "closed", "excluded_countries": ["CN"], "title": "Elbows, not from CN"}
    )
    world.post(world.seeker, NEED | {"reference": "home", "country": "CN", "title": "Elbows in the same country"})
    page = partner.get(f"/listings/{world.ids['o1']}/matches").text
    near = page[page.index("Near, and left out") :]
    assert str(NEED["title"]) in page[: page.index("Near, and left out")]
    assert "The need excludes China." in near
    assert "The direction is not one that the centre looks for: Domestic." in near
    for title in ("Elbows, not from CN", "Elbows in the same country"):
        assert title in near
        assert title not in page[: page.index("Near, and left out")]


def test_nothing_of_a_text_runs_in_any_page(world: World, partner: TestClient, manager: TestClient) -> None:
    record: dict[str, Any] = {
        name: f"{name} pump {EVIL}"
        for name in ("title", "summary", "description", "advantages", "requirement", "partner_role", "organisation")
    }
    record |= {
        "reference": EVIL,
        "side": "offer",
        "keywords": [EVIL],
        "requirements": [{"parameter": EVIL, "operator": ">=", "value": 1, "unit": EVIL[:39]}],
        "translations": [
            {"language": "ar", "origin": "author", "title": EVIL, "summary": EVIL, "description": EVIL},
        ],
    }
    one = world.post(world.waiting, record)
    world.post(world.waiting, record | {"title": "another"})
    act(manager, one["id"], "return", reason=EVIL)
    near = world.post(world.seeker, record | {"side": "need", "country": "KZ"})
    paths = ["/listings", "/listings?status=submitted", f"/listings?q={EVIL}&organisation={EVIL}"]
    paths += [f"/listings/{one['id']}{part}" for part in ("", "/advice", "/matches", "/versions", "/revise")]
    pages = [manager.get(path) for path in paths] + [partner.get(f"/listings/{near['id']}")]
    data = (
        hidden(manager.get("/listings/new").text)
        | {"side": "offer", "owner": EVIL, "do": "post"}
        | dict.fromkeys(("title", "description", "region", "keywords", "target_countries", "classifications"), EVIL)
    )
    pages += [manager.post("/listings/new", data=data), manager.post("/listings/preview", data=data)]
    for page in pages:
        assert page.status_code in (200, 422), page.text
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert page.headers["content-security-policy"].count("unsafe") == 0
