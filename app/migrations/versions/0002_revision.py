"""A counter of writes, by which a reader knows that listings have changed, and which."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the counter, at 0; all listings are of that revision."""
    table = op.create_table(
        "revision", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("number", sa.Integer(), nullable=False)
    )
    op.bulk_insert(table, [{"id": 1, "number": 0}])
    with op.batch_alter_table("listing") as listing:
        listing.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
        listing.create_index("ix_listing_revision", ["revision"])


def downgrade() -> None:
    """Remove both."""
    with op.batch_alter_table("listing") as listing:
        listing.drop_index("ix_listing_revision")
        listing.drop_column("revision")
    op.drop_table("revision")
