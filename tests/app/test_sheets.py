import io
import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.cells import as_it_was, neutral, read_cell, write_cells
from app.columns import BY_KEY, CODE_NAMES, COLUMNS, read_heading
from app.errors import Unusable
from app.exports import EXAMPLE_ROW, exported, template
from app.files import ListingFile, read_listings
from app.record import KEYS, ListingIn, Record
from app.sheets import EXAMPLE, ROWS, Format, format_of
from app.workbook import UNPACKED, check_workbook, escaped, unescaped

FULL: Record = {
    "reference": "full-1",
    "side": "need",
    "title": '=HYPERLINK("http://example.org")',
    "summary": '-5 °C; mit „Anführung“, "quotes"',
    "description": "first line\nsecond line\r\n\tthird",
    "advantages": "'=already with an apostrophe",
    "requirement": "  blanks around  ",
    "partner_role": "@partner",
    "language": "zh-Hans",
    "translations": [
        {"language": "en", "origin": "author", "title": "+1", "description": "x"},
        {"language": "ru", "origin": "machine", "summary": "Насос"},
    ],
    "country": "CN",
    "region": "CN-51",
    "fields": ["clean_energy", "environment"],
    "trl": 7,
    "stage": "prototype",
    "ipr": "secret_know_how",
    "classifications": ["C04B 35/10"],
    "keywords": ["a;b", "c|d", "plain"],
    "modes": ["joint_rnd"],
    "partner_types": ["university"],
    "target_countries": ["KZ", "it"],
    "excluded_countries": ["US"],
    "budget": {"minimum": 0.1, "maximum": 12345678901234567, "currency": "CNY"},
    "requirements": [
        {"parameter": "density", "operator": ">=", "value": 4.2, "unit": "g/cm³"},
        {"parameter": "price", "operator": "<=", "value": 3, "unit": "EUR", "must": False},
    ],
    "disclosure": "registered",
    "organisation": "Sample works",
    "sample": False,
}


def workbook(*rows: list[Any], merge: str | None = None) -> bytes:
    """An XLSX file as a person's spreadsheet program would leave it."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if merge is not None:
        book.active.merge_cells(merge)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read_csv(text: str, encoding: str = "utf-8") -> ListingFile:
    return read_listings(text.encode(encoding), Format.CSV, named=False)


def read_xlsx(*rows: list[Any], merge: str | None = None) -> ListingFile:
    return read_listings(workbook(*rows, merge=merge), Format.XLSX, named=False)


def test_every_key_of_a_record_has_columns() -> None:
    assert {column.key for column in COLUMNS} - {"budget_minimum", "budget_maximum", "budget_currency"} == set(KEYS)
    assert {code for column in COLUMNS for code in column.codes} - {"true", "false"} == set(CODE_NAMES)


@pytest.mark.parametrize("form", list(Format))
def test_a_whole_listing_comes_back_as_it_was(form: Format) -> None:
    assert read_listings(exported([FULL], form), form).records == [FULL]


@pytest.mark.parametrize("form", list(Format))
def test_texts_longer_than_a_cell_come_back_whole(form: Format) -> None:
    long = FULL | {"description": "矿浆=\x0b" * 12_000, "keywords": [f"{i};" + "k" * 490 for i in range(100)]}
    assert read_listings(exported([long, FULL | {"reference": "2"}], form), form).records[0] == long


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
WORD = st.builds("w{}".format, TEXT)
FIGURE = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20)
TRANSLATION = st.fixed_dictionaries(
    {"language": st.sampled_from(["en", "zh", "zh-Hans", "EN"]), "origin": st.sampled_from(["author", "machine"])},
    optional={"title": TEXT, "summary": TEXT, "description": TEXT},
)
ASKED = st.fixed_dictionaries(
    {
        "parameter": TEXT.filter(bool),
        "operator": st.sampled_from(["<", "<=", "=", ">=", ">"]),
        "value": FIGURE,
    },
    optional={"unit": TEXT, "must": st.booleans()},
)
RECORDS = st.fixed_dictionaries(
    {"reference": WORD.filter(str.isprintable), "side": st.sampled_from(["offer", "need"]), "title": WORD},
    optional={
        **{key: TEXT.filter(bool) for key in ("summary", "description", "advantages", "requirement", "partner_role")},
        "translations": st.lists(TRANSLATION, min_size=1, max_size=3),
        "keywords": st.lists(TEXT, min_size=1, max_size=4),
        "fields": st.lists(st.sampled_from(BY_KEY["fields"].codes), min_size=1),
        "trl": st.integers(1, 9),
        "requirements": st.lists(ASKED, min_size=1, max_size=3),
        "budget": st.fixed_dictionaries(
            {"currency": st.just("EUR")}, optional={"minimum": st.none() | st.floats(0, 1e300), "maximum": st.none()}
        ),
        "sample": st.booleans(),
    },
)


@given(st.lists(RECORDS, min_size=1, max_size=3, unique_by=lambda one: one["reference"]))
@example([{"reference": "r", "side": "offer", "title": "_x000D_ _x0041_ \ufffe", "keywords": ["[1]"]}])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_service_takes_comes_back_from_a_sheet_as_it_was(records: list[Record]) -> None:
    try:
        for record in records:
            ListingIn.model_validate(record)
    except ValidationError:
        return
    for form in (Format.CSV, Format.XLSX):
        file = read_listings(exported(records, form), form)
        assert (file.records, file.problems) == (records, [])


@given(st.text())
@example("'''=")
@example("＝1+1")
def test_no_exported_text_begins_a_formula_and_all_come_back(text: str) -> None:
    assert neutral(text)[:1] not in tuple("=+-@\t\r＝＋－＠")
    assert as_it_was(neutral(text)) == text
    assert unescaped(escaped(text)) == text


def test_an_exported_workbook_holds_no_formula() -> None:
    book = openpyxl.load_workbook(io.BytesIO(exported([FULL], Format.XLSX)))
    cells = [cell for row in book.active.iter_rows() for cell in row]
    assert not any(cell.data_type == "f" for cell in cells)
    assert "'=HYPERLINK" in "".join(str(cell.value) for cell in cells)
    assert "'=HYPERLINK" in exported([FULL], Format.CSV).decode("utf-8-sig")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_is_read_with_any_separator_and_byte_order_mark(mark: str, encoding: str) -> None:
    text = "\r\n".join(
        mark.join(row) for row in (["编号", "类型", "标题", "TRL"], ["a", "供给", "泵", "7"], ["", "", "", ""])
    )
    file = read_csv(text, encoding)
    assert file.records == [{"reference": "a", "side": "offer", "title": "泵", "trl": 7}]
    assert file.warnings == []


def test_gb18030_is_read_and_said() -> None:
    file = read_csv("类型,标题,编号\n需求,耐磨陶瓷弯头,n1\n", "gb18030")
    assert file.records[0]["title"] == "耐磨陶瓷弯头"
    assert [(one.field, "GB18030" in one.fix) for one in file.warnings] == [("encoding", True)]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"\xff\xff\xff", "UTF-8"),
        (b"colour,size\nred,3\n", "headings"),
        (b"", "headings"),
        (b'side,title\noffer,"open\n', "quotation mark"),
        (b"side,title,Title\noffer,a,b\n", "mean the same"),
    ],
)
def test_a_csv_that_is_none_is_said(body: bytes, word: str) -> None:
    with pytest.raises(Unusable, match=word):
        read_listings(body, Format.CSV)


def test_a_problem_names_row_column_and_fix() -> None:
    head = ["reference", "side", "title", "trl", "budget_minimum", "budget_currency", "requirements", "colour"]
    file = read_xlsx(
        head,
        ["a", "offer", "pump", "ten", None, None, None],
        [],
        ["b", "seller", "pump"],
        ["c", "offer", "pump", 7, "much", "EUR"],
        ["d", "offer", "pump", 7, 5, "euro"],
        ["e", "offer", "pump", 7.0, 5, "EUR", "density is 4"],
        ["f", "offer", "pump", None, None, None, "=1+1"],
        ["a2", "offer", "pump", 12],
        ["a3", "offer", "pump"],
        ["a3", "offer", "pump"],
    )
    assert [(one.line, one.field, one.column) for one in file.problems] == [
        (2, "trl", "D, trl"),
        (4, "side", "B, side"),
        (5, "budget_minimum", "E, budget_minimum"),
        (6, "budget.currency", "F, budget_currency"),
        (7, "requirements", "G, requirements"),
        (8, "requirements", "G, requirements"),
        (9, "trl", "D, trl"),
        (11, "id", "A, reference"),
    ]
    assert "formula" in file.problems[5].fix
    assert str(file.problems[0]).startswith("2: trl: must be a whole number, not 'ten' (column D, trl)")
    assert [(one.line, one.field, one.column) for one in file.warnings] == [(1, "colour", "H")]


def test_numbers_and_dates_in_text_columns_are_read_as_written() -> None:
    file = read_xlsx(
        ["Reference", "Side", "Title", "Summary", "TRL"], [1001, "Offer", 2024.0, date(2026, 3, 1), "TRL 4"]
    )
    assert file.records == [{"reference": "1001", "side": "offer", "title": "2024", "summary": "2026-03-01", "trl": 4}]


def test_a_title_line_above_the_headings_is_passed_over() -> None:
    file = read_xlsx(["Our list"], [], ["类型", "标题 *", "技术领域"], ["供给", "泵", "先进材料；环境治理"])
    assert file.records == [{"side": "offer", "title": "泵", "fields": ["advanced_materials", "environment"]}]
    assert file.lines == [4]


def test_merged_rows_and_rows_without_a_reference_are_warned_of() -> None:
    file = read_xlsx(["side", "title"], ["offer", "pump"], ["offer", "dryer"], merge="B2:B3")
    assert [one.line for one in file.problems] == [3]
    assert {(one.line, one.field) for one in file.warnings} == {(2, "reference"), (3, "row")}


def test_requirements_are_read_in_many_hands() -> None:
    read = read_cell(BY_KEY["requirements"], "密度 ≥ 4.2 g/cm³；price<=3 EUR (nice) | a=1（必须）; x y > -1e3 %")
    assert read == [
        {"parameter": "密度", "operator": ">=", "value": 4.2, "unit": "g/cm³"},
        {"parameter": "price", "operator": "<=", "value": 3, "unit": "EUR", "must": False},
        {"parameter": "a", "operator": "=", "value": 1, "must": True},
        {"parameter": "x y", "operator": ">", "value": -1000.0, "unit": "%"},
    ]
    assert write_cells({"requirements": read[:2]}) == {"requirements": "密度 >= 4.2 g/cm³; price <= 3 EUR (nice)"}


def test_headings_are_known_in_both_languages_and_with_a_language() -> None:
    for column in COLUMNS:
        for name in (column.key, column.english, column.chinese, column.key.upper(), f" {column.chinese}* "):
            found = read_heading(name)
            assert found is not None, name
            assert found.column is column
    translated = read_heading("标题@zh-Hans：机器")
    assert translated is not None
    assert (translated.language, translated.origin) == ("zh-Hans", "machine")
    assert read_heading("side@en") is None
    assert read_heading("colour") is None


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", [Format.CSV, Format.XLSX])
def test_the_template_can_be_read_and_its_example_row_is_left_out(form: Format, language: str) -> None:
    body = template(form, language)
    file = read_listings(body, form)
    assert (file.records, file.problems) == ([], [])
    assert "example row" in file.warnings[0].fix
    kept = body.decode("utf-8-sig").replace(EXAMPLE, "mine").encode() if form is Format.CSV else None
    if kept is not None:
        (record,) = read_listings(kept, form).records
        assert record["sample"] is True
        assert record["trl"] == EXAMPLE_ROW["trl"]


def test_the_template_explains_columns_and_offers_codes() -> None:
    book = openpyxl.load_workbook(io.BytesIO(template(Format.XLSX, "zh")))
    sheet, about = book.worksheets
    assert {row[0].value for row in about.iter_rows(min_row=2)} == {column.key for column in COLUMNS}
    offered = {one.formula1 for one in sheet.data_validations.dataValidation}
    assert '"offer,need"' in offered
    assert all(len(one) <= 257 for one in offered)


def zipped(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()


def bombed(body: bytes, *, truthful: bool) -> bytes:
    """A workbook with a part of zeros that unpacks to 100 MB; or whose directory says that it unpacks to 10 bytes."""
    out = io.BytesIO(body)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros.bin", b"\0" * 100_000_000)
        if not truthful:
            archive.getinfo("xl/media/zeros.bin").file_size = 10
    return out.getvalue()


@pytest.mark.parametrize("truthful", [True, False])
def test_a_zip_bomb_is_refused_before_it_is_parsed(truthful: bool) -> None:
    body = bombed(workbook(["side", "title"], ["offer", "pump"]), truthful=truthful)
    assert len(body) < 200_000
    with pytest.raises(Unusable, match=r"unpack|can be read"):
        check_workbook(body)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"no zip", "no XLSX"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, "password"),
        (zipped({"a.txt": b"x"}), "no XLSX workbook"),
        (zipped({f"{i}.txt": b"" for i in range(1_001)}), "parts"),
        (zipped({"[Content_Types].xml": b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}), "entities"),
        (zipped({"[Content_Types].xml": b"<Types/>"}), "no XLSX workbook"),
    ],
)
def test_what_is_no_workbook_is_said(body: bytes, word: str) -> None:
    with pytest.raises(Unusable, match=word):
        read_listings(body, Format.XLSX)


def test_a_workbook_cut_off_in_the_middle_is_said() -> None:
    body = workbook(["side", "title"], *(["offer", f"pump {i}"] for i in range(2_000)))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"][:20_000]
    with pytest.raises(Unusable, match="no XLSX workbook"):
        read_listings(zipped(parts), Format.XLSX)


def test_too_many_parts_bytes_rows_and_columns_are_refused() -> None:
    assert UNPACKED < 1 << 30
    rows = "side,title\n" + "offer,pump\n" * (ROWS + 1)
    with pytest.raises(Unusable, match="rows; split it"):
        read_csv(rows)
    with pytest.raises(Unusable, match="rows; split it"):
        read_listings(b'{"side": "offer", "title": "pump"}\n' * (ROWS + 1), Format.JSONL)
    with pytest.raises(Unusable, match="200 columns"):
        read_xlsx(["side", "title", *(f"c{i}" for i in range(200))], ["offer", "pump"])


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.xlsx", Format.XLSX),
        ("a.CSV", Format.CSV),
        ("a.tsv", Format.CSV),
        ("a.jsonl", Format.JSONL),
        ("a", Format.JSONL),
    ],
)
def test_a_file_s_form_is_that_of_its_name(name: str, form: Format) -> None:
    assert format_of(name) is form
    assert format_of(str(Path("b.c") / name)) is form


def test_blank_rows_hide_nothing_that_comes_after_them() -> None:
    assert read_csv("side,title\n" + "\n" * (ROWS + 100) + "offer,pump\n").lines == [ROWS + 102]


def test_all_keys_and_codes_are_written_down() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text("utf-8")
    assert [key for key in KEYS if f"| `{key}` |" not in text] == []
    codes = [code for column in COLUMNS for code in column.codes]
    assert [code for code in codes if f"`{code}`" not in text] == []


def test_json_lines_keep_their_apostrophes() -> None:
    line = json.dumps({"reference": "a", "side": "offer", "title": "'=1"})
    assert read_listings(line.encode(), Format.JSONL).records[0]["title"] == "'=1"
