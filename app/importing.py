"""Files of listings brought in by the operator, whose owners the file itself names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from app import accounts, listings
from app.access import OPERATOR
from app.clock import Clock, utc_now
from app.db import Database
from app.files import LineProblem, ListingFile, read_listing_file
from app.queries import accounts as queries
from app.queries import listings as listing_queries
from app.record import Record
from app.tables import ListingRow, NodeRow, OrganisationRow
from matching import Listing

NODE = "Centre"  # where organisations belong that are not given to a node
UNNAMED = "Unnamed"  # who owns listings that name no organisation


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import went: listings new, changed and as they were, lines left out, warnings."""

    new: int
    changed: int
    unchanged: int
    problems: tuple[LineProblem, ...]
    warnings: tuple[LineProblem, ...]


def import_file(database: Database, path: Path, node: str = NODE, clock: Clock = utc_now) -> Imported:
    """Bring in a JSONL, CSV or XLSX file in one transaction, published at once; bad lines are left out and reported.

    A listing belongs to the organisation that it names, which is made in `node` where it is not there. Raises Unusable.
    """
    file = read_listing_file(path)
    counts = Counter[str]()
    with database.writing() as session:
        place = queries.node_named(session, node) or accounts.add_node(session, node, None, None, clock())
        for owner, rows in _by_owner(session, place, file, clock):
            known = listing_queries.by_references(session, owner.id, [listing.id for listing, _ in rows])
            counts.update(_bring_in(session, owner, record, known, clock) for _, record in rows)
    return Imported(counts["new"], counts["changed"], counts["unchanged"], tuple(file.problems), tuple(file.warnings))


def _by_owner(
    session: Session, node: NodeRow, file: ListingFile, clock: Clock
) -> Iterator[tuple[OrganisationRow, list[tuple[Listing, Record]]]]:
    """Each organisation of the file with its listings, in the order in which they first appear."""
    rows: dict[str, list[tuple[Listing, Record]]] = {}
    for listing, record in zip(file.listings, file.records, strict=True):
        rows.setdefault(listing.organisation or UNNAMED, []).append((listing, record))
    for own in rows.values():
        yield _owner(session, node, own[0][0], clock), own


def _bring_in(
    session: Session, owner: OrganisationRow, record: Record, known: Mapping[str, ListingRow], clock: Clock
) -> str:
    posted = listings.post_listing(session, OPERATOR, owner, record, clock(), known)
    return "new" if posted.created else "changed" if posted.changed else "unchanged"


def _owner(session: Session, node: NodeRow, listing: Listing, clock: Clock) -> OrganisationRow:
    name = listing.organisation or UNNAMED
    found = queries.organisation_named(session, node.id, name)
    if found is not None:
        return found
    place = (None, None) if listing.organisation is None else (listing.country, listing.region)
    return accounts.add_organisation(session, OPERATOR, node.id, clock(), name=name, country=place[0], region=place[1])
