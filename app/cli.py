"""The command line: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app import accounts, backup, fusions, logs
from app.access import OPERATOR, Role
from app.audit import Audit
from app.clock import utc_now
from app.db import Database
from app.errors import AppError, StorageFull, Unusable
from app.evaluate import Measures, evaluate_files
from app.files import LineProblem, ListingFile, read_listing_file
from app.importing import import_file as bring_in
from app.learning import learn as learn_from_decisions
from app.lesson_table import lesson_table
from app.night_table import night_table, told
from app.publishing import Publisher
from app.results import Found
from app.search import Live, read_models
from app.settings import Settings
from app.snapshot import Sight
from matching import Matching, MatchingError, MatchOptions, Side, match
from matching.files import write_atomically

main = typer.Typer(no_args_is_help=True, add_completion=False, help=(__doc__ or "").split(":")[0] + " of Dukou.")
err = Console(stderr=True, soft_wrap=True, highlight=False)

ModelOption = Annotated[str | None, typer.Option("--model", help="bundled, hashing, a folder or a model's name")]
SideOption = Annotated[Side, typer.Option(help="what is looked for")]


@contextmanager
def reported() -> Iterator[None]:
    """One red line and exit status 2 for every foreseen error."""
    try:
        yield
    except (AppError, MatchingError, ValidationError) as error:
        err.print(f"[red]{escape(_in_a_line(error))}[/red]")
        raise typer.Exit(2) from error


def _in_a_line(error: Exception) -> str:
    """The error's own words; of settings that cannot be read, which variable and why."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"DUKOU_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors() if one["loc"])


@main.command("match")
def match_file(
    listings: Annotated[Path, typer.Argument(metavar="LISTINGS.jsonl")],
    output: Annotated[Path | None, typer.Option(help="pairings; without it they go to stdout")] = None,
    dropped: Annotated[Path | None, typer.Option(help="pairs left out, each with its reason")] = None,
    top: Annotated[int, typer.Option(min=1, help="how deep each listing's list goes")] = 50,
    min_probability: Annotated[float | None, typer.Option(min=0.0, max=1.0)] = None,
    rank_all: Annotated[bool, typer.Option("--rank-all", help="no threshold, every direction")] = False,
    model: ModelOption = None,
) -> None:
    """Pair the offers and needs of a file. Exit status: 0 all good, 1 some lines bad, 2 nothing usable."""
    with reported():
        file = read_listing_file(listings)
        _report(listings, [*file.problems, *file.warnings])
        _need_both_sides(listings, file)
        models = read_models(_settings(model))
        matching = match(file.listings, models, MatchOptions(top, min_probability, rank_all), progress=True)
        if dropped is not None:
            _write(dropped, _lines([asdict(one) for one in matching.dropped]))
        body = _lines([pairing.to_record() for pairing in matching.pairings])
        if output is not None:
            _write(output, body)
        else:
            typer.echo(body, nl=False)
        _summary(file, matching)
    raise typer.Exit(1 if file.problems else 0)


@main.command()
def evaluate(
    needs: Annotated[Path, typer.Option(help="JSONL of needs")],
    offers: Annotated[Path, typer.Option(help="JSONL of offers")],
    qrels: Annotated[Path, typer.Option(help="TSV: query-id, corpus-id, score")],
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
    model: ModelOption = None,
) -> None:
    """Measure the ranking of offers for needs against judgments, beside plain cosine."""
    with reported():
        found = evaluate_files(needs, offers, qrels, read_models(_settings(model)))
    _report(needs, found.need_problems)
    _report(offers, found.offer_problems)
    if as_json:
        typer.echo(json.dumps({name: asdict(values) for name, values in found.rankings.items()}, indent=1))
    else:
        Console().print(_measures_table(found.rankings))
    raise typer.Exit(1 if found.need_problems or found.offer_problems else 0)


@main.command()
def search(text: str, side: SideOption = Side.OFFER, limit: Annotated[int, typer.Option(min=1, max=50)] = 10) -> None:
    """Search the database by a free text in any language."""
    with reported(), _live() as live:
        live.load()
        results = live.search(text, side, limit, sight=Sight(OPERATOR))
    table = Table("", "probability", "title", "organisation", "country", "language")
    for place, found in enumerate(results.items, 1):
        table.add_row(*_row(place, found))
    Console().print(table)
    if not any(found.pairing.probability >= results.threshold for found in results.items):
        err.print("No good match: figures, the stage, names of materials and processes make a text easier to find.")


@main.command("import")
def import_file(file: Path) -> None:
    """Bring a JSONL, CSV or XLSX file in. Exit status: 0 all good, 1 some lines bad, 2 nothing usable."""
    with reported(), _live() as live:
        done = bring_in(live.database, file)
        _report(file, [*done.problems, *done.warnings])
        err.print(f"{done.new} new, {done.changed} changed, {done.unchanged} unchanged, {len(done.problems)} left out")
        if done.new or done.changed:
            live.load()
    if not done.new + done.changed + done.unchanged:
        raise typer.Exit(2)
    raise typer.Exit(1 if done.problems else 0)


@main.command()
def night() -> None:
    """Match everything overnight: embed, match, assign, publish, record. Exit status: 0 done, 2 failed or running."""
    from app.night import run_night
    from app.tracing import Tracing

    logs.configure()
    with reported(), _database() as database, told() as tell:
        tracing = Tracing(Settings().otlp_endpoint)
        tracing.watch_database(database)
        try:
            run, report = run_night(Settings(), database, tell=tell)
        finally:
            tracing.stop()
    Console().print(night_table(run, report))


@main.command("roll-back")
def roll_back() -> None:
    """Go back to the published index before the one in use; running services switch by themselves."""
    with reported():
        name = Publisher(Settings().home).roll_back()
    err.print(f"{name} is in use")


@main.command()
def invite(
    email: str,
    name: str,
    role: Annotated[Role, typer.Option(help="partner, manager or administrator")] = Role.ADMINISTRATOR,
    organisation: Annotated[str | None, typer.Option(help="a partner's organisation, its id")] = None,
    node: Annotated[list[str] | None, typer.Option(help="a manager's node, its id; for none: the centre")] = None,
) -> None:
    """Add a person, such as the first administrator. The invitation on stdout sets the password at /invitation."""
    with reported(), _database() as database, database.writing() as session:
        now, audit = utc_now(), Audit(Settings().secret_bytes)
        person, token = accounts.invite(session, email, name, role, organisation, node or [], now)
        audit.record(session, OPERATOR, "person.invite", person.id, now, role=role)
    typer.echo(token)


@main.command("verify-audit")
def verify_audit() -> None:
    """Check the chain of the audit log. Exit status: 0 whole, 1 broken, 2 not readable."""
    with reported(), _database() as database, database.reading() as session:
        verdict = Audit(Settings().secret_bytes).verify(session)
    if verdict.broken is not None:
        err.print(f"[red]line {verdict.broken} does not hold; {verdict.lines} lines before it do[/red]")
        raise typer.Exit(1)
    err.print(f"{verdict.lines} lines hold; the last digest is {verdict.last}")


@main.command("backup")
def back_up(folder: Path) -> None:
    """Copy the database and what was learned into a new folder; the service may run meanwhile."""
    with reported():
        made = backup.back_up(Settings(), folder, utc_now())
    err.print(f"{folder}: {len(made.parts)} files")
    if made.database != "sqlite":
        err.print("without the database, which is PostgreSQL's: dump it now with pg_dump (docs/operations.md)")


@main.command()
def restore(folder: Path) -> None:
    """Bring a backup into an empty DUKOU_HOME, after a check of all its files."""
    with reported():
        made = backup.restore(Settings(), folder)
    err.print(f"{len(made.parts)} files of {made.made_at:%Y-%m-%d %H:%M:%S} UTC restored; now try: dukou verify-audit")


@main.command()
def prepare(model: ModelOption = None) -> None:
    """Build the model under the home folder and load it once, so that later starts are quick."""
    with reported():
        settings = _settings(model)
        models = read_models(settings)
    err.print(f"{models.encoder.name}: ready, {models.encoder.dimension} dimensions; kept in {settings.cache}")


@main.command()
def refit() -> None:
    """Fit the language space anew to all listings of the database."""
    with reported(), _live() as live:
        live.load()
        space = live.refit()
    err.print(
        "there are no listings" if space is None else f"language space {space.version}: {len(space.means)} languages"
    )


@main.command()
def learn(
    accept: Annotated[bool, typer.Option("--accept", help="use it from the next start on, if it is better")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="go back to the shipped scorer")] = False,
) -> None:
    """Learn the scorer's weights from people's decisions. Exit status: 0 better, 1 not better, 2 not possible."""
    with reported(), _live() as live:
        audit = Audit(Settings().secret_bytes)
        if forget:
            was_there = fusions.forget(live.home)
            if was_there:
                _noted(live.database, audit, "scorer.forget", "shipped")
            err.print("the shipped scorer is used" if was_there else "nothing learned was in use")
            return
        live.load()
        lesson = learn_from_decisions(live, utc_now())
        Console().print(lesson_table(lesson))
        if accept and lesson.is_better:
            name = fusions.keep(lesson.fusion, live.home)
            _noted(live.database, audit, "scorer.learn", name)
            err.print(f"{name} is used from the next start on")
    if not lesson.is_better:
        err.print("not better on the decisions held back: it is not used")
        raise typer.Exit(1)


@main.command()
def serve(
    host: Annotated[str | None, typer.Option(help="instead of DUKOU_HOST")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="instead of DUKOU_PORT")] = None,
    worker: Annotated[bool, typer.Option(help="deliver webhooks and keep house in this process too")] = True,
) -> None:
    """Serve the page and the API."""
    import uvicorn

    from app.main import create_app

    with reported():
        settings = Settings()
        Database(settings.url).close()
        application = create_app(settings, with_worker=worker)
    logs.configure()
    uvicorn.run(
        application,
        host=host or settings.host,
        port=port or settings.port,
        log_config=None,
        access_log=False,  # it would write down queries; app.logs says what there is to say
    )


@main.command()
def worker() -> None:
    """Deliver webhooks and keep house, until SIGTERM or SIGINT. Any number of workers may run at once."""
    from app.tracing import Tracing
    from app.worker import Worker

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logs.configure()
    with reported(), _database() as database:
        running, tracing = Worker(Settings(), database), Tracing(Settings().otlp_endpoint)
        tracing.watch_database(database)
        running.start()
        err.print("working")
        stop.wait()
        running.stop()
        tracing.stop()


def _noted(database: Database, audit: Audit, action: str, subject: str) -> None:
    with database.writing() as session:
        audit.record(session, OPERATOR, action, subject, utc_now())


@contextmanager
def _database() -> Iterator[Database]:
    database = Database(Settings().url)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _live() -> Iterator[Live]:
    with _database() as database:
        yield Live(Settings(), database)


def _settings(model: str | None) -> Settings:
    return Settings() if model is None else Settings(model=model)


def _report(path: Path, problems: Sequence[LineProblem]) -> None:
    for one in problems:
        err.print(escape(f"{path}:{one}"))


def _need_both_sides(path: Path, file: ListingFile) -> None:
    present = {listing.side for listing in file.listings}
    for side in Side:
        if side not in present:
            raise Unusable(f"{path} holds no {side} that can be read: there is nothing to pair")


def _lines(records: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def _write(path: Path, body: bytes) -> None:
    try:
        write_atomically(path, body)
    except OSError as error:
        raise StorageFull(f"cannot write {path}: {error.strerror}") from error


def _summary(file: ListingFile, matching: Matching) -> None:
    sides = Counter(listing.side for listing in file.listings)
    table = Table("", "number", show_header=False)
    table.add_row("listings", f"{len(file.listings)} ({sides[Side.OFFER]} offers, {sides[Side.NEED]} needs)")
    table.add_row("lines left out", str(len(file.problems)))
    table.add_row("pairings", str(len(matching.pairings)))
    for reason, count in Counter(one.reason.split(":")[0] for one in matching.dropped).most_common():
        table.add_row(f"dropped: {escape(reason)}", str(count))
    if matching.unasked:
        table.add_row("pairs in a direction not asked for", str(matching.unasked))
    table.add_row("listings without a good match", str(len(matching.unmatched)))
    err.print(table)


def _row(place: int, found: Found) -> tuple[str, ...]:
    listing = found.listing
    percent = f"{found.pairing.probability:.0%}"
    organisation = escape(listing.organisation or "?")
    return str(place), percent, escape(listing.title), organisation, listing.country or "?", found.language


def _measures_table(rankings: dict[str, Measures]) -> Table:
    table = Table("", *rankings)
    for name in Measures.__dataclass_fields__:
        table.add_row(name.replace("_", " "), *(f"{getattr(values, name):.3f}" for values in rankings.values()))
    return table
