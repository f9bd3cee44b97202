"""Runs revisions over the connection that ``db.migrate`` hands in; there is no other way in."""

from __future__ import annotations

from typing import Any

from alembic import context
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import ForeignKeyConstraint

from db.tables import metadata

_PARTITIONED = tuple(
    f"{table.name}_"
    for table in metadata.tables.values()
    if table.kwargs["postgresql_partition_by"]
)


def _ours(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """Month partitions are made at run time; revisions speak of their parents only."""
    return not (kind == "table" and reflected and (name or "").startswith(_PARTITIONED))


def _foreign_keys_last(
    _: MigrationContext, __: object, directives: list[ops.MigrationScript]
) -> None:
    """All tables stand before the first foreign key, as ``use_alter`` means it."""
    for script in directives:
        if script.upgrade_ops is None:
            continue
        keys: list[ops.MigrateOperation] = []
        for step in script.upgrade_ops.ops:
            if not isinstance(step, ops.CreateTableOp):
                continue
            at_once = []
            for part in step.columns:
                if isinstance(part, ForeignKeyConstraint) and part.use_alter:
                    keys.append(ops.CreateForeignKeyOp.from_constraint(part))
                else:
                    at_once.append(part)
            step.columns = at_once
        script.upgrade_ops.ops.extend(keys)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=_ours,
    process_revision_directives=_foreign_keys_last,
    compare_type=True,
    # Alembic compares defaults on the server, which has no equality for JSON; tests compare them.
    compare_server_default=False,
    # All revisions in the one transaction of the caller: after a kill the old schema or the new.
    transaction_per_migration=False,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
