"""The columns of CSV and XLSX files: one for each key of a record, in English and in Chinese, and what it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from app.record import Disclosure, IprStatus, PartnerType, Stage
from matching import FIELDS, MODES, Side


class Kind(StrEnum):
    """How a cell of a column is read."""

    TEXT = "text"  # as it stands
    NAME = "name"  # a code or a name; blanks around it and a blank cell mean nothing
    CODE = "code"  # one of the column's codes, or its name in English or Chinese
    LIST = "list"  # texts or codes, separated by ; or |
    WHOLE = "whole"
    NUMBER = "number"
    TRUTH = "truth"
    REQUIREMENTS = "requirements"
    JSON = "json"  # what the readable columns cannot express


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key (also its heading in exports), its headings, what it is for, the codes that it takes."""

    key: str
    kind: Kind
    english: str
    chinese: str
    about: str
    about_chinese: str
    codes: tuple[str, ...] = ()


CODE_NAMES = {
    "offer": "供给",
    "need": "需求",
    "digital_intelligence": "数智科技",
    "aerospace": "航空航天",
    "advanced_materials": "先进材料",
    "clean_energy": "清洁能源",
    "modern_agriculture": "现代农业",
    "food_health": "食品健康",
    "public_health": "公共卫生",
    "medicine_health": "医药健康",
    "environment": "环境治理",
    "concept": "概念",
    "development": "研发中",
    "prototype": "样机",
    "demonstrated": "已示范",
    "on_market": "已上市",
    "none": "无",
    "secret_know_how": "技术秘密",
    "applied": "已申请",
    "granted": "已授权",
    "assignment": "转让",
    "exclusive_licence": "独占许可",
    "sole_licence": "排他许可",
    "ordinary_licence": "普通许可",
    "joint_rnd": "合作开发",
    "joint_venture": "合资",
    "technical_service": "技术服务",
    "consulting": "技术咨询",
    "turnkey": "交钥匙工程",
    "training": "培训",
    "industry": "企业",
    "small_enterprise": "中小企业",
    "university": "高校",
    "research": "科研机构",
    "government": "政府部门",
    "investor": "投资机构",
    "intermediary": "中介机构",
    "public": "公开",
    "registered": "注册用户可见",
    "introduction": "对接后可见",
}
"""Codes in Chinese; in English a code is read with blanks in place of its underscores."""

_LIST = "Separate with ; or |. "
_LIST_ZH = "用 ; 或 | 分隔。"

COLUMNS = (
    Column(
        "reference",
        Kind.NAME,
        "Reference",
        "编号",
        "Your own number for this listing; sending it again updates the listing instead of making another.",
        "贵方自定的编号；再次导入同一编号会更新该条，而不会重复新建。",
    ),
    Column("side", Kind.CODE, "Side", "类型", "Offer or need. Required.", "供给或需求。必填。", tuple(Side)),
    Column("title", Kind.TEXT, "Title", "标题", "At most 1,000 characters.", "最多 1,000 字。"),
    Column("summary", Kind.TEXT, "Summary", "摘要", "At most 2,000 characters.", "最多 2,000 字。"),
    Column(
        "description",
        Kind.TEXT,
        "Description",
        "详细说明",
        "At most 50,000 characters; a title or a description is required. Longer than a cell: go on in the column "
        "“description (2)”.",
        "最多 50,000 字；标题与详细说明至少填一项。超出一格时续写在“详细说明 (2)”列。",
    ),
    Column("text", Kind.TEXT, "Text", "正文", "Another name for the description; give one of the two.", "即详细说明。"),
    Column(
        "advantages",
        Kind.TEXT,
        "Advantages",
        "优势与创新",
        "Of an offer: what it has over present practice. At most 10,000 characters.",
        "供给：相对现有做法的优势。最多 10,000 字。",
    ),
    Column(
        "requirement",
        Kind.TEXT,
        "Requirement",
        "技术要求",
        "Of a need: what it asks of a solution. At most 10,000 characters.",
        "需求：对解决方案的要求。最多 10,000 字。",
    ),
    Column(
        "partner_role",
        Kind.TEXT,
        "Partner role",
        "合作方任务",
        "What the partner is to do. At most 10,000 characters.",
        "合作方需要承担的工作。最多 10,000 字。",
    ),
    Column(
        "language",
        Kind.NAME,
        "Language",
        "语言",
        "BCP 47, such as zh; empty: detected.",
        "BCP 47，如 zh；留空则自动识别。",
    ),
    Column(
        "country",
        Kind.NAME,
        "Country",
        "国家或地区",
        "ISO 3166-1, two letters, such as KZ; empty: the organisation's.",
        "ISO 3166-1 两位字母，如 KZ；留空则取机构所在地。",
    ),
    Column("region", Kind.NAME, "Region", "省市", "ISO 3166-2, such as CN-51.", "ISO 3166-2，如 CN-51。"),
    Column("fields", Kind.LIST, "Fields", "技术领域", _LIST + "Codes.", _LIST_ZH + "填代码或中文名。", FIELDS),
    Column(
        "trl",
        Kind.WHOLE,
        "TRL",
        "技术成熟度",
        "A whole number from 1 to 9; of a need: the least that it accepts.",
        "1 至 9 的整数；需求填可接受的最低值。",
    ),
    Column("stage", Kind.CODE, "Stage", "所处阶段", "How far it is.", "技术所处阶段。", tuple(Stage)),
    Column(
        "ipr", Kind.CODE, "IPR status", "知识产权状态", "How it is protected.", "知识产权保护状态。", tuple(IprStatus)
    ),
    Column(
        "classifications",
        Kind.LIST,
        "Patent classes",
        "专利分类号",
        _LIST + "IPC or CPC, such as C04B 35/10.",
        _LIST_ZH + "IPC 或 CPC，如 C04B 35/10。",
    ),
    Column("keywords", Kind.LIST, "Keywords", "关键词", _LIST, _LIST_ZH),
    Column("modes", Kind.LIST, "Transfer modes", "转移方式", _LIST + "Codes.", _LIST_ZH + "填代码或中文名。", MODES),
    Column(
        "partner_types",
        Kind.LIST,
        "Partner types",
        "合作方类型",
        _LIST + "Codes.",
        _LIST_ZH + "填代码或中文名。",
        tuple(PartnerType),
    ),
    Column(
        "target_countries",
        Kind.LIST,
        "Target countries",
        "目标国家",
        _LIST + "ISO 3166-1, two letters.",
        _LIST_ZH + "ISO 3166-1 两位字母。",
    ),
    Column(
        "excluded_countries",
        Kind.LIST,
        "Excluded countries",
        "排除国家",
        _LIST + "ISO 3166-1, two letters.",
        _LIST_ZH + "ISO 3166-1 两位字母。",
    ),
    Column("budget_minimum", Kind.NUMBER, "Budget from", "预算下限", "A number.", "数字。"),
    Column("budget_maximum", Kind.NUMBER, "Budget to", "预算上限", "A number.", "数字。"),
    Column("budget_currency", Kind.NAME, "Budget currency", "预算币种", "ISO 4217, such as CNY.", "ISO 4217，如 CNY。"),
    Column("budget", Kind.JSON, "Budget (JSON)", "预算（JSON）", "As the API takes it.", "与接口格式相同。"),
    Column(
        "requirements",
        Kind.REQUIREMENTS,
        "Requirements in figures",
        "量化指标",
        "Such as: density >= 4.2 g/cm³; price <= 3 EUR (nice). Without (nice) it is a must.",
        "例如：密度 >= 4.2 g/cm³; 价格 <= 3 EUR (nice)。标 (nice) 或（可选）表示可选，否则为必须。",
    ),
    Column(
        "translations",
        Kind.JSON,
        "Translations (JSON)",
        "译文（JSON）",
        "As the API takes it. Easier: columns such as title@en; title@en:machine for a machine's.",
        "与接口格式相同。更简便：使用“标题@en”等列；机器译文用“标题@en:machine”。",
    ),
    Column(
        "disclosure",
        Kind.CODE,
        "Disclosure",
        "公开范围",
        "Who may read it; empty: everybody.",
        "谁可以查看；留空即公开。",
        tuple(Disclosure),
    ),
    Column(
        "organisation",
        Kind.TEXT,
        "Organisation",
        "机构名称",
        "Name to show instead of the owner's.",
        "代替所属机构显示的名称。",
    ),
    Column(
        "sample",
        Kind.TRUTH,
        "Sample",
        "示例",
        "true marks an invented listing.",
        "true 表示虚构的示例。",
        ("true", "false"),
    ),
)
BY_KEY = {column.key: column for column in COLUMNS}
TRANSLATED = ("title", "summary", "description")
LONGEST = 100  # characters of a heading
LONG = (Kind.TEXT, Kind.LIST, Kind.REQUIREMENTS, Kind.JSON)  # may go on in further columns

_SUFFIX = re.compile(
    r"(?P<name>.+?)(@(?P<language>[a-z0-9-]+)([:：](?P<origin>author|machine|作者|机器))?)?(\s*[(（](?P<part>\d{1,2})[)）])?",
    re.I,
)
_ORIGINS = {"作者": "author", "机器": "machine"}


@dataclass(frozen=True, slots=True)
class Heading:
    """A column as a file has it: where it stands, and of which translation (language, origin) or continuation."""

    label: str
    column: Column
    language: str = ""
    origin: str = ""
    part: int = 1


def read_heading(label: str) -> Heading | None:
    """The column that a heading means; None for one that is no listing's."""
    if len(label) > LONGEST:
        return None
    found = _SUFFIX.fullmatch(label.strip())
    column = _NAMES.get(_plain(found["name"])) if found else None
    if found is None or column is None:
        column = _NAMES.get(_plain(label))
        return None if column is None else Heading(label, column)
    language, part = found["language"] or "", int(found["part"] or 1)
    if (language and column.key not in TRANSLATED) or (part > 1 and column.kind not in LONG):
        return None
    origin = (found["origin"] or "author").lower() if language else ""
    return Heading(label, column, language, _ORIGINS.get(origin, origin), part)


def code_named(column: Column, text: str) -> str:
    """The code that a cell means; what is none stays as it is, for the reading of the record to refuse."""
    if text in column.codes:
        return text
    return _CODES[column.key].get(_plain(text), text)


def _plain(text: str) -> str:
    return re.sub(r"[\s_]+", " ", text.strip().rstrip("*").strip()).casefold()


def _named() -> dict[str, Column]:
    names = {"id": BY_KEY["reference"]}
    for column in COLUMNS:
        names |= {_plain(name): column for name in (column.key, column.english, column.chinese)}
    return names


_NAMES = _named()
_CODES = {
    column.key: {_plain(name): code for code in column.codes for name in (code, CODE_NAMES.get(code, code))}
    for column in COLUMNS
}
