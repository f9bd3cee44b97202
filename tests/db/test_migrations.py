"""Revisions against the tables they must equal, on a real server, and under kills."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from db import engine, migrate
from db.tables import metadata
from tower.errors import SchemaOutOfDate

PLACES = {"home_key", "item_key", "source_key", "queue_key", "reference", "local"}

# Everything the catalogue knows of a table that a program could notice.
_CATALOGUE = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, pg_get_expr(d.adbin, d.adrelid), a.attgenerated
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    """,
    "tables": """
        SELECT c.relname, c.relkind, pg_get_partkeydef(c.oid), c.reloptions
        FROM pg_class c
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
    """,
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    """,
}


def catalogue(connection: Connection) -> dict[str, set[tuple[Any, ...]]]:
    found = {}
    for kind, query in _CATALOGUE.items():
        rows = connection.execute(text(query))
        found[kind] = {
            tuple(tuple(v) if isinstance(v, list) else v for v in row)
            for row in rows
            if row[0] != "alembic_version"
        }
    return found


@pytest.fixture
def empty_owner_url(databases: Any) -> Iterator[str]:
    """A database without any table, as its owner."""
    name = databases.make(None)
    yield databases.owner_url(name)
    databases.drop(name)


def reading(url: str) -> Engine:
    return create_engine(url, isolation_level="AUTOCOMMIT")


def check(url: str) -> None:
    made = engine.create(url)
    try:
        with engine.begin(made) as connection:
            migrate.check(connection)
    finally:
        made.dispose()


def test_the_revisions_build_exactly_the_tables(owner_url: str, empty_owner_url: str) -> None:
    declared, migrated = reading(empty_owner_url), reading(owner_url)
    metadata.create_all(declared)
    with declared.connect() as one, migrated.connect() as other:
        expected, found = catalogue(one), catalogue(other)
    declared.dispose()
    migrated.dispose()
    for kind in _CATALOGUE:
        assert found[kind] == expected[kind], kind


def test_every_table_says_where_it_lives_and_its_keys_agree() -> None:
    for table in metadata.tables.values():
        place = table.info.get("place")
        assert place in PLACES, table.name
        if place.endswith("_key"):
            assert next(iter(table.primary_key.columns)).name == place, table.name


def test_migrating_again_changes_nothing(owner_url: str) -> None:
    assert migrate.upgrade(owner_url) == migrate.Migrated(migrate.head(), migrate.head())


def test_two_migrations_at_once_make_one_schema(empty_owner_url: str) -> None:
    done: list[migrate.Migrated] = []
    threads = [
        threading.Thread(target=lambda: done.append(migrate.upgrade(empty_owner_url)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.before or "" for one in done) == ["", migrate.head()]


def test_a_killed_migration_leaves_the_old_schema_and_the_next_one_completes(
    empty_owner_url: str,
) -> None:
    script = "import sys; from db import migrate; migrate.upgrade(sys.argv[1])"
    watching = reading(empty_owner_url)
    working = (
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE d.datname = current_database() AND l.mode = 'AccessExclusiveLock' AND l.granted "
        "AND l.locktype = 'relation'"
    )
    with watching.connect() as connection:
        child = subprocess.Popen([sys.executable, "-c", script, empty_owner_url])
        while connection.scalar(text(working)) < 10 and child.poll() is None:
            time.sleep(0.002)
        psutil.Process(child.pid).kill()
        child.wait()
        deadline = time.monotonic() + 30
        while connection.scalar(text(working)) and time.monotonic() < deadline:
            time.sleep(0.02)
        left = catalogue(connection)["tables"]
    watching.dispose()
    assert left == set() or len(left) == len(metadata.tables)
    migrate.upgrade(empty_owner_url)
    check(empty_owner_url)


def test_an_empty_database_is_refused_with_the_command_that_helps(empty_owner_url: str) -> None:
    with pytest.raises(SchemaOutOfDate, match="tower migrate"):
        check(empty_owner_url)


def test_an_older_database_is_refused_with_both_revisions(empty_owner_url: str) -> None:
    migrate.upgrade(empty_owner_url, to="0001")
    with pytest.raises(SchemaOutOfDate, match=f"at revision 0001, .* needs {migrate.head()}"):
        check(empty_owner_url)


def test_a_newer_database_is_refused_and_left_alone(owner_url: str) -> None:
    owner = engine.create(owner_url)
    with engine.begin(owner) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaOutOfDate, match="a newer Tower migrated it"):
        migrate.upgrade(owner_url)
    with pytest.raises(SchemaOutOfDate, match="a newer Tower migrated it"):
        check(owner_url)
    owner.dispose()


def test_the_program_works_with_the_tables_but_owns_none(connection: Connection) -> None:
    for name in metadata.tables:
        connection.execute(text(f'SELECT 1 FROM "{name}" LIMIT 0'))  # noqa: S608 - our own names
    migrate.check(connection)
    owned = "SELECT count(*) FROM pg_tables WHERE tableowner = current_user"
    assert connection.scalar(text(owned)) == 0
    with pytest.raises(DBAPIError, match="must be owner"):
        connection.execute(text("ALTER TABLE event ADD COLUMN x int"))


@pytest.mark.parametrize("table", ["raw_message", "queue_sample"])
def test_the_program_adds_month_partitions_without_owning_the_table(
    connection: Connection, table: str
) -> None:
    add = text("SELECT add_month_partition(:table, '2026-12-31')")
    assert connection.scalar(add, {"table": table}) is True
    assert connection.scalar(add, {"table": table}) is False
    bounds = connection.scalar(
        text("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = :name"),
        {"name": f"{table}_202612"},
    )
    assert bounds == ("FOR VALUES FROM ('2026-12-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')")


def test_no_other_table_gets_partitions_that_way(connection: Connection) -> None:
    with pytest.raises(DBAPIError, match="no month partitions"):
        connection.execute(text("SELECT add_month_partition('event', '2026-01-01')"))


def test_who_reads_a_table_does_not_hold_up_its_next_partition(database: Engine) -> None:
    with database.connect() as reader, database.begin() as writer:
        reader.execute(text("SELECT count(*) FROM queue_sample"))  # its lock stays till it ends
        writer.execute(text("SET LOCAL lock_timeout = '5s'"))
        add = text("SELECT add_month_partition('queue_sample', '2026-07-31')")
        assert writer.execute(add).scalar_one() is True
        writer.execute(
            text(
                "INSERT INTO queue_sample (queue_key, broker, queue, at, arrived_at) "
                "VALUES (1, 'b', 'q', '2026-07-31 12:00Z', '2026-07-31 12:00Z')"
            )
        )


def test_several_workers_adding_one_partition_at_once_all_go_on(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    results: list[bool] = []
    meet = threading.Barrier(4)

    def add() -> None:
        made = engine.create(url)
        with engine.begin(made) as connection:
            connection.execute(text("SELECT 1"))
            meet.wait(30)
            results.append(
                bool(
                    connection.scalar(
                        text("SELECT add_month_partition('raw_message', '2026-05-01')")
                    )
                )
            )
        made.dispose()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]
