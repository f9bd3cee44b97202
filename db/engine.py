"""Engines, all made in one place, and which database an installation means."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from db import audit, driver, embedded, roles, trips
from db.trips import Setting
from tower.access import Scope
from tower.errors import DatabaseAway
from tower.settings import Settings

# Shorter than a lease (30 s): the open transaction of a frozen process ends before its work is
# given to another one.
IDLE_IN_TRANSACTION_S = 25.0

# A peer that vanished is noticed in about 25 s, not after the two hours of the system's default.
_CONNECT = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# Statements prepared by name: none, since a pooler in transaction mode hands each transaction
# another session; or those that ask for it, however often others are said.
_NONE_PREPARED, _WHERE_ASKED = None, 1 << 31
REST_S = 1.0  # without use, before a pooled connection is tried
_RESTS_SINCE = "tower.rests_since"
_MOST_PREPARED = 400  # by a session: more than judging says


def create(
    url: str,
    *,
    role: str | None = roles.SERVICE,
    timeout_s: float | None = None,
    idle_s: float | None = IDLE_IN_TRANSACTION_S,
    pool_size: int = 5,
    hurried: bool = False,
    prepared: bool = False,
) -> Engine:
    """An engine whose transactions run in UTC, as this database role, within these times.

    ``role`` None, and a database without the roles (db/roles.py), mean the account signed in. A
    transaction of ``looking(connection, scope)`` runs as the role of that viewer.
    ``timeout_s`` bounds each statement, ``idle_s`` the silence between two statements of one
    transaction; None means no bound. All of it is set inside each transaction, so a pooled
    connection carries nothing over. ``hurried`` does not wait for the disk at each commit: only for
    what is made anew if the machine stops before the end (the history of a demo). ``prepared``: the
    server keeps what db/trips.py says parsed; not for a pooler in transaction mode.
    """
    engine = create_engine(
        url,
        connect_args={
            **_CONNECT,
            "prepare_threshold": _WHERE_ASKED if prepared else _NONE_PREPARED,
        },
        json_serializer=dump_json,
        json_deserializer=orjson.loads,
        pool_size=pool_size,
        max_overflow=10,
        pool_recycle=1800,
    )
    settings = _settings(timeout_s, idle_s, hurried, prepared)
    opening = "; ".join(f"SET LOCAL {name} TO '{value}'" for name, value in settings.items())
    later, later_as_role = Setting(settings), Setting({**settings, "role": role or "none"})
    as_role = None if role is None else f"SET LOCAL ROLE {roles.quoted(role)}"

    @event.listens_for(engine, "begin")
    def open_transaction(connection: Connection) -> None:
        looks = connection.get_execution_options().get(roles.LOOKING)
        taken = looks or as_role
        if looks is not None or role in roles.ROLES:
            taken = taken if _takes_roles(connection) else None
        if looks is None and trips.waits(connection, later_as_role if taken else later):
            return
        connection.exec_driver_sql(f"{opening}; {taken}" if taken else opening)

    if prepared:

        @event.listens_for(engine, "connect")
        def let_prepare(connection: Any, record: Any) -> None:
            connection.prepared_max = _MOST_PREPARED
            record.info[driver.PREPARES] = True

    if not hurried:
        _ping_after_rest(engine)
    driver.binary_where_asked(engine)
    audit.keep_at_commit(engine)
    trips.send_in_time(engine)
    return engine


def _ping_after_rest(engine: Engine) -> None:
    """A connection that rested is tried before it is used, and replaced if it is dead. At work that
    would be one more way to the server in each transaction."""

    @event.listens_for(engine, "checkin")
    def rest(_: Any, record: Any) -> None:
        record.info[_RESTS_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def look(connection: Any, record: Any, _: Any) -> None:
        since = record.info.get(_RESTS_SINCE)
        if since is None or time.monotonic() - since < REST_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise DisconnectionError("it did not answer") from error


def looking(connection: Connection, scope: Scope) -> Connection:
    """The connection, whose next transaction runs as the database role of this viewer.

    Where the database has the roles, rows of others are then hidden by the database itself.
    """
    return connection.execution_options(**{roles.LOOKING: roles.opening(scope)})


def _takes_roles(connection: Connection) -> bool:
    """Whether the account signed in takes on the roles; asked once per connection."""
    known = connection.info.get(roles.LENT)
    if known is None:
        known = bool(connection.exec_driver_sql(roles.SEPARATED).scalar_one())
        connection.info[roles.LENT] = known
    return bool(known)


def _settings(
    timeout_s: float | None, idle_s: float | None, hurried: bool, prepared: bool
) -> dict[str, str]:
    """What holds inside each transaction."""
    found = {"timezone": "UTC"}
    if prepared:
        # Planned with their values each time, but where that is known to be needless
        # (db/planner.py): a plan made while tables were empty reads all of them when they are full.
        found["plan_cache_mode"] = "force_custom_plan"
    if timeout_s is not None:
        found["statement_timeout"] = str(round(timeout_s * 1000))
    if idle_s is not None:
        found["idle_in_transaction_session_timeout"] = str(round(idle_s * 1000))
    if hurried:
        found["synchronous_commit"] = "off"
    return found


def dump_json(value: Any) -> str:
    """JSON text as it is kept in json columns; refuses what JSON has no form for."""
    return orjson.dumps(value).decode()


@contextlib.contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed when the block ends, rolled back when it raises."""
    with engine.begin() as connection:
        yield connection


def address(settings: Settings) -> str:
    """The database as the program signs in to it: the external one, or the embedded if it runs."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return _embedded(settings).app_url


def owner_address(settings: Settings) -> str:
    """The same database as its owner, for migrations."""
    if settings.owner_url is not None:
        return settings.owner_url.get_secret_value()
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return _embedded(settings).owner_url


def _embedded(settings: Settings) -> embedded.Server:
    server = embedded.find(settings.home)
    if server is None:
        raise DatabaseAway(
            f"No database is running for {settings.home}. Start it with `tower up` (or `tower "
            "demo`), or name a server in TOWER_DATABASE_URL."
        )
    return server


def connect(
    settings: Settings,
    *,
    role: str | None = roles.SERVICE,
    timeout_s: float | None = None,
    hurried: bool = False,
) -> Engine:
    """An engine for the database these settings mean; ``hurried`` as in ``create``."""
    return create(address(settings), role=role, timeout_s=timeout_s, hurried=hurried)


def for_rounds(settings: Settings) -> Engine:
    """An engine for nothing but rounds of judging, whose statements the server keeps parsed where
    nothing stands between. Others must not use it: a read that ends without a commit makes the
    driver throw away what was kept."""
    prepared = settings.prepare if settings.prepare is not None else settings.database_url is None
    return create(address(settings), pool_size=1, prepared=prepared)


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Engine]:
    """The same for one piece of work; its connections are closed afterwards."""
    engine = connect(settings)
    try:
        yield engine
    finally:
        engine.dispose()
