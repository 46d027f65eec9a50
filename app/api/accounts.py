"""Signing in, and the accounts that an administrator keeps."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from app import accounts, administration, signing_in
from app.access import Permission, Principal, Role
from app.asking import COOKIE, Data, Log, Now, address, allow, failures_noted, set_cookie
from app.queries import accounts as queries
from app.schemas.accounts import (
    ContactOut,
    InvitedOut,
    KeyIn,
    KeyOut,
    KeysOut,
    MadeKeyOut,
    MeOut,
    NodeIn,
    NodeOut,
    NodesOut,
    OrganisationChange,
    OrganisationIn,
    OrganisationOut,
    OrganisationsOut,
    PasswordIn,
    PeopleOut,
    PersonIn,
    PersonOut,
    SignInIn,
)

router = APIRouter(prefix="/api/v1", tags=["accounts"])

Page = Annotated[int, Query(ge=1, le=200)]
Anyone = Annotated[Principal, Depends(allow(Permission.READ))]
Administrator = Annotated[Principal, Depends(allow(Permission.ACCOUNTS))]
KeyKeeper = Annotated[Principal, Depends(allow(Permission.KEYS))]
Contacts = Annotated[Principal, Depends(allow(Permission.CONTACTS))]
Member = Annotated[Principal, Depends(allow(Permission.PAIRINGS))]


@router.post("/session", dependencies=[Depends(allow(Permission.READ))])
def sign_in(request: Request, response: Response, body: SignInIn, data: Data, log: Log, at: Now) -> MeOut:
    """Sign in by password: a cookie, and the token that later changes must carry as X-CSRF-Token."""
    request.app.state.limits.count_sign_in(address(request), body.email)
    with failures_noted(request, data, log, at, "password", body.email):
        admitted = signing_in.by_password(data, log, body.email, body.password, at, request.cookies.get(COOKIE))
    set_cookie(request, response, admitted.signed)
    return MeOut.of(admitted.who, admitted.signed.csrf)


@router.get("/session")
def get_session(request: Request, who: Anyone, data: Data, at: Now) -> MeOut:
    """Who you are here."""
    token, csrf = request.cookies.get(COOKIE), None
    if who.kind == "person" and token is not None:
        with data.reading() as session:
            found = accounts.of_token(session, token, at)
        csrf = found[1] if found is not None else None
    return MeOut.of(who, csrf)


@router.delete("/session", status_code=204, dependencies=[Depends(allow(Permission.SELF))])
def sign_out(request: Request, data: Data) -> Response:
    """Sign out here."""
    with data.writing() as session:
        accounts.sign_out(session, request.cookies.get(COOKIE, ""))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


@router.post("/password", status_code=204, dependencies=[Depends(allow(Permission.READ))])
def set_password(request: Request, body: PasswordIn, data: Data, log: Log, at: Now) -> Response:
    """Set a password by an invitation."""
    request.app.state.limits.count_sign_in(address(request), "")
    signing_in.set_password(data, log, body.token, body.password, at)
    return Response(status_code=204)


@router.get("/nodes", dependencies=[Depends(allow(Permission.PAIRINGS))])
def list_nodes(data: Data) -> NodesOut:
    """All nodes by name."""
    with data.reading() as session:
        return NodesOut(items=[NodeOut.of(row) for row in queries.nodes(session)])


@router.post("/nodes", status_code=201)
def add_node(body: NodeIn, who: Administrator, data: Data, log: Log, at: Now) -> NodeOut:
    """Add a node."""
    return NodeOut.of(administration.add_node(data, log, who, at, body.name, body.country, body.place))


@router.put("/nodes/{node_id}")
def change_node(node_id: str, body: NodeIn, who: Administrator, data: Data, log: Log, at: Now) -> NodeOut:
    """Give a node another name, country or place; what is left out is taken away."""
    return NodeOut.of(administration.change_node(data, log, who, at, node_id, body.name, body.country, body.place))


@router.get("/organisations")
def list_organisations(who: Member, data: Data, limit: Page = 50, cursor: str = "") -> OrganisationsOut:
    """The organisations of your nodes by id; a partner's own."""
    with data.reading() as session:
        if who.role is Role.PARTNER:
            rows = [accounts.organisation(session, who, who.organisation or "")]
        else:
            rows = queries.organisations(session, who.nodes, cursor, limit + 1)
    more = rows[limit - 1].id if len(rows) > limit else None
    return OrganisationsOut(items=[OrganisationOut.of(row) for row in rows[:limit]], next_cursor=more)


@router.post("/organisations", status_code=201)
def add_organisation(body: OrganisationIn, who: Administrator, data: Data, log: Log, at: Now) -> OrganisationOut:
    """Add an organisation to a node."""
    facts = body.model_dump(exclude={"node_id"})
    return OrganisationOut.of(administration.add_organisation(data, log, who, at, body.node_id, facts))


@router.get("/organisations/{organisation_id}")
def get_organisation(organisation_id: str, who: Member, data: Data) -> OrganisationOut:
    """One organisation."""
    with data.reading() as session:
        return OrganisationOut.of(accounts.organisation(session, who, organisation_id))


@router.patch("/organisations/{organisation_id}")
def change_organisation(
    organisation_id: str, body: OrganisationChange, who: Administrator, data: Data, log: Log, at: Now
) -> OrganisationOut:
    """Change what is known of an organisation."""
    facts: dict[str, Any] = body.model_dump(exclude_unset=True)
    return OrganisationOut.of(administration.change_organisation(data, log, who, at, organisation_id, facts))


@router.get("/organisations/{organisation_id}/contact")
def get_contact(organisation_id: str, who: Contacts, data: Data, log: Log, at: Now) -> ContactOut:
    """Whom to write to at an organisation of yours. That you read it is written down."""
    return ContactOut.of(administration.read_contact(data, log, who, at, organisation_id))


@router.get("/organisations/{organisation_id}/keys")
def list_keys(organisation_id: str, who: KeyKeeper, data: Data) -> KeysOut:
    """The keys of an organisation, the newest first."""
    with data.reading() as session:
        owner = accounts.organisation(session, who, organisation_id)
        return KeysOut(items=[KeyOut.of(row) for row in queries.keys(session, owner.id)])


@router.post("/organisations/{organisation_id}/keys", status_code=201)
def make_key(organisation_id: str, body: KeyIn, who: KeyKeeper, data: Data, log: Log, at: Now) -> MadeKeyOut:
    """Make a key. Its text is shown now and never again."""
    until = body.expires_at
    until = until.astimezone(UTC).replace(tzinfo=None) if until is not None and until.tzinfo is not None else until
    row, text = administration.make_key(data, log, who, at, organisation_id, body.name, body.scopes, until)
    return MadeKeyOut(key=KeyOut.of(row), secret=text)


@router.delete("/organisations/{organisation_id}/keys/{key_id}")
def revoke_key(organisation_id: str, key_id: str, who: KeyKeeper, data: Data, log: Log, at: Now) -> KeyOut:
    """End a key now."""
    return KeyOut.of(administration.revoke_key(data, log, who, at, organisation_id, key_id))


@router.get("/people", dependencies=[Depends(allow(Permission.ACCOUNTS))])
def list_people(data: Data, limit: Page = 50, cursor: str = "") -> PeopleOut:
    """People by id, a page at a time."""
    with data.reading() as session:
        rows = queries.people(session, cursor, limit + 1)
    more = rows[limit - 1].id if len(rows) > limit else None
    return PeopleOut(items=[PersonOut.of(row) for row in rows[:limit]], next_cursor=more)


@router.post("/people", status_code=201)
def invite_person(body: PersonIn, who: Administrator, data: Data, log: Log, at: Now) -> InvitedOut:
    """Add a person. The invitation is yours to send; it holds a week."""
    person, token = administration.invite(
        data,
        log,
        who,
        at,
        email=body.email,
        name=body.name,
        role=Role(body.role),
        organisation_id=body.organisation_id,
        nodes=body.nodes,
    )
    return InvitedOut(person=PersonOut.of(person), invitation=token)


@router.post("/people/{person_id}/invitation")
def invite_again(person_id: str, who: Administrator, data: Data, log: Log, at: Now) -> InvitedOut:
    """A fresh invitation for someone who has lost theirs, or their password."""
    person, token = administration.invite_again(data, log, who, at, person_id)
    return InvitedOut(person=PersonOut.of(person), invitation=token)


@router.post("/people/{person_id}/close")
def close_person(person_id: str, who: Administrator, data: Data, log: Log, at: Now) -> PersonOut:
    """Close an account: the person signs in no more."""
    return PersonOut.of(administration.close_person(data, log, who, at, person_id))


@router.get("/people/{person_id}/data")
def export_person(person_id: str, who: Administrator, data: Data, log: Log, at: Now) -> dict[str, Any]:
    """All that is kept about a person, for themselves."""
    return administration.export_person(data, log, who, at, person_id)


@router.delete("/people/{person_id}")
def erase_person(person_id: str, who: Administrator, data: Data, log: Log, at: Now) -> PersonOut:
    """Forget who a person was; what they decided stays, without their name."""
    return PersonOut.of(administration.erase_person(data, log, who, at, person_id))
