"""A service on a free port, filled with the sample listings: what pictures are taken of and pages are checked with.

Everything in it is invented: the sample listings, an organisation, its people, pairings at several steps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from sqlmodel import Session, col, select

from app import accounts, drafts, grids, imports, listings, pairings, proposals, subscriptions
from app.access import OPERATOR, Role
from app.clock import utc_now
from app.db import Database
from app.errors import Unusable
from app.events import Audience
from app.importing import import_file
from app.main import create_app
from app.pairings import Action, Answer
from app.queries import pairings as pairing_queries
from app.settings import Settings
from app.sheets import Format
from app.tables import ListingRow, NodeRow, PairingRow, PersonRow
from matching import MatchingError, Pairing, Side

SAMPLES = Path(__file__).parent.parent / "data" / "samples" / "listings.jsonl"
PATIENCE = 60  # seconds
ROLES = {"partner": Role.PARTNER, "manager": Role.MANAGER, "administrator": Role.ADMINISTRATOR}
PAIRS = 12
STEPS = (Action.SHORTLIST, Action.OFFER, Action.INTEREST)  # as far as the first pairings are brought, one each

ROWS = "reference,side,title,country\nrow-1,offer,Sample dryer for tea leaves,CN\nrow-2,sideways,Sample,CN\n"

# Shows what the samples leave out: translations, figures, every term.
WHOLE = {
    "reference": "whole",
    "side": "need",
    "title": "Шаңсыз темір кенін ұсату желісі",
    "summary": "Кен ұсату желісіндегі шаңды азайтатын, сусыз жұмыс істейтін шешім қажет.",
    "description": "Фабрика жылына 4 млн тонна кен ұсатады. Ауадағы шаң мөлшері нормадан үш есе жоғары.",
    "requirement": "Су мөлшері шектеулі, қыста −35 °C болады.",
    "partner_role": "Жобалау, жеткізу және екі жыл қызмет көрсету.",
    "language": "kk",
    "translations": [
        {
            "language": "en",
            "origin": "machine",
            "title": "Crushing line for iron ore without dust",
            "summary": "A solution is sought that lowers the dust of a crushing line and works without water.",
            "description": "The plant crushes 4 million tonnes of ore a year. Its air holds three times the limit.",
        },
        {
            "language": "zh",
            "origin": "author",
            "title": "铁矿石无尘破碎线",
            "summary": "寻求不用水即可降低破碎线粉尘的方案。",
            "description": "工厂每年破碎矿石400万吨，空气含尘量为限值的三倍。",
        },
    ],
    "country": "KZ",
    "fields": ["environment", "advanced_materials"],
    "trl": 7,
    "stage": "demonstrated",
    "modes": ["technical_service", "joint_venture"],
    "partner_types": ["industry", "research"],
    "target_countries": ["CN"],
    "budget": {"minimum": 200000, "maximum": 900000, "currency": "EUR"},
    "requirements": [
        {"parameter": "шаң", "operator": "<=", "value": 10, "unit": "mg/m³"},
        {"parameter": "қуат", "operator": "<", "value": 250, "unit": "kW", "must": False},
    ],
    "keywords": ["шаң", "кен"],
    "organisation": "Үлгі тау-кен компаниясы (sample)",
    "sample": True,
}


@dataclass(frozen=True)
class Showcase:
    """A filled service: its address, what is in it by name, and the session of each of `ROLES`."""

    address: str
    ids: dict[str, str]
    sessions: dict[str, str]


@contextmanager
def showcase(settings: Settings) -> Iterator[Showcase]:
    """Serve on a free port until the block ends."""
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + PATIENCE
        while not server.started:
            if not thread.is_alive() or time.monotonic() > until:
                raise RuntimeError("the service does not start")
            time.sleep(0.02)
        app.state.loading.join()
        app.state.proposer.stop()
        ids, sessions = _fill(app)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Showcase(f"http://127.0.0.1:{port}", ids, sessions)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def _fill(app: FastAPI) -> tuple[dict[str, str], dict[str, str]]:
    database: Database = app.state.database
    import_file(database, SAMPLES, "Chongqing")
    with database.writing() as session:
        ids = _people_and_listings(session)
        sessions = {name: accounts.sign_in(session, _person(session, name, ids), utc_now()).token for name in ROLES}
    ids |= _for_programs(database, ids)
    made = list(islice(_scored(database, app), PAIRS))
    ids["draft"] = _draft(app, ids)
    with database.writing() as session:
        ids["pairing"] = _pairings(session, made)
    return ids, sessions


def _people_and_listings(session: Session) -> dict[str, str]:
    """A need with all that a listing can say, one that waits, one that is gone; the owner of an offer."""
    now = utc_now()
    node = session.exec(select(NodeRow)).one()
    seeker = accounts.add_organisation(
        session, OPERATOR, node.id, now, name="Sample mining company", country="KZ", trusted=True
    )
    whole = listings.post_listing(session, OPERATOR, seeker, WHOLE, now).row
    gone = listings.post_listing(session, OPERATOR, seeker, WHOLE | {"reference": "gone"}, now).row
    listings.withdraw(session, gone, now + timedelta(seconds=1))
    offer = session.exec(
        select(ListingRow).where(ListingRow.side == "offer").order_by(col(ListingRow.reference))
    ).first()
    assert offer is not None
    return {
        "listing": offer.id,
        "whole": whole.id,
        "gone": gone.id,
        "organisation": offer.organisation_id,
        "node": node.id,
    }


def _for_programs(database: Database, ids: dict[str, str]) -> dict[str, str]:
    """A key and a subscription of the partner's organisation, and an import, one of whose two rows is wrong."""
    now = utc_now()
    with database.writing() as session:
        owner = accounts.organisation(session, OPERATOR, ids["organisation"])
        key, _ = accounts.make_key(session, OPERATOR, owner, "Sample key", ["listings:read"], now)
        subscription = subscriptions.create(
            session, OPERATOR, owner, Audience.ORGANISATION, "https://platform.example.org/dukou", [], now
        )
        job = imports.Job("showcase", owner.id, OPERATOR, ROWS.encode(), Format.CSV, dry_run=True, all_or_nothing=False)
        imports.begin(session, owner, job, now)
        found = {"key": key.id, "subscription": subscription.id, "import": job.import_id}
    imports.run(database, job, threading.Event())
    return found


def _draft(app: FastAPI, ids: dict[str, str]) -> str:
    """A file that the partner has sent and not imported yet."""
    with app.state.database.reading() as session:
        who = accounts.of_person(session, session.get_one(PersonRow, ids["partner"]))
    grid = grids.read_grid(ROWS.encode(), Format.CSV)
    return (
        drafts.under(app.state.live.home).begin(who, ids["organisation"], "sample.csv", Format.CSV, grid, utc_now()).id
    )


def _person(session: Session, name: str, ids: dict[str, str]) -> PersonRow:
    organisation = ids["organisation"] if ROLES[name] is Role.PARTNER else None
    person, _ = accounts.invite(session, f"{name}@example.org", name.title(), ROLES[name], organisation, [], utc_now())
    ids[name] = person.id
    return person


def _pairings(session: Session, made: list[Pairing]) -> str:
    """The best ones brought a few steps further; the id of one that is proposed."""
    proposals.record(session, made, "showcase", utc_now())
    rows = session.exec(select(PairingRow).order_by(col(PairingRow.probability).desc())).all()
    for count, row in enumerate(rows[: len(STEPS)], 1):
        sides = pairing_queries.sides(session, row)
        assert sides is not None
        for action in STEPS[:count]:
            pairings.move(session, OPERATOR, row, sides, action, Answer(side=Side.OFFER), utc_now())
    return rows[-1].id


def _scored(database: Database, app: FastAPI) -> Iterator[Pairing]:
    """Offers and needs of the same place in their field, as far as their terms allow it."""
    with database.reading() as session:
        rows = session.exec(select(ListingRow).order_by(col(ListingRow.reference))).all()
    offers, needs = ([row for row in rows if row.side == side and row.status == "published"] for side in Side)
    for offer, need in zip(offers, needs, strict=False):
        try:
            yield app.state.live.pair(listings.listing_of(offer), listings.listing_of(need))
        except (MatchingError, Unusable):
            continue
