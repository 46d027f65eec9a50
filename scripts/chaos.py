"""Kills the service at random moments while clients use it, and checks that nothing acknowledged was lost or doubled.

    python scripts/chaos.py --kills 200 --seed 1 --database sqlite

The service is the real one (`dukou serve`, with the hashing model), the kill is SIGKILL, the clients are threads that
keep ledgers of what was acknowledged. Exit status 1 where a promise was broken. `--report` writes the counts into
docs/reliability.md.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from chaos_check import behind, violations
from chaos_clients import Actor, Asker, Kept, Manager, Poster, Reader, Violation
from postgres import running
from sqlmodel import func, select

from app import accounts
from app.access import OPERATOR, PARTNER_SCOPES, PLATFORM_SCOPES, Role
from app.asking import COOKIE
from app.clock import utc_now
from app.db import Database
from app.tables import AuditRow, EventRow, ListingRow, ListingVersionRow, PairingRow

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "docs" / "reliability.md"
MANY = "10000000/minute"
EARLY = 0.15  # of the kills fall before the service answers
READY = 0.3  # of them once it searches and proposes too
ALIVE = "/health/live"
ANSWERS = 40  # that it gives before a kill, at most; time would not do: a busy machine would see no answer at all
TURNS = 3  # answers that each client gets before a kill, at most, from a service that was waited for until it was ready
LONGEST = 8.0  # seconds to wait for them
CATCH_UP = 300.0


@dataclass
class Service:
    """`dukou serve` as a process of its own, on one port through all its lives."""

    home: Path
    database_url: str
    secret: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    starts: list[float] = field(default_factory=list)  # seconds until it answered

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        settings = {"HOME": self.home, "DATABASE_URL": self.database_url, "SECRET": self.secret, "PORT": self.port}
        limits = {"PUBLIC_LIMIT": MANY, "KNOWN_LIMIT": MANY, "MODEL": "hashing"}
        env = os.environ | {f"DUKOU_{name}": str(value) for name, value in (settings | limits).items()}
        env["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def wait(self, path: str = ALIVE, patience: float = 60.0) -> None:
        """Until it answers. Raises Violation where it ends by itself or does not answer."""
        began = time.monotonic()
        while time.monotonic() < began + patience:
            assert self.process is not None
            if self.process.poll() is not None:
                raise Violation(f"the service ended by itself, with {self.process.returncode}; see {self.home}/log")
            try:
                if httpx.get(f"{self.base}{path}").status_code == 200:
                    if path == ALIVE:
                        self.starts.append(time.monotonic() - began)
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise Violation(f"{path} does not answer in {patience:.0f} s")

    def end(self, by: signal.Signals) -> int:
        """Send a signal and wait; the exit status."""
        assert self.process is not None
        self.process.send_signal(by)
        return self.process.wait(30)


@dataclass
class Cast:
    """All clients of a run."""

    stop: threading.Event
    posters: list[Poster]
    managers: list[Manager]
    readers: list[Reader]

    @property
    def all(self) -> list[Actor]:
        return [*self.posters, *self.managers, *self.readers]


def cast(database: Database, base: str, seed: int) -> Cast:
    """Three organisations with a program each, two managers of the centre, readers of the platforms' and own feeds."""
    stop, now, known = threading.Event(), utc_now(), Cast(threading.Event(), [], [], [])
    known.stop = stop

    def asker(headers: dict[str, str], cookies: dict[str, str] | None = None) -> Asker:
        return Asker(httpx.Client(base_url=base, headers=headers, cookies=cookies, timeout=30))

    def rng(name: str) -> random.Random:
        return random.Random(f"{seed} {name}")

    def listings() -> list[Kept]:
        return [one for poster in known.posters for one in list(poster.kept)]

    with database.writing() as session:
        node = accounts.add_node(session, "Chengdu", "CN", "sichuan", now)
        for name in ("maker", "miner", "grower"):
            owner = accounts.add_organisation(session, OPERATOR, node.id, now, name=name, trusted=True)
            _, key = accounts.make_key(session, OPERATOR, owner, name, sorted(PARTNER_SCOPES), now)
            bearer = {"Authorization": f"Bearer {key}"}
            known.posters.append(Poster(name, asker(bearer), rng(name), stop, organisation=owner.id))
            feed = f"audience=organisation&organisation={owner.id}"
            known.readers.append(Reader(f"reader of {name}", asker(bearer), rng(f"r{name}"), stop, feed=feed))
        _, key = accounts.make_key(session, OPERATOR, owner, "platforms", sorted(PLATFORM_SCOPES), now)
        for audience in ("information", "trading"):
            reader = asker({"Authorization": f"Bearer {key}"})
            known.readers.append(Reader(audience, reader, rng(audience), stop, feed=f"audience={audience}"))
        for name in ("lin", "aigul"):
            person, _ = accounts.invite(session, f"{name}@example.org", name, Role.MANAGER, None, [], now)
            signed = accounts.sign_in(session, person, now)
            own = asker({"X-CSRF-Token": signed.csrf}, {COOKIE: signed.token})
            known.managers.append(Manager(name, own, rng(name), stop, listings=listings))
    return known


def kill_over_and_over(service: Service, kills: int, until: float, rng: random.Random, people: Cast) -> tuple[int, int]:
    """Start and kill; how often before the service answered, and how often while it did."""
    early = late = 0
    while early + late < kills and not people.stop.is_set() and time.monotonic() < until:
        service.start()
        if rng.random() < EARLY:
            time.sleep(rng.uniform(0.0, 1.5))
            early += 1
        else:
            service.wait()
            if rng.random() < READY:
                service.wait("/health/ready", CATCH_UP)
                wait_for_answers(people, rng.randint(0, TURNS), min)
            else:
                wait_for_answers(people, rng.randint(0, ANSWERS), sum)
            time.sleep(rng.uniform(0.0, 0.05))
            late += 1
        service.end(signal.SIGKILL)
    return early, late


def wait_for_answers(people: Cast, number: int, over: Callable[[Iterable[int]], int]) -> None:
    """Until the clients have got so many more: all together (`sum`), or each of them (`min`).

    Readers are quick. Were they alone counted, a fast machine would never let a manager have a pairing.
    """
    asked, until = [one.asker.asked for one in people.all], time.monotonic() + LONGEST
    while time.monotonic() < until:
        if over(one.asker.asked - before for one, before in zip(people.all, asked, strict=True)) >= number:
            return
        time.sleep(0.005)


def finish(service: Service, database: Database, people: Cast, threads: list[threading.Thread]) -> None:
    """The last life: every client gets its answer, readers come to the end, proposals catch up. Raises Violation."""
    service.start()
    service.wait("/health/ready", CATCH_UP)
    people.stop.set()
    for thread in threads:
        thread.join(CATCH_UP)
    failures = [f"{one.name}: {one.failure!r}" for one in people.all if one.failure is not None]
    if failures:
        raise Violation("; ".join(failures))
    until = time.monotonic() + CATCH_UP
    while time.monotonic() < until:
        with database.reading() as session:
            if not any(behind(session)):
                break
        time.sleep(0.5)
    for reader in people.readers:
        while reader.read():
            pass
    if service.end(signal.SIGTERM) not in (0, -signal.SIGTERM):
        raise Violation("the service does not end in order")


def run(kills: int, seconds: float, seed: int, database_url: str, home: Path) -> tuple[dict[str, object], list[str]]:
    """A whole run: its counts, and the promises that were broken."""
    secret, rng, began = secrets.token_urlsafe(32), random.Random(seed), time.monotonic()
    database = Database(database_url)
    service = Service(home, database_url, secret, free_port())
    people = cast(database, service.base, seed)
    threads = [threading.Thread(target=one.run, name=one.name, daemon=True) for one in people.all]
    for thread in threads:
        thread.start()
    broken: list[str] = []
    early = late = 0
    try:
        early, late = kill_over_and_over(service, kills, began + seconds, rng, people)
        finish(service, database, people, threads)
    except Violation as error:
        broken.append(str(error))
    finally:
        people.stop.set()
        if service.process is not None and service.process.poll() is None:
            service.end(signal.SIGKILL)
    with database.reading() as session:
        broken += violations(session, people.posters, people.managers, people.readers, secret.encode())
    counts = {"kills before the service answered": early, "kills while it answered": late}
    counts |= counted(database, people) | {"seconds": round(time.monotonic() - began)}
    counts["median start, seconds"] = round(sorted(service.starts)[len(service.starts) // 2], 1)
    database.close()
    if "Traceback" in (home / "log").read_text("utf-8", "replace"):
        broken.append(f"the log tells of a defect: {home / 'log'}")
    return counts, broken


def counted(database: Database, people: Cast) -> dict[str, object]:
    """How much there was to lose."""
    tables = {"listings": ListingRow, "versions": ListingVersionRow, "pairings": PairingRow}
    tables |= {"events": EventRow, "audit lines": AuditRow}
    with database.reading() as session:
        stored = {name: session.exec(select(func.count()).select_from(table)).one() for name, table in tables.items()}
    return {
        "requests answered": sum(one.asker.asked for one in people.all),
        "answers lost, request sent again": sum(one.asker.lost for one in people.all),
        **stored,
        "steps by people": sum(len(one.steps) for one in people.managers),
        "steps refused, another was first": sum(len(one.refused) for one in people.managers),
        "first requests sent once more": sum(one.replays for one in people.posters),
        "events read by cursor": sum(len(one.seen) for one in people.readers),
    }


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def stored_in(kind: str, home: Path) -> Iterator[str]:
    """The address of a fresh database of that kind."""
    if kind == "sqlite":
        yield f"sqlite:///{home / 'dukou.db'}"
        return
    with running() as server:
        yield server.make()


def write_report(kind: str, seed: int, counts: dict[str, object], broken: list[str]) -> None:
    """Put a run's table into the page, in place of the last one of that database."""
    lines = [f"| {name} | {value:,} |" for name, value in counts.items()]
    head = f"Seed {seed}; promises broken: {len(broken)}.\n\n| | |\n|---|---:|\n"
    body = f"<!-- {kind} -->\n{head}" + "\n".join(lines) + f"\n<!-- end of {kind} -->"
    page = REPORT.read_text("utf-8")
    REPORT.write_text(re.sub(rf"<!-- {kind} -->.*<!-- end of {kind} -->", body, page, flags=re.DOTALL), "utf-8")


def main() -> int:
    """Run, print the counts and what was broken; 1 where something was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no more kills after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--report", action="store_true", help="write the counts into docs/reliability.md")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="dukou-chaos-"))
    with stored_in(given.database, home) as url:
        counts, broken = run(given.kills, given.seconds, given.seed, url, home)
    for name, value in counts.items():
        print(f"{name}: {value}")
    for one in broken:
        print(f"BROKEN: {one}", file=sys.stderr)
    if given.report:
        write_report(given.database, given.seed, counts, broken)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
