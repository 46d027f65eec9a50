"""The overnight runs and their reports."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "night",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
    )
    op.create_index("ix_night_state", "night", ["state"])
    op.create_index("ix_night_started_at", "night", ["started_at"])


def downgrade() -> None:
    """Back to a service without overnight runs."""
    op.drop_table("night")
