"""Database roles and row policies: what each role may touch, and that nobody sees others' rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from db import engine as engines
from db import health, ingest, migrate, policies, roles
from db.outward.catalogue import VIEWS
from db.reads.connection import reading
from db.tables import metadata
from tests.conftest import Databases
from tests.db.stories import NET, at, month
from tower.access import EVERYTHING, Scope, scope_of
from tower.errors import AccessDenied
from tower.identity import partner_id

ACME, BOLT = partner_id("ACME"), partner_id("BOLT")
AS_ACME = scope_of("partner", frozenset({"ACME"}))
AS_NOBODY = scope_of("partner", None)
SOME_STAFF = scope_of("support", frozenset({"ACME"}))
ALL_STAFF = scope_of("leader", None)
OWN = sorted(name for name, kind in policies.RULES.items() if kind == "own")


@pytest.fixture(scope="module")
def filled(databases: Databases) -> Iterator[Engine]:
    """A month of orders of three suppliers, with a notice over orders of several of them."""
    name = databases.make(databases.template)
    made = engines.create(databases.app_url(name))
    ingest.store_retrying(made, month(7, 12), net=NET, now=at(800))
    with made.begin() as conn:
        conn.execute(
            text(
                """
                INSERT INTO exception_case (fingerprint, cycle, category, severity, state, rule,
                    level, kind, scope, number, clock_cycle, partner_id, title, owner,
                    owner_letter, policy, opened_at, detected_at)
                SELECT concat('f', p.id), 1, 'ACK_OVERDUE', 'high', 'new', 'r', 'l', 'po',
                    'main', '1', 1, p.id, 't', 'o', 'B', 'p', now(), now()
                FROM unnest(:ids) AS p(id)
                """
            ).bindparams(ids=[ACME, BOLT, None])
        )
    yield made
    made.dispose()
    databases.drop(name)


def look(source: Engine, scope: Scope, query: str) -> list[Any]:
    with reading(source, scope) as conn:
        return list(conn.execute(text(query)).all())


# --- the catalogue ------------------------------------------------------------------------------


def test_every_table_has_a_rule() -> None:
    missing = sorted(set(metadata.tables) - set(policies.RULES))
    assert missing == [], "say in db/policies.py who sees the rows of these tables"
    assert sorted(set(policies.RULES) - set(metadata.tables)) == []


def test_every_relation_has_a_policy_or_no_grant_to_partners(filled: Engine) -> None:
    query = """
        SELECT c.relname, c.relkind::text, c.relispartition, c.relrowsecurity,
               c.relforcerowsecurity, coalesce('security_invoker=true' = ANY(c.reloptions), false)
                   AS asks_as_caller,
               EXISTS (SELECT FROM pg_policy p JOIN pg_roles r ON r.oid = ANY(p.polroles)
                       WHERE p.polrelid = c.oid AND r.rolname = 'tower_partner') AS policy,
               has_table_privilege('tower_partner', c.oid, 'SELECT') AS partner,
               has_any_column_privilege('tower_partner', c.oid, 'SELECT') AS columns,
               has_table_privilege('tower_staff', c.oid, 'SELECT') AS staff,
               has_table_privilege('tower_partner', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                   OR has_table_privilege('tower_staff', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                   AS writes
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_t%'
    """
    rows = look(filled, EVERYTHING, query)
    assert len(rows) > len(metadata.tables)
    for row in rows:
        assert not row.writes, row.relname
        if row.relispartition or row.relname == "alembic_version":
            assert [row.partner, row.columns, row.staff] == [False] * 3, row.relname
        elif row.relkind == "v":
            assert row.asks_as_caller or not (row.partner or row.staff), row.relname
        else:
            assert row.relkind in ("r", "p"), f"{row.relname}: policies do not hold for its kind"
            assert row.relrowsecurity, row.relname
            assert row.relforcerowsecurity, row.relname
            assert row.policy == row.partner == row.columns, row.relname
    assert {r.relname for r in rows if r.partner} == {
        *OWN,
        *policies.BLANK,
        *(view for view in VIEWS if view not in policies.HIDDEN_VIEWS),
    }


def test_privileges_are_exactly_those_of_the_rules(filled: Engine, databases: Databases) -> None:
    rows = look(
        filled,
        EVERYTHING,
        """
        SELECT c.relname, coalesce(r.rolname, 'public') AS role, a.privilege_type AS right
        FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
        LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
        AND a.grantee <> c.relowner
        """,
    )
    found: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        found.setdefault((row.relname, row.role), set()).add(row.right)
    wanted = {
        (relation, role): set(rights)
        for relation in (*metadata.tables, *VIEWS, "alembic_version")
        for role, rights in policies.grants_of(relation).items()
    }
    assert found == wanted
    # The account itself may do nothing before it takes on a role.
    plain = engines.create(filled.url.render_as_string(hide_password=False), role=None)
    with plain.connect() as conn, pytest.raises(ProgrammingError, match="permission denied"):
        conn.execute(text("SELECT 1 FROM document"))
    plain.dispose()


def test_the_audit_is_only_added_to(filled: Engine) -> None:
    for statement in ("UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry"):
        with filled.begin() as conn, pytest.raises(ProgrammingError, match="permission denied"):
            conn.execute(text(statement))


# --- two partners -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", OWN)
def test_a_partner_sees_its_own_rows_alone(filled: Engine, table: str) -> None:
    column = policies.PARTNER_COLUMN.get(table, "partner_id")
    query = f"SELECT {column} AS owner, count(*) AS n FROM {table} GROUP BY 1"  # noqa: S608
    there = {row.owner: row.n for row in look(filled, EVERYTHING, query)}
    of_acme = [(ACME, there[ACME])] if ACME in there else []
    for scope in (AS_ACME, SOME_STAFF):
        assert look(filled, scope, query) == of_acme
    assert look(filled, AS_NOBODY, query) == [], "no partner, no rows"
    assert {row.owner: row.n for row in look(filled, ALL_STAFF, query)} == there
    if table in ("event", "document", "flow", "exception_case"):
        assert {ACME, BOLT, None} <= set(there), "the test shows nothing without others' rows"


def test_a_role_without_a_setting_or_with_a_wrong_one_sees_nothing(filled: Engine) -> None:
    for setting in ("", "; SET LOCAL tower.scope TO 'all'", "; SET LOCAL tower.partners TO ''"):
        with filled.begin() as conn:
            conn.exec_driver_sql(f"SET LOCAL ROLE tower_partner{setting}")
            assert conn.scalar(text("SELECT count(*) FROM document")) == 0
    with filled.begin() as conn:
        conn.exec_driver_sql("SET LOCAL ROLE tower_staff")
        assert conn.scalar(text("SELECT count(*) FROM document")) == 0
        assert conn.scalar(text("SELECT count(*) FROM peg")) == 0
    # What one transaction was, the next of the same session is not.
    pid = "SELECT pg_backend_pid()"
    one = engines.create(filled.url.render_as_string(hide_password=False), pool_size=1)
    with reading(one, AS_ACME) as conn:
        first = conn.scalar(text(pid))
    with reading(one, AS_NOBODY) as conn:
        assert conn.scalar(text(pid)) == first
        assert conn.scalar(text("SELECT current_setting('tower.partners')")) == ""
        assert conn.scalar(text("SELECT count(*) FROM document")) == 0
    one.dispose()


def test_nobody_looks_past_the_role(filled: Engine) -> None:
    """By writing, by partitions, by inner tables, by functions that leak what a policy hides."""
    for query in (
        "SELECT 1 FROM account",
        "SELECT 1 FROM ingest_ledger",
        "SELECT 1 FROM flow_link",
        "SELECT 1 FROM active_config",
        "UPDATE document SET partner_id = 1",
        "DELETE FROM exception_case",
        "SELECT add_month_partition('raw_message', '2031-01-01')",
    ):
        # Not in a read-only transaction, which would refuse writes by itself.
        with filled.begin() as conn:
            conn.exec_driver_sql(roles.opening(AS_ACME))
            with pytest.raises(ProgrammingError, match="permission denied"):
                conn.execute(text(query))
    for table in policies.BLANK:
        assert look(filled, AS_ACME, f"SELECT 1 FROM {table}") == []  # noqa: S608
    assert look(filled, EVERYTHING, "SELECT 1 FROM peg LIMIT 1")
    partition = look(
        filled, EVERYTHING,
        "SELECT inhrelid::regclass::text FROM pg_inherits "
        "WHERE inhparent = 'raw_message'::regclass LIMIT 1",
    )[0][0]  # fmt: skip
    with pytest.raises(AccessDenied):
        look(filled, AS_ACME, f"SELECT 1 FROM {partition}")  # noqa: S608
    # A condition that fails on others' rows must not be asked of them.
    hidden = (
        "SELECT count(*) FROM document WHERE 1 / (CASE WHEN partner_id = :b THEN 0 ELSE 1 END) > 0"
    )
    with reading(filled, AS_ACME) as conn:
        assert conn.execute(text(hidden), {"b": BOLT}).scalar_one() > 0


# --- plans, and servers without the roles -------------------------------------------------------


def _plan(conn: Connection, query: str) -> list[str]:
    rows = conn.execute(text(f"EXPLAIN (COSTS OFF) {query}")).scalars()
    return [str(row) for row in rows]


def test_who_sees_all_is_asked_with_the_plan_of_the_owner(
    filled: Engine, databases: Databases
) -> None:
    name = str(filled.url.database)
    admin = create_engine(databases.admin.set(database=name))
    for query in (
        "SELECT * FROM document WHERE kind = 'po' AND NOT closed ORDER BY number LIMIT 50",
        "SELECT d.number, count(*) FROM document d JOIN clock c USING (home_key) GROUP BY 1",
        "UPDATE clock SET open = false WHERE home_key = 1 AND rule = 'r'",
        "INSERT INTO timer (kind, key, due) VALUES ('unit', '1', now()) "
        "ON CONFLICT (kind, key) DO UPDATE SET due = EXCLUDED.due",
    ):
        with admin.begin() as conn:
            bare = _plan(conn, query)
        with filled.begin() as conn:
            assert _plan(conn, query) == bare, "the service"
        if query.startswith("SELECT"):
            with reading(filled, ALL_STAFF) as conn:
                assert _plan(conn, query) == bare, "staff who see all"
            with reading(filled, AS_ACME) as conn:
                assert _plan(conn, query) != bare
    admin.dispose()


def test_staff_are_told_how_large_the_database_is(databases: Databases) -> None:
    """Nobody may connect who was not let; migrations let the roles do what they need."""
    name = databases.make(None)
    owner = databases.owner_url(name)
    try:
        migrate.upgrade(owner, app_role=databases.app.username)
        made = engines.create(databases.app_url(name))
        with reading(made, ALL_STAFF) as conn:
            assert health.database_size(conn) > 1_000_000
            temporary = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
            assert conn.scalar(text(temporary)) is False
        made.dispose()
    finally:
        databases.drop(name)


def test_without_the_roles_the_account_works_by_itself_and_the_sql_is_told(
    databases: Databases,
) -> None:
    """An account that nobody lent the roles to; then it is lent them; then they are taken back."""
    admin = create_engine(databases.admin, isolation_level="AUTOCOMMIT")
    name = databases.make(None)
    account = f"plain_{name}"
    owner = databases.owner_url(name)
    url = make_url(owner).set(username=account, password="x" * 12)
    address = url.render_as_string(hide_password=False)
    counted = text("SELECT count(*) FROM timer")
    with admin.connect() as conn:
        conn.exec_driver_sql(f"CREATE ROLE \"{account}\" LOGIN PASSWORD '{url.password}'")
        conn.exec_driver_sql(f'GRANT CONNECT, TEMP ON DATABASE "{name}" TO "{account}"')
    try:
        done = migrate.upgrade(owner, app_role=account)
        assert done.missing
        assert all(account in step for step in done.missing)
        made = engines.create(address)
        with made.begin() as conn:
            conn.execute(text("INSERT INTO timer (kind, key, due) VALUES ('unit', '1', now())"))
            assert conn.scalar(text("SELECT current_user")) == account
        with reading(made, AS_ACME) as conn:
            assert conn.scalar(counted) == 1, "as before there were roles"
        made.dispose()

        with admin.connect() as conn:
            for step in done.missing:
                conn.exec_driver_sql(step)
        assert migrate.upgrade(owner, app_role=account).missing == ()
        made = engines.create(address)
        with made.begin() as conn:
            assert conn.scalar(text("SELECT current_user")) == roles.SERVICE
            assert conn.scalar(counted) == 1
        with pytest.raises(AccessDenied):
            look(made, AS_ACME, "SELECT count(*) FROM timer")
        made.dispose()

        with admin.connect() as conn:
            conn.exec_driver_sql(f'REVOKE {", ".join(roles.ROLES)} FROM "{account}"')
        assert migrate.upgrade(owner, app_role=account).missing
        made = engines.create(address)
        with made.begin() as conn:
            assert conn.scalar(counted) == 1
        made.dispose()
    finally:
        databases.drop(name)
        with admin.connect() as conn:
            conn.exec_driver_sql(f'DROP ROLE "{account}"')
        admin.dispose()
