"""What is kept of the past, in slices: for judging it again by another rule book."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import BigInteger, Connection, any_, bindparam, distinct, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from db import cases
from db.clocks import ELSEWHERE
from db.tables import clock, event_object, exception_case, measured_unit
from tower.cases import Case
from tower.signs import Subject

_HOMES = bindparam("homes", type_=ARRAY(BigInteger))


def count_homes(conn: Connection, kinds: Iterable[str], until: datetime) -> int:
    """Number of documents of these kinds of which anything was known at an instant."""
    e = event_object.c
    query = select(func.count(distinct(e.home_key))).where(
        e.kind.in_(sorted(kinds)), e.arrived_at < until
    )
    return int(conn.execute(query).scalar_one())


def homes(
    conn: Connection,
    kinds: Iterable[str],
    until: datetime,
    after: int | None,
    limit: int,
    part: int = 0,
    parts: int = 1,
) -> list[int]:
    """The next homes, ascending; ``after`` is the last one of the slice before.

    Of several ``parts``, a power of two, the homes of one: homes are hashes, so parts are alike.
    """
    e = event_object.c
    query = (
        select(e.home_key)
        .distinct()
        .where(e.kind.in_(sorted(kinds)), e.arrived_at < until)
        .order_by(e.home_key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(e.home_key > after)
    if parts > 1:
        query = query.where(e.home_key.bitwise_and(parts - 1) == part)
    return list(conn.execute(query).scalars())


def measured(conn: Connection, kind: str) -> list[tuple[int, Subject]]:
    """Everything of a kind (queue, partner) that was ever measured or counted, with its home."""
    m = measured_unit.c
    rows = conn.execute(
        select(m.home_key, m.kind, m.scope, m.number, m.line)
        .where(m.kind == kind)
        .order_by(m.scope, m.number, m.home_key)
    )
    return [(home, Subject(*subject)) for home, *subject in rows.all()]


def open_homes(conn: Connection, after: int | None, limit: int) -> list[int]:
    """The next homes with an open clock, ascending; sources are looked at by themselves."""
    c = clock.c
    query = (
        select(c.home_key)
        .distinct()
        .where(c.open, c.kind.not_in(("source", "queue", *ELSEWHERE)))
        .order_by(c.home_key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(c.home_key > after)
    return list(conn.execute(query).scalars())


def latest_cases(conn: Connection, homes_: Iterable[int]) -> list[Case]:
    """The latest case of each kind of trouble with these documents, by number."""
    wanted = sorted(set(homes_))
    if not wanted:
        return []
    rows = conn.execute(
        select(exception_case)
        .where(exception_case.c.home_key == any_(_HOMES))
        .order_by(exception_case.c.id),
        {"homes": wanted},
    )
    found: dict[str, Case] = {}
    for row in rows:
        case = cases.of_row(row)
        known = found.get(case.fingerprint)
        if known is None or case.cycle > known.cycle:
            found[case.fingerprint] = case
    return list(found.values())
