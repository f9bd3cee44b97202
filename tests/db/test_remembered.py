"""What several questions of one page share is asked once, where that cannot change the answer."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from db.reads import connection
from db.reads.remembered import once


def _numbers() -> Iterator[int]:
    yield from range(100)


def test_a_transaction_to_read_with_asks_once(engine: Engine) -> None:
    left = _numbers()
    with connection.reading(engine) as conn:
        assert [once(conn, "it", lambda: next(left)) for _ in range(3)] == [0, 0, 0]
        assert once(conn, "another", lambda: next(left)) == 1
    with connection.reading(engine) as conn:
        assert once(conn, "it", lambda: next(left)) == 2


def test_a_transaction_that_writes_asks_each_time(engine: Engine) -> None:
    left = _numbers()
    with engine.begin() as conn:
        assert [once(conn, "it", lambda: next(left)) for _ in range(3)] == [0, 1, 2]


def test_nothing_is_an_answer_too(engine: Engine) -> None:
    asked: list[int] = []
    with connection.reading(engine) as conn:
        for _ in range(2):
            assert once(conn, "it", lambda: asked.append(1)) is None
    assert asked == [1]
