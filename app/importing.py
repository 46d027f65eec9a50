"""Files of listings brought in by the operator, whose owners the file itself names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from app import accounts, listings
from app.access import OPERATOR
from app.clock import Clock, utc_now
from app.db import Database
from app.files import LineProblem, read_listing_file
from app.queries import accounts as queries
from app.record import Record
from app.tables import NodeRow, OrganisationRow
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
        for listing, record in zip(file.listings, file.records, strict=True):
            counts[_bring_in(session, place, listing, record, clock)] += 1
    return Imported(counts["new"], counts["changed"], counts["unchanged"], tuple(file.problems), tuple(file.warnings))


def _bring_in(session: Session, node: NodeRow, listing: Listing, record: Record, clock: Clock) -> str:
    owner = _owner(session, node, listing, clock)
    posted = listings.post_listing(session, OPERATOR, owner, record, clock())
    return "new" if posted.created else "changed" if posted.changed else "unchanged"


def _owner(session: Session, node: NodeRow, listing: Listing, clock: Clock) -> OrganisationRow:
    name = listing.organisation or UNNAMED
    found = queries.organisation_named(session, node.id, name)
    if found is not None:
        return found
    place = (None, None) if listing.organisation is None else (listing.country, listing.region)
    return accounts.add_organisation(session, OPERATOR, node.id, clock(), name=name, country=place[0], region=place[1])
