import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook

from app import deliveries, events, housekeeping, subscriptions
from app.access import OPERATOR
from app.accounts import add_node, add_organisation
from app.clock import utc_now
from app.db import Database
from app.deliveries import Claim, Plan
from app.destinations import Allowed, read_allowed
from app.errors import Unusable
from app.events import Audience
from app.queries import deliveries as queries
from app.sending import Outcome, Sender, retry_after
from app.settings import Settings
from app.signing import Signing
from app.tables import DeliveryRow, OrganisationRow, SubscriptionRow
from app.worker import Worker
from tests.app.conftest import SECRET

OWN = read_allowed("127.0.0.0/8")
QUICK = Plan(retries=(timedelta(milliseconds=100),) * 7, claim=timedelta(seconds=5))
NOW = datetime(2026, 1, 2, 3, 4, 5)
Answer = Callable[[BaseHTTPRequestHandler, int], None]


@dataclass
class Receiver:
    """A real server on loopback; `answer` is called with each request and how many of that id came before."""

    answer: Answer
    arrivals: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> Counter[str]:
        return Counter(one[0] for one in self.arrivals)


def status(number: int, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler, _before: int) -> None:
        request.send_response(number)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return answer


@contextmanager
def listening(answer: Answer, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver(answer, scheme="http" if tls is None else "https")

    class Request(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            name = self.headers.get("webhook-id", "")
            before = receiver.ids[name]
            receiver.arrivals.append((name, body, {key.lower(): value for key, value in self.headers.items()}))
            receiver.answer(self, before)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Request)
    server.daemon_threads, server.block_on_close = True, False
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Outbox:
    """A database with one organisation and one subscription to a receiver."""

    settings: Settings
    database: Database
    subscription: str = ""

    def subscribe(self, url: str) -> None:
        with self.database.writing() as session:
            node = add_node(session, "Chongqing", None, None, utc_now())
            owner = add_organisation(session, OPERATOR, node.id, utc_now(), name="sample organisation")
            row = subscriptions.create(session, OPERATOR, owner, Audience.ORGANISATION, url, [], utc_now())
            self.subscription = row.id

    def happen(self, count: int = 1) -> list[str]:
        """Let something happen; the ids of the events."""
        with self.database.writing() as session:
            row = session.get(SubscriptionRow, self.subscription)
            assert row is not None
            audience, owner_id = Audience.ORGANISATION, row.organisation_id
            return [
                events.emit(session, audience, "listing.published", "x", {"number": number}, utc_now(), owner_id)
                for number in range(count)
            ]

    def row(self, event_id: str) -> DeliveryRow:
        with self.database.reading() as session:
            found = session.get(DeliveryRow, (self.subscription, event_id))
        assert found is not None
        return found

    def wait(self, ids: list[str], wanted: str, patience: float = 20) -> list[DeliveryRow]:
        """The deliveries, once all of them have this status."""
        until = time.monotonic() + patience
        while True:
            rows = [self.row(one) for one in ids]
            if all(row.status == wanted for row in rows):
                return rows
            assert time.monotonic() < until, [(row.status, row.attempts, row.last_error) for row in rows]
            time.sleep(0.05)


@pytest.fixture
def outbox(settings: Settings) -> Iterator[Outbox]:
    database = Database(settings.url)
    yield Outbox(settings, database)
    database.close()


@contextmanager
def working(outbox: Outbox, sender: Sender | None = None, plan: Plan = QUICK) -> Iterator[None]:
    worker = Worker(outbox.settings, outbox.database, plan, sender or Sender(OWN, total=2), every=0.1)
    worker.start()
    try:
        yield
    finally:
        worker.stop()


# --- one request and what comes of it


def post(url: str, sender: Sender | None = None) -> Outcome:
    return (sender or Sender(OWN, connect=1, total=1)).send(url, b"{}", {"webhook-id": "1"}, NOW)


@pytest.mark.parametrize("number", [200, 201, 204, 299])
def test_any_2xx_is_a_delivery(number: int) -> None:
    with listening(status(number)) as receiver:
        assert post(receiver.url) == Outcome(number, None)
    assert receiver.arrivals[0][2]["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("number", [400, 404, 500])
def test_any_other_status_is_none(number: int) -> None:
    with listening(status(number)) as receiver:
        assert post(receiver.url) == Outcome(number, f"answered {number}")


def test_a_redirect_is_not_followed_wherever_it_leads() -> None:
    with listening(status(200)) as private, listening(status(302, Location=private.url)) as receiver:
        outcome = post(receiver.url)
        assert outcome.status == 302
        assert "redirects are not followed" in str(outcome.error)
    assert private.arrivals == []


def test_a_receiver_that_is_not_there_is_told_from_one_that_is_slow() -> None:
    with listening(status(200)) as receiver:
        pass
    assert "no answer within" not in str(post(receiver.url).error)
    with listening(lambda *_: time.sleep(3)) as receiver:
        started = time.monotonic()
        assert post(receiver.url) == Outcome(None, "no answer within 1 s")
    assert time.monotonic() - started < 2


def test_a_receiver_that_drips_its_answer_holds_nobody_longer() -> None:
    def drip(request: BaseHTTPRequestHandler, _before: int) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 30:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            time.sleep(0.1)

    with listening(drip) as receiver:
        started = time.monotonic()
        assert post(receiver.url) == Outcome(None, "no answer within 1 s")
    assert time.monotonic() - started < 2


def test_a_huge_answer_is_not_read() -> None:
    written = []

    def flood(request: BaseHTTPRequestHandler, _before: int) -> None:
        status(200)(request, 0)
        for _ in range(1_000):
            request.wfile.write(b"a" * 1_000_000)
            written.append(1)

    with listening(flood) as receiver:
        assert post(receiver.url) == Outcome(200, None)
        time.sleep(0.2)
    assert len(written) < 100


def test_what_does_not_speak_http_is_a_failure() -> None:
    def babble(request: BaseHTTPRequestHandler, _before: int) -> None:
        request.wfile.write(b"\x00\xff nonsense\r\n\r\n")

    with listening(babble) as receiver:
        outcome = post(receiver.url)
    assert outcome.status is None
    assert not outcome.delivered


def test_a_refused_address_is_not_connected_to() -> None:
    with listening(status(200)) as receiver:
        outcome = post(receiver.url, Sender(Allowed()))
    assert "the address is refused" in str(outcome.error)
    assert receiver.arrivals == []


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own signing for a name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(utc_now() - timedelta(days=1)).not_valid_after(utc_now() + timedelta(days=1))
    signed = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    body = signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    path.write_bytes(private + body)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path


def test_the_certificate_must_be_trusted_and_be_of_the_name_though_the_address_is_pinned(tmp_path: Path) -> None:
    context, path = certificate(tmp_path, "localhost")
    trusting = ssl.create_default_context(cafile=path)
    own = Sender(read_allowed("localhost:1, 127.0.0.0/8, ::1/128"), trusting, total=2)
    with listening(status(204), context) as receiver:
        named = f"https://localhost:{receiver.port}/"
        assert post(named, own) == Outcome(204, None)
        assert receiver.arrivals[0][2]["host"] == f"localhost:{receiver.port}"
        for url, sender in ((named, Sender(OWN, total=2)), (receiver.url, own)):
            outcome = post(url, sender)
            assert outcome.status is None
            assert "certificate" in str(outcome.error).lower()
    assert len(receiver.arrivals) == 1


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after("120", NOW) == 120
    assert retry_after("Fri, 02 Jan 2026 03:05:05 GMT", NOW) == 60
    assert retry_after("Fri, 02 Jan 2026 03:00:00 GMT", NOW) == 0
    for text in ("", "soon", "-5", "1" * 30, "²", "Fri, 31 Dec 9999 23:00:00 -2300"):
        assert retry_after(text, NOW) is None


# --- what is written down


def recorded(outbox: Outbox, event_id: str, outcome: Outcome, chance: float = 1.0, plan: Plan | None = None) -> None:
    row = outbox.row(event_id)
    claim = Claim(row.subscription_id, event_id, row.replay, row.attempts)
    with outbox.database.writing() as session:
        deliveries.record(session, claim, outcome, plan or Plan(), chance, NOW)


def test_waits_grow_are_drawn_and_end_after_about_a_day_and_eight_attempts(outbox: Outbox) -> None:
    outbox.subscribe("https://198.18.0.1/")
    (event_id,) = outbox.happen()
    waits = []
    while outbox.row(event_id).status == "pending":
        recorded(outbox, event_id, Outcome(500, "answered 500"), chance=0.5)
        waits.append(outbox.row(event_id).due_at - NOW)
    assert outbox.row(event_id).attempts == 8
    assert waits[:-1] == sorted(waits[:-1])
    assert timedelta(hours=18) < sum(waits[:-1], timedelta()) < timedelta(hours=30)
    assert outbox.row(event_id).status == "dead"


def test_a_longer_retry_after_is_honoured_up_to_a_day(outbox: Outbox) -> None:
    outbox.subscribe("https://198.18.0.1/")
    (event_id,) = outbox.happen()
    for asked, waited in ((3_600, timedelta(hours=1)), (10**9, timedelta(days=1))):
        recorded(outbox, event_id, Outcome(503, "answered 503", asked), chance=0.0)
        assert outbox.row(event_id).due_at == NOW + waited


def test_what_a_worker_thought_dead_brings_late_changes_nothing(outbox: Outbox) -> None:
    outbox.subscribe("https://198.18.0.1/")
    (event_id,) = outbox.happen()
    late = Claim(outbox.subscription, event_id, 0, 0)
    recorded(outbox, event_id, Outcome(204, None))
    with outbox.database.writing() as session:
        deliveries.record(session, late, Outcome(500, "answered 500"), Plan(), 0.5, NOW)
    assert outbox.row(event_id).status == "delivered"


def test_a_claim_is_one_workers_until_it_runs_out_and_a_subscription_has_a_limited_number(outbox: Outbox) -> None:
    outbox.subscribe("https://198.18.0.1/")
    ids = outbox.happen(20)
    now = utc_now()

    def claim(at: datetime) -> list[Claim]:
        with outbox.database.writing() as session:
            return deliveries.claim_due(session, Plan(), at)

    first = claim(now)
    assert [one.event_id for one in first] == ids[: deliveries.AT_ONCE]
    assert claim(now) == []
    again = claim(now + deliveries.CLAIM)
    assert [one.event_id for one in again] == ids[: deliveries.AT_ONCE]
    assert all(one.again for one in again)


def test_housekeeping_forgets_what_was_delivered_a_month_ago_and_nothing_else(outbox: Outbox) -> None:
    outbox.subscribe("https://198.18.0.1/")
    old, dead, fresh = outbox.happen(3)
    recorded(outbox, old, Outcome(204, None))
    recorded(outbox, dead, Outcome(500, "answered 500"), plan=Plan(retries=()))
    housekeeping.tidy(outbox.database, NOW + timedelta(days=31))
    with outbox.database.reading() as session:
        assert queries.delivery(session, outbox.subscription, old) is None
    assert (outbox.row(dead).status, outbox.row(fresh).status) == ("dead", "pending")


# --- workers


def test_a_receiver_that_was_down_gets_everything_once_it_is_up(outbox: Outbox) -> None:
    with listening(status(204)) as down:
        pass
    outbox.subscribe(down.url)
    ids = outbox.happen(3)
    with working(outbox):
        until = time.monotonic() + 10
        while not all(outbox.row(one).attempts for one in ids):
            assert time.monotonic() < until
            time.sleep(0.05)
        with listening(status(204), port=down.port) as receiver:
            rows = outbox.wait(ids, "delivered")
    assert receiver.ids == Counter(ids)
    assert all(row.attempts > 1 and row.last_error is None for row in rows)
    name, body, headers = receiver.arrivals[0]
    secret = Signing(outbox.settings.secret_bytes).secret(outbox.subscription, 1)
    assert Webhook(secret).verify(body, headers)["id"] == name


def test_failures_are_tried_again_under_the_same_id_and_then_given_up(outbox: Outbox) -> None:
    def twice(request: BaseHTTPRequestHandler, before: int) -> None:
        status(500 if before < 2 else 204)(request, before)

    with listening(twice) as receiver:
        outbox.subscribe(receiver.url)
        with working(outbox, plan=Plan((timedelta(milliseconds=50),) * 2, QUICK.claim)):
            (event_id,) = outbox.happen()
            (row,) = outbox.wait([event_id], "delivered")
            assert (row.attempts, receiver.ids[event_id]) == (3, 3)
            receiver.answer = status(500)
            (lost,) = outbox.happen()
            (row,) = outbox.wait([lost], "dead")
    assert (row.attempts, row.last_status, row.last_error) == (3, 500, "answered 500")


def test_a_receiver_that_is_gone_gets_nothing_more(outbox: Outbox) -> None:
    with listening(status(410)) as receiver:
        outbox.subscribe(receiver.url)
        with working(outbox):
            outbox.wait(outbox.happen(), "dead")
            with outbox.database.reading() as session:
                row = session.get(SubscriptionRow, outbox.subscription)
            assert row is not None
            assert not row.active
            time.sleep(0.5)
    assert len(receiver.arrivals) == 1


def test_a_receiver_that_hangs_does_not_hold_up_another(outbox: Outbox) -> None:
    with listening(lambda *_: time.sleep(5)) as hanging, listening(status(204)) as receiver:
        outbox.subscribe(hanging.url)
        with outbox.database.writing() as session:
            owner = session.get(OrganisationRow, _owner(outbox))
            assert owner is not None
            quick = subscriptions.create(session, OPERATOR, owner, Audience.ORGANISATION, receiver.url, [], utc_now())
        ids = outbox.happen(20)
        with working(outbox, Sender(OWN, total=2)):
            outbox.subscription = quick.id
            outbox.wait(ids, "delivered", patience=15)
    assert receiver.ids == Counter(ids)


def _owner(outbox: Outbox) -> str:
    with outbox.database.reading() as session:
        row = session.get(SubscriptionRow, outbox.subscription)
    assert row is not None
    return row.organisation_id


def test_a_process_has_one_worker(outbox: Outbox) -> None:
    with working(outbox), pytest.raises(Unusable, match="already"):
        Worker(outbox.settings, outbox.database).start()


def start_processes(outbox: Outbox, claim: float, count: int = 1) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.app.worker_process", str(outbox.settings.home), str(claim), SECRET]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
    return processes


def end(process: subprocess.Popen[str], number: int) -> int:
    process.send_signal(number)
    code = process.wait(30)
    assert process.stdout is not None
    process.stdout.close()
    return code


def test_a_worker_killed_in_the_middle_loses_nothing_when_another_lives(outbox: Outbox) -> None:
    gate = threading.Event()

    def hold(request: BaseHTTPRequestHandler, before: int) -> None:
        gate.wait(20)
        status(204)(request, before)

    with listening(hold) as receiver:
        outbox.subscribe(receiver.url)
        ids = outbox.happen(20)
        killed, living = start_processes(outbox, 3, 2)
        try:
            until = time.monotonic() + 15
            while len(receiver.arrivals) < 8:  # both may be in the middle of sending
                assert time.monotonic() < until
                time.sleep(0.05)
            assert end(killed, signal.SIGKILL) == -signal.SIGKILL
            gate.set()
            outbox.wait(ids, "delivered", patience=30)
        finally:
            gate.set()
            if killed.poll() is None:
                end(killed, signal.SIGKILL)
            assert end(living, signal.SIGTERM) == 0
    assert set(receiver.ids) == set(ids)


def test_a_worker_killed_again_and_again_loses_nothing_once_it_runs(outbox: Outbox) -> None:
    with listening(status(204)) as receiver:
        outbox.subscribe(receiver.url)
        ids = outbox.happen(20)
        for share in (0.1, 0.5):
            (process,) = start_processes(outbox, 1)
            until = time.monotonic() + 15
            while len(receiver.ids) < share * len(ids):
                assert time.monotonic() < until
                time.sleep(0.01)
            end(process, signal.SIGKILL)
        assert len(receiver.ids) < len(ids)
        (process,) = start_processes(outbox, 1)
        try:
            outbox.wait(ids, "delivered", patience=30)
        finally:
            assert end(process, signal.SIGTERM) == 0
    assert set(receiver.ids) == set(ids)


def test_two_workers_share_the_work_without_sending_anything_twice(outbox: Outbox) -> None:
    with listening(status(204)) as receiver:
        outbox.subscribe(receiver.url)
        first, second = start_processes(outbox, 20, 2)
        try:
            ids = outbox.happen(20)
            outbox.wait(ids, "delivered", patience=30)
        finally:
            assert [end(one, signal.SIGTERM) for one in (first, second)] == [0, 0]
    assert receiver.ids == Counter(ids)


def test_what_was_claimed_and_never_started_and_a_lost_workflow_table_do_not_matter(outbox: Outbox) -> None:
    with listening(status(204)) as receiver:
        outbox.subscribe(receiver.url)
        ids = outbox.happen(3)
        with outbox.database.writing() as session:
            assert len(deliveries.claim_due(session, Plan(claim=timedelta(seconds=1)), utc_now())) == 3
        with working(outbox):
            outbox.wait(ids, "delivered")
    assert receiver.ids == Counter(ids)


def test_an_attempt_whose_answer_came_but_was_not_written_down_is_not_sent_again(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker dies between the two steps: simulated by a first record step that never comes to an end in time."""
    dead = threading.Event()
    record, calls = Worker._record, []

    def stuck(self: Worker, claim: Claim, sent: dict[str, Any]) -> None:
        calls.append(claim)
        if len(calls) == 1:
            dead.wait(20)
        record(self, claim, sent)

    monkeypatch.setattr(Worker, "_record", stuck)
    with listening(status(204)) as receiver:
        outbox.subscribe(receiver.url)
        ids = outbox.happen(1)
        with working(outbox, plan=Plan(QUICK.retries, timedelta(seconds=4))):
            try:
                outbox.wait(ids, "delivered")
            finally:
                dead.set()
    assert len(calls) == 2
    assert receiver.ids == Counter(ids)


def test_the_command_delivers_until_it_is_told_to_end(outbox: Outbox) -> None:
    with listening(status(204)) as receiver:
        outbox.subscribe(receiver.url)
        ids = outbox.happen(2)
        surroundings = {
            **os.environ,
            "DUKOU_HOME": str(outbox.settings.home),
            "DUKOU_SECRET": SECRET,
            "DUKOU_WEBHOOK_ALLOW": f"127.0.0.1:{receiver.port}",
        }
        command = [sys.executable, "-c", "from app.cli import main; main()", "worker"]
        process = subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True)
        try:
            outbox.wait(ids, "delivered")
        finally:
            assert end(process, signal.SIGTERM) == 0
    assert receiver.ids == Counter(ids)


def test_a_defect_while_sending_counts_as_a_failed_attempt(outbox: Outbox) -> None:
    class Broken(Sender):
        def send(self, *_: Any) -> Outcome:
            raise RuntimeError("a defect")

    outbox.subscribe("https://198.18.0.1/")
    with working(outbox, Broken(OWN), Plan(retries=())):
        (row,) = outbox.wait(outbox.happen(), "dead")
    assert row.last_error == "a defect of the service; its log says which"


def test_what_dbos_keeps_of_old_workflows_is_dropped(outbox: Outbox) -> None:
    def workflows() -> int:
        connection = sqlite3.connect(outbox.settings.home / "workflows.db")
        (count,) = connection.execute("SELECT count(*) FROM workflow_status").fetchone()
        connection.close()
        return int(count)

    with listening(status(204)) as receiver:
        outbox.subscribe(receiver.url)
        with working(outbox):
            outbox.wait(outbox.happen(2), "delivered")
        assert workflows() == 2
        later = Worker(outbox.settings, outbox.database, QUICK, every=0.1, clock=lambda: utc_now() + timedelta(days=2))
        later.start()
        until = time.monotonic() + 10
        while workflows():
            assert time.monotonic() < until
            time.sleep(0.05)
        later.stop()
