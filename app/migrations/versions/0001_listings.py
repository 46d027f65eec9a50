"""Listings and their embeddings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "listing",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("text_hash", sa.String(), nullable=False),
        sa.Column("sample", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
    )
    for name in ("side", "text_hash", "updated_at"):
        op.create_index(f"ix_listing_{name}", "listing", [name])
    op.create_table(
        "embedding",
        sa.Column("encoder", sa.String(), primary_key=True),
        sa.Column("text_hash", sa.String(), primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("embedding")
    op.drop_table("listing")
