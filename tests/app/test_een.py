import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import een
from app.clock import utc_now
from app.columns import BY_KEY
from app.een import from_profile, to_profile
from app.errors import Unusable
from app.record import KEYS, Disclosure, IprStatus, PartnerType, Record, Stage
from app.schemas.profiles import ProfileIn
from matching import MODES
from tests.app.conftest import OFFER, World, problem
from tests.app.test_sheets import FULL

ROOT = Path(__file__).resolve().parents[2]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)
COUNTRIES = st.lists(st.sampled_from(["KZ", "IT", "cn"]), min_size=1)
RECORDS = st.fixed_dictionaries(
    {"reference": TEXT, "side": st.sampled_from(["offer", "need"]), "title": TEXT},
    optional={
        **dict.fromkeys(("summary", "description", "advantages", "requirement", "partner_role", "organisation"), TEXT),
        "language": st.sampled_from(["en", "zh-Hans"]),
        "country": st.just("CN"),
        "region": st.just("CN-51"),
        "trl": st.integers(1, 9),
        "stage": st.sampled_from([str(one) for one in Stage]),
        "ipr": st.sampled_from([str(one) for one in IprStatus]),
        "keywords": st.lists(TEXT, min_size=1),
        "modes": st.lists(st.sampled_from(MODES), min_size=1),
        "partner_types": st.lists(st.sampled_from([str(one) for one in PartnerType]), min_size=1),
        "target_countries": COUNTRIES,
        "excluded_countries": COUNTRIES,
        "fields": st.lists(st.sampled_from(BY_KEY["fields"].codes), min_size=1),
        "classifications": st.just(["C04B 35/10"]),
        "budget": st.fixed_dictionaries({"currency": st.just("EUR")}, optional={"minimum": st.none() | st.just(2.5)}),
        "requirements": st.just(FULL["requirements"]),
        "translations": st.just(FULL["translations"]),
        "disclosure": st.sampled_from([str(one) for one in Disclosure]),
        "sample": st.booleans(),
    },
)


def sent(profile: dict[str, Any]) -> een.Read:
    """A profile by way of the API's input."""
    return from_profile(ProfileIn.model_validate(profile).plain())


@given(RECORDS)
@settings(deadline=None, max_examples=150)
def test_a_record_comes_back_from_its_profile_as_it_was(record: Record) -> None:
    assert sent(to_profile(record)).record == record


@given(RECORDS, st.dates(date(2026, 1, 1), date(2099, 1, 1)))
@settings(deadline=None, max_examples=50)
def test_a_profile_comes_back_from_its_record_as_it_was(record: Record, deadline: date) -> None:
    profile = to_profile(record, datetime.combine(deadline, datetime.min.time()))
    read = sent(profile)
    assert read.deadline == deadline
    assert to_profile(read.record, een.last_moment(deadline)) == profile


def test_a_profile_has_a_place_for_every_key_of_a_record() -> None:
    budget = {"minimum": 0.1, "currency": "CNY"}  # the wire's numbers are floats, so none beyond 2⁵³
    record = {key: FULL.get(key, "x") for key in KEYS if key != "text"} | {"budget": budget}
    assert sent(to_profile(record)).record == record
    assert to_profile({"side": "offer", "title": "t", "text": "whole"})["description"] == "whole"


def test_every_code_has_words_of_its_own() -> None:
    for names, codes in (
        (een.STAGES, Stage),
        (een.IPR, IprStatus),
        (een.PARTNERS, PartnerType),
        (een.COOPERATION, MODES),
    ):
        assert set(names) == {str(code) for code in codes}
        assert len({name.casefold() for name in names.values()}) == len(names)


def test_codes_and_other_wordings_are_read_too() -> None:
    read = sent(
        {
            "profile_type": "Technology  Request",
            "reference_number": "r",
            "title": "t",
            "stage_of_development": "on_market",
            "trl": 4,
            "partner_sought": {"types": ["SME <= 10", "small_enterprise", "UNIVERSITY"]},
            "type_of_cooperation": ["License agreement"],
        }
    )
    assert read.record == {
        "side": "need",
        "reference": "r",
        "title": "t",
        "stage": "on_market",
        "trl": 4,
        "partner_types": ["small_enterprise", "small_enterprise", "university"],
        "modes": ["ordinary_licence"],
    }


def test_all_unknown_values_are_named_by_their_fields() -> None:
    with pytest.raises(Unusable) as caught:
        sent(
            {
                "profile_type": "business offer",
                "reference_number": "r",
                "trl": "TRL 12",
                "ipr_status": "trade marks",
                "type_of_cooperation": ["licence agreement", "barter"],
                "partner_sought": {"types": ["guild"]},
            }
        )
    fields = [error.field for error in caught.value.errors]
    assert fields == ["profile_type", "trl", "ipr_status", "type_of_cooperation[1]", "partner_sought.types[0]"]
    assert "technology offer, technology request" in caught.value.errors[0].fix


def test_a_listing_is_read_as_a_profile_and_posted_back_unchanged(world: World) -> None:
    listing = world.post(world.seeker, FULL)
    profile = world.seeker.get(f"/api/v1/listings/{listing['id']}/profile").json()
    assert profile["schema"] == "dukou-profile/1"
    assert profile["profile_type"] == "technology request"
    assert profile["dissemination"]["deadline"] == listing["expires_at"][:10]
    posted = world.seeker.post("/api/v1/profiles", json=profile)
    body = posted.json()
    assert (posted.status_code, body["created"], body["changed"], body["version"]) == (200, False, False, 1)
    assert posted.headers["location"] == f"/api/v1/listings/{listing['id']}"
    assert world.seeker.get(posted.headers["location"]).json()["expires_at"] == listing["expires_at"]


def test_a_profile_makes_one_listing_however_often_it_is_sent(world: World) -> None:
    last = (utc_now() + timedelta(days=30)).date()
    profile = to_profile(OFFER) | {"dissemination": {"deadline": last.isoformat()}}
    first = world.offerer.post("/api/v1/profiles", json=profile)
    again = world.offerer.post("/api/v1/profiles", json=profile)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["listing_id"] == again.json()["listing_id"]
    listing = world.offerer.get(first.headers["location"]).json()
    assert datetime.fromisoformat(listing["expires_at"]).astimezone(UTC).date() == last
    changed = world.offerer.post("/api/v1/profiles", json=profile | {"trl": "TRL 3"}).json()
    assert (changed["changed"], changed["version"]) == (True, 2)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"profile_type": "barter"}, "profile_type"),
        ({"reference_number": None}, "reference_number"),
        ({"colour": "red"}, "colour"),
        ({"dissemination": {"deadline": "2020-01-01"}}, "dissemination.deadline"),
        ({"organisation": {"country": "China"}}, "country"),
        ({"schema": "other/1"}, "schema"),
    ],
)
def test_a_profile_that_cannot_be_read_is_refused_by_field(world: World, change: dict[str, Any], field: str) -> None:
    response = world.offerer.post("/api/v1/profiles", json=to_profile(OFFER) | change)
    assert problem(response, 422)["errors"][0]["field"] == field


def test_profiles_are_shown_and_taken_as_listings_are(world: World) -> None:
    listing = world.post(world.offerer, OFFER | {"disclosure": "registered"})
    place = f"/api/v1/listings/{listing['id']}/profile"
    problem(world.public.get(place), 404)
    assert world.seeker.get(place).status_code == 200
    problem(world.public.post("/api/v1/profiles", json=to_profile(OFFER)), 401)
    problem(world.offerer.post("/api/v1/profiles", params={"organisation": "x"}, json=to_profile(OFFER)), 404)
    assert problem(world.manager.post("/api/v1/profiles", json=to_profile(OFFER)), 422)["errors"][0]["field"] == (
        "organisation"
    )


def test_the_mapping_is_written_down() -> None:
    text = (ROOT / "docs" / "profiles.md").read_text("utf-8")
    for names in (een.STAGES, een.IPR, een.PARTNERS, een.COOPERATION):
        for code, name in names.items():
            assert re.search(rf"\| `{code}` \| {re.escape(name)} \|", text), code
    assert "not certified" in text
