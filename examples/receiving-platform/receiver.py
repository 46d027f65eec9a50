"""A small platform that receives Dukou's events: webhooks wake it, the change feed is what it counts by.

python receiver.py serve  --feed http://127.0.0.1:8000 --audience organisation   (secret and key: from the environment)
python receiver.py report                                                        what has come, as JSON
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

LIMIT = 1_000_000  # bytes
TABLES = """
CREATE TABLE IF NOT EXISTS webhook (id TEXT PRIMARY KEY, type TEXT, arrivals INTEGER);
CREATE TABLE IF NOT EXISTS event (sequence INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, body TEXT);
CREATE TABLE IF NOT EXISTS reading (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT, doubled INTEGER);
INSERT OR IGNORE INTO reading VALUES (1, '', 0);
"""


def opened(path: str) -> sqlite3.Connection:
    """The platform's own database."""
    connection = sqlite3.connect(path, timeout=30)
    connection.executescript(TABLES)
    return connection


def keep_webhook(path: str, webhook_id: str, kind: str) -> None:
    """Note an arrival. A second one of the same id is counted and changes nothing else."""
    connection = opened(path)
    with connection:
        connection.execute(
            "INSERT INTO webhook VALUES (?, ?, 1) ON CONFLICT (id) DO UPDATE SET arrivals = arrivals + 1",
            (webhook_id, kind),
        )
    connection.close()


def read_feed(path: str, ask: Callable[[str], dict[str, Any]]) -> None:
    """Read on from the cursor. A page and the cursor behind it are kept together or not at all: nothing twice."""
    connection = opened(path)
    more = True
    while more:
        (cursor,) = connection.execute("SELECT cursor FROM reading").fetchone()
        page = ask(cursor)
        with connection:
            for event in page["items"]:
                row = (int(event["sequence"]), event["id"], event["type"], json.dumps(event))
                new = connection.execute("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?)", row).rowcount
                connection.execute("UPDATE reading SET doubled = doubled + ?", (1 - new,))
            connection.execute("UPDATE reading SET cursor = ?", (page["cursor"],))
        more = page["more"]
    connection.close()


def report(path: str) -> dict[str, Any]:
    """What has come: nothing missing and nothing twice where the last three are 0. Pings are in no feed."""
    connection = opened(path)

    def number(query: str) -> int:
        return int(connection.execute(query).fetchone()[0])

    found = {
        "events": number("SELECT count(*) FROM event"),
        "webhooks": number("SELECT count(*) FROM webhook"),
        "webhooks_that_came_again": number("SELECT coalesce(sum(arrivals - 1), 0) FROM webhook"),
        "doubled_in_feed": number("SELECT doubled FROM reading"),
        "only_in_feed": number("SELECT count(*) FROM event WHERE id NOT IN (SELECT id FROM webhook)"),
        "only_by_webhook": number(
            "SELECT count(*) FROM webhook WHERE type != 'dukou.test.ping' AND id NOT IN (SELECT id FROM event)"
        ),
    }
    connection.close()
    return found


class Hook(BaseHTTPRequestHandler):
    """Takes webhooks: verify, store, answer, and only then work."""

    path_of_database = ""
    webhook = Webhook("whsec_" + "A" * 44)  # replaced by the real one in `serve`
    wake = threading.Event()

    def do_POST(self) -> None:
        """204 for a webhook that is ours, also when it comes again; 401 for one that is not."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LIMIT))
        try:
            event = self.webhook.verify(body, dict(self.headers.items()))
        except WebhookVerificationError:
            self.send_response(401)
        else:
            keep_webhook(self.path_of_database, self.headers["webhook-id"], event["type"])
            self.send_response(204)
            self.wake.set()
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def serve(arguments: argparse.Namespace) -> None:
    """Receive until SIGTERM; read the feed whenever a webhook came, and from time to time in any case."""
    Hook.webhook = Webhook(os.environ["WEBHOOK_SECRET"])
    Hook.path_of_database = arguments.database
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: (stop.set(), Hook.wake.set()))
    headers = {"Authorization": f"Bearer {os.environ['DUKOU_KEY']}"}
    with httpx.Client(base_url=arguments.feed, headers=headers) as client:

        def ask(cursor: str) -> dict[str, Any]:
            wanted = {"audience": arguments.audience, "after": cursor}
            page: dict[str, Any] = client.get("/api/v1/changes", params=wanted).raise_for_status().json()
            return page

        while not stop.is_set():
            Hook.wake.wait(arguments.every)
            Hook.wake.clear()
            try:
                read_feed(arguments.database, ask)
            except httpx.HTTPError as error:
                print(f"the feed waits: {error}", flush=True)
    server.shutdown()
    print(json.dumps(report(arguments.database)), flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A small platform that receives Dukou's events")
    parser.add_argument("command", choices=["serve", "report"])
    parser.add_argument("--feed", default="http://127.0.0.1:8000", help="where Dukou is")
    parser.add_argument("--audience", default="organisation", choices=["organisation", "information", "trading"])
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--database", default="received.db")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two looks at the feed, at most")
    arguments = parser.parse_args()
    if arguments.command == "serve":
        serve(arguments)
    else:
        print(json.dumps(report(arguments.database)))


if __name__ == "__main__":
    main()
