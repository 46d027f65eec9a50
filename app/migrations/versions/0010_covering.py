"""Indexes that hold all that a filter of lists reads, so that no listing and no pairing is opened for it."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OLD = {
    "ix_listing_told": ("listing", ["status", "side", "country", "field_codes", "organisation_id"]),
    "ix_listing_country": ("listing", ["country"]),
    "ix_pairing_queue": ("pairing", ["state", "probability", "id"]),
    "ix_pairing_waiting": ("pairing", ["state", "since", "id"]),
}
NEW = {
    "ix_listing_told": ("listing", [*OLD["ix_listing_told"][1], "id"]),
    "ix_listing_country": ("listing", ["country", "id"]),
    "ix_pairing_queue": ("pairing", [*OLD["ix_pairing_queue"][1], "offer_id", "need_id"]),
    "ix_pairing_waiting": ("pairing", [*OLD["ix_pairing_waiting"][1], "offer_id", "need_id"]),
}


def upgrade() -> None:
    """Wider indexes; one of titles only where a row of an index may be as long as a title."""
    for name, (table, columns) in NEW.items():
        op.drop_index(name, table)
        op.create_index(name, table, columns)
    if op.get_bind().dialect.name == "sqlite":
        named = ["status", "title_folded", "reference", "organisation_id", "id"]
        op.create_index("ix_listing_named", "listing", named)


def downgrade() -> None:
    """Back to indexes that only find."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_listing_named", "listing")
    for name, (table, columns) in OLD.items():
        op.drop_index(name, table)
        op.create_index(name, table, columns)
