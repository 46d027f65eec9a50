"""Runs the migrations on the connection that `app.db.migrate` hands over."""

from alembic import context

from app.tables import EmbeddingRow

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=EmbeddingRow.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
