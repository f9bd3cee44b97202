"""Bring the schema to the revision this program needs, and refuse to work on another one."""

from __future__ import annotations

import argparse
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from db import embedded, engine, policies, roles
from db.outward.catalogue import VIEWS
from db.tables import metadata
from tower.errors import ConfigError, SchemaOutOfDate
from tower.settings import Settings

log = logging.getLogger(__name__)

# Any constant will do; two starts at once then migrate one after the other.
_MIGRATION_LOCK = 7_046_029_254_386_353_131
OLDEST_POSTGRES = 150000


@dataclass(frozen=True, slots=True)
class Migrated:
    """Revisions before and after; ``before`` is None for an empty database.

    ``missing`` is the SQL that an administrator must run for the database roles (db/roles.py).
    """

    before: str | None
    after: str
    missing: tuple[str, ...] = ()


def head() -> str:
    """The revision this program needs."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise ConfigError("This installation holds no schema revisions. Install Tower again.")
    return found


def current(connection: Connection) -> str | None:
    """The revision of this database; None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


def check(connection: Connection) -> None:
    """Refuse a database of another revision."""
    found, needed = current(connection), head()
    if found == needed:
        return
    if found is None:
        raise SchemaOutOfDate('The database is empty. Run "tower migrate" and start again.')
    if found in _known():
        raise SchemaOutOfDate(
            f"Database is at revision {found}, this program needs {needed}. "
            'Run "tower migrate" and start again.'
        )
    raise SchemaOutOfDate(
        f"Database is at revision {found}, which this program (at {needed}) does not know: a newer "
        "Tower migrated it. Start that version."
    )


def migrate(settings: Settings) -> Migrated:
    """Upgrade the database of these settings, then let the program's own account in."""
    url = engine.owner_address(settings)
    app_role = make_url(engine.address(settings)).username
    return upgrade(url, app_role=app_role)


def upgrade(owner_url: str, *, app_role: str | None = None, to: str = "head") -> Migrated:
    """Run the missing revisions as the owner, in one transaction: all of them or none."""
    owner = engine.create(owner_url, role=None, idle_s=None)
    try:
        with engine.begin(owner) as connection:
            _refuse_old_server(connection)
            if _only_works(connection):
                return _as_found(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            # Plain Postgres takes any dotted setting; Citus needs it where foreign keys are added.
            connection.execute(text("SET LOCAL citus.multi_shard_modify_mode TO 'sequential'"))
            before = current(connection)
            if before is not None and before not in _known():
                raise SchemaOutOfDate(
                    f"Database is at revision {before}, this program knows revisions up to "
                    f"{head()}: a newer Tower migrated it. Start that version."
                )
            command.upgrade(_config(connection), to)
            after = current(connection) or ""
            missing = () if app_role is None else _let_in(connection, app_role)
    finally:
        owner.dispose()
    log.info(
        "Schema is at revision %s",
        after,
        extra={"action": "schema.migrated", "before": before, "after": after},
    )
    return Migrated(before=before, after=after, missing=missing)


_MAY_NOT_LOOK = "SELECT NOT has_table_privilege(to_regclass('alembic_version'), 'SELECT')"


def _only_works(connection: Connection) -> bool:
    """Whether this is the program's account, which owns nothing and acts by its roles."""
    return bool(connection.scalar(text(roles.SEPARATED))) and bool(
        connection.scalar(text(_MAY_NOT_LOOK))
    )


def _as_found(connection: Connection) -> Migrated:
    """A database that another account keeps: right as it is, or to be migrated by that one."""
    connection.exec_driver_sql(f"SET LOCAL ROLE {roles.SERVICE}")
    found, needed = current(connection), head()
    if found != needed:
        raise SchemaOutOfDate(
            f"Database is at revision {found}, this program needs {needed}, and its account may "
            'not change tables. Name their owner in TOWER_OWNER_URL and run "tower migrate".'
        )
    return Migrated(before=found, after=needed)


def _let_in(connection: Connection, app_role: str) -> tuple[str, ...]:
    """Let the program's account in: by the roles of db/roles.py, or by itself without them.

    Returns the SQL that an administrator must run to have the roles.
    """
    missing = roles.prepare(connection, app_role)
    if not missing:
        policies.lay(connection, app_role)
        return ()
    policies.lift(connection)
    if app_role != connection.scalar(text("SELECT current_user")):
        grant(connection, app_role)
    log.warning(
        "The database has no roles of its own for service, staff and partners",
        extra={"action": "schema.one_account", "account": app_role},
    )
    return missing


def missing_for_roles(settings: Settings) -> tuple[str, ...]:
    """The SQL that an administrator must run for the database roles; nothing if they work."""
    account = make_url(engine.address(settings)).username or ""
    owner = make_url(engine.owner_address(settings)).username
    looking = engine.create(engine.address(settings), role=None)
    try:
        with looking.connect() as connection:
            if connection.scalar(text(roles.SEPARATED)):
                return ()
            owns = owner == account
            found = roles.look(connection, account, owns=owns)
            return roles.statements(found, account, owns=owns)
    finally:
        looking.dispose()


def grant(connection: Connection, app_role: str) -> None:
    """Let the program's account use the tables it does not own; partitions by their parents."""
    quote = connection.dialect.identifier_preparer.quote
    role = quote(app_role)
    tables = ", ".join(quote(name) for name in sorted(metadata.tables))
    views = ", ".join(map(quote, VIEWS))
    schema = quote(connection.scalar(text("SELECT current_schema()")))
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}",
        f"GRANT SELECT ON alembic_version, {views} TO {role}",
        f"GRANT EXECUTE ON FUNCTION add_month_partition(text, date) TO {role}",
    ):
        connection.exec_driver_sql(statement)


def revise(message: str) -> Path:
    """Draft the next revision from what ``db/tables.py`` has more than the revisions say.

    Read the draft before it is kept: renames and check constraints are not seen.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tower-revise-") as home,
        embedded.running(Path(home), throwaway=True) as server,
    ):
        upgrade(server.owner_url)
        owner = engine.create(server.owner_url, role=None, idle_s=None)
        with engine.begin(owner) as connection:
            config = _config(connection)
            number = f"{len(_known()) + 1:04d}"
            made = command.revision(config, message, autogenerate=True, rev_id=number)
        owner.dispose()
    if made is None or isinstance(made, list):
        raise ConfigError("Alembic made no single revision; look into db/migrations/versions.")
    path = Path(made.path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(one for one in lines if "# ###" not in one), encoding="utf-8")
    return path


def _refuse_old_server(connection: Connection) -> None:
    number = int(connection.scalar(text("SELECT current_setting('server_version_num')")))
    if number < OLDEST_POSTGRES:
        raise ConfigError(
            f"The database server is Postgres {number // 10000}; Tower needs 15 or newer. Upgrade "
            "the server, or unset TOWER_DATABASE_URL to use the embedded one."
        )


def _known() -> list[str]:
    return [one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    # Drafts are laid out like the rest of the code.
    config.set_section_option("post_write_hooks", "hooks", "layout")
    config.set_section_option("post_write_hooks", "layout.type", "module")
    config.set_section_option("post_write_hooks", "layout.module", "ruff")
    config.set_section_option(
        "post_write_hooks", "layout.options", "format --quiet REVISION_SCRIPT_FILENAME"
    )
    return config


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draft the next schema revision.")
    parser.add_argument("message", help='what changes, as in "Keep the reason of a hold"')
    path = revise(parser.parse_args().message)
    logging.basicConfig(level=logging.INFO)
    log.info("Drafted %s", path)
