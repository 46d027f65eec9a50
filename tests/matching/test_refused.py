"""What is near and still no answer: which listings, and what stands against them."""

from __future__ import annotations

from dataclasses import replace

from matching import EVERY_DIRECTION, Market, Objection, Side, answers, embed, hashing_models, read_listing, refused

ELBOWS = "Ceramic elbows for ore slurry pipelines, wear resistant, alumina"
NEED = read_listing({"id": "n", "side": "need", "title": ELBOWS, "country": "KZ", "modes": ["assignment"]})
OFFERS = [
    read_listing({"id": name, "side": "offer", "title": ELBOWS, **rest})
    for name, rest in {
        "fits": {"country": "CN"},
        "from elsewhere": {"country": "DE"},
        "not for KZ": {"country": "CN", "excluded_countries": ["KZ"]},
        "for EG": {"country": "CN", "target_countries": ["EG"]},
        "other modes": {"country": "CN", "modes": ["training"]},
        "far off": {"country": "DE", "title": "Tea drying with heat pumps"},
    }.items()
]
OBJECTIONS = {
    "from elsewhere": Objection("direction", value="third-country"),
    "not for KZ": Objection("excluded", "offer", "KZ"),
    "for EG": Objection("targets", "offer", "KZ"),
    "other modes": Objection("modes", offered=("training",), sought=("assignment",)),
    "far off": Objection("direction", value="third-country"),
}


def market() -> Market:
    models = hashing_models()
    embeddings = embed([NEED, *OFFERS], models.encoder)
    return Market.build([NEED, *OFFERS], embeddings, models)


def test_what_is_near_is_named_with_what_stands_against_it() -> None:
    built = market()
    made = embed([NEED], built.models.encoder)[0]
    found = refused(built, NEED, made, 10)
    assert {one.id: one.objection for one in found} == OBJECTIONS
    assert found[-1].id == "far off"
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
    assert not {one.id for one in found} & {one.offer for one in answers(built, NEED, made)}
    assert len(refused(built, NEED, made, 2)) == 2


def test_it_is_the_same_from_the_other_side() -> None:
    built = market()
    for offer in OFFERS:
        found = refused(built, offer, embed([offer], built.models.encoder)[0], 10)
        assert [(one.id, one.objection) for one in found] == [
            (NEED.id, OBJECTIONS[offer.id]) for _ in [0] if offer.id in OBJECTIONS
        ]


def test_nothing_is_refused_that_every_direction_opens() -> None:
    built = market()
    need = replace(NEED, modes=(), side=Side.NEED)
    found = refused(built, need, embed([need], built.models.encoder)[0], 10, EVERY_DIRECTION)
    assert {one.id for one in found} == {"not for KZ", "for EG"}
