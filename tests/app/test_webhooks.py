from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from app import accounts, deliveries, subscriptions
from app.access import OPERATOR, Permission
from app.clock import utc_now
from app.deliveries import Message, Plan
from app.destinations import Allowed, Refused, check_destination, read_allowed
from app.errors import Unusable
from app.queries import events as event_queries
from app.signing import Signing
from app.tables import DeliveryRow, SubscriptionRow
from tests.app.conftest import OFFER, SECRET, World, problem

URL = "https://198.18.255.1/hook"  # a range for tests of networks: allowed here, never reached
HOOKS = "/api/v1/subscriptions"


@pytest.fixture
def hooked(world: World) -> World:
    world.app.state.allowed = read_allowed("198.18.0.0/15, platform.internal:8443")
    return world


def subscribe(world: World, **more: Any) -> tuple[str, str]:
    """The id and the secret of a new subscription of the offering organisation."""
    response = world.offerer.post(HOOKS, json={"url": URL, **more})
    assert response.status_code == 201, response.text
    return response.json()["subscription"]["id"], response.json()["secret"]


def platform_key(world: World, *scopes: Permission) -> httpx.Client:
    """A program of the offering organisation with a platform's scopes."""
    with world.database.writing() as session:
        owner = accounts.organisation(session, OPERATOR, world.ids["offerer"])
        _, text = accounts.make_key(session, OPERATOR, owner, "platform", [*scopes, Permission.WEBHOOKS], utc_now())
    client: httpx.Client = type(world.public)(world.app, headers={"Authorization": f"Bearer {text}"})
    return client


def due_messages(world: World) -> list[Message]:
    """What a worker would post now."""
    with world.database.writing() as session:
        claims = deliveries.claim_due(session, Plan(), utc_now())
        found = [deliveries.message(session, one, Signing(SECRET.encode()), utc_now()) for one in claims]
    return [one for one in found if one is not None]


# --- where webhooks may go

REFUSED = [
    "http://1.1.1.1/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://localhost/",
    "https://localhost./",
    "https://0.0.0.0/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1:8443/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://192.0.2.1/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:1::1]/",
    "https://[2001:db8::1]/",
    "https://user:password@1.1.1.1/",
    "https://user@1.1.1.1/",
    "https://127.0.0.1\\@1.1.1.1/",
    "https://1.1.1.1:0/",
    "https://1.1.1.1:70000/",
    "https://1.1.1.1/#part",
    "https:///path",
    "ftp://1.1.1.1/",
    "file:///etc/passwd",
    "gopher://1.1.1.1/",
    "//1.1.1.1/",
    "1.1.1.1",
    "https://1.1.1.1/" + "a" * 500,
    "https://nobody.invalid/",
    "https://exa\tmple.org/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_not_on_the_public_internet_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        check_destination(url, Allowed())


@pytest.mark.parametrize("url", ["https://1.1.1.1/", "https://8.8.8.8:8443/a?b=c", "https://[2606:4700::1111]/"])
def test_an_address_on_the_public_internet_is_good(url: str) -> None:
    assert str(check_destination(url, Allowed()).url) == url


def test_a_name_with_one_bad_address_among_good_ones_is_refused() -> None:
    with pytest.raises(Refused, match=r"10\.0\.0\.1"):
        check_destination("https://example.org/", Allowed(), lambda *_: ["1.1.1.1", "10.0.0.1"])


def test_what_is_connected_to_is_the_address_that_was_checked() -> None:
    answers = iter([["1.1.1.1"], ["127.0.0.1"]])  # a name that changes its mind after the check
    destination = check_destination("https://example.org:8443/hook", Allowed(), lambda *_: next(answers))
    assert str(destination.pinned) == "https://1.1.1.1:8443/hook"


def test_the_operators_own_platforms_are_good_even_without_tls() -> None:
    allowed = read_allowed(" platform.internal:8080,10.20.0.0/16, fd00::/8 ,[::1]:9000")
    there = {"platform.internal": ["192.168.0.5"], "ten": ["10.20.3.4"], "six": ["fd00::1"], "::1": ["::1"]}

    def lookup(host: str, _port: int) -> list[str]:
        return there[host]

    for url in ("http://platform.internal:8080/", "http://ten/", "https://six:1/", "http://[::1]:9000/"):
        check_destination(url, allowed, lookup)
    for url in ("http://platform.internal:8081/", "http://[::1]:9001/"):
        with pytest.raises(Refused):
            check_destination(url, allowed, lookup)


@pytest.mark.parametrize("text", ["platform.internal", "10.0.0.1/8", "10.0.0.0/99", ":80", "host:port"])
def test_a_wrong_list_of_own_platforms_is_told(text: str) -> None:
    with pytest.raises(Unusable, match="DUKOU_WEBHOOK_ALLOW"):
        read_allowed(text)


# --- the API


def test_a_subscription_shows_its_secret_once(hooked: World) -> None:
    name, secret = subscribe(hooked, types=["listing.published"])
    assert secret.startswith("whsec_")
    for response in (hooked.offerer.get(f"{HOOKS}/{name}"), hooked.offerer.get(HOOKS)):
        assert response.status_code == 200
        assert secret not in response.text
    with hooked.database.reading() as session:
        row = session.get(SubscriptionRow, name)
        assert row is not None
        assert secret.removeprefix("whsec_") not in row.model_dump_json()


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "http://1.1.1.1/", "https://a:b@1.1.1.1/"])
def test_a_bad_address_is_refused_when_it_is_given_and_when_it_is_changed(hooked: World, url: str) -> None:
    name, _ = subscribe(hooked)
    body = problem(hooked.offerer.post(HOOKS, json={"url": url}), 422)
    assert body["errors"][0]["field"] == "url"
    problem(hooked.offerer.patch(f"{HOOKS}/{name}", json={"url": url}), 422)


def test_an_unknown_type_is_told(hooked: World) -> None:
    body = problem(hooked.offerer.post(HOOKS, json={"url": URL, "types": ["listing.sold"]}), 422)
    assert body["errors"][0]["field"] == "types"


def test_the_platforms_audiences_are_for_those_who_hold_their_permissions(hooked: World) -> None:
    for audience in ("information", "trading"):
        problem(hooked.offerer.post(HOOKS, json={"url": URL, "audience": audience}), 403)
        problem(hooked.manager.post(HOOKS, json=_of_offerer(hooked, audience)), 403)
        assert hooked.administrator.post(HOOKS, json=_of_offerer(hooked, audience)).status_code == 201
    platform = platform_key(hooked, Permission.INFORMATION)
    assert platform.post(HOOKS, json={"url": URL, "audience": "information"}).status_code == 201
    assert platform.post(HOOKS, json={"url": URL, "audience": "trading"}).status_code == 403


def _of_offerer(world: World, audience: str) -> dict[str, str]:
    return {"url": URL, "audience": audience, "organisation": world.ids["offerer"]}


def test_a_partner_neither_sees_nor_touches_a_platforms_subscription_of_its_organisation(hooked: World) -> None:
    made = hooked.administrator.post(HOOKS, json=_of_offerer(hooked, "trading")).json()["subscription"]
    assert hooked.offerer.get(HOOKS).json()["items"] == []
    for answer in _touches(hooked.offerer, made["id"]):
        problem(answer, 404)
    assert [one["id"] for one in hooked.administrator.get(HOOKS, params=_whose(hooked)).json()["items"]] == [made["id"]]


def _whose(world: World) -> dict[str, str]:
    return {"organisation": world.ids["offerer"]}


def _touches(client: Any, name: str) -> list[Any]:
    one = f"{HOOKS}/{name}"
    return [
        client.get(one),
        client.patch(one, json={"active": False}),
        client.delete(one),
        client.post(f"{one}/secret"),
        client.post(f"{one}/ping"),
        client.get(f"{one}/deliveries"),
        client.post(f"{one}/replay"),
        client.post(f"{one}/deliveries/x/replay"),
    ]


def test_a_subscription_is_nobody_elses(hooked: World) -> None:
    name, _ = subscribe(hooked)
    for client in (hooked.seeker, hooked.other_manager):
        for answer in _touches(client, name):
            problem(answer, 404)
    for answer in _touches(hooked.public, name):
        problem(answer, 401)
    assert hooked.manager.get(f"{HOOKS}/{name}").status_code == 200
    problem(hooked.seeker.get(HOOKS, params=_whose(hooked)), 404)
    problem(hooked.manager.get(HOOKS), 422)


def test_an_event_goes_to_those_who_asked_for_its_type_and_to_no_other_organisation(hooked: World) -> None:
    wanted, _ = subscribe(hooked, types=["listing.published"])
    unwanted, _ = subscribe(hooked, types=["listing.withdrawn"])
    hooked.seeker.post(HOOKS, json={"url": URL})
    hooked.post(hooked.offerer, OFFER)
    with hooked.database.reading() as session:
        waiting = set(session.exec(select(DeliveryRow.subscription_id)))
    assert waiting == {wanted}
    assert unwanted not in waiting


def test_signatures_hold_by_the_standards_own_library_and_fail_for_anything_changed(hooked: World) -> None:
    _, secret = subscribe(hooked)
    hooked.post(hooked.offerer, OFFER)
    (one,) = due_messages(hooked)
    event = Webhook(secret).verify(one.body, one.headers)
    assert (event["specversion"], event["type"]) == ("1.0", "dukou.listing.published")
    assert one.headers["webhook-id"] == event["id"]
    for body, headers in (
        (one.body.replace(b"published", b"withdrawn"), one.headers),
        (one.body, {**one.headers, "webhook-id": "another"}),
        (one.body, {**one.headers, "webhook-timestamp": str(int(one.headers["webhook-timestamp"]) - 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers)


def test_after_a_rotation_the_old_secret_and_the_new_one_hold_for_a_day_and_then_only_the_new_one(
    hooked: World,
) -> None:
    name, old = subscribe(hooked)
    new = hooked.offerer.post(f"{HOOKS}/{name}/secret").json()["secret"]
    assert new != old
    hooked.post(hooked.offerer, OFFER)
    (one,) = due_messages(hooked)
    assert one.headers["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        Webhook(secret).verify(one.body, one.headers)
    with hooked.database.writing() as session:
        row = session.get(SubscriptionRow, name)
        assert row is not None
        row.previous_until = utc_now() - timedelta(seconds=1)
        later = Signing(SECRET.encode()).headers(row, "e", one.body, utc_now())
    Webhook(new).verify(one.body, later)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(one.body, later)


def test_a_ping_goes_to_one_subscription_and_into_no_feed(hooked: World) -> None:
    name, _ = subscribe(hooked, types=["pairing.offered"])
    other, _ = subscribe(hooked)
    event = hooked.offerer.post(f"{HOOKS}/{name}/ping").json()["event"]
    rows = hooked.offerer.get(f"{HOOKS}/{name}/deliveries").json()["items"]
    assert [(row["event"], row["type"], row["status"]) for row in rows] == [(event, "test.ping", "pending")]
    assert hooked.offerer.get(f"{HOOKS}/{other}/deliveries").json()["items"] == []
    assert hooked.offerer.get("/api/v1/changes", params={"audience": "organisation"}).json()["items"] == []


def test_a_paused_subscription_gets_nothing_and_goes_on_with_what_waited(hooked: World) -> None:
    name, _ = subscribe(hooked)
    hooked.post(hooked.offerer, OFFER)
    assert hooked.offerer.patch(f"{HOOKS}/{name}", json={"active": False}).json()["active"] is False
    hooked.post(hooked.offerer, {**OFFER, "reference": "o9"})
    assert due_messages(hooked) == []
    problem(hooked.offerer.post(f"{HOOKS}/{name}/ping"), 409)
    hooked.offerer.patch(f"{HOOKS}/{name}", json={"active": True})
    assert len(due_messages(hooked)) == 1


def test_dead_deliveries_are_listed_and_replayed_under_the_same_id(hooked: World) -> None:
    name, secret = subscribe(hooked)
    for reference in ("a", "b", "c"):
        hooked.post(hooked.offerer, {**OFFER, "reference": reference})
    ids = [one.headers["webhook-id"] for one in due_messages(hooked)]
    with hooked.database.writing() as session:
        for event_id, status in zip(ids, ("dead", "dead", "delivered"), strict=True):
            row = session.get(DeliveryRow, (name, event_id))
            assert row is not None
            row.status, row.attempts, row.claimed_until = status, 8, None
    path = f"{HOOKS}/{name}"
    first = hooked.offerer.get(f"{path}/deliveries", params={"status": "dead", "limit": 1}).json()
    rest = {"status": "dead", "limit": 1, "cursor": first["next_cursor"]}
    second = hooked.offerer.get(f"{path}/deliveries", params=rest).json()
    assert [one["items"][0]["event"] for one in (first, second)] == [ids[1], ids[0]]
    assert second["next_cursor"] is None
    assert hooked.offerer.post(f"{path}/deliveries/{ids[2]}/replay").json()["replay"] == 1
    assert hooked.offerer.post(f"{path}/replay").json() == {"replayed": 2}
    problem(hooked.offerer.post(f"{path}/deliveries/{ids[0]}/replay"), 409)
    problem(hooked.offerer.post(f"{path}/deliveries/unknown/replay"), 404)
    again = due_messages(hooked)
    assert [one.headers["webhook-id"] for one in again] == ids
    assert {one.headers["dukou-replay"] for one in again} == {"1"}
    Webhook(secret).verify(again[0].body, again[0].headers)


def test_a_deleted_subscription_is_gone_with_its_deliveries(hooked: World) -> None:
    name, _ = subscribe(hooked)
    hooked.post(hooked.offerer, OFFER)
    assert hooked.offerer.delete(f"{HOOKS}/{name}").status_code == 204
    problem(hooked.offerer.get(f"{HOOKS}/{name}"), 404)
    with hooked.database.reading() as session:
        assert session.exec(select(DeliveryRow)).all() == []


def test_an_organisation_has_a_limited_number_of_subscriptions(hooked: World) -> None:
    for _ in range(subscriptions.MOST):
        subscribe(hooked)
    problem(hooked.offerer.post(HOOKS, json={"url": URL}), 409)


def test_what_is_done_with_subscriptions_stands_in_the_audit_log(hooked: World) -> None:
    name, secret = subscribe(hooked)
    hooked.offerer.post(f"{HOOKS}/{name}/secret")
    hooked.offerer.patch(f"{HOOKS}/{name}", json={"types": ["listing.expired"]})
    hooked.offerer.post(f"{HOOKS}/{name}/replay")
    hooked.offerer.delete(f"{HOOKS}/{name}")
    with hooked.database.reading() as session:
        lines = [one for one in event_queries.whole_audit(session) if one.subject == name]
    assert [one.action.partition(".")[2] for one in lines] == ["create", "rotate", "change", "replay", "delete"]
    assert secret not in str([one.model_dump() for one in lines])
