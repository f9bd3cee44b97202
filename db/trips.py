"""Statements that cost little to ask: compiled once, and several in one trip to the server.

A round of judging is thirty small statements; what it costs is the way to the server and back, and
making each statement anew, far more than what the server does for it. So hot statements are
compiled on first use and go to the driver as text, those that do not need each other's answers
together (the driver's pipeline), and writes wait for the next question (``tell``).

What waits is sent before any other statement of the connection and before its commit, in the order
in which it was told; a rollback forgets it.

Where no pooler stands between, the server keeps them parsed (``db.engine.for_rounds``), until a
rollback of that connection. In a viewer's transaction nothing is kept: its plans are those of what
that viewer may see.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg.rows import namedtuple_row, tuple_row
from sqlalchemy import ClauseElement, Connection, Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from db import audit, roles
from db.driver import PREPARES, WAITING, as_sqlalchemy, of_driver

_dialects: WeakSet[Dialect] = WeakSet()  # of engines that send what waits
DIALECT: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # untyped there
"""What statements are compiled for, without any connection."""

Values = Mapping[str, Any]
_FLOWING = "tower.trips.flowing"
_BEFORE_OTHERS = "tower.trips.before_others"
_LONGEST = 2000  # characters of SQL in an error


class Statement:
    """A statement of which only the values change from one asking to the next.

    ``source`` is SQL in the driver's own style, or a construct of SQLAlchemy without lists that
    grow with their values. ``named``: rows tell their columns by name, at a little extra cost.
    """

    __slots__ = ("_fixed", "_source", "_sql", "named")

    def __init__(self, source: str | ClauseElement, *, named: bool = False) -> None:
        self._source = source
        self._sql = source if isinstance(source, str) else None
        self._fixed: Values = {}
        self.named = named

    def asked(self, given: Values) -> tuple[str, Values]:
        """Text and values as the driver takes them."""
        if self._sql is None:
            compiled = _compiled(self._source)
            if compiled.post_compile_params:
                raise ValueError("a list that grows with its values: ask with ANY of an array")
            self._fixed = {name: v for name, v in compiled.params.items() if v is not None}
            self._sql = str(compiled)
        return self._sql, {**self._fixed, **given} if self._fixed else given


class Setting(Statement):
    """Settings of a transaction, by name; those that follow each other are said as one."""

    __slots__ = ("values",)

    def __init__(self, values: Values) -> None:
        self.values = values
        told = ((name, str(value).replace("'", "''")) for name, value in values.items())
        said = (f"set_config('{name}', '{value}', true)" for name, value in told)
        super().__init__(f"SELECT {', '.join(said)}")


@lru_cache(maxsize=256)
def _both(first: Setting, then: Setting) -> Setting:
    return Setting({**first.values, **then.values})


def _compiled(source: str | ClauseElement) -> SQLCompiler:
    if isinstance(source, str):
        raise TypeError("text is what it is: nothing to compile")
    compiled = source.compile(dialect=DIALECT)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"{type(source).__name__} is no statement")
    return compiled


Asked = tuple[Statement, Values]
_COMMIT: Asked = (Statement("COMMIT"), {})


def ask(conn: Connection, *asked: Asked) -> list[list[Any]]:
    """The rows that each of these gives, all in one trip; what waits goes before them."""
    _begin(conn)
    return _sent(conn, _taken(conn), asked)


def ask_one(conn: Connection, statement: Statement, given: Values) -> list[Any]:
    """The rows of a single statement."""
    return ask(conn, (statement, given))[0]


def ask_last(conn: Connection, *asked: Asked) -> list[list[Any]]:
    """The rows that each of these gives, and the commit, all in one trip: the transaction is over,
    and its block may only end."""
    _begin(conn)
    if audit.waits(conn):  # those entries are still to be written
        return _sent(conn, _taken(conn), asked)
    return _sent(conn, _taken(conn), asked, commit=True)


def tell(conn: Connection, statement: Statement, given: Values) -> None:
    """A write of which nothing must be known. Within ``gathered`` it goes with the next question,
    else at once."""
    _begin(conn)
    if conn.info.get(_FLOWING):
        with _said_as_ours(conn, [(statement, given)]):
            _begun(of_driver(conn), (statement, given), _prepares(conn))
        return
    waiting: list[Asked] | None = conn.info.get(WAITING)
    if waiting is None:
        _sent(conn, [(statement, given)], ())
    else:
        _append(waiting, statement, given)


def _append(waiting: list[Asked], statement: Statement, given: Values) -> None:
    if isinstance(statement, Setting) and waiting and isinstance(waiting[-1][0], Setting):
        waiting[-1] = (_both(waiting[-1][0], statement), {})
    else:
        waiting.append((statement, given))


@contextlib.contextmanager
def gathered(conn: Connection) -> Iterator[None]:
    """Within it, writes wait for the next question; it lies within one transaction."""
    if conn.dialect not in _dialects:
        raise ValueError("only engines of db.engine send what waits")
    kept = conn.info  # of the connection as it is: it may be lost meanwhile
    kept[WAITING] = []
    try:
        yield
        send(conn)
    finally:
        kept.pop(WAITING, None)


@contextlib.contextmanager
def begin(conn: Connection) -> Iterator[None]:
    """A transaction of this connection in which writes wait, what it begins with among them."""
    with gathered(conn), conn.begin():
        yield
        send(conn)


@contextlib.contextmanager
def flowing(conn: Connection) -> Iterator[None]:
    """Within it, what is told goes off at once and nobody waits: the server writes one part of many
    rows while the next is worked out. Nothing is asked within; mistakes show at its end."""
    _begin(conn)
    kept = conn.info
    driver, first, prepare = of_driver(conn), _taken(conn), _prepares(conn)
    with _said_as_ours(conn, first), driver.pipeline():
        for one in first:
            _begun(driver, one, prepare)
        kept[_FLOWING] = True
        try:
            yield
        finally:
            kept.pop(_FLOWING, None)


def waits(conn: Connection, statement: Statement) -> bool:
    """Whether writes wait here; then this one does, too."""
    waiting: list[Asked] | None = conn.info.get(WAITING)
    if waiting is None:
        return False
    _append(waiting, statement, {})
    return True


def send(conn: Connection) -> None:
    """Have done what waits."""
    waiting = _taken(conn)
    if waiting:
        _sent(conn, waiting, ())


def before_others(conn: Connection, setting: Setting | None) -> None:
    """Have this said before the first statement of the transaction that is none of ours."""
    conn.info[_BEFORE_OTHERS] = setting


def _others(conn: Connection, *_: Any) -> None:
    setting = conn.info.pop(_BEFORE_OTHERS, None)
    if setting is not None:
        tell(conn, setting, {})
    send(conn)


def _ending(conn: Connection) -> None:
    conn.info.pop(_BEFORE_OTHERS, None)
    send(conn)


def send_in_time(engine: Engine) -> None:
    """Have what waits sent before other statements of this engine, and forgotten on rollback."""
    _dialects.add(engine.dialect)
    event.listen(engine, "before_cursor_execute", _others)
    event.listen(engine, "commit", _ending)
    event.listen(engine, "rollback", _forget)
    event.listen(engine, "rollback_savepoint", lambda conn, *_: _forget(conn))


def _begin(conn: Connection) -> None:
    """As other statements do by themselves; what a transaction begins with may wait, too."""
    if not conn.in_transaction():
        conn.begin()


def _taken(conn: Connection) -> list[Asked]:
    waiting: list[Asked] | None = conn.info.get(WAITING)
    if not waiting:
        return []
    taken = waiting[:]
    waiting.clear()
    return taken


def _forget(conn: Connection) -> None:
    if not conn.invalidated:
        conn.info.pop(_BEFORE_OTHERS, None)
        _taken(conn)


def _sent(
    conn: Connection, told: Sequence[Asked], asked: Sequence[Asked], *, commit: bool = False
) -> list[list[Any]]:
    """Rows of what is asked, which gives rows; what is told goes before it."""
    driver, prepare = of_driver(conn), _prepares(conn)
    with _said_as_ours(conn, [*told, *asked]):
        if len(told) + len(asked) + commit == 1:
            cursors = [_begun(driver, one, prepare) for one in (*told, *asked)]
            return [cursor.fetchall() for cursor in cursors] if asked else []
        with driver.pipeline():
            for one in told:
                _begun(driver, one, prepare)
            cursors = [_begun(driver, one, prepare) for one in asked]
            if commit:
                _begun(driver, _COMMIT, False)
        # Not within the block: its end waits for the server again.
        return [cursor.fetchall() for cursor in cursors]


@contextlib.contextmanager
def _said_as_ours(conn: Connection, asked: Sequence[Asked]) -> Iterator[None]:
    """Mistakes of the driver as those that SQLAlchemy raises."""
    try:
        yield
    except psycopg.Error as error:
        texts = (statement.asked(given)[0] for statement, given in asked)
        said = "; ".join(" ".join(text.split()) for text in texts)
        raise as_sqlalchemy(conn, error, said[:_LONGEST]) from error


def _prepares(conn: Connection) -> bool:
    """Whether the server is to keep the statements of this transaction parsed."""
    return PREPARES in conn.info and roles.LOOKING not in conn.get_execution_options()


def _begun(driver: psycopg.Connection[Any], asked: Asked, prepare: bool) -> psycopg.Cursor[Any]:
    statement, given = asked
    text, values = statement.asked(given)
    cursor = driver.cursor(row_factory=namedtuple_row if statement.named else tuple_row)
    return cursor.execute(text, values, prepare=prepare)
