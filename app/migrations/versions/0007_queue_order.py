"""An index in the order of the queue: without it all proposals are sorted for each page."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One index."""
    op.create_index("ix_pairing_queue", "pairing", ["state", "probability", "id"])


def downgrade() -> None:
    """Without it."""
    op.drop_index("ix_pairing_queue", "pairing")
