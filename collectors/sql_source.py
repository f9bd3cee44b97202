"""Another system's database, opened to read one view: nothing can be written, nothing lasts long.

Every session is told to be read-only and to break off long questions by the server itself, whatever
the account may do. Only the host in network.yaml is called.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tower.errors import AccessDenied, ConfigError, SourceUnavailable
from tower.polled_feeds import SqlViewOptions

CONNECT_S = 10
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mariadb": "mariadb+pymysql",
    "mysql": "mysql+pymysql",
}
PORTS = {"postgresql": 5432, "mariadb": 3306, "mysql": 3306}
LOCAL = ("localhost", "127.0.0.1", "::1")

# Numbers of MariaDB and MySQL, states of Postgres.
_REFUSED = {1044, 1045, 1142, 1143, 1227, 1698, "28000", "28P01", "42501"}
_MISSING = {
    *(1049, 1051, 1054, 1064, 1146, 1305),
    *("3D000", "3F000", "42P01", "42703", "42883", "42804", "22P02", "22007"),
}
_TOO_LONG = {1969, 3024, 1317, "57014"}


def engine_for(source: str, options: SqlViewOptions, password: str | None) -> Engine:
    """An engine that opens a session per read and keeps none.

    Raises ConfigError if the driver of such a database is not installed.
    """
    is_socket = options.host.startswith("/")
    is_postgres = options.database == "postgresql"
    url = URL.create(
        DRIVERS[options.database],
        options.user,
        password,
        None if is_socket else options.host,
        None if is_socket else options.port or PORTS[options.database],
        options.name,
    )
    if is_socket and is_postgres:
        port = str(options.port or PORTS["postgresql"])
        url = url.update_query_dict({"host": options.host, "port": port})
    elif is_socket:
        url = url.update_query_dict({"unix_socket": options.host})
    is_here = is_socket or options.host in LOCAL
    tls = options.tls or ("none" if is_here else "verified")
    arguments = _postgres(options, tls) if is_postgres else _mysql(options, tls)
    try:
        engine = create_engine(
            url,
            poolclass=NullPool,
            connect_args=arguments,
            isolation_level="REPEATABLE READ",  # what a page names and what it holds agree
            hide_parameters=True,
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError(
            f'Source "{source}" reads {options.database}, whose driver is not installed. '
            "Install the tower with it: pip install 'tower[sql]'."
        ) from error
    if not is_postgres:
        seconds = options.timeout.total_seconds()
        limit = (
            f"SET SESSION max_statement_time = {seconds}"
            if options.database == "mariadb"
            else f"SET SESSION max_execution_time = {int(seconds * 1000)}"
        )

        @event.listens_for(engine, "connect")
        def restrict(connection: Any, _: Any) -> None:
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
                cursor.execute(limit)
                # Else a TIMESTAMP would read differently on each server.
                cursor.execute("SET time_zone = '+00:00'")
            connection.commit()

    return engine


def _postgres(options: SqlViewOptions, tls: str) -> dict[str, Any]:
    milliseconds = int(options.timeout.total_seconds() * 1000)
    found: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "sslmode": {"verified": "verify-full", "required": "require", "none": "disable"}[tls],
        "application_name": "tower",
        "options": f"-c statement_timeout={milliseconds} -c default_transaction_read_only=on "
        f"-c idle_in_transaction_session_timeout={milliseconds + 60_000} -c timezone=UTC",
        "tcp_user_timeout": milliseconds + 10_000,
    }
    if tls == "verified":
        found["sslrootcert"] = "system"
    return found


def _mysql(options: SqlViewOptions, tls: str) -> dict[str, Any]:
    # Longer than the server's own limit, so that the server says what happened.
    patience = options.timeout.total_seconds() + 10
    found: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "read_timeout": patience,
        "write_timeout": patience,
        "charset": "utf8mb4",
        "local_infile": False,
        "program_name": "tower",
    }
    if tls == "none":
        return found | {"ssl_disabled": True}
    context = ssl.create_default_context()
    if tls == "required":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return found | {"ssl": context}


@contextlib.contextmanager
def asking(engine: Engine, source: str, options: SqlViewOptions) -> Iterator[Connection]:
    """A read-only transaction. Errors come out as the families of tower/errors.py."""
    try:
        with engine.connect() as connection:
            if options.database == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
            with connection.begin():
                yield connection
    except SQLAlchemyError as error:
        raise _family(error, source, options) from error
    except RuntimeError as error:  # how PyMySQL says that it lacks what a way of signing in needs
        raise ConfigError(
            f'Source "{source}": signing in to {options.host} needs more than is installed: '
            f"{_said(error)}. Install it, or give the account a plain password."
        ) from error


def _family(error: SQLAlchemyError, source: str, options: SqlViewOptions) -> Exception:
    """Which family a database's complaint belongs to; the password is in none of them."""
    where = f"{options.host}/{options.name}"
    cause = error.orig if isinstance(error, DBAPIError) else None
    # MariaDB's own numbers say more than its states.
    arguments: tuple[Any, ...] = getattr(cause, "args", ())
    is_number = bool(arguments) and isinstance(arguments[0], int)
    code = arguments[0] if is_number else getattr(cause, "sqlstate", None)
    said = _said(cause or error)
    if code in _REFUSED or "password authentication failed" in said:
        return AccessDenied(
            f'Source "{source}": {where} refuses us: {said}. Check user and password_variable, and '
            f"that the account may read {options.view}."
        )
    if code in _MISSING:
        return ConfigError(
            f'Source "{source}": {where} does not know what is asked for: {said}. Check name, '
            "view, key and stamp in its options in network.yaml."
        )
    if code in _TOO_LONG:
        return SourceUnavailable(
            f'Source "{source}": {where} took longer than {options.timeout.total_seconds():g} s '
            f"over {options.view}. It is tried again; an index on {options.stamp} helps, or a "
            "smaller page_size, or a longer timeout."
        )
    return SourceUnavailable(
        f'Source "{source}": {where} does not answer: {said}. It is tried again.'
    )


def _said(error: BaseException) -> str:
    arguments = [str(a) for a in error.args if not isinstance(a, int)]
    text = " ".join(" ".join(arguments).split()) or type(error).__name__
    return text.rstrip(".")[:200]
