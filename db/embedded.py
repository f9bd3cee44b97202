"""Run the embedded Postgres server: real Postgres from the wheel, private to this machine and user.

Only the wheel's programs are used. Its own start call is not made for service: it trusts every
local user, believes stale pid files, and gives a recovering server ten seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from sqlalchemy import NullPool, create_engine

from db import cluster, postmaster, roles
from db.cluster import ADMIN, APP, OWNER, Passwords, Place
from tower.errors import ConfigError

DATABASE = "tower"


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded server and how to reach it."""

    app_url: str = field(repr=False)
    owner_url: str = field(repr=False)
    admin_url: str = field(repr=False)
    data: Path
    socket_folder: Path
    pid: int
    started_here: bool


@contextlib.contextmanager
def running(
    home: Path,
    *,
    throwaway: bool = False,
    on_give_up: Callable[[str], None] | None = None,
) -> Iterator[Server]:
    """A server for this home: started, watched and stopped by the first who asks; others connect.

    ``throwaway`` is for test runs alone: no fsync, and the server dies with this process.
    ``on_give_up`` is called, in a thread of the watch, when restarting it failed for good.
    """
    where = cluster.place(home)
    deadline = time.monotonic() + postmaster.START_TIMEOUT_S
    with contextlib.ExitStack() as stack:
        lock = _lock_file(where, stack)
        while not _try_lock(lock):
            guest = find(home)
            if guest is not None:
                yield guest
                return
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"Another process holds {where.lock}, but its database did not answer for "
                    f"{postmaster.START_TIMEOUT_S:.0f} s. Look for a hanging `tower up` or `tower "
                    "demo` and end it, then start again."
                )
            time.sleep(0.2)
        yield from _hold(where, throwaway=throwaway, on_give_up=on_give_up)


def find(home: Path) -> Server | None:
    """The server of this home if it runs and answers; nothing is started."""
    where = cluster.place(home)
    known = cluster.passwords(where)
    if known is None:
        return None
    process = postmaster.find_process(where)
    folder = postmaster.socket_folder_of(where)
    if process is None or folder is None or postmaster.ask(where, folder, known[ADMIN]) != "ready":
        return None
    return _server(where, folder, known, process.pid, started_here=False)


def _hold(
    where: Place, *, throwaway: bool, on_give_up: Callable[[str], None] | None
) -> Iterator[Server]:
    if where.account.switch and not (where.home / cluster.NOTE).exists():
        postmaster.stop(where)  # its home was removed under it
        cluster.put_aside_if_forsaken(where)
    cluster.prepare(where)
    if throwaway:
        _sweep(where)
        (where.base / cluster.THROWAWAY_MARK).touch()
    known = cluster.ensure_passwords(where)
    bin_folder = cluster.programs(where)
    cluster.ensure_data(where, bin_folder, known[ADMIN], durable=not throwaway)
    keeper = postmaster.Keeper(where, bin_folder, known, throwaway=throwaway, on_give_up=on_give_up)
    try:
        folder, pid = keeper.start()
        server = _server(where, folder, known, pid, started_here=True)
        _ensure_roles(server.admin_url, known)
        keeper.watch()
        yield server
    finally:
        keeper.end()
        if throwaway and where.account.switch:
            (where.home / cluster.NOTE).unlink(missing_ok=True)
            _remove(where)


def _sweep(where: Place) -> None:
    """Remove what killed test runs left; a lock that can be had belongs to nobody."""
    for left in cluster.forsaken_throwaways(where):
        with contextlib.ExitStack() as stack:
            if _try_lock(_lock_file(left, stack)):
                postmaster.stop(left)
                _remove(left)


def forget(home: Path) -> None:
    """Remove the database of this home with everything in it; nothing to do if there is none.

    Raises ConfigError while a server runs on it.
    """
    where = cluster.place(home)
    if not where.base.exists():
        return
    with contextlib.ExitStack() as stack:
        if not _try_lock(_lock_file(where, stack)):
            raise ConfigError(
                f"A tower is running on {where.home}. Stop it first; then its database can go."
            )
        postmaster.stop(where)  # whoever started it was killed
        postmaster.clear_remains(where)
        shutil.rmtree(where.base, ignore_errors=True)
        (where.home / cluster.NOTE).unlink(missing_ok=True)


def _remove(where: Place) -> None:
    shutil.rmtree(where.base, ignore_errors=True)
    where.lock.unlink(missing_ok=True)


def _lock_file(where: Place, stack: contextlib.ExitStack) -> IO[str]:
    """Open the lock. It is kept after use, for removing it could let two holders in."""
    parent = where.lock.parent
    try:
        cluster.open_folder(parent, 0o755 if where.account.switch else 0o700)
        descriptor = os.open(where.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{where.lock} cannot be opened: {error}. Name a folder this user can write in "
            "TOWER_HOME, or a server in TOWER_DATABASE_URL."
        ) from error
    return stack.enter_context(os.fdopen(descriptor, "r+"))


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ensure_roles(admin_url: str, known: Passwords) -> None:
    """The database and its roles; each step may have been done by a start that was killed."""
    address = admin_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        for role in (OWNER, APP):
            if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                connection.execute(
                    sql.SQL(
                        "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}"
                    ).format(sql.Identifier(role), sql.Literal(known[role]))
                )
        if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(OWNER)
                )
            )
        for statement in (
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {app}",
            "ALTER DATABASE {database} SET search_path = public",
        ):
            connection.execute(
                sql.SQL(statement).format(
                    database=sql.Identifier(DATABASE), app=sql.Identifier(APP)
                )
            )

    lending = create_engine(admin_url, poolclass=NullPool)
    with lending.begin() as connection_of_admin:
        roles.prepare(connection_of_admin, APP)


def _exists(connection: psycopg.Connection[Any], query: str, name: str) -> bool:
    return connection.execute(query, (name,)).fetchone() is not None


def _server(
    where: Place, folder: Path, known: Passwords, pid: int, *, started_here: bool
) -> Server:
    def url(role: str, database: str) -> str:
        secret = quote(known[role], safe="")
        host = quote(str(folder), safe="/")
        return (
            f"postgresql+psycopg://{role}:{secret}@/{database}?host={host}&port={postmaster.PORT}"
        )

    return Server(
        app_url=url(APP, DATABASE),
        owner_url=url(OWNER, DATABASE),
        admin_url=url(ADMIN, "postgres"),
        data=where.data,
        socket_folder=folder,
        pid=pid,
        started_here=started_here,
    )
