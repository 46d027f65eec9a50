"""The pages of administration: each shown to whom it is for, and each step through a form of ours."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlmodel import select

from app import accounts
from app.access import ALLOWED, OPERATOR, Permission, Role
from app.clock import utc_now
from app.events import Audience, emit
from app.queries import deliveries as queries
from app.tables import AuditRow
from app.web.administration import audit, catalogue, frame, keys, people, places, webhooks
from tests.app.conftest import OFFER, World
from tests.app.signing import PASSWORD, browser, fields, send, sign_in, who

PARTS = (frame, places, people, keys, webhooks, catalogue, audit)
TABS = {
    "nodes": Permission.DECIDE,
    "organisations": Permission.DECIDE,
    "people": Permission.ACCOUNTS,
    "keys": Permission.KEYS,
    "webhooks": Permission.WEBHOOKS,
    "catalogue": Permission.SCREEN,
    "audit": Permission.AUDIT,
}
ROLES = {
    "partner": Role.PARTNER,
    "manager": Role.MANAGER,
    "centre": Role.MANAGER,
    "administrator": Role.ADMINISTRATOR,
}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
HOOK = "https://93.184.215.14/hook"


def csrf(client: TestClient) -> str:
    return fields(client.get("/account").text)["csrf"]


def post(client: TestClient, path: str, **given: Any) -> Any:
    return client.post(path, data={"csrf": csrf(client)} | given)


def secret_of(page: str) -> str:
    found = re.search(r'class="line secret" id="\w+" readonly value="([^"]+)"', page)
    assert found is not None, page
    return html.unescape(found[1])


def hook(world: World, client: TestClient, **given: Any) -> str:
    """A webhook of the offerer; its path."""
    made = post(client, "/administration/webhooks", organisation=world.ids["offerer"], url=HOOK, **given)
    assert made.status_code == 201, made.text
    assert secret_of(made.text).startswith("whsec_")
    found = re.search(r'href="(/administration/webhooks/[0-9a-f-]{36})">Done', made.text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", ROLES)
def test_each_role_sees_its_pages_and_no_other(world: World, name: str) -> None:
    client, allowed = getattr(world, name), ALLOWED[ROLES[name]]
    own = [tab for tab, permission in TABS.items() if permission in allowed]
    page = client.get("/administration")
    assert page.url.path == f"/administration/{own[0]}"
    assert (
        re.findall(r'<a href="/administration/(\w+)"', page.text.partition('class="tabs"')[2].partition("</nav>")[0])
        == own
    )
    assert '<a href="/administration" aria-current="page">' in page.text
    for tab in TABS:
        page = client.get(f"/administration/{tab}")
        assert page.status_code == (200 if tab in own else 403), tab
        for language in ("en", "zh"):
            if tab in own:
                assert client.get(f"/administration/{tab}", params={"lang": language}).status_code == 200


def test_the_public_is_led_to_the_sign_in(world: World) -> None:
    for tab in ("", *(f"/{one}" for one in TABS)):
        page = world.public.get(f"/administration{tab}", follow_redirects=False)
        assert page.headers["location"].startswith("/sign-in"), tab


CHANGES = (
    ("/administration/nodes", Permission.ACCOUNTS),
    ("/administration/organisations/new", Permission.ACCOUNTS),
    ("/administration/organisations/{offerer}", Permission.ACCOUNTS),
    ("/administration/people/new", Permission.ACCOUNTS),
    ("/administration/people/{other_manager}", Permission.ACCOUNTS),
    ("/administration/people/{other_manager}/invitation", Permission.ACCOUNTS),
    ("/administration/people/{other_manager}/open", Permission.ACCOUNTS),
    ("/administration/people/{other_manager}/data", Permission.ACCOUNTS),
    ("/administration/people/{other_manager}/close", Permission.ACCOUNTS),
    ("/administration/people/{other_manager}/erase", Permission.ACCOUNTS),
    ("/administration/keys", Permission.KEYS),
    ("/administration/keys/none/revoke", Permission.KEYS),
    ("/administration/webhooks", Permission.WEBHOOKS),
    ("/administration/webhooks/none", Permission.WEBHOOKS),
    ("/administration/webhooks/none/active", Permission.WEBHOOKS),
    ("/administration/webhooks/none/ping", Permission.WEBHOOKS),
    ("/administration/webhooks/none/replay", Permission.WEBHOOKS),
    ("/administration/webhooks/none/rotate", Permission.WEBHOOKS),
    ("/administration/webhooks/none/delete", Permission.WEBHOOKS),
    ("/administration/webhooks/none/deliveries/none/replay", Permission.WEBHOOKS),
    ("/administration/audit", Permission.AUDIT),
)


def test_each_change_needs_its_permission_and_a_form_of_ours(world: World) -> None:
    tokens = {name: csrf(getattr(world, name)) for name in ROLES}
    for template, permission in CHANGES:
        path = template.format_map(world.ids)
        for name, role in ROLES.items():
            client = getattr(world, name)
            assert client.post(path, data={"csrf": "x"}).status_code == 403, f"{name}: {path}"
            if permission not in ALLOWED[role]:
                assert client.post(path, data={"csrf": tokens[name]}).status_code == 403, f"{name}: {path}"
    assert who(world.other_manager) == "other_manager"


def test_all_changes_are_in_that_list() -> None:
    known = {re.sub(r"\{\w+\}|none", "*", path) for path, _ in CHANGES}
    there = {
        re.sub(r"\{\w+\}", "*", route.path)
        for part in PARTS
        for route in part.router.routes
        if isinstance(route, APIRoute) and "POST" in route.methods
    }
    assert there == known


def test_a_node_and_an_organisation_are_added_and_changed(world: World) -> None:
    client = world.administrator
    wrong = post(client, "/administration/nodes", name="", country="kaz")
    assert wrong.status_code == 422
    assert wrong.text.count('aria-invalid="true"') == 2
    assert post(client, "/administration/nodes", name="Almaty").status_code == 409
    assert "Tashkent" in post(client, "/administration/nodes", name="Tashkent", country="uz", place="sichuan").text
    node = next(one["id"] for one in client.get("/api/v1/nodes").json()["items"] if one["name"] == "Tashkent")
    facts = {"node_id": node, "name": "Pumps Ltd", "country": "uz", "contact_email": "x@example.org"}
    bad = post(client, "/administration/organisations/new", **facts | {"website": "ftp://x"})
    assert bad.status_code == 422
    assert "Pumps Ltd" in bad.text
    page = post(client, "/administration/organisations/new", **facts)
    assert "Uzbekistan" in page.text
    assert "x@example.org" not in page.text  # the contact has a page of its own, whose reads are logged
    path = page.url.path
    assert "x@example.org" in client.get(f"{path}/contact").text
    page = post(client, path, name="Pumps and more", country="KZ", trusted="yes")
    assert "published at once" in page.text
    post(client, path, part="contact", contact_name="Aziza", contact_email="")
    contact = client.get(f"{path}/contact").text
    assert "Aziza" in contact
    assert "x@example.org" not in contact
    assert post(client, path, name="").status_code == 422
    assert "Pumps and more" in client.get("/administration/organisations", params={"find": "PUMPS"}).text
    log = client.get("/administration/audit", params={"action": "contact.read"}).text
    assert log.count("Contact read</td>") == 2


def test_a_node_is_changed_on_its_page_and_by_a_program(world: World) -> None:
    client, node = world.administrator, world.ids["Almaty"]
    form = client.get("/administration/nodes", params={"change": node}).text
    assert 'value="Almaty"' in form
    assert f'name="change" value="{node}"' in form
    sent = {"change": node, "name": "Almaty and Astana", "country": "kz", "place": "sichuan"}
    assert "Almaty and Astana" in post(client, "/administration/nodes", **sent).text
    assert (
        post(
            client,
            "/administration/nodes",
            **sent,
        ).status_code
        == 200
    ), "its own name is not taken"
    taken = post(client, "/administration/nodes", change=node, name="Chongqing")
    assert taken.status_code == 409
    assert f'name="change" value="{node}"' in taken.text
    assert post(client, "/administration/nodes", change="none", name="Another").status_code == 404
    found = {one["id"]: one for one in client.get("/api/v1/nodes").json()["items"]}
    assert found[node] == {"id": node, "name": "Almaty and Astana", "country": "KZ", "place": "sichuan"}
    assert len(found) == len(client.get("/api/v1/nodes").json()["items"])
    changed = client.put(f"/api/v1/nodes/{node}", json={"name": "Almaty"})
    assert changed.json() == {"id": node, "name": "Almaty", "country": None, "place": None}
    assert world.manager.put(f"/api/v1/nodes/{node}", json={"name": "Mine"}).status_code == 403
    with world.database.reading() as session:
        actions = [row.action for row in session.exec(select(AuditRow)) if row.subject == node]
    assert actions[-3:] == ["node.change"] * 3


def test_a_manager_sees_organisations_of_their_nodes_alone(world: World) -> None:
    page = world.manager.get("/administration/organisations").text
    assert "waiting" in page
    assert "seeker" not in page
    assert "Add an organisation" not in page
    path = f"/administration/organisations/{world.ids['seeker']}"
    for end in ("", "/contact"):
        assert world.manager.get(path + end).status_code == 404
    own = f"/administration/organisations/{world.ids['offerer']}"
    assert "Contact of offerer" in world.manager.get(f"{own}/contact").text
    assert "Contact of offerer" not in world.manager.get(own).text


def test_organisations_come_a_page_at_a_time(world: World) -> None:
    with world.database.writing() as session:
        for number in range(60):
            accounts.add_organisation(
                session, OPERATOR, world.ids["Almaty"], utc_now(), name=f"Organisation {number % 7} {number}"
            )
    path, seen = "/administration/organisations", list[str]()
    while path:
        page = world.administrator.get(path).text
        seen += re.findall(r'<a href="/administration/organisations/([0-9a-f-]{36})" dir', page)
        found = re.search(r'href="([^"]+)">Next page', page)
        path = html.unescape(found[1]) if found else ""
    assert len(seen) == len(set(seen)) == 63


def test_a_person_is_invited_signs_in_and_is_shut_out(world: World) -> None:
    client, given = world.administrator, {"name": "Ada Sample", "email": "ada@example.org"}
    assert world.ids["seeker"] in client.get("/administration/people/new", params={"role": "partner"}).text
    wrong = post(client, "/administration/people/new", role="manager", name="", email="nobody")
    assert (wrong.status_code, wrong.text.count('role="alert"')) == (422, 2)
    made = post(client, "/administration/people/new", role="manager", nodes=[world.ids["Almaty"]], **given)
    assert made.status_code == 201
    link = secret_of(made.text)
    assert "/invitation#" in link
    again = post(client, "/administration/people/new", role="manager", **given)
    assert again.status_code == 409
    visitor = browser(world)
    send(visitor, "/invitation", {"token": link.partition("#")[2], "password": PASSWORD})
    sign_in(visitor, "ada@example.org")
    assert who(visitor) == "Ada Sample"
    assert visitor.get("/administration/audit").status_code == 403
    people = client.get("/administration/people", params={"find": "ADA@"}).text
    path = re.findall(r'href="(/administration/people/[0-9a-f-]{36})"', people)[0]
    page = client.get(path).text
    assert link not in page
    assert "hash" not in page
    assert ">administrator</a>" in page  # who is signed in, above

    assert post(client, path, role="administrator").status_code == 200
    assert visitor.get("/administration/audit").status_code == 200
    assert post(client, path, role="partner", organisation="none").status_code == 422
    assert post(client, path, role="partner", organisation="seeker").status_code == 200
    assert "seeker</a>" in client.get(path).text
    assert visitor.get("/administration/organisations").status_code == 403

    question = client.get(f"{path}/close").text
    assert "Ada Sample" in question
    assert who(visitor) == "Ada Sample"
    post(client, f"{path}/close")
    assert who(visitor) == "public"
    post(client, f"{path}/open")
    sign_in(visitor, "ada@example.org")
    assert who(visitor) == "Ada Sample"
    assert "ada@example.org" in post(client, f"{path}/data").text
    assert "Erase this person" in client.get(f"{path}/erase").text
    post(client, f"{path}/erase")
    assert "Ada Sample" not in client.get(path).text


def test_nobody_shuts_themselves_out(world: World) -> None:
    path = f"/administration/people/{world.ids['administrator']}"
    page = world.administrator.get(path).text
    assert "This is your own account" in page
    assert f'href="{path}/close"' not in page
    for end in ("/close", "/erase"):
        assert post(world.administrator, path + end).status_code == 409
    assert post(world.administrator, path, role="manager").status_code == 409
    assert who(world.administrator) == "administrator"


def test_a_partner_makes_and_revokes_a_key(world: World) -> None:
    client = world.partner
    wrong = post(client, "/administration/keys", name="", until="2020-01-01")
    assert (wrong.status_code, wrong.text.count('role="alert"')) == (422, 3)
    made = post(client, "/administration/keys", name="Our catalogue", scopes=["listings:read", "listings:write"])
    assert made.status_code == 201
    secret = secret_of(made.text)
    program = TestClient(world.app, headers={"Authorization": f"Bearer {secret}"})
    assert program.post("/api/v1/listings", json=OFFER).status_code == 201
    page = client.get("/administration/keys").text
    assert secret not in page
    assert "Our catalogue" in page
    path = f"/administration/keys/{secret.split('_')[1]}/revoke"
    assert "Revoke this key?" in client.get(path).text
    assert program.get("/api/v1/listings").status_code == 200
    assert "revoked" in post(client, path).text
    assert program.get("/api/v1/listings").status_code == 401
    assert "changes:trading" not in page
    assert post(client, "/administration/keys", name="x", scopes=["changes:trading"]).status_code == 403


def test_keys_of_others_are_not_there(world: World) -> None:
    key = world.seeker.headers["authorization"].split("_")[1]
    for client in (world.partner, world.administrator):
        expected = 404 if client is world.partner else 200
        assert client.get(f"/administration/keys/{key}/revoke").status_code == expected
    assert post(world.partner, f"/administration/keys/{key}/revoke").status_code == 404
    made = post(
        world.partner, "/administration/keys", organisation=world.ids["seeker"], name="x", scopes=["listings:read"]
    )
    assert made.status_code == 404
    assert world.seeker.get("/api/v1/listings").status_code == 200
    page = world.administrator.get("/administration/keys", params={"organisation": world.ids["seeker"]}).text
    assert f"dk_{key}_" in page
    assert "changes:trading" in page


def test_a_webhook_is_added_tried_paused_changed_and_deleted(world: World) -> None:
    client = world.partner
    for url in ("http://example.org/", "https://127.0.0.1/", "nonsense"):
        wrong = post(client, "/administration/webhooks", organisation=world.ids["offerer"], url=url)
        assert wrong.status_code == 422
        assert "An https address on the public internet" in wrong.text
    path = hook(world, client, types=["listing.published"])
    page = client.get(path).text
    assert 'value="listing.published" checked' in page
    assert "Test event</th>" not in page
    page = post(client, f"{path}/ping").text
    assert "Test event<br>" in page
    assert "Pending" in page
    assert "paused" in post(client, f"{path}/active", active="no").text
    assert "active</span>" in post(client, f"{path}/active", active="yes").text
    page = post(client, path, url=f"{HOOK}/2", types=["pairing.mutual"]).text
    assert f"{HOOK}/2" in page
    assert "Make a new secret?" in client.get(f"{path}/rotate").text
    rotated = post(client, f"{path}/rotate")
    assert rotated.status_code == 201
    assert "whsec_" not in client.get(path).text
    assert "The secret before signs too until" in client.get(path).text
    assert "Delete this webhook?" in client.get(f"{path}/delete").text
    assert HOOK not in post(client, f"{path}/delete").text


def test_dead_deliveries_are_made_anew(world: World) -> None:
    path = hook(world, world.partner)
    subscription = path.rpartition("/")[2]
    with world.database.writing() as session:
        events = [
            emit(session, Audience.ORGANISATION, "listing.published", "x", {}, utc_now(), world.ids["offerer"])
            for _ in range(60)
        ]
    with world.database.writing() as session:
        for number, event in enumerate(events):
            row = queries.delivery(session, subscription, event)
            assert row is not None
            row.status, row.attempts, row.last_status = "dead", 8, 500
            row.last_error = EVIL if number else None
            session.add(row)
    page = world.partner.get(path, params={"status": "dead"}).text
    assert page.count("Listing published<br>") == 50
    assert "<script>alert" not in page
    older = re.search(r'href="([^"]+)">Older', page)
    assert older is not None
    assert world.partner.get(html.unescape(older[1])).text.count("Listing published<br>") == 10
    post(world.partner, f"{path}/deliveries/{events[0]}/replay")
    assert world.partner.get(path, params={"status": "pending"}).text.count("Listing published<br>") == 1
    post(world.partner, f"{path}/replay")
    assert "There is no such delivery" in world.partner.get(path, params={"status": "dead"}).text


def test_webhooks_of_others_are_not_there(world: World) -> None:
    path = hook(world, world.manager)
    for client in (world.other_manager, world.waiting):
        expected = 404 if client is world.other_manager else 200
        page = client.get(path)
        assert page.status_code == expected
        assert HOOK not in page.text  # a key leads to the sign-in
    for end in ("", "/active", "/ping", "/rotate", "/delete", "/replay"):
        assert post(world.other_manager, path + end, url=HOOK).status_code == 404, end
    assert HOOK in world.partner.get("/administration/webhooks").text


def test_the_catalogue_says_what_it_is(world: World) -> None:
    page = world.centre.get("/administration/catalogue").text
    catalogue = world.app.state.live.catalogue
    assert catalogue.digest in page
    assert catalogue.version in page
    assert "invented, for trials" in page
    assert "No offer has been screened yet" in page
    offer = world.post(world.offerer, OFFER)
    assert world.centre.post(f"/api/v1/listings/{offer['id']}/screenings").status_code == 201
    page = world.centre.get("/administration/catalogue").text
    assert f"{catalogue.digest[:16]}…" in page
    entry = catalogue.entries[0]
    page = world.centre.get("/administration/catalogue", params={"find": entry.code.lower()}).text
    assert page.count('<th scope="row"><code>') == 2
    assert entry.code in page


def test_the_audit_log_is_searched_and_verified(world: World) -> None:
    client = world.administrator
    for number in range(60):
        post(client, "/administration/nodes", name=f"Node {number}")
    page = client.get("/administration/audit").text
    assert page.count("Node added</td>") == 50
    older = re.search(r'href="([^"]+)">Older', client.get("/administration/audit?action=node.add").text)
    assert older is not None
    assert client.get(html.unescape(older[1])).text.count("Node added</td>") == 10
    assert "Node added</td>" not in client.get("/administration/audit", params={"actor": "partner"}).text
    assert client.get("/administration/audit", params={"actor": "administrator@"}).text.count("Node added</td>") == 50
    assert "No line fits" in client.get("/administration/audit", params={"since": "2990-01-01"}).text
    today = utc_now().date().isoformat()
    assert "Node added</td>" in client.get("/administration/audit", params={"since": today, "until": today}).text
    assert client.get("/administration/audit", params={"since": "no day", "before": "no number"}).status_code == 422
    assert "The chain holds" in post(client, "/administration/audit").text
    with world.database.writing() as session:
        row = session.get_one(AuditRow, 7)
        row.subject = "somebody else"
        session.add(row)
    page = post(client, "/administration/audit").text
    assert "The chain is broken at line 7" in page


def test_names_and_details_are_shown_as_text(world: World) -> None:
    client = world.administrator
    post(client, "/administration/nodes", name=EVIL)
    node = next(one["id"] for one in client.get("/api/v1/nodes").json()["items"] if one["name"] == EVIL)
    page = post(client, "/administration/organisations/new", node_id=node, name=EVIL, contact_name=EVIL)
    path, owner = page.url.path, page.url.path.rpartition("/")[2]
    pages = [page.text, client.get(f"{path}/contact").text]
    pages.append(post(client, "/administration/keys", organisation=owner, name=EVIL, scopes=["listings:read"]).text)
    pages.append(
        post(
            client, "/administration/people/new", role="partner", organisation_id=owner, name=EVIL, email="e@x.org"
        ).text
    )
    with world.database.writing() as session:
        world.app.state.audit.record(session, OPERATOR, "key.make", EVIL, utc_now(), **{EVIL: [EVIL], "b": EVIL})
    pages += [
        client.get(f"/administration/{tab}", params={"organisation": owner, "find": "<script>"}).text for tab in TABS
    ]
    pages += [client.get("/administration/people").text, client.get(f"/imports?organisation={owner}").text]
    person = re.findall(
        r'href="(/administration/people/[0-9a-f-]{36})"', client.get("/administration/people?find=<scr").text
    )
    pages += [client.get(person[0] + end).text for end in ("", "/close")]
    for text in pages:
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;" in pages[-1]
