"""Who asks, and what each role may do. Every route names one Permission; `tests/app/test_access.py` tries them all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.errors import Forbidden, NotFound, SignInNeeded


class Role(StrEnum):
    """What someone is here."""

    PUBLIC = "public"
    PARTNER = "partner"
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"


class Permission(StrEnum):
    """What a route asks for. Those of keys are also the scopes of keys."""

    READ = "listings:read"  # published listings, as far as they are disclosed
    POST = "listings:write"
    MODERATE = "listings:moderate"
    MATCH = "matches:read"
    PAIRINGS = "pairings:read"
    ANSWER = "pairings:answer"  # interest and decline, for one's own side
    DECIDE = "pairings:decide"
    SCREEN = "screening:decide"
    CONTACTS = "contacts:read"
    KEYS = "keys:manage"
    ACCOUNTS = "accounts:manage"
    SELF = "self"  # one's own account
    INFORMATION = "changes:information"
    TRADING = "changes:trading"
    CHANGES = "changes:own"
    WEBHOOKS = "webhooks:manage"
    AUDIT = "audit:read"
    METRICS = "metrics:read"  # or the token of the settings, which is nobody's


P = Permission
PARTNER_SCOPES = frozenset({P.READ, P.POST, P.MATCH, P.PAIRINGS, P.ANSWER, P.CONTACTS, P.CHANGES, P.WEBHOOKS})
PLATFORM_SCOPES = frozenset({P.INFORMATION, P.TRADING})
SCOPES = PARTNER_SCOPES | PLATFORM_SCOPES  # what a key can be given; platforms' by an administrator alone
ALLOWED: dict[Role, frozenset[Permission]] = {
    Role.PUBLIC: frozenset({P.READ}),
    Role.PARTNER: PARTNER_SCOPES | {P.KEYS, P.SELF},
    Role.MANAGER: PARTNER_SCOPES | {P.MODERATE, P.DECIDE, P.SCREEN, P.SELF},
    Role.ADMINISTRATOR: frozenset(P),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a person, a key, the public, or the operator at the command line.

    `organisation` binds a partner to its own; a manager's `nodes` are None where they are all (the centre).
    """

    kind: str
    id: str
    name: str
    role: Role
    permissions: frozenset[Permission]
    organisation: str | None = None
    nodes: frozenset[str] | None = frozenset()

    @property
    def label(self) -> str:
        """As histories and logs name who acted."""
        return f"{self.kind}:{self.id}"

    @property
    def sees_all(self) -> bool:
        return self.role in (Role.MANAGER, Role.ADMINISTRATOR) and self.nodes is None

    def holds(self, organisation_id: str, node_id: str) -> bool:
        """Whether what belongs to this organisation of this node is this principal's business."""
        if self.role is Role.PARTNER:
            return organisation_id == self.organisation
        return self.sees_all or (self.nodes is not None and node_id in self.nodes)


PUBLIC = Principal("public", "", "public", Role.PUBLIC, ALLOWED[Role.PUBLIC])
OPERATOR = Principal("operator", "cli", "operator", Role.ADMINISTRATOR, ALLOWED[Role.ADMINISTRATOR], nodes=None)
SYSTEM = Principal("system", "dukou", "Dukou", Role.ADMINISTRATOR, ALLOWED[Role.ADMINISTRATOR], nodes=None)


def discloses(disclosure: str, who: Principal) -> bool:
    """Whether the disclosure level of a published listing lets `who` read it, whoever owns it."""
    return disclosure == "public" or (disclosure == "registered" and who.role is not Role.PUBLIC)


def check(who: Principal, permission: Permission) -> None:
    """Raises SignInNeeded for the public, Forbidden for others, where `who` lacks the permission."""
    if permission in who.permissions:
        return
    if who.role is Role.PUBLIC:
        raise SignInNeeded("sign in, or send an API key as `Authorization: Bearer …`")
    raise Forbidden(f"this needs the permission {permission}, which {who.name!r:.100} does not have")


def check_holds(who: Principal, organisation_id: str, node_id: str, what: str) -> None:
    """Raises NotFound where something is another's: that it exists is nobody's business either."""
    if not who.holds(organisation_id, node_id):
        raise NotFound(f"there is no {what}")
