"""Who sees which rows: one table of rules, from which all grants and row policies are made.

A relation that is not in the table is closed to all but the service. Policies have no subqueries
and name no function that reads rows, so they hold on Citus as on plain Postgres.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, text

from db.outward.catalogue import VIEWS
from db.roles import PARTNER, ROLES, SERVICE, STAFF, quoted
from db.tables import metadata

log = logging.getLogger(__name__)

Rows = Literal["own", "scoped", "inner", "whole", "closed"]
"""own     staff: rows of their partners; a partner: its own
scoped  staff: rows of their partners; no partner sees any
inner   staff: all rows, for nothing in them says whose they are; no partner sees any
whole   staff who see all partners; nobody else
closed  the service alone
"""

RULES: Mapping[str, Rows] = {
    # what came in
    "raw_message": "own",
    "dead_letter": "own",
    "payload_text": "own",
    "ingest_ledger": "inner",
    "sighting": "inner",
    "interpretation": "inner",
    "origin": "inner",
    "text_mark": "inner",
    "checkpoint": "inner",
    "queue_sample": "inner",
    "gateway_minute": "inner",
    "control_number": "inner",
    # stories
    "flow": "own",
    "event": "own",
    "document": "own",
    "flow_link": "inner",
    "event_object": "inner",
    "hand_tie": "scoped",
    "peg": "whole",
    "stock_level": "whole",
    "stock_change": "whole",
    # clocks
    "clock": "own",
    "transition": "inner",
    "judged_unit": "inner",
    "measured_unit": "inner",
    "partner_count": "own",
    "timer": "inner",
    "source_spell": "inner",
    "rule_version": "inner",
    "calendar_version": "inner",
    "profile_version": "inner",
    "partner": "own",
    "active_config": "inner",
    # figures counted ahead
    "figure_count": "whole",
    "figure_line": "whole",
    "figure_span": "whole",
    "figure_shift": "inner",
    "figure_week": "inner",
    "figure_mark": "inner",
    # cases and mail
    "exception_case": "own",
    "case_note": "inner",
    "case_set": "inner",
    "rule_trial": "inner",
    "order_impact": "whole",
    "mail_group": "inner",
    "told": "inner",
    "group_member": "inner",
    "escalation": "inner",
    "silence": "inner",
    "undeliverable": "inner",
    "outbox": "inner",
    "delivery": "inner",
    "suppression": "inner",
    # what others are told
    "subscription": "whole",
    "subscription_delivery": "whole",
    # repairs
    "replay": "inner",
    "replay_item": "inner",
    "failure_note": "inner",
    "audit_entry": "whole",
    # people and doors
    "account": "closed",
    "session": "closed",
    "provider_visit": "closed",
    "sign_in_attempt": "closed",
    "api_key": "closed",
    "throttle": "closed",
    # the tower about itself
    "heartbeat": "inner",
    "job_run": "inner",
}

PARTNER_COLUMN: Mapping[str, str] = {"partner_count": "home_key"}
"""The column that says whose a row is, where it is not ``partner_id``."""

BLANK = frozenset({"order_impact", "peg", "case_note", "failure_note"})
"""Tables of the house that answers to partners may be joined with, and then find no row in."""

APPEND_ONLY = frozenset({"audit_entry"})
"""Tables of which not even the service changes or removes a row."""

HIDDEN_VIEWS = frozenset({"bi_orders_at_risk", "bi_customer_orders"})
"""Views for BI over what is of the house alone."""

_OWN = (
    "{column} = ANY (string_to_array("
    "NULLIF(current_setting('tower.partners', true), ''), ',')::bigint[])"
)
# Immutable by name, so that the planner asks it once and drops the policy where it says yes: the
# plans of who sees all are those of the service. No plan of a viewer's transaction is ever kept
# (db/trips.py).
SEES_ALL = """
CREATE OR REPLACE FUNCTION tower_sees_all() RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(current_setting('tower.scope', true), '') = 'all' $$
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """One row policy: which rows a role may touch at all."""

    table: str
    role: str
    using: str

    @property
    def name(self) -> str:
        return self.role

    @property
    def mark(self) -> str:
        """Kept as its comment, to tell whether it is still the one that is meant."""
        return hashlib.sha256(f"{self.role}\n{self.using}".encode()).hexdigest()[:16]

    def create(self) -> str:
        to = "SELECT" if self.role in (STAFF, PARTNER) else "ALL"
        check = "" if to == "SELECT" else f" WITH CHECK ({self.using})"
        on = f"{quoted(self.name)} ON {quoted(self.table)}"
        return (
            f"CREATE POLICY {on} FOR {to} TO {quoted(self.role)} USING ({self.using}){check}; "
            f"COMMENT ON POLICY {on} IS '{self.mark}'"
        )


def rows_of(relation: str) -> Rows:
    """Who sees its rows; what is not known is closed."""
    return RULES.get(relation, "closed")


def policies_of(table: str, owner: str) -> Iterator[Policy]:
    """The policies of one table; its owner, who migrates and dumps, sees all rows, too."""
    kind = rows_of(table)
    own = _OWN.format(column=PARTNER_COLUMN.get(table, "partner_id"))
    yield Policy(table, owner, "true")
    yield Policy(table, SERVICE, "true")
    if kind in ("own", "scoped"):
        yield Policy(table, STAFF, f"tower_sees_all() OR {own}")
    elif kind == "inner":
        yield Policy(table, STAFF, "true")
    elif kind == "whole":
        yield Policy(table, STAFF, "tower_sees_all()")
    if kind == "own":
        yield Policy(table, PARTNER, own)
    elif table in BLANK:
        yield Policy(table, PARTNER, "false")


def grants_of(relation: str) -> dict[str, frozenset[str]]:
    """What each role may do with one relation; who is not named may do nothing."""
    if relation in VIEWS:
        partner = frozenset() if relation in HIDDEN_VIEWS else frozenset({"SELECT"})
        found = {SERVICE: frozenset({"SELECT"}), STAFF: frozenset({"SELECT"}), PARTNER: partner}
        return {role: rights for role, rights in found.items() if rights}
    if relation == "alembic_version":
        return {SERVICE: frozenset({"SELECT"})}
    every = {"SELECT", "INSERT"} if relation in APPEND_ONLY else {
        "SELECT", "INSERT", "UPDATE", "DELETE"
    }  # fmt: skip
    kind = rows_of(relation)
    found = {SERVICE: frozenset(every)}
    if kind != "closed":
        found[STAFF] = frozenset({"SELECT"})
    if kind == "own" or relation in BLANK:
        found[PARTNER] = frozenset({"SELECT"})
    return found


def relations(conn: Connection) -> list[str]:
    """Our tables and views that this database has, without partitions."""
    names = [*metadata.tables, *VIEWS, "alembic_version"]
    found = conn.execute(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
            "AND relkind IN ('r', 'p', 'v') AND NOT relispartition AND relname = ANY(:names)"
        ),
        {"names": names},
    )
    return sorted(found.scalars())


def lay(conn: Connection, account: str) -> None:
    """Give the roles their rights and the tables their policies, and take from ``account`` its own.

    As the owner of the tables, inside its transaction. What is there already is left alone, so
    that nothing is locked where nothing changes.
    """
    owner = conn.scalar(text("SELECT current_user"))
    schema = quoted(conn.scalar(text("SELECT current_schema()")))
    known = relations(conn)
    tables = [name for name in known if name in metadata.tables]
    if not conn.scalar(text("SELECT to_regproc('tower_sees_all') IS NOT NULL")):
        conn.exec_driver_sql(SEES_ALL)
    steps = [
        f"GRANT USAGE ON SCHEMA {schema} TO {', '.join((*ROLES, quoted(account)))}",
        *_grants(conn, known, account, owner),
        "REVOKE ALL ON FUNCTION tower_sees_all() FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION tower_sees_all() TO {quoted(owner)}, {', '.join(ROLES)}",
        f"GRANT EXECUTE ON FUNCTION add_month_partition(text, date) TO {SERVICE}",
    ]
    if account != owner:
        steps.append(
            f"REVOKE ALL ON FUNCTION add_month_partition(text, date) FROM {quoted(account)}"
        )
    steps += _database_grant(conn)
    steps += _policies(conn, tables, owner)
    conn.exec_driver_sql("; ".join(steps))


def lift(conn: Connection) -> None:
    """Take the policies off again: the program's own account works without the roles."""
    rows = conn.execute(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
            "AND relrowsecurity AND relname = ANY(:names)"
        ),
        {"names": list(metadata.tables)},
    ).scalars()
    for table in rows.all():
        conn.exec_driver_sql(
            f"ALTER TABLE {quoted(table)} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY"
        )


def _grants(conn: Connection, known: list[str], account: str, owner: str) -> Iterator[str]:
    """Grants that are missing, and revocations of what is too much."""
    names = (*ROLES, account) if account != owner else ROLES
    rows = conn.execute(
        text(
            """
            SELECT c.relname, r.rolname, array_agg(a.privilege_type) AS rights
            FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
            JOIN pg_roles r ON r.oid = a.grantee
            WHERE c.relnamespace = current_schema()::regnamespace
            AND c.relname = ANY(:known) AND r.rolname = ANY(:names)
            GROUP BY 1, 2
            """
        ),
        {"known": known, "names": list(names)},
    )
    given = {(row.relname, row.rolname): frozenset(row.rights) for row in rows}
    for relation in known:
        wanted = grants_of(relation)
        for role in names:
            has, needs = given.get((relation, role), frozenset()), wanted.get(role, frozenset())
            on = f"ON {quoted(relation)}"
            if has - needs:
                yield f"REVOKE {', '.join(sorted(has - needs))} {on} FROM {quoted(role)}"
            if needs - has:
                yield f"GRANT {', '.join(sorted(needs - has))} {on} TO {quoted(role)}"


def grants_on_database(name: str) -> Iterator[str]:
    """What the roles may do with the database ``name`` as a whole."""
    for role, rights in _ON_DATABASE.items():
        yield f"GRANT {', '.join(rights)} ON DATABASE {quoted(name)} TO {role}"


_ON_DATABASE = {SERVICE: ("CONNECT", "TEMPORARY"), STAFF: ("CONNECT",)}
"""Temporary tables are made by the service, in which the lines of a batch are staged; how large the
database is, only a role that may connect to it is told."""


def _database_grant(conn: Connection) -> Iterator[str]:
    has = all(
        conn.scalar(
            text("SELECT has_database_privilege(:role, current_database(), :right)"),
            {"role": role, "right": right},
        )
        for role, rights in _ON_DATABASE.items()
        for right in rights
    )
    if not has:
        yield from grants_on_database(str(conn.scalar(text("SELECT current_database()"))))


def _policies(conn: Connection, tables: list[str], owner: str) -> Iterator[str]:
    """Policies that are missing or changed, and those that nobody means any more."""
    rows = conn.execute(
        text(
            """
            SELECT c.relname, p.polname, obj_description(p.oid, 'pg_policy') AS mark
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
            WHERE c.relnamespace = current_schema()::regnamespace
            """
        )
    )
    there = {(row.relname, row.polname): row.mark for row in rows}
    forced = set(
        conn.execute(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
                "AND relrowsecurity AND relforcerowsecurity"
            )
        ).scalars()
    )
    for table in tables:
        wanted = {policy.name: policy for policy in policies_of(table, owner)}
        for found, name in sorted(there):
            if found == table and (name not in wanted or there[found, name] != wanted[name].mark):
                yield f"DROP POLICY {quoted(name)} ON {quoted(table)}"
        for name, policy in wanted.items():
            if there.get((table, name)) != policy.mark:
                yield policy.create()
        if table not in forced:
            yield (
                f"ALTER TABLE {quoted(table)} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
            )
