import json
from pathlib import Path
from typing import Any

import pytest

from app.hint_texts import TEXTS
from app.hints import Hint, contacts, has_figure, hints, is_general, is_shouted, length_in_words, vague_phrases
from app.likeness import fields_of
from app.snapshot import LIKELY
from matching import FIELDS, Market, Models, SentenceEncoder, Side, embed, read_listing
from matching.likeness import SAME, alike
from matching.models import with_artefacts
from matching.stand import Stand
from tests.app.conftest import NEED, OFFER, World, problem

DATA = Path(__file__).resolve().parents[2] / "data"
GOOD: dict[str, Any] = {
    "side": "offer",
    "title": "Alumina ceramic elbows for ore slurry pipelines",
    "description": "Rings of alumina with 20 % zirconia are set into steel elbows of DN 80 to DN 600. In an iron mine "
    "they ran for 31 months at 4.2 m/s and 45 % solids, where cast iron elbows had to be replaced every six months. We "
    "measure the pipeline, deliver to measure and instruct those who fit them.",
    "advantages": "Five times the life of cast iron at twice its price.",
    "language": "en",
    "country": "CN",
    "trl": 9,
    "modes": ["technical_service"],
    "keywords": ["wear", "alumina", "slurry"],
}
GOOD_NEED = {key: value for key, value in GOOD.items() if key != "advantages"} | {
    "side": "need",
    "requirement": "A life of 24 months at 4 m/s.",
}


def read(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / path).read_text("utf-8").splitlines()]


def hinted(record: dict[str, Any]) -> list[Hint]:
    return hints(record, read_listing({"id": "x", **record}))


def codes(record: dict[str, Any]) -> set[str]:
    return {hint.code for hint in hinted(record)}


@pytest.mark.parametrize("record", [GOOD, GOOD_NEED])
def test_a_good_listing_gets_no_hint(record: dict[str, Any]) -> None:
    assert hinted(record) == []


SPOILT: list[tuple[str, str, dict[str, Any]]] = [
    ("no_title", "title", {"title": ""}),
    ("general_title", "title", {"title": "New advanced technology: looking for partners"}),
    ("general_title", "title", {"title": "创新技术合作项目"}),
    ("title_only", "description", {"description": "", "advantages": ""}),
    ("short_text", "description", {"description": "Elbows that last 31 months.", "advantages": "Cheap."}),
    ("no_figures", "description", {"description": "A long text without any number in it. " * 8, "advantages": "No."}),
    ("vague_words", "advantages", {"advantages": "A world-class, cutting-edge product."}),
    ("all_capitals", "title", {"title": "ALUMINA ELBOWS FOR ORE SLURRY"}),
    ("other_language", "language", {"language": "fr"}),
    ("contact_details", "description", {"description": GOOD["description"] + " a@b.org", "disclosure": "registered"}),
    ("no_stage", "trl", {"trl": None}),
    ("no_advantages", "advantages", {"advantages": ""}),
    ("no_modes", "modes", {"modes": []}),
    ("no_country", "country", {"country": None}),
    ("no_keywords", "keywords", {"keywords": []}),
]


@pytest.mark.parametrize(("code", "field", "change"), SPOILT)
def test_what_is_missing_or_unclear_is_named_with_its_field(code: str, field: str, change: dict[str, Any]) -> None:
    found = {hint.code: hint for hint in hinted(GOOD | change)}
    assert found[code].field == field
    assert 1 <= found[code].weight <= 3
    assert found[code].zh
    assert found[code].zh != found[code].en


def test_every_hint_can_be_had_and_mended() -> None:
    assert {code for code, _, _ in SPOILT} | {"no_requirement"} == set(TEXTS)
    assert codes(GOOD_NEED | {"requirement": ""}) == {"no_requirement"}
    figures = [{"parameter": "life", "operator": ">=", "value": 24, "unit": "months"}]
    assert codes(GOOD_NEED | {"requirement": "", "requirements": figures}) == set()


def test_a_stage_is_as_good_as_a_trl() -> None:
    assert codes(GOOD | {"trl": None, "stage": "prototype"}) == set()


def test_contact_details_of_a_public_listing_are_its_authors_business() -> None:
    assert codes(GOOD | {"partner_role": "Write to a@b.org"}) == set()
    translation = {"language": "fr", "origin": "author", "description": "Écrivez à a@b.org"}
    found = hinted(GOOD | {"translations": [translation], "disclosure": "introduction"})
    assert [(hint.code, hint.field) for hint in found] == [("contact_details", "translations.0.description")]
    assert "a@b.org" in found[0].zh
    assert "a@b.org" in found[0].en


def test_the_most_helpful_comes_first() -> None:
    weights = [hint.weight for hint in hinted({"side": "offer", "title": "New technology"})]
    assert weights == sorted(weights, reverse=True)
    assert len(weights) > 5


@pytest.mark.parametrize(
    "text",
    [
        *("5 m/s", "20–40 %", "US$ 12,000", "6 times longer", "60 µm", "500 kg", "12 °C", "up to 30 days", "7.5 kWh"),
        *("压力为２０ＭＰａ", "寿命１２个月", "30㎡", "温度达1580℃", "百分之三十五"),
        *("درجة حرارة ٥٥٠ °م", "دقة ٩٠٪", "٢٥ درجة", "خلال 50 دقيقة"),
        *("45 МПа", "до 40 кВт", "1 800 м²", "12 часов", "3 meses", "45 jours", "150 giờ", "นาน 30 วัน", "52 °C-қа"),
    ],
)
def test_a_number_with_a_unit_is_seen_in_any_script(text: str) -> None:
    assert has_figure(text)


@pytest.mark.parametrize(
    "text",
    [
        "ISO 9001",
        "in 2024 we began",
        "phase 2 begins",
        "5 more things",
        "COVID-19",
        "3D printing",
        "型号A3000系列",
        "H2O",
    ],
)
def test_a_bare_number_is_no_figure(text: str) -> None:
    assert not has_figure(text)


@pytest.mark.parametrize(
    "title", ["技术合作", "Поиск партнёра", "تقنية جديدة", "Nueva tecnología", "Projet innovant", "AI"]
)
def test_titles_that_fit_any_listing(title: str) -> None:
    assert is_general(title) == (title != "AI")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("本技术国际领先，前景广阔", ["国际领先", "前景广阔"]),
        ("Технология не имеет аналогов", ["не имеет аналогов"]),
        ("نقدم حلول مبتكرة", ["حلول مبتكرة"]),
        ("Una solución innovadora de vanguardia", ["solución innovadora", "de vanguardia"]),
        ("Une technologie de pointe", ["de pointe"]),
        ("World-Class seals, world-class pumps", ["world-class"]),
        ("disruptively", []),
    ],
)
def test_praise_is_found_as_whole_words(text: str, found: list[str]) -> None:
    assert vague_phrases(text) == found


@pytest.mark.parametrize(
    "text",
    ["x.y@uni-z.edu.cn", "www.example.org", "+86 23 6789 0123", "13812345678", "电话：023-67890123", "微信号：abc123"],
)
def test_contact_details_are_found(text: str) -> None:
    assert contacts(f"联系 {text}")


@pytest.mark.parametrize("text", ["1 200 000 000 t", "20–40 %", "ISO 14001:2015", "−40 … +125 °C", "10 000 000 cycles"])
def test_figures_are_no_contact_details(text: str) -> None:
    assert contacts(text) == []


def test_length_and_capitals() -> None:
    assert length_in_words("three short words") == 3
    assert length_in_words("陶瓷弯头 DN80") == 3
    assert is_shouted("ВСЕ БУКВЫ ПРОПИСНЫЕ")
    assert not is_shouted("طقم qPCR لقياس مثيلة الحمض النووي DNA RNA PCR MRI")
    assert not is_shouted("LED PCB TEST")


def test_near_languages_and_short_texts_are_not_argued_about() -> None:
    assert "other_language" not in codes({"side": "offer", "title": "Pompa", "language": "en"})
    malay = next(r for r in read("benchmark/test-offers.jsonl") if r["title"].startswith("Pengupasan cat"))
    assert "other_language" not in codes(malay)


def test_good_texts_get_few_hints() -> None:
    found = [hint.code for record in read("samples/listings.jsonl") for hint in hinted(record)]
    assert len(found) <= 162 + 8
    assert set(found) >= {"no_advantages", "no_requirement"}


def asked(client: Any, record: dict[str, Any], **query: str) -> dict[str, Any]:
    response = client.post("/api/v1/listings/advice", json=record, params=query)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_advice_on_a_draft_stores_nothing(filled: World) -> None:
    found = asked(filled.offerer, {"side": "offer", "title": "A new technology", "disclosure": "introduction"})
    assert {"title_only", "general_title", "no_figures"} <= {hint["code"] for hint in found["hints"]}
    assert found["near_duplicates"] == []
    assert [field["field"] for field in found["fields"]] == list(FIELDS)
    assert all(field["probability"] is None for field in found["fields"])  # hashing: no classifier
    assert len(filled.offerer.get("/api/v1/listings").json()["items"]) == 5
    problem(filled.offerer.post("/api/v1/listings/advice", json={"side": "offer"}), 422)
    problem(filled.public.post("/api/v1/listings/advice", json=OFFER), 401)


def test_the_organisations_country_counts(filled: World) -> None:
    with filled.database.writing() as session:
        from app.tables import OrganisationRow

        session.get_one(OrganisationRow, filled.ids["seeker"]).country = "KZ"
    draft = {key: value for key, value in NEED.items() if key != "country"}
    assert "no_country" not in {hint["code"] for hint in asked(filled.seeker, draft)["hints"]}
    assert "no_country" in {hint["code"] for hint in asked(filled.centre, draft)["hints"]}


def test_a_lightly_edited_copy_is_found_on_its_own_side(filled: World) -> None:
    copy = OFFER | {"reference": "copy", "title": "耐磨陶瓷弯头 wear resistant ceramic elbows for pipelines"}
    [found] = asked(filled.seeker, copy)["near_duplicates"]
    assert (found["id"], found["identical"], found["own"]) == (filled.ids["o1"], False, False)
    assert SAME <= found["similarity"] < 1.0
    assert asked(filled.offerer, copy)["near_duplicates"][0]["own"]
    assert asked(filled.offerer, copy | {"side": "need"})["near_duplicates"] == []


def test_a_listing_is_no_duplicate_of_itself(filled: World) -> None:
    assert asked(filled.offerer, OFFER)["near_duplicates"] == []
    unnamed = {key: value for key, value in OFFER.items() if key != "reference"}
    assert asked(filled.offerer, unnamed)["near_duplicates"][0]["identical"]
    assert asked(filled.offerer, unnamed, replaces=filled.ids["o1"])["near_duplicates"] == []
    own = filled.offerer.get(f"/api/v1/listings/{filled.ids['o1']}/advice").json()
    assert own["near_duplicates"] == []
    assert {hint["code"] for hint in own["hints"]} >= {"no_advantages", "no_modes", "no_keywords"}


def test_advice_on_a_listing_is_its_owners(filled: World) -> None:
    problem(filled.seeker.get(f"/api/v1/listings/{filled.ids['o1']}/advice"), 403)
    problem(filled.seeker.get("/api/v1/listings/nothing/advice"), 404)
    problem(filled.seeker.post(f"/api/v1/listings/advice?replaces={filled.ids['o1']}", json=OFFER), 403)
    problem(filled.seeker.post(f"/api/v1/listings/advice?organisation={filled.ids['offerer']}", json=OFFER), 404)
    assert filled.manager.get(f"/api/v1/listings/{filled.ids['o1']}/advice").status_code == 200


def test_what_one_may_not_read_is_not_told(filled: World) -> None:
    secret = filled.post(filled.offerer, OFFER | {"reference": "secret", "disclosure": "introduction"})
    unpublished = filled.post(filled.waiting, OFFER | {"reference": "w1"})
    assert unpublished["status"] == "submitted"
    copy = OFFER | {"reference": "copy"}
    edited = copy | {"title": "耐磨陶瓷弯头 wear resistant ceramic elbows for pipelines"}
    for text in (copy, edited):
        assert [one["id"] for one in asked(filled.seeker, text)["near_duplicates"]] == [filled.ids["o1"]]
        assert {one["id"] for one in asked(filled.offerer, text)["near_duplicates"]} == {filled.ids["o1"], secret["id"]}
    mine = {one["id"] for one in asked(filled.waiting, copy)["near_duplicates"]}
    assert mine == {filled.ids["o1"], unpublished["id"]}
    posted = filled.seeker.post("/api/v1/listings", json=copy)
    assert secret["id"] not in posted.headers["link"]


def test_posting_the_same_text_again_names_what_is_there(filled: World) -> None:
    again = filled.seeker.post("/api/v1/listings", json=OFFER | {"reference": "other"})
    assert again.status_code == 201
    assert again.headers["link"] == f'</api/v1/listings/{filled.ids["o1"]}>; rel="duplicate"'
    assert "link" not in filled.seeker.post("/api/v1/listings", json=NEED | {"title": "Quite new"}).headers
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o1']}/withdraw")
    assert "link" not in filled.seeker.post("/api/v1/listings", json=OFFER | {"reference": "other"}).headers


def test_a_stated_field_is_told_with_who_states_it(filled: World) -> None:
    where = f"/api/v1/listings/{filled.ids['o1']}"
    filled.manager.put(f"{where}/fields", json={"fields": ["advanced_materials"]})
    fields = {one["field"]: one["stated_by"] for one in filled.offerer.get(f"{where}/advice").json()["fields"]}
    assert fields == dict.fromkeys(FIELDS) | {"advanced_materials": "manager"}
    draft = asked(filled.offerer, OFFER | {"fields": ["environment"]})["fields"]
    assert [one["field"] for one in draft if one["stated_by"] == "author"] == ["environment"]


@pytest.fixture(scope="module")
def models(encoder: SentenceEncoder) -> Models:
    return with_artefacts(encoder)


def test_a_translation_is_known_as_the_same_and_its_fields_are_suggested(models: Models) -> None:
    listings = [read_listing(record) for record in read("samples/listings.jsonl") if record["side"] == "offer"][::3]
    translated = [r for r in read("duplicates/listings.jsonl") if r["side"] == "offer"]
    originals = {r["of"] for r in translated}
    listings += [
        read_listing(r) for r in read("samples/listings.jsonl") if r["id"] in originals - {one.id for one in listings}
    ]
    embeddings = embed(listings, models.encoder)
    market = Market.build(listings, embeddings, models)
    for record in translated:
        stand = alone_on_its_side(record, models, market)
        assert [name for name, _ in alike(market, stand)] == [record["of"]]
        found = fields_of(models, stand)
        assert found is not None
        assert max(found, key=lambda name: found[name]) in record["fields"]
        assert max(found.values()) >= LIKELY
    assert alike(market, alone_on_its_side({**translated[0], "side": str(Side.NEED)}, models, market)) == []


def alone_on_its_side(record: dict[str, Any], models: Models, market: Market) -> Stand:
    draft = read_listing({**record, "id": "draft"})
    return Stand.of(draft.side, [draft], embed([draft], models.encoder), market.space, models)
