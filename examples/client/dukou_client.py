"""A small client of Dukou's API for Python ≥ 3.11. It needs httpx alone: copy this file into your project.

    with Client("https://dukou.example.org", key) as dukou:
        listing = dukou.post_listing({"reference": "2026-017", "side": "offer", "title": "…"})
        for match in dukou.matches(listing["id"]):
            print(match["probability"], match["title"])

Requests that are safe to repeat are sent again after 429, 503 and lost connections, as the server's Retry-After says.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, Required, Self, TypedDict, cast

import httpx

REPEATED = (429, 503)
ATTEMPTS = 6
LONGEST_WAIT = 60.0  # seconds

JsonObject = dict[str, Any]


class NewListing(TypedDict, total=False):
    """What is sent of a listing; what is left out is unknown. /openapi.json has all keys."""

    reference: str
    side: Required[str]  # "offer" or "need"
    title: str
    summary: str
    description: str
    advantages: str
    requirement: str
    language: str
    country: str
    region: str
    fields: list[str]
    trl: int
    modes: list[str]
    keywords: list[str]
    disclosure: str
    sample: bool


class Listing(TypedDict):
    """The keys of a listing that this client speaks of; there are more."""

    id: str
    reference: str | None
    side: str
    status: str
    version: int
    title: str
    returned_reason: NotRequired[str | None]


class Match(TypedDict):
    """A listing on the other side, and why it answers."""

    id: str
    title: str
    probability: float
    parts: dict[str, float]
    evidence: list[JsonObject]
    direction: str | None


class Event(TypedDict):
    """Something that has happened, as a CloudEvents 1.0 envelope."""

    id: str
    type: str
    subject: str
    time: str
    sequence: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """A field that is wrong, and how to mend it."""

    field: str
    fix: str


class Problem(Exception):
    """An answer that is an error (RFC 9457). `type` is stable; docs/problems.md says what to do about each."""

    def __init__(self, status: int, type: str, detail: str, errors: tuple[FieldProblem, ...]) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.type = type
        self.detail = detail
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Tagged:
    """A resource as it was read, with the tag that a change of it must name."""

    body: JsonObject
    etag: str


class Client:
    """Speaks for the holder of one key. `sleep` is there for tests."""

    def __init__(
        self, address: str, key: str, *, timeout: float = 30.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._http = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=timeout)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post_listing(self, listing: NewListing, *, organisation: str | None = None) -> Listing:
        """Post an offer or a need, or bring the one of that reference to this text. Repeating it does nothing twice."""
        query = {"organisation": organisation} if organisation is not None else {}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = self._send("POST", "/api/v1/listings", params=query, headers=headers, json=dict(listing))
        return cast(Listing, answer.json())

    def listing(self, listing_id: str) -> Tagged:
        """One listing and its tag."""
        answer = self._send("GET", f"/api/v1/listings/{listing_id}")
        return Tagged(answer.json(), answer.headers["etag"])

    def revise(self, read: Tagged, listing: NewListing) -> Tagged:
        """Give a listing that was read a new text. Raises Problem 412 where somebody has changed it since."""
        headers = {"If-Match": read.etag}
        answer = self._send("PUT", f"/api/v1/listings/{read.body['id']}", headers=headers, json=dict(listing))
        return Tagged(answer.json(), answer.headers["etag"])

    def withdraw(self, listing_id: str) -> Listing:
        """Take a listing out. Sent once: a repetition would be told that it has gone already."""
        return cast(Listing, self._once("POST", f"/api/v1/listings/{listing_id}/withdraw").json())

    def listings(self, **narrowed: str) -> Iterator[Listing]:
        """All listings that you may read, page after page; narrowed by side, status, country, field, language …"""
        for item in self._items("/api/v1/listings", narrowed):
            yield cast(Listing, item)

    def matches(self, listing_id: str, limit: int = 10) -> list[Match]:
        """What answers a listing of yours, best first, as far as it is a good match."""
        found = self._send("GET", f"/api/v1/listings/{listing_id}/matches", params={"limit": limit}).json()
        return [cast(Match, one) for one in found["items"] if one["probability"] >= found["threshold"]]

    def search(self, text: str, side: str = "offer", limit: int = 10) -> list[Match]:
        """What answers a free text in any language, good matches and others, best first."""
        found = self._send("POST", "/api/v1/search", json={"text": text, "side": side, "limit": limit}).json()
        return [cast(Match, one) for one in found["items"]]

    def pairings(self, **narrowed: str) -> Iterator[JsonObject]:
        """The pairings of your organisation, page after page, the most probable first."""
        yield from self._items("/api/v1/pairings", narrowed)

    def pairing(self, pairing_id: str) -> Tagged:
        """One pairing and its tag."""
        answer = self._send("GET", f"/api/v1/pairings/{pairing_id}")
        return Tagged(answer.json(), answer.headers["etag"])

    def step(self, read: Tagged, action: str, **more: Any) -> Tagged:
        """Take a step of a pairing that was read, such as step(read, "interest", side="need", consent=True)."""
        headers, body = {"If-Match": read.etag}, {"action": action, **more}
        answer = self._once("POST", f"/api/v1/pairings/{read.body['id']}/steps", headers=headers, json=body)
        return Tagged(answer.json(), answer.headers["etag"])

    def changes(self, kept: Path, audience: str = "organisation") -> Iterator[Event]:
        """What has happened since the last time, up to now; the place is kept in a file.

        The place moves on when the next event is asked for: one whose handling fails comes again.
        """
        cursor = kept.read_text("utf-8").strip() if kept.exists() else ""
        while True:
            page = self._send("GET", "/api/v1/changes", params={"audience": audience, "after": cursor}).json()
            for event in page["items"]:
                yield cast(Event, event)
                cursor = event["sequence"]
                _keep(kept, cursor)
            if not page["more"]:
                return

    def export(self, **narrowed: str) -> Iterator[JsonObject]:
        """All public listings and which have gone, one after another; narrowed by `from`, `until`, `side` …"""
        answer = self._send("GET", "/api/v1/export", params=narrowed)
        while True:
            yield from (json.loads(line) for line in answer.iter_lines())
            if "next" not in answer.links:
                return
            answer = self._send("GET", answer.links["next"]["url"])

    def _items(self, path: str, query: dict[str, str]) -> Iterator[JsonObject]:
        cursor: str | None = ""
        while cursor is not None:
            page = self._send("GET", path, params=query | {"cursor": cursor}).json()
            yield from page["items"]
            cursor = page["next_cursor"]

    def _once(self, method: str, path: str, **more: Any) -> httpx.Response:
        return _checked(self._http.request(method, path, **more))

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send what may be repeated: it reads, or carries an Idempotency-Key or If-Match."""
        for attempt in range(1, ATTEMPTS):
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError:
                self._sleep(2.0 ** (attempt - 2))
                continue
            if answer.status_code not in REPEATED:
                return _checked(answer)
            self._sleep(_wait(answer, attempt))
        return self._once(method, path, **more)


def _wait(answer: httpx.Response, attempt: int) -> float:
    """Seconds until the next attempt."""
    named = answer.headers.get("retry-after", "")
    return min(float(named) if named.isdigit() else 2.0 ** (attempt - 2), LONGEST_WAIT)


def _checked(answer: httpx.Response) -> httpx.Response:
    """An answer that is none of an error. Raises Problem."""
    if answer.is_success:
        return answer
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        raise Problem(answer.status_code, "about:blank", answer.reason_phrase, ())
    body = answer.json()
    errors = tuple(FieldProblem(one["field"], one["fix"]) for one in body["errors"])
    raise Problem(answer.status_code, body["type"], body["detail"], errors)


def _keep(path: Path, text: str) -> None:
    """Replace a file at once, so that a crash leaves the former place or the new one."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, "utf-8")
    os.replace(beside, path)
