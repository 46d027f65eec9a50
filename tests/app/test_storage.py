"""What is stored, on both databases: the same behaviour, down to the order of rows and the errors."""

import contextlib
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, event, text
from sqlmodel import Session

from app import accounts, events, listings, pairings, proposals, subscriptions
from app.access import OPERATOR, PARTNER_SCOPES, PUBLIC, SYSTEM, Principal, Role
from app.audit import Audit
from app.db import MIGRATIONS, Database, translated, with_driver
from app.errors import Conflict, Unusable, VersionMismatch
from app.events import Audience
from app.listings import Status
from app.pairings import Action, Answer, State
from app.proposals import record as record_found
from app.queries import deliveries
from app.queries import events as event_queries
from app.queries import listings as queries
from app.queries import pairings as pairing_queries
from app.queries.listings import Wanted
from app.repeats import REMEMBERED, answered_before, keep_answer
from app.settings import Settings
from app.tables import EmbeddingRow, ListingRow, OrganisationRow, RevisionRow
from matching import Pairing, Side
from tests.app.conftest import NEED, OFFER, SECRET, World, problem

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    many = "100000/minute"
    return Settings(
        home=tmp_path / "home",
        database_url=database_url,
        model="hashing",
        secret=SecretStr(SECRET),
        public_limit=many,
        known_limit=many,
    )


def upgrade(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, revision)


def organisation(session: Session, name: str = "Elbow works", trusted: bool = True) -> OrganisationRow:
    node = accounts.add_node(session, f"Node of {name}", "CN", "sichuan", NOW)
    return accounts.add_organisation(session, OPERATOR, node.id, NOW, name=name, trusted=trusted, country="CN")


def partner(owner: OrganisationRow) -> Principal:
    return Principal("key", f"key of {owner.name}", owner.name, Role.PARTNER, PARTNER_SCOPES, owner.id)


def post(session: Session, owner: OrganisationRow, record: dict[str, Any], now: datetime = NOW) -> ListingRow:
    return listings.post_listing(session, partner(owner), owner, record, now).row


def proposed(offer: str, need: str, probability: float) -> Pairing:
    return Pairing(
        offer=offer,
        need=need,
        rank_for_need=1,
        rank_for_offer=1,
        probability=probability,
        parts={"meaning": 1.5},
        evidence=(),
        direction="go-out",
    )


def test_the_tables_in_the_code_are_those_that_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        of_sqlite = connection.dialect.name == "sqlite"

        def made_here(_: object, name: str | None, __: str, reflected: bool, ___: object) -> bool:
            return of_sqlite or reflected or name != "ix_listing_named"

        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": made_here})
        assert compare_metadata(context, EmbeddingRow.metadata) == []


@pytest.mark.parametrize("start", ["0001", "0002"])
def test_listings_from_before_accounts_are_published_under_one_owner(empty_url: str, start: str) -> None:
    engine = create_engine(with_driver(empty_url))
    upgrade(engine, start)
    rows = [("n1", NEED, False), ("o1", OFFER, False), ("s1", OFFER, True)]
    with engine.begin() as connection:
        for name, record, sample in rows:
            connection.execute(
                text(
                    "INSERT INTO listing (id, side, record, text_hash, sample, created_at, updated_at)"
                    " VALUES (:id, :side, :record, 'h', :sample, :at, :at)"
                ),
                {"id": name, "side": record["side"], "record": json.dumps(record), "sample": sample, "at": NOW},
            )
    engine.dispose()
    database = Database(empty_url)
    with database.reading() as session:
        found = queries.published_after(session, "", 1_000)
        assert [(row.id, row.reference, row.record) for row in found] == [("n1", "n1", NEED), ("o1", "o1", OFFER)]
        assert found[0].created_at == NOW
        assert queries.owner(session, found[0]).name == "Imported before accounts"
    with database.writing() as session:
        row = session.get_one(ListingRow, "n1")
        listings.revise(session, OPERATOR, row, NEED | {"title": "Elbows"}, row.revision, NOW)
    database.close()


def test_the_life_of_a_listing_is_kept_step_by_step(database: Database) -> None:
    with database.writing() as session:
        owner = organisation(session)
        row = post(session, owner, OFFER)
        assert not listings.post_listing(session, partner(owner), owner, OFFER, NOW).changed
        before = row.revision
        listings.revise(session, partner(owner), row, OFFER | {"title": "Bends"}, row.revision, NOW)
        with pytest.raises(VersionMismatch):
            listings.revise(session, partner(owner), row, OFFER, before, NOW)
        listings.renew(session, row, NOW)
        with pytest.raises(Conflict):
            listings.renew(session, row, NOW)
        assert row.expires_at == NOW + timedelta(days=730)
    with database.writing() as session:
        assert listings.expire(session, NOW + timedelta(days=720)) == 0  # only a notice
        assert listings.expire(session, NOW + timedelta(days=730)) == 1
        row = queries.by_reference(session, owner.id, "o1") or ListingRow()
        assert (row.status, row.published_at) == (Status.EXPIRED, NOW)
        listings.withdraw(session, row, NOW)
        post(session, owner, OFFER)
    with database.reading() as session:
        row = queries.by_reference(session, owner.id, "o1") or ListingRow()
        assert (row.status, row.version, row.record["title"]) == (Status.PUBLISHED, 3, OFFER["title"])
        assert [one.record["title"] for one in queries.versions(session, row.id)] == [
            OFFER["title"],
            "Bends",
            OFFER["title"],
        ]
        told = event_queries.events_after(session, Audience.ORGANISATION, owner.id, 0, 100)
    kinds = ["published", "revised", "expiring", "expired", "withdrawn", "published"]
    assert [one.type.removeprefix("listing.") for one in told] == kinds
    assert [one.sequence for one in told] == sorted({one.sequence for one in told})
    assert {one.at for one in told} >= {NOW, NOW + timedelta(days=730)}


def test_a_listing_that_waits_is_published_or_given_back_by_a_manager(database: Database) -> None:
    with database.writing() as session:
        owner = organisation(session, trusted=False)
        row = post(session, owner, OFFER)
        assert row.status == Status.SUBMITTED
        listings.give_back(session, row, "名称不清楚", NOW)
        listings.publish(session, row, NOW)
    with database.reading() as session:
        told = event_queries.events_after(session, Audience.ORGANISATION, owner.id, 0, 100)
        assert [(one.type, one.data.get("reason")) for one in told] == [
            ("listing.returned", "名称不清楚"),
            ("listing.published", None),
        ]


def test_pairings_go_their_way_and_come_by_probability_with_ties_by_id(database: Database) -> None:
    with database.writing() as session:
        maker, seeker = organisation(session), organisation(session, "Mine")
        need = post(session, seeker, NEED)
        offers = [post(session, maker, OFFER | {"reference": f"o{i}"}) for i in range(7)]
        chances = [0.1 + 0.2, 0.7, 0.7, 0.7, 1 / 3, 0.3, 0.0]
        found = [proposed(offer.id, need.id, chance) for offer, chance in zip(offers, chances, strict=True)]
        assert record_found(session, found, "run 1", NOW)["new"] == 7
        assert record_found(session, found[:6], "run 2", NOW) == {"updated": 6}
        assert proposals.lapse_unfound(session, "run 2", 1_000_000, "", 1_000, NOW)[0] == {"lapsed": 1}
    with database.reading() as session:
        whole = pairing_queries.page(session, OPERATOR, pairing_queries.Wanted(), None, 100, [])
        assert [(-row.probability, row.id) for row in whole] == sorted((-row.probability, row.id) for row in whole)
        pages, after = [], None
        while rows := pairing_queries.page(session, OPERATOR, pairing_queries.Wanted(), after, 2, []):
            pages += rows
            after = (float(repr(rows[-1].probability)), rows[-1].id)
        assert [row.id for row in pages] == [row.id for row in whole]
    with database.writing() as session:
        row, sides = pairings.visible(session, OPERATOR, whole[0].id)
        pairings.take(session, OPERATOR, row, sides, Action.SHORTLIST, Answer(), row.version, "none", NOW)
        with pytest.raises(VersionMismatch):
            pairings.take(session, OPERATOR, row, sides, Action.OFFER, Answer(), 1, "none", NOW)
        for side in Side:
            yes = Answer(side, note="by telephone", consent=True)
            pairings.take(session, OPERATOR, row, sides, Action.INTEREST, yes, row.version, "none", NOW)
        pairings.take(session, OPERATOR, row, sides, Action.OFFER, Answer(), row.version, "none", NOW)
    with database.reading() as session:
        assert pairings.visible(session, OPERATOR, row.id)[0].state == State.MUTUAL
        steps = pairing_queries.steps(session, row.id)
        assert [step.number for step in steps] == [1, 2, 3, 4, 5]
        assert [step.state_after for step in steps] == ["proposed", *3 * ["shortlisted"], "mutual"]
        assert pairing_queries.counted(session) == {"mutual": 1, "proposed": 5, "lapsed": 1}


def test_exchanges_are_found_between_two_organisations(database: Database) -> None:
    with database.writing() as session:
        one, other = organisation(session), organisation(session, "Mine")
        there = proposed(post(session, one, OFFER).id, post(session, other, NEED).id, 0.5)
        back = proposed(post(session, other, OFFER).id, post(session, one, NEED).id, 0.25)
        record_found(session, [there, back], "run", NOW)
        found = list(pairing_queries.exchanges(session, pairings.OPEN))
    assert [{first.offer_id, second.offer_id} for first, second, *_ in found] == [{there.offer, back.offer}]


def test_the_answer_to_a_repeated_request_is_kept_for_a_week(database: Database) -> None:
    who, body = Principal("key", "k", "k", Role.PARTNER, PARTNER_SCOPES), {"title": "泵", "value": 0.1, "none": None}
    with database.writing() as session:
        keep_answer(session, who, "a", "print", 201, body, NOW)
    with database.writing() as session:
        earlier = answered_before(session, who, "a", "print")
        assert earlier is not None
        assert (earlier.status, earlier.body) == (201, body)
        with pytest.raises(Unusable):
            answered_before(session, who, "a", "another print")
        keep_answer(session, who, "b", "print", 201, body, NOW + REMEMBERED + timedelta(seconds=1))
    with database.writing() as session:
        assert answered_before(session, who, "a", "print") is None


def test_listings_are_found_by_what_their_record_says(database: Database) -> None:
    record = {"side": "offer", "title": "Pump"}
    told = {
        "small": {"country": "kz", "language": "ru", "fields": ["clean_energy"]},
        "region": {"region": "cn-51", "language": "zh-Hans-CN", "fields": ["advanced_materials", "clean_energy"]},
        "bare": {"country": "EG", "language": "en"},
    }
    with database.writing() as session:
        owner = organisation(session)
        owner.country = None
        rows = {name: post(session, owner, record | facts | {"reference": name}) for name, facts in told.items()}
        listings.correct_fields(session, rows["bare"], ["public_health"], NOW)

    def found(**wanted: str) -> list[str]:
        with database.reading() as session:
            page = queries.page(session, OPERATOR, Wanted(**wanted), "", 100)
        assert [row.id for row in page] == sorted(row.id for row in page)
        return sorted(str(row.reference) for row in page)

    assert found(country="KZ") == ["small"]
    assert found(country="cn") == ["region"]
    assert found(language="zh") == found(language="zh-hans") == ["region"]
    assert found(language="z%") == found(language="z") == []
    assert found(field="clean_energy") == ["region", "small"]
    assert found(field="public_health") == ["bare"]
    assert found(field="%") == found(field="CLEAN_ENERGY") == found(field="energy") == found(field='", "') == []


def test_pages_by_id_leave_nothing_out(database: Database) -> None:
    with database.writing() as session:
        owner = organisation(session)
        ids = {post(session, owner, OFFER | {"reference": f"o{i}"}).id for i in range(23)}
    seen, after = [], ""
    with database.reading() as session:
        while rows := queries.page(session, PUBLIC, Wanted(), after, 5):
            seen += [row.id for row in rows]
            after = rows[-1].id
    assert seen == sorted(ids)


def test_who_reads_sees_one_state(database: Database) -> None:
    with database.reading() as session:
        first = queries.last_written(session)
        with database.writing() as other:
            post(other, organisation(other), OFFER)
        assert queries.last_written(session) == first
        assert queries.published_after(session, "", 1_000) == []


def test_who_writes_sees_what_was_committed_before_and_a_failure_leaves_nothing(database: Database) -> None:
    with database.writing() as session:
        owner = organisation(session)
    with contextlib.suppress(RuntimeError), database.writing() as session:
        assert post(session, owner, OFFER).revision == 1
        raise RuntimeError
    with database.writing() as session:
        assert queries.by_reference(session, owner.id, "o1") is None
        assert post(session, owner, OFFER).revision == 1  # numbers leave no gaps either


def test_an_event_number_is_taken_once(database: Database) -> None:
    with database.writing() as session:
        ids = [events.emit(session, Audience.TRADING, "test.ping", "x", {}, NOW) for _ in range(5)]
    with database.reading() as session:
        written = event_queries.events_after(session, Audience.TRADING, None, 0, 10)
    assert [(row.sequence, row.id) for row in written] == list(enumerate(ids, start=1))


def test_many_posts_in_one_transaction_are_stored_whole_in_a_few_statements(database: Database) -> None:
    """Each with its version, its numbered events and a delivery for each subscriber; and one that asks sees them."""
    statements: list[str] = []
    with database.writing() as session:
        owner = organisation(session)
        hook = subscriptions.create(session, OPERATOR, owner, Audience.ORGANISATION, "https://192.0.2.1", [], NOW)
        event.listen(database.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
        ids = [
            listings.post_listing(session, partner(owner), owner, OFFER | {"reference": f"o{i}"}, NOW, {}).row.id
            for i in range(50)
        ]
        assert [len(queries.versions(session, one)) for one in ids] == 50 * [1]
    assert len(statements) < 75  # 50 are the questions just asked
    with database.reading() as session:
        told = event_queries.events_after(session, Audience.ORGANISATION, owner.id, 0, 100)
        public = event_queries.events_after(session, Audience.INFORMATION, None, 0, 100)
        assert [row.subject for row in told] == [row.subject for row in public] == ids
        numbers = [row.sequence for row in (*told, *public)] + [
            session.get_one(ListingRow, one).revision for one in ids
        ]
        assert sorted(numbers) == list(range(1, 151))
        assert session.get_one(RevisionRow, 1).number == 150
        assert {row.id for row in told} == {row.id for _, row in deliveries.page(session, hook.id, None, None, 100)}


def test_who_subscribes_is_told_of_what_follows_in_the_same_transaction(database: Database) -> None:
    with database.writing() as session:
        owner = organisation(session)
        post(session, owner, OFFER)
        hook = subscriptions.create(session, OPERATOR, owner, Audience.ORGANISATION, "https://192.0.2.1", [], NOW)
        second = post(session, owner, OFFER | {"reference": "o2"})
        subscriptions.change(session, hook, url=None, types=None, active=False)
        post(session, owner, OFFER | {"reference": "o3"})
    with database.reading() as session:
        assert [row.subject for _, row in deliveries.page(session, hook.id, None, None, 10)] == [second.id]


def test_the_audit_chain_holds_after_it_was_stored(database: Database) -> None:
    audit = Audit(SECRET.encode())
    with database.writing() as session:
        for place in range(12):
            audit.record(session, SYSTEM, "try", f"泵 {place}", NOW, value=0.1 * place, when=NOW.isoformat())
    with database.reading() as session:
        assert audit.verify(session).lines == 12


def test_bytes_come_back_as_they_were(database: Database) -> None:
    bodies = {f"h{i}": bytes(range(256)) * (i + 1) for i in range(3)}
    with database.writing() as session:
        queries.keep_embeddings(session, "e", bodies)
        queries.keep_embeddings(session, "e", {"h0": b"other"})  # what is there stays
    with database.reading() as session:
        assert queries.embeddings(session, "e", {*bodies, "h9"}) == bodies


@pytest.mark.parametrize("scheme", ["postgres://", "postgresql://", "postgresql+psycopg://"])
def test_a_postgresql_address_is_read_as_people_write_it(scheme: str) -> None:
    assert with_driver(f"{scheme}me@host/dukou") == "postgresql+psycopg://me@host/dukou"
    assert with_driver("sqlite:///x.db") == "sqlite:///x.db"


NO_TEXT = ["pump\x00", "pump\ud800"]


def send(client: TestClient, method: str, path: str, body: dict[str, Any]) -> Any:
    return client.request(method, path, content=json.dumps(body), headers={"content-type": "application/json"})


@pytest.mark.parametrize("bad", NO_TEXT, ids=["nul", "surrogate"])
def test_what_is_no_text_is_refused_and_the_field_named(world: World, bad: str) -> None:
    asks = [
        *(
            (world.offerer, "POST", "/api/v1/listings", OFFER | {field: bad}, field)
            for field in ("reference", "title", "summary", "description", "advantages", "partner_role", "organisation")
        ),
        (world.offerer, "POST", "/api/v1/listings", OFFER | {"keywords": ["pump", bad]}, "keywords"),
        (
            world.offerer,
            "POST",
            "/api/v1/listings",
            OFFER | {"requirements": [{"parameter": bad, "operator": "<", "value": 1}]},
            "requirements.0.parameter",
        ),
        (world.administrator, "POST", "/api/v1/nodes", {"name": bad}, "name"),
        (world.administrator, "POST", "/api/v1/organisations", {"node_id": bad, "name": "A"}, "node_id"),
        (
            world.administrator,
            "PATCH",
            f"/api/v1/organisations/{world.ids['seeker']}",
            {"contact_name": bad},
            "contact_name",
        ),
        (world.administrator, "POST", "/api/v1/people", {"email": "a@b", "name": bad, "role": "manager"}, "name"),
        (world.public, "POST", "/api/v1/session", {"email": bad, "password": "x"}, "email"),
        (world.public, "POST", "/api/v1/password", {"token": bad, "password": "x"}, "token"),
        (
            world.partner,
            "POST",
            f"/api/v1/organisations/{world.ids['offerer']}/keys",
            {"name": bad, "scopes": ["listings:read"]},
            "name",
        ),
        (world.offerer, "POST", "/api/v1/pairings", {"offer": bad, "need": "x"}, "offer"),
        (world.public, "POST", "/api/v1/search", {"text": bad}, "text"),
    ]
    for client, method, path, body, field in asks:
        errors = problem(send(client, method, path, body), 422)["errors"]
        assert [one["field"] for one in errors] == [field], (path, errors)


def test_a_nul_in_an_address_is_no_defect(world: World) -> None:
    paths = (
        "listings/%00",
        "listings?cursor=%00",
        "listings?country=%00",
        "pairings/%00",
        "pairings?listing=%00",
        "listings?field=%00",
        "listings?language=%00",
        "organisations/%00",
        "pairings?cursor=0.5,%00",
    )
    for path in paths:
        response = world.centre.get(f"/api/v1/{path}")
        assert response.status_code in (200, 404, 422), (path, response.text)
    response = world.offerer.post("/api/v1/listings", json=OFFER, headers={"Idempotency-Key": "a\x00"})
    assert response.status_code in (201, 422), response.text


def test_a_number_beyond_all_counters_is_no_defect(world: World) -> None:
    for path in (
        "changes?audience=organisation&after=999999999999999999",
        "pairings?cursor=nan,x",
        "pairings?cursor=inf,x",
    ):
        assert world.offerer.get(f"/api/v1/{path}").status_code == 200, path


def test_text_that_cannot_be_encoded_is_said_where_no_field_is_known(database: Database) -> None:
    with pytest.raises(Unusable, match="characters"), translated(), Session(database.engine) as session:
        queries.by_reference(session, "x", "\ud800")
