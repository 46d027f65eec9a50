"""Runs the migrations on the connection that `app.db.migrate` hands over."""

from alembic import context

from app import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.SQLModel.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
