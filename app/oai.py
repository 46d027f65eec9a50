"""OAI-PMH 2.0 (openarchives.org), which library systems harvest by: public listings in Dublin Core, deletions kept.

A request is a list of arguments, an answer always an XML document; errors of the protocol stand inside it. Nothing is
remembered between requests: a resumption token holds what the next one needs.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lxml import etree
from lxml.etree import _Element
from sqlmodel import Session

from app.feeds import LANGUAGE, START, entry_of, is_public, xml_text
from app.queries import feeds as queries
from app.queries.listings import Wanted
from app.tables import ListingRow

OAI = "http://www.openarchives.org/OAI/2.0/"
OAI_DC = "http://www.openarchives.org/OAI/2.0/oai_dc/"
DC = "http://purl.org/dc/elements/1.1/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
PREFIX = "oai_dc"
BLOCK = 100  # records in one answer
TIME = "%Y-%m-%dT%H:%M:%SZ"
IDENTIFIER = "urn:uuid:"
ALLOWED = {
    "Identify": frozenset[str](),
    "ListMetadataFormats": frozenset({"identifier"}),
    "ListSets": frozenset({"resumptionToken"}),
    "GetRecord": frozenset({"identifier", "metadataPrefix"}),
    "ListIdentifiers": frozenset({"from", "until", "metadataPrefix", "set", "resumptionToken"}),
    "ListRecords": frozenset({"from", "until", "metadataPrefix", "set", "resumptionToken"}),
}

Arguments = Sequence[tuple[str, str]]


class Refused(Exception):
    """An error of the protocol: its code and what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Archive:
    """What an answer says about the service: its own address, and that of the API's listings."""

    address: str
    listings: str
    email: str


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a list: changed within these times (UTC, both included, to the second), after a revision."""

    since: datetime | None
    until: datetime | None
    after: int = 0


def answer(session: Session, archive: Archive, arguments: Arguments, now: datetime) -> bytes:
    """The answer to a request."""
    root = etree.Element(_name("OAI-PMH"), nsmap={None: OAI, "xsi": XSI})
    root.set(f"{{{XSI}}}schemaLocation", f"{OAI} http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd")
    _add(root, "responseDate", now.strftime(TIME))
    request = _add(root, "request", archive.address)
    try:
        given = _checked(arguments)
        for name, value in given.items():
            request.set(name, xml_text(value))
        root.append(_answered(session, archive, given))
    except Refused as error:
        if error.code in ("badVerb", "badArgument"):  # section 3.2 of the protocol
            request.attrib.clear()
        _add(root, "error", str(error)).set("code", error.code)
    body: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return body


def _checked(arguments: Arguments) -> dict[str, str]:
    """Arguments by name. Raises Refused for what the verb does not take, or for one that is given twice."""
    given = dict(arguments)
    verb = given.get("verb", "")
    if verb not in ALLOWED or sum(name == "verb" for name, _ in arguments) > 1:
        raise Refused("badVerb", f"verb must be one of {', '.join(ALLOWED)}")
    if len(given) < len(arguments):
        raise Refused("badArgument", "an argument is given twice")
    wrong = given.keys() - ALLOWED[verb] - {"verb"}
    if wrong:
        raise Refused("badArgument", f"{verb} does not take {xml_text(min(wrong))!r:.60}")
    if "resumptionToken" in given and len(given) > 2:
        raise Refused("badArgument", "resumptionToken stands alone")
    return given


def _answered(session: Session, archive: Archive, given: dict[str, str]) -> _Element:
    match given["verb"]:
        case "Identify":
            return _identify(archive)
        case "ListMetadataFormats":
            return _formats(session, given.get("identifier"))
        case "ListSets":
            raise Refused("noSetHierarchy", "there are no sets")
        case "GetRecord":
            return _get_record(session, archive, given)
        case _:
            return _list(session, archive, given)


def _identify(archive: Archive) -> _Element:
    part = etree.Element(_name("Identify"))
    facts = {
        "repositoryName": "Dukou",
        "baseURL": archive.address,
        "protocolVersion": "2.0",
        "adminEmail": archive.email,
        "earliestDatestamp": START.strftime(TIME),
        "deletedRecord": "persistent",
        "granularity": "YYYY-MM-DDThh:mm:ssZ",
    }
    for name, text in facts.items():
        _add(part, name, text)
    return part


def _formats(session: Session, identifier: str | None) -> _Element:
    if identifier is not None:
        _row(session, identifier)
    part = etree.Element(_name("ListMetadataFormats"))
    one = _add(part, "metadataFormat")
    _add(one, "metadataPrefix", PREFIX)
    _add(one, "schema", "http://www.openarchives.org/OAI/2.0/oai_dc.xsd")
    _add(one, "metadataNamespace", OAI_DC)
    return part


def _get_record(session: Session, archive: Archive, given: dict[str, str]) -> _Element:
    if "identifier" not in given:
        raise Refused("badArgument", "identifier is missing")
    _check_prefix(given)
    part = etree.Element(_name("GetRecord"))
    part.append(_record(_row(session, given["identifier"]), archive))
    return part


def _list(session: Session, archive: Archive, given: dict[str, str]) -> _Element:
    token = given.get("resumptionToken")
    span = _span_of_token(token) if token is not None else _span_of_arguments(given)
    rows = queries.harvest(session, Wanted(), span.since, _after(span.until), span.after, BLOCK + 1)
    if not rows:
        raise Refused("noRecordsMatch", "nothing has changed within these times")
    part = etree.Element(_name(given["verb"]))
    for row in rows[:BLOCK]:
        part.append(_record(row, archive) if given["verb"] == "ListRecords" else _header(row))
    if len(rows) > BLOCK:
        _add(part, "resumptionToken", _token(span, rows[BLOCK - 1].revision))
    elif token is not None:
        _add(part, "resumptionToken")  # empty: the list is complete
    return part


def _after(until: datetime | None) -> datetime | None:
    """The first moment that does not belong to a list; None where there is none, as in the last of all years."""
    return until + timedelta(seconds=1) if until is not None and until.year < datetime.max.year else None


def _span_of_arguments(given: dict[str, str]) -> Span:
    _check_prefix(given)
    if "set" in given:
        raise Refused("noSetHierarchy", "there are no sets")
    since, until = given.get("from"), given.get("until")
    if since is not None and until is not None and (len(since) != len(until) or since > until):
        raise Refused("badArgument", "from must not lie after until, and both must be days or both be times")
    return Span(_time("from", since, "T00:00:00Z"), _time("until", until, "T23:59:59Z"))


def _time(name: str, text: str | None, rest_of_day: str) -> datetime | None:
    if text is None:
        return None
    whole = text + rest_of_day if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else text
    try:
        return datetime.strptime(whole, TIME)
    except ValueError as error:
        raise Refused("badArgument", f"{name} must look like 2026-09-01 or 2026-09-01T08:00:00Z") from error


def _token(span: Span, after: int) -> str:
    times = [time.isoformat() if time is not None else None for time in (span.since, span.until)]
    return base64.urlsafe_b64encode(json.dumps([*times, after]).encode()).decode()


def _span_of_token(token: str) -> Span:
    """Raises Refused for what is no token of ours."""
    try:
        since, until, after = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        first, last = (datetime.fromisoformat(one) if one is not None else None for one in (since, until))
        if (
            not isinstance(after, int)
            or any(time is not None and time.tzinfo for time in (first, last))
            or not 0 <= after < 10**18
        ):
            raise ValueError("no revision")
    except (ValueError, TypeError, binascii.Error) as error:
        raise Refused("badResumptionToken", "this token is not one of ours; begin again") from error
    return Span(first, last, after)


def _check_prefix(given: dict[str, str]) -> None:
    if "metadataPrefix" not in given:
        raise Refused("badArgument", f"metadataPrefix is missing; there is {PREFIX}")
    if given["metadataPrefix"] != PREFIX:
        raise Refused("cannotDisseminateFormat", f"the only format is {PREFIX}")


def _row(session: Session, identifier: str) -> ListingRow:
    """Raises Refused for a listing that is not public and never was."""
    try:
        name = str(UUID(identifier.removeprefix(IDENTIFIER)))
    except ValueError:
        name = ""
    row = queries.harvestable(session, name) if identifier == IDENTIFIER + name else None
    if row is None:
        raise Refused("idDoesNotExist", "there is no such record")
    return row


def _record(row: ListingRow, archive: Archive) -> _Element:
    record = etree.Element(_name("record"))
    record.append(_header(row))
    if is_public(row):
        _add(record, "metadata").append(_dublin_core(row, archive))
    return record


def _header(row: ListingRow) -> _Element:
    header = etree.Element(_name("header"))
    if not is_public(row):
        header.set("status", "deleted")
    _add(header, "identifier", IDENTIFIER + row.id)
    _add(header, "datestamp", row.updated_at.replace(tzinfo=UTC).strftime(TIME))
    return header


def _dublin_core(row: ListingRow, archive: Archive) -> _Element:
    entry = entry_of(row)
    place = f"{OAI_DC} http://www.openarchives.org/OAI/2.0/oai_dc.xsd"
    part = etree.Element(f"{{{OAI_DC}}}dc", nsmap={"oai_dc": OAI_DC, "dc": DC, "xsi": XSI})
    part.set(f"{{{XSI}}}schemaLocation", place)
    facts = [("title", entry.title), ("creator", entry.organisation)]
    facts += [("subject", code) for kind, code in entry.tags if kind in ("field", "keyword")]
    facts += [("description", entry.text), ("date", entry.published.strftime(TIME))]
    facts += [("type", code) for kind, code in entry.tags if kind == "side"]
    facts += [("identifier", f"{archive.listings}{row.id}"), ("language", entry.language)]
    facts += [("coverage", code) for kind, code in entry.tags if kind == "country"]
    for name, text in facts:
        if text is not None:
            element = etree.SubElement(part, f"{{{DC}}}{name}")
            element.text = xml_text(text)
            if name in ("title", "description") and entry.language is not None:
                element.set(LANGUAGE, entry.language)
    return part


def _add(parent: _Element, name: str, text: str | None = None) -> _Element:
    element = etree.SubElement(parent, _name(name))
    element.text = text
    return element


def _name(name: str) -> str:
    return f"{{{OAI}}}{name}"
