"""A picture and the table that it is drawn from: one on a page, in a CSV file and for the script that draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from app.errors import NotFound
from app.exports import as_csv
from app.web.rendering import HEADERS

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """`columns`: headings, each with what stands under it: text, name (somebody's own words), number, share or days.

    `codes` hold for each row what the script tells colours and places by, whatever the language; `said` is the picture
    in a sentence, `none` what to say where there is nothing to draw. One without `codes` is a table alone.
    """

    name: str
    title: str
    said: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell]]
    codes: Sequence[Sequence[str | None]] = ()
    none: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """What the script draws."""
        return {
            "said": self.said,
            "columns": [name for name, _ in self.columns],
            "rows": self.rows,
            "codes": self.codes,
        }


def csv_of(pictures: Mapping[str, Picture], name: str) -> Response:
    """A picture's table as a file. Raises NotFound."""
    if name not in pictures:
        raise NotFound(f"there is no picture {name!r:.50}")
    picture = pictures[name]
    rows = [[round(cell, 4) if isinstance(cell, float) else cell for cell in row] for row in picture.rows]
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(as_csv([[head for head, _ in picture.columns], *rows]), 200, headers, "text/csv; charset=utf-8")
