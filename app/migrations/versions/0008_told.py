"""What lists are narrowed by stands in columns of its own, and lists by time have indexes that settle ties.

Names of columns and how they are filled are as they were when this was written: later code may fill them otherwise.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BLOCK = 1_000
OLD = {"side": ["side"], "status": ["status"], "updated_at": ["updated_at"], "expires_at": ["expires_at"]}
NEW = {
    "told": ["status", "side", "country", "field_codes", "organisation_id"],
    "changed": ["updated_at", "id"],
    "ending": ["expires_at", "id"],
    "country": ["country"],
}


def upgrade() -> None:
    """Three columns, filled from the records, and the indexes that lists are read by."""
    op.add_column("listing", sa.Column("country", sa.String(), nullable=True))
    op.add_column("listing", sa.Column("field_codes", sa.Text(), nullable=False, server_default=""))
    op.add_column("listing", sa.Column("title_folded", sa.Text(), nullable=False, server_default=""))
    _fill(op.get_bind())
    for name in OLD:
        op.drop_index(f"ix_listing_{name}", "listing")
    for name, columns in NEW.items():
        op.create_index(f"ix_listing_{name}", "listing", columns)


def downgrade() -> None:
    """Back to lists that are narrowed by what stands in the records."""
    for name in NEW:
        op.drop_index(f"ix_listing_{name}", "listing")
    for name, columns in OLD.items():
        op.create_index(f"ix_listing_{name}", "listing", columns)
    for name in ("country", "field_codes", "title_folded"):
        op.drop_column("listing", name)


def _fill(connection: sa.Connection) -> None:
    listing = sa.table("listing", *map(sa.column, ("id", "record", "corrected_fields", *_told({}, None))))
    own = sa.select(listing.c.id, listing.c.record, listing.c.corrected_fields).order_by(listing.c.id).limit(BLOCK)
    change = sa.update(listing).where(listing.c.id == sa.bindparam("name"))
    change = change.values({name: sa.bindparam(f"new_{name}") for name in _told({}, None)})
    after = ""
    while rows := connection.execute(own.where(listing.c.id > after)).all():
        told = [(name, _told(_read(record) or {}, _read(corrected))) for name, record, corrected in rows]
        connection.execute(
            change, [{"name": name, **{f"new_{key}": value for key, value in one.items()}} for name, one in told]
        )
        after = rows[-1].id


def _told(record: dict[str, Any], corrected: list[str] | None) -> dict[str, str | None]:
    fields = list(dict.fromkeys(record.get("fields") or [] if corrected is None else corrected))
    country = (record.get("country") or (record.get("region") or "")[:2]).upper()
    text = record.get("title") or (record.get("description") or record.get("text") or "")[:100]
    return {
        "country": country or None,
        "field_codes": f"|{'|'.join(fields)}|" if fields else "",
        "title_folded": text.casefold(),
    }


def _read(value: Any) -> Any:
    """JSON, which SQLite gives as text and PostgreSQL's driver as what it says."""
    return json.loads(value) if isinstance(value, str) else value
