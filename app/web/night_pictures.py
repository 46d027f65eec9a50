"""The pictures of the overnight runs, each from reports or from decisions, in a language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_percent

from app.judging import BANDS, FEW, Band, Month
from app.tables import NightRow
from app.web.labels import label
from app.web.pictures import Cell, Picture
from app.web.words import Language

Report = dict[str, dict[str, Any]]
SHARES = ("reached_offers", "reached_needs", "gini_offers", "gini_needs")
COUNTS = ("proposals", "most_offers", "most_needs", "total")


def stages(report: Report, language: Language) -> Picture:
    """How long each stage took."""
    _ = language.words.gettext
    took = {name: float(figures["seconds"]) for name, figures in report.items() if "seconds" in figures}
    whole = sum(took.values()) or 1.0
    rows: list[list[Cell]] = [
        [label(language, "night stage", name), seconds, seconds / whole] for name, seconds in took.items()
    ]
    columns = [(_("Stage"), "text"), (_("Seconds"), "days"), (_("Share"), "share")]
    said = _("The stages in the order in which they run; one that was interrupted goes on where it was.")
    return Picture("stages", _("What ran"), said, columns, rows)


def drops(report: Report, language: Language) -> Picture:
    """Why pairs were not proposed."""
    _ = language.words.gettext
    match = report.get("match", {})
    if "pairs" not in match:
        return Picture("drops", _("What was left out, and why"), "", (), (), none=_("The matching has not been done."))
    pairs, unasked, good = match["pairs"], match.get("in a direction not asked for", 0), match["good pairs"]
    numbers = (
        (_("Direction not asked for: within Chongqing–Sichuan, or between other places"), unasked),
        (_("Not among the nearest, excluded by the terms, or below the threshold"), pairs - unasked - good),
        (_("Good, but one of the two listings had its fill of better ones"), match.get("left out by the caps", 0)),
        (_("Proposed"), match["assigned"]),
    )
    columns = [(_("Pairs of an offer and a need"), "text"), (_("Number"), "number"), (_("Of all pairs"), "share")]
    rows: list[list[Cell]] = [[name, number, number / pairs if pairs else None] for name, number in numbers]
    said = _("Every pair of a published offer and a published need is in exactly one of these rows.")
    return Picture("drops", _("What was left out, and why"), said, columns, rows)


def exposure(report: Report, language: Language) -> Picture:
    """How the proposals are spread over the listings, against taking the best of each."""
    _ = language.words.gettext
    spreads = report.get("match", {}).get("exposure", {})
    ways = list(spreads)
    kinds = [*SHARES, *COUNTS] if spreads else []
    rows: list[list[Cell]] = [
        [label(language, "exposure", kind), *(spreads[way][kind] for way in ways)] for kind in kinds
    ]
    columns = [(_("Figure"), "text"), *((label(language, "assignment", way), "number") for way in ways)]
    said = _(
        "The assignment reaches more listings than the ten best of each would. Gini: 0 is an even spread, 1 all to one."
    )
    none = _("The matching has not been done.")
    return Picture("exposure", _("How proposals are spread"), said, columns, rows, [[kind] for kind in kinds], none)


def quality(rows: Sequence[NightRow], language: Language) -> Picture:
    """The figures of the last nights, the oldest first."""
    _ = language.words.gettext
    shown = [row for row in reversed(rows) if "exposure" in row.report.get("match", {})]
    cells: list[list[Cell]] = []
    for row in shown:
        spread = row.report["match"]["exposure"]["assigned"]
        when = format_datetime(row.started_at, "MM-dd HH:mm", locale=language.locale)
        cells.append([when, spread["proposals"], *(spread[kind] for kind in SHARES)])
    kinds = [
        (label(language, "exposure", kind), "share" if kind.startswith("reached") else "number") for kind in SHARES
    ]
    columns = [(_("Night"), "text"), (_("Proposals"), "number"), *kinds]
    said = _(
        "Whether more listings are reached, and how evenly, from night to night. A jump calls for a look at that night."
    )
    none = _("No night has come as far as the matching yet.")
    return Picture("quality", _("Quality over time"), said, columns, cells, [[row.id] for row in shown], none)


def decisions(found: Sequence[Month], language: Language) -> Picture:
    """How many decided proposals were accepted, by month."""
    _ = language.words.gettext
    rows: list[list[Cell]] = [
        [f"{one.month // 100}-{one.month % 100:02}", one.accepted, one.declined, one.other, one.rate] for one in found
    ]
    names = (_("Accepted"), _("Declined as no match"), _("Declined for other reasons"))
    columns = [(_("Month"), "text"), *((name, "number") for name in names), (_("Accepted of those that tell"), "share")]
    said = _("Other reasons, such as terms or capacity, say nothing of the match and are left out of the share.")
    none = _("Nobody has decided on a proposal yet. Decisions in the queue show here whether people agree.")
    codes = [[str(one.month)] for one in found]
    return Picture("decisions", _("What people decided"), said, columns, rows, codes, none)


def calibration(found: Sequence[Band], language: Language) -> Picture:
    """Whether proposals of a probability are accepted as often as it says."""
    _ = language.words.gettext
    rows: list[list[Cell]] = [
        [_between(one.start, language), one.number, one.accepted, one.expected, one.share, one.low, one.high]
        for one in found
    ]
    shares = (_("Expected"), _("Accepted, share"), _("at least (95 %)"), _("at most (95 %)"))
    columns = [(_("Probability"), "text"), (_("Decisions"), "number"), (_("Accepted"), "number")]
    columns += [(name, "share") for name in shares]
    said = _(
        "On the diagonal the probability keeps its word. Hollow points rest on fewer than %(few)s decisions and say"
        " little; only what was proposed and decided is in it, not all pairs."
    ) % {"few": FEW}
    none = _("Nobody has decided on a proposal yet. Decisions in the queue show here whether people agree.")
    codes = [["few" if one.number < FEW else "enough"] for one in found]
    return Picture("calibration", _("Does the probability keep its word?"), said, columns, rows, codes, none)


def _between(start: float, language: Language) -> str:
    low, high = (format_percent(one, locale=language.locale) for one in (start, start + 1 / BANDS))
    return f"{low} – {high}"
