"""The database roles: who owns, who works, who looks, and the SQL that makes them.

Processes sign in with one account that owns nothing and may do nothing, and begin each transaction
with ``SET LOCAL ROLE``: the service works, staff and partners only look, within their scope
(db/policies.py). Roles belong to the whole server, so where the owner of the tables may not make
them an administrator must; until then the program's own account works as before, without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from tower.access import Scope

SERVICE, STAFF, PARTNER = "tower_service", "tower_staff", "tower_partner"
ROLES = (SERVICE, STAFF, PARTNER)

SEPARATED = """
    SELECT coalesce(bool_or(pg_has_role(current_user, r.oid, 'MEMBER')
        AND has_table_privilege(r.oid, to_regclass('alembic_version'), 'SELECT')), false)
    FROM pg_roles r WHERE r.rolname = 'tower_service'
"""
"""Whether the signed-in account takes on the roles in this database."""

LOOKING, LENT = "tower_looking", "tower.lent"
"""Execution option: how a transaction begins to look; note on a connection: that it may."""

_SINCE_GRANTS_INHERIT = 16  # before it, inheriting is a property of the member, not of the grant


_LENT = """
    SELECT r.rolname FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles a ON a.oid = m.member
    WHERE a.rolname = :account AND r.rolname = ANY(:names)
    AND m.set_option AND (CAST(:owns AS boolean) OR NOT m.inherit_option)
"""
_LENT_BEFORE_16 = """
    SELECT r.rolname FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles a ON a.oid = m.member
    WHERE a.rolname = :account AND r.rolname = ANY(:names)
    AND (CAST(:owns AS boolean) OR NOT a.rolinherit)
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What the server knows of the roles already; ``version`` is its major number."""

    version: int
    roles: frozenset[str]
    bypassing: frozenset[str]  # roles that row policies do not hold
    lent: frozenset[str]  # roles the account may take on, without having their rights before
    account_is_super: bool


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def statements(server: Server, account: str, *, owns: bool = False) -> tuple[str, ...]:
    """The SQL that is missing for ``account`` to take on the roles; nothing if it may.

    The service is not held by row policies, for COPY does not work under them and it sees all rows
    anyway. ``owns``: the account owns the tables too, so what it inherits adds nothing.
    """
    found = []
    for role in ROLES:
        kind = "BYPASSRLS" if role == SERVICE else "NOBYPASSRLS"
        if role not in server.roles:
            found.append(f"CREATE ROLE {role} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {kind}")
        elif (role in server.bypassing) != (role == SERVICE):
            found.append(f"ALTER ROLE {role} {kind}")
    missing = [role for role in ROLES if role not in server.lent]
    if missing and not server.account_is_super:
        names = ", ".join(missing)
        if server.version >= _SINCE_GRANTS_INHERIT:
            found.append(f"GRANT {names} TO {quoted(account)} WITH INHERIT FALSE, SET TRUE")
        else:
            if not owns:
                found.append(f"ALTER ROLE {quoted(account)} NOINHERIT")
            found.append(f"GRANT {names} TO {quoted(account)}")
    return tuple(found)


def look(conn: Connection, account: str, *, owns: bool = False) -> Server:
    """What this server knows of the roles and of the account."""
    version = int(conn.scalar(text("SELECT current_setting('server_version_num')"))) // 10000
    known = conn.execute(
        text("SELECT rolname, rolbypassrls FROM pg_roles WHERE rolname = ANY(:names)"),
        {"names": list(ROLES)},
    ).all()
    lent = conn.execute(
        text(_LENT if version >= _SINCE_GRANTS_INHERIT else _LENT_BEFORE_16),
        {"account": account, "names": list(ROLES), "owns": owns},
    ).scalars()
    is_super = conn.scalar(
        text("SELECT rolsuper FROM pg_roles WHERE rolname = :account"), {"account": account}
    )
    return Server(
        version=version,
        roles=frozenset(row.rolname for row in known),
        bypassing=frozenset(row.rolname for row in known if row.rolbypassrls),
        lent=frozenset(lent),
        account_is_super=bool(is_super),
    )


def prepare(conn: Connection, account: str) -> tuple[str, ...]:
    """Make the roles and lend them to ``account`` where the signed-in owner may.

    Returns the SQL that an administrator must run, nothing if all is there.
    """
    me = conn.execute(
        text("SELECT rolname, rolsuper OR rolcreaterole AS may FROM pg_roles "
             "WHERE rolname = current_user")
    ).one()  # fmt: skip
    owns = me.rolname == account
    missing = statements(look(conn, account), account, owns=owns)
    if missing and me.may:
        try:
            with conn.begin_nested():
                for statement in missing:
                    conn.exec_driver_sql(statement)
        except DBAPIError:
            # Not these rights, or another database of this server was faster.
            pass
        missing = statements(look(conn, account), account, owns=owns)
    return missing


def opening(scope: Scope) -> str:
    """The statements that make a transaction look as this viewer; SET takes no parameters."""
    role = {"service": SERVICE, "staff": STAFF, "partner": PARTNER}[scope.database_role]
    if role == SERVICE:
        return f"SET LOCAL ROLE {SERVICE}"
    ids = scope.partner_ids
    sees_all = ids is None and role == STAFF
    return (
        f"SET LOCAL ROLE {role}; SET LOCAL tower.scope TO '{'all' if sees_all else 'some'}'; "
        f"SET LOCAL tower.partners TO '{_numbers(ids or ())}'"
    )


@contextmanager
def knowing_the_house(conn: Connection) -> Iterator[None]:
    """Read inside this block what of the house shapes answers to partners but is not in them.

    Such are calendars and rules in force. Where the transaction looks as a partner it is the
    service inside the block; elsewhere nothing changes. No rows of stories are read so.
    """
    looks = str(conn.get_execution_options().get(LOOKING) or "")
    if PARTNER in looks and not conn.in_transaction():
        conn.begin()  # only a transaction knows whether this connection takes on the roles
    if PARTNER not in looks or not conn.info.get(LENT):
        yield
        return
    conn.exec_driver_sql(f"SET LOCAL ROLE {SERVICE}")
    try:
        yield
    except BaseException:
        with suppress(DBAPIError):  # a failed transaction takes no statement, and ends anyway
            conn.exec_driver_sql(looks)
        raise
    conn.exec_driver_sql(looks)


def _numbers(ids: Iterable[int]) -> str:
    return ",".join(str(int(one)) for one in ids)
