"""What Alembic runs: our tables, on the connection that we were given, in its transaction."""

from alembic import context

from inchworm.store.control.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
