"""The clients of scripts/chaos.py: they ask a service that is killed all the time, and remember what it acknowledged.

A request whose answer is lost is sent again with the same Idempotency-Key or If-Match until there is an answer. Where
that answer says "not any more", what is stored tells whether the first one was done.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

PATIENCE = 300.0  # seconds without an answer, restarts included, after which a client gives up
AGAIN = (429, 503)
WORDS = (
    "ceramic elbows slurry pipelines wear alumina",
    "solar pumps irrigation fields without grid",
    "heat pump dryer green tea leaves",
    "control software drones survey crops",
    "耐磨陶瓷弯头 矿浆管道",
)
ABOUT = {  # long enough that its language is known without the models for short texts, which a start loads last
    False: "Tried for two years at three sites, each with its own crew, spare parts and records; "
    "measured values and drawings of the installation are at hand and can be shown on request.",
    True: "已在三个现场试用两年，各有自己的班组、备件和记录；测量数据和安装图纸齐全，可应要求提供。" * 3,
}
REASONS = ("wrong_problem", "too_early", "terms", "other")


class Violation(Exception):
    """The service has broken a promise."""


@dataclass(frozen=True)
class Reply:
    """An answer; `unsure`: an earlier sending of the same request may have been done."""

    status: int
    body: Any
    headers: httpx.Headers
    unsure: bool


@dataclass
class Asker:
    """One client's connection. Counts the requests and those whose answer was lost."""

    client: httpx.Client
    asked: int = 0
    lost: int = 0

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **rest: Any) -> Reply:
        """Send until there is an answer. Raises Violation for a defect and where none comes at all."""
        until, unsure = time.monotonic() + PATIENCE, False
        while time.monotonic() < until:
            try:
                response = self.client.request(method, f"/api/v1/{path}", headers=headers, **rest)
            except httpx.ConnectError:
                time.sleep(0.1)
                continue
            except httpx.TransportError:
                unsure, self.lost = True, self.lost + 1
                continue
            if response.status_code in AGAIN:
                time.sleep(0.2)
                continue
            self.asked += 1
            if response.status_code >= 500:
                raise Violation(f"{method} {path}: {response.status_code} {response.text}")
            return Reply(response.status_code, response.json(), response.headers, unsure)
        raise Violation(f"{method} {path}: no answer in {PATIENCE:.0f} s")

    def expect(self, status: int, method: str, path: str, **rest: Any) -> Reply:
        """Ask for what must succeed."""
        reply = self.ask(method, path, **rest)
        if reply.status != status:
            raise Violation(f"{method} {path}: {reply.status} instead of {status}: {reply.body}")
        return reply


@dataclass
class Kept:
    """A listing as its poster knows it: the tokens of its versions, and what the feeds must say of it."""

    id: str
    record: dict[str, Any]
    key: str
    first: dict[str, Any]
    etag: str
    tokens: list[str]
    status: str = "published"
    events: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Actor:
    """Something that goes on until it is told to stop; what went wrong stays in `failure`."""

    name: str
    asker: Asker
    rng: random.Random
    stop: threading.Event
    failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.act()
                time.sleep(self.rng.uniform(0.0, 0.04))
            self.finish()
        except Exception as error:  # noqa: BLE001  a thread has nobody else to tell
            self.failure = error
            self.stop.set()

    def act(self) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """What is still to be done after the last kill."""


@dataclass
class Poster(Actor):
    """An organisation's program: posts, revises, withdraws, and asks twice for the same."""

    organisation: str = ""
    kept: list[Kept] = field(default_factory=list)
    count: int = 0
    replays: int = 0

    def act(self) -> None:
        chance = self.rng.random()
        if not self.kept or chance < 0.3:
            self.post()
        elif chance < 0.7:
            self.revise(self.rng.choice(self.kept))
        elif chance < 0.85:
            self.withdraw(self.rng.choice(self.kept))
        else:
            self.replay(self.rng.choice(self.kept))

    def token(self) -> str:
        self.count += 1
        return f"{self.name}-{self.count}"

    def post(self) -> None:
        """A new listing, every other one without a reference, so that only the key keeps it from being doubled."""
        token = self.token()
        side = self.rng.choice(("offer", "need"))
        words = self.rng.choice(WORDS)
        record = {"side": side, "title": f"{words} {token}", "description": ABOUT[not words.isascii()]}
        record["country"] = self.country(side)
        if self.rng.random() < 0.5:
            record["reference"] = token
        headers = {"Idempotency-Key": token}
        reply = self.asker.expect(201, "POST", "listings", headers=headers, json=record)
        body = reply.body
        etag = reply.headers.get("etag") or self.asker.expect(200, "GET", f"listings/{body['id']}").headers["etag"]
        self.kept.append(Kept(body["id"], record, token, body, etag, [token], events=[("published", 1)]))

    def country(self, side: str) -> str:
        return self.rng.choice(("CN", "KZ", "EG")) if side == "offer" else self.rng.choice(("KZ", "EG", "CN"))

    def replay(self, one: Kept) -> None:
        """The very first request once more: the same answer, and nothing done."""
        record = one.record | {"title": one.first["title"]}
        reply = self.asker.expect(201, "POST", "listings", headers={"Idempotency-Key": one.key}, json=record)
        if reply.body != one.first or reply.headers.get("idempotency-replayed") != "true":
            raise Violation(f"the answer to {one.key} has changed: {reply.body} was {one.first}")
        self.replays += 1

    def revise(self, one: Kept) -> None:
        token = self.token()
        record = one.record | {"title": f"{self.rng.choice(WORDS)} {token}"}
        reply = self.asker.ask("PUT", f"listings/{one.id}", headers={"If-Match": one.etag}, json=record)
        if reply.status == 412 and reply.unsure:
            reply = self.asker.expect(200, "GET", f"listings/{one.id}")
        if reply.status != 200 or reply.body["title"] != record["title"]:
            raise Violation(f"revision {token} of {one.id}: {reply.status} {reply.body}")
        one.etag = reply.headers["etag"]
        one.tokens.append(token)
        one.record = record
        one.events.append(("revised" if one.status == "published" else "published", len(one.tokens)))
        one.status = "published"

    def withdraw(self, one: Kept) -> None:
        if one.status != "published":
            return
        reply = self.asker.ask("POST", f"listings/{one.id}/withdraw")
        if reply.status != 200 and not (reply.status == 409 and reply.unsure):
            raise Violation(f"withdrawal of {one.id}: {reply.status} {reply.body}")
        reply = self.asker.expect(200, "GET", f"listings/{one.id}")
        if reply.body["status"] != "withdrawn":
            raise Violation(f"{one.id} was withdrawn and is {reply.body['status']}")
        one.etag, one.status = reply.headers["etag"], "withdrawn"
        one.events.append(("withdrawn", len(one.tokens)))


@dataclass
class Manager(Actor):
    """A person of the centre: takes up pairings and takes steps, with others at the same ones."""

    listings: Callable[[], list[Kept]] = list
    steps: dict[str, str] = field(default_factory=dict)  # of each step acknowledged: its token, its pairing
    refused: list[str] = field(default_factory=list)  # tokens of steps that somebody else was ahead of
    count: int = 0

    def act(self) -> None:
        if self.rng.random() < 0.3:
            self.take_up()
        else:
            self.step()

    def take_up(self) -> None:
        known = self.listings()
        sides = {side: [one for one in known if one.record["side"] == side] for side in ("offer", "need")}
        if all(sides.values()):
            pair = {side: self.rng.choice(sides[side]).id for side in sides}
            reply = self.asker.ask("POST", "pairings", json=pair)
            if reply.status not in (201, 422):  # 422: their terms forbid it
                raise Violation(f"pairing {pair}: {reply.status} {reply.body}")

    def step(self) -> None:
        found = self.asker.expect(200, "GET", "pairings?limit=40").body["items"]
        found = [one for one in found if one["possible"]]
        if not found:
            return
        one = self.rng.choice(found)
        action = self.rng.choice([name for name in one["possible"] if name != "withdraw"] or one["possible"])
        self.count += 1
        token = f"{self.name}-{self.count}"
        body = {"action": action, "note": token, "side": self.rng.choice(("offer", "need")), "consent": True}
        if action == "decline":
            body["reason"] = self.rng.choice(REASONS)
        match = {"If-Match": f'"{one["version"]}"'}
        reply = self.asker.ask("POST", f"pairings/{one['id']}/steps", headers=match, json=body)
        if reply.status in (409, 412) and reply.unsure:
            history = self.asker.expect(200, "GET", f"pairings/{one['id']}/steps").body["items"]
            done = any(step["note"] == token for step in history)
        elif reply.status in (201, 409, 412):
            done = reply.status == 201
        else:
            raise Violation(f"{action} of {one['id']}: {reply.status} {reply.body}")
        if done:
            self.steps[token] = one["id"]
        else:
            self.refused.append(token)


@dataclass
class Reader(Actor):
    """Follows a feed by its cursor and keeps the ids of the events in the order in which they came."""

    feed: str = ""
    cursor: str = ""
    seen: list[str] = field(default_factory=list)

    def act(self) -> None:
        self.read()

    def read(self) -> bool:
        limit = self.rng.randint(1, 60)
        path = f"changes?{self.feed}&after={self.cursor}&limit={limit}"
        reply = self.asker.expect(200, "GET", path)
        self.seen += [one["id"] for one in reply.body["items"]]
        self.cursor = reply.body["cursor"]
        return bool(reply.body["items"])
