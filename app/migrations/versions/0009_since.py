"""Since when a pairing is in its state stands in its row: the board sorts and narrows by it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column, filled from the steps, and its index."""
    op.add_column("pairing", sa.Column("since", sa.DateTime(), nullable=False, server_default="1970-01-01 00:00:00"))
    pairing = sa.table("pairing", *map(sa.column, ("id", "since", "created_at")))
    step = sa.table("pairing_step", *map(sa.column, ("pairing_id", "at", "state_before", "state_after")))
    changed = sa.or_(step.c.state_before.is_(None), step.c.state_before != step.c.state_after)
    last = sa.select(sa.func.max(step.c.at)).where(step.c.pairing_id == pairing.c.id, changed).scalar_subquery()
    op.execute(pairing.update().values(since=sa.func.coalesce(last, pairing.c.created_at)))
    op.create_index("ix_pairing_waiting", "pairing", ["state", "since", "id"])


def downgrade() -> None:
    """Back to a board that looks it up among the steps."""
    op.drop_index("ix_pairing_waiting", "pairing")
    op.drop_column("pairing", "since")
