"""What is wrong with a field, in the words of the pages: the reading of listings says it in English alone."""

from __future__ import annotations

import re

from app.web.words import N_, Language

PATTERNS = [
    (re.compile(pattern), text)
    for pattern, text in (
        (r"must be 'offer' or 'need', not (?P<value>.+)", N_("must be offer or need, not %(value)s")),
        (r"must be a whole number, not (?P<value>.+)", N_("must be a whole number, not %(value)s")),
        (r"must be a number such as 1500 or 4\.2, not (?P<value>.+)", N_("must be a number, not %(value)s")),
        (r"must be true or false, not (?P<value>.+)", N_("must be true or false, not %(value)s")),
        (
            r"(?P<value>.+) is not like: density >= 4\.2 .*",
            N_("%(value)s is not like: density >= 4.2 g/cm³; price <= 3 EUR (nice)"),
        ),
        (r"is not JSON: (?P<value>.+)", N_("is not JSON: %(value)s")),
        (r"give either text or description, not both", N_("give either text or description, not both")),
        (
            r"title and description hold no word; write at least one of them",
            N_("title and description hold no word; write at least one of them"),
        ),
        (r"at most 200 printable characters", N_("at most 200 printable characters")),
        (
            r"(?P<value>[\d,]+) characters, at most (?P<limit>[\d,]+) are read; shorten it",
            N_("%(value)s characters, at most %(limit)s are read; shorten it"),
        ),
        (
            r"must be a BCP 47 tag such as zh or pt-BR, not (?P<value>.+)",
            N_("must be a language tag such as zh or pt-BR, not %(value)s"),
        ),
        (
            r"must be an ISO 3166-1.*, not (?P<value>.+)",
            N_("must be a country's code of two letters, such as KZ, not %(value)s"),
        ),
        (
            r"must be an ISO 3166-2.*, not (?P<value>.+)",
            N_("must be a region's code, such as CN-51, not %(value)s"),
        ),
        (
            r"(?P<value>\S+) does not lie in (?P<country>\S+); correct the one or the other",
            N_("%(value)s does not lie in %(country)s; correct the one or the other"),
        ),
        (
            r"must hold ISO 3166-1 codes of two letters, not (?P<value>.+)",
            N_("must hold countries' codes of two letters, not %(value)s"),
        ),
        (
            r"at most (?P<limit>\d+) entries of at most 500 characters",
            N_("at most %(limit)s entries of 500 characters"),
        ),
        (r"(?P<value>.+) is not one of (?P<codes>.+)", N_("%(value)s is not one of %(codes)s")),
        (
            r"must be a whole number from 1 to 9, not (?P<value>.+)",
            N_("must be a whole number from 1 to 9, not %(value)s"),
        ),
        (r"Input should be (?P<codes>'.+)", N_("must be one of %(codes)s")),
        (r"(?P<value>.+) already stands in line (?P<line>\d+)", N_("%(value)s already stands in row %(line)s")),
        (
            r"is missing: sent again, this row would make another listing; give it a reference",
            N_("is missing: sent again, this row would make another listing; give it a reference"),
        ),
        (r"no (field|column) of a listing, ignored", N_("no column of a listing, not read")),
        (
            r"is the example row of the template, left out",
            N_("is the example row of the template, left out"),
        ),
        (
            r"the cells (?P<cells>\S+) are merged: .*",
            N_("the cells %(cells)s are merged: only the first row has their value; unmerge them"),
        ),
        (
            r"was read as GB18030; .*",
            N_("was read as GB18030; if characters look wrong, save the file as UTF-8"),
        ),
        (
            r"holds a formula; put its value in its place \(paste as values\)",
            N_("holds a formula; put its value in its place"),
        ),
        (r"holds the error (?P<value>.+); correct or empty it", N_("holds the error %(value)s; correct or empty it")),
        (r"must be a JSON object in braces", N_("must be a JSON object in braces")),
        (r"is not UTF-8 at byte \d+; save the file as UTF-8", N_("is not UTF-8; save the file as UTF-8")),
        (
            r"(?P<count>[\d,]+) rows are wrong, so nothing was written",
            N_("%(count)s rows are wrong, so nothing was written"),
        ),
        (
            r"the service was stopped; send the file again to bring in the rest",
            N_("The service was stopped. Import the file again: what is in already stays as it is."),
        ),
        (
            r"the listings were changed meanwhile, so nothing was written; send the file again",
            N_("The listings were changed meanwhile, so nothing was written. Import the file again."),
        ),
        (
            r"all_or_nothing takes at most (?P<limit>[\d,]+) rows; .*",
            N_("All or nothing takes at most %(limit)s rows: split the file, or leave wrong rows out."),
        ),
        (r"a defect of the service; it has been logged", N_("A defect of the service; it has been logged.")),
        (r"the organisation is there no more", N_("the organisation is there no more")),
        (
            r"an import of this organisation is running; wait until it is done",
            N_("An import of this organisation is running. Wait until it is done, then press the button again."),
        ),
        (
            r"\d+ imports are running or waiting; try again in a minute",
            N_("Several imports are running or waiting. Try again in a minute."),
        ),
        (
            r"the file has more than (?P<limit>[\d,]+) rows; split it",
            N_("The file has more than %(limit)s rows: split it."),
        ),
        (r"the file holds no rows under its headings", N_("The file holds no rows under its headings.")),
        (
            r"the workbook has no sheet with rows under headings",
            N_("The workbook has no sheet with rows under headings."),
        ),
        (
            r"the file is locked with a password or has the old \.xls form; .*",
            N_("The file is locked with a password or has the old .xls form: save it as .xlsx without one."),
        ),
        (
            r"the file is no XLSX workbook that can be read .*|the file is a ZIP archive but no XLSX workbook; .*",
            N_("The file is no XLSX workbook that can be read: save it again as .xlsx."),
        ),
        (
            r"the CSV file cannot be cut into cells: .* in line (?P<line>\d+); .*",
            N_("The CSV file cannot be cut into cells in line %(line)s: look for a quotation mark too many."),
        ),
        (r"the file holds too much text; split it", N_("The file holds too much text: split it.")),
        (
            r"too many files wait to be imported; try again in an hour",
            N_("Too many files wait to be imported. Try again in an hour."),
        ),
    )
]


def said(language: Language, fix: str) -> str:
    """A fix in a language; as it is where there are no words for it."""
    for pattern, text in PATTERNS:
        found = pattern.fullmatch(fix)
        if found is not None:
            return language.words.gettext(text) % found.groupdict()
    return fix
