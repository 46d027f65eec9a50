"""When a delivery is due, and until when a worker has it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two columns; what waits already is due since it came."""
    op.add_column("delivery", sa.Column("due_at", sa.DateTime(), nullable=True))
    op.add_column("delivery", sa.Column("claimed_until", sa.DateTime(), nullable=True))
    op.execute("UPDATE delivery SET due_at = created_at")
    with op.batch_alter_table("delivery") as table:
        table.alter_column("due_at", existing_type=sa.DateTime(), nullable=False)
        table.create_index("ix_delivery_due", ["status", "due_at"])


def downgrade() -> None:
    """Back to deliveries without times."""
    op.drop_index("ix_delivery_due", "delivery")
    op.drop_column("delivery", "claimed_until")
    op.drop_column("delivery", "due_at")
