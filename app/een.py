"""Profiles as partnering networks exchange them, and our records: the one made into the other without loss.

The groups of fields follow the profile form of the Enterprise Europe Network; names and values are ours, written down
in `docs/profiles.md`. The network has not certified them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal

from app.errors import FieldError, Unusable
from app.record import Record
from matching import Side

SCHEMA: Literal["dukou-profile/1"] = "dukou-profile/1"
TYPES = {Side.OFFER: "technology offer", Side.NEED: "technology request"}
STAGES = {
    "concept": "concept stage",
    "development": "under development",
    "prototype": "prototype available",
    "demonstrated": "available for demonstration",
    "on_market": "already on the market",
}
IPR = {
    "none": "no protection",
    "secret_know_how": "secret know-how",
    "applied": "IPR applied but not yet granted",
    "granted": "IPR granted",
}
PARTNERS = {
    "industry": "large company",
    "small_enterprise": "SME",
    "university": "university",
    "research": "R&D institution",
    "government": "public authority",
    "investor": "investor",
    "intermediary": "intermediary",
}
COOPERATION = {
    "assignment": "assignment of rights",
    "exclusive_licence": "exclusive licence agreement",
    "sole_licence": "sole licence agreement",
    "ordinary_licence": "licence agreement",
    "joint_rnd": "research and development cooperation agreement",
    "joint_venture": "joint venture agreement",
    "technical_service": "technical cooperation agreement",
    "consulting": "consulting agreement",
    "turnkey": "commercial agreement with technical assistance",
    "training": "training agreement",
}
SAME = {
    "sme <= 10": "small_enterprise",
    "sme 11-49": "small_enterprise",
    "sme 50-249": "small_enterprise",
    "license agreement": "ordinary_licence",
    "joint r&d": "joint_rnd",
    "research cooperation agreement": "joint_rnd",
    "under development/lab tested": "development",
}
"""Other wordings in use that say the same."""

TEXTS = {
    "reference": "reference_number",
    "title": "title",
    "summary": "summary",
    "description": "description",
    "language": "language",
    "advantages": "advantages_and_innovations",
    "requirement": "technical_specification_sought",
}
"""Keys of a record whose values a profile has as they are, and its names for them."""

DETAILS = (
    "fields",
    "classifications",
    "requirements",
    "budget",
    "translations",
    "disclosure",
    "sample",
)
"""What the form has no field for: kept as it is in the group `additional`."""


@dataclass(frozen=True, slots=True)
class Read:
    """A profile as a record, and the day after which it is to be shown no more."""

    record: Record
    deadline: date | None


def to_profile(record: Record, deadline: datetime | None = None) -> dict[str, Any]:
    """The profile of a stored record; a listing that ends gives the deadline. Absent is unknown."""
    profile: dict[str, Any] = {
        "schema": SCHEMA,
        "profile_type": TYPES[Side(record["side"])],
        **{name: record[key] for key, name in TEXTS.items() if key in record},
        "stage_of_development": STAGES.get(record.get("stage", "")),
        "trl": f"TRL {record['trl']}" if "trl" in record else None,
        "ipr_status": IPR.get(record.get("ipr", "")),
        "keywords": record.get("keywords"),
        "type_of_cooperation": [COOPERATION[code] for code in record.get("modes", [])],
        "partner_sought": _filled(
            {"types": [PARTNERS[code] for code in record.get("partner_types", [])], "role": record.get("partner_role")}
        ),
        "organisation": _filled({key: record.get(name) for key, name in _ORGANISATION.items()}),
        "dissemination": _filled(
            {
                "countries": record.get("target_countries"),
                "excluded_countries": record.get("excluded_countries"),
                "deadline": deadline.date().isoformat() if deadline is not None else None,
            }
        ),
        "additional": {key: record[key] for key in DETAILS if key in record},
    }
    if "text" in record:
        profile["description"] = record["text"]
    return _filled(profile)


def from_profile(profile: Mapping[str, Any]) -> Read:
    """The record of a profile of `app.schemas.profiles.ProfileIn`'s form.

    Raises Unusable that names every field whose value is none of ours; what its texts and codes hold otherwise is for
    the reading of the record to check.
    """
    wrong: list[FieldError] = []
    partner, place = profile.get("partner_sought") or {}, profile.get("organisation") or {}
    spread = profile.get("dissemination") or {}
    record: Record = {
        "side": _code(wrong, "profile_type", TYPES, profile.get("profile_type")),
        **{key: profile.get(name) for key, name in TEXTS.items()},
        "stage": _code(wrong, "stage_of_development", STAGES, profile.get("stage_of_development")),
        "trl": _trl(wrong, profile.get("trl")),
        "ipr": _code(wrong, "ipr_status", IPR, profile.get("ipr_status")),
        "keywords": profile.get("keywords"),
        "modes": _codes(wrong, "type_of_cooperation", COOPERATION, profile.get("type_of_cooperation")),
        "partner_types": _codes(wrong, "partner_sought.types", PARTNERS, partner.get("types")),
        "partner_role": partner.get("role"),
        **{name: place.get(key) for key, name in _ORGANISATION.items()},
        "target_countries": spread.get("countries"),
        "excluded_countries": spread.get("excluded_countries"),
        **(profile.get("additional") or {}),
    }
    if wrong:
        raise Unusable("; ".join(f"{one.field}: {one.fix}" for one in wrong), wrong)
    return Read(_filled(record), spread.get("deadline"))


def last_moment(deadline: date) -> datetime:
    """The end of a deadline's day, in UTC."""
    return datetime.combine(deadline, time.max)


_ORGANISATION = {"name": "organisation", "country": "country", "region": "region"}


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


def _code(wrong: list[FieldError], field: str, names: Mapping[Any, str], value: str | None) -> str | None:
    """The code of a value, however it is written: our code or the profile's words."""
    if value is None or not value.strip():
        return None
    plain = " ".join(value.casefold().replace("_", " ").split())
    for code, name in names.items():
        if plain in (str(code).replace("_", " "), name.casefold()) or SAME.get(plain) == code:
            return str(code)
    wrong.append(FieldError(field, f"{value!r:.60} is not one of: {', '.join(names.values())}"))
    return None


def _codes(wrong: list[FieldError], field: str, names: Mapping[str, str], values: list[str] | None) -> list[str]:
    found = (_code(wrong, f"{field}[{place}]", names, value) for place, value in enumerate(values or []))
    return [code for code in found if code is not None]


def _trl(wrong: list[FieldError], value: str | int | None) -> int | None:
    """4, "4" or "TRL 4"."""
    text = str(value or "").upper().removeprefix("TRL").strip()
    if text in tuple("123456789"):
        return int(text)
    if text:
        wrong.append(FieldError("trl", f"{value!r:.40} is not TRL 1 to TRL 9"))
    return None
