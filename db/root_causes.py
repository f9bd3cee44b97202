"""Cases that share a root cause, with the parents they hang under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Text,
    any_,
    bindparam,
    case,
    delete,
    distinct,
    func,
    select,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db import trips
from db.cases import of_row
from db.tables import escalation, exception_case, group_member, order_impact, suppression, told
from db.trips import Statement
from tower.cases import Case, case_fingerprint
from tower.root_causes import KIND
from tower.signs import Subject

_c = exception_case.c
_LOCK = 0x70_77_65_72  # of advisory locks: our own range, so that no other use collides


def lock(conn: Connection, names: Iterable[str]) -> None:
    """One round at a time regroups the cases of one name; until the transaction ends."""
    for name in sorted(set(names)):
        trips.tell(conn, _lock, {"space": _LOCK, "name": name})


_lock = Statement("SELECT pg_advisory_xact_lock(%(space)s, hashtext(%(name)s))")


def first_of(conn: Connection, parents: Iterable[int]) -> dict[str, datetime]:
    """The earliest instant among the cases of these parents, by the name they share."""
    wanted = sorted(set(parents))
    if not wanted:
        return {}
    rows = conn.execute(
        select(_c.shares, func.min(_c.opened_at))
        .where(_c.parent_id.in_(wanted), _c.shares != "")
        .group_by(_c.shares)
    )
    return {row[0]: row[1] for row in rows}


_sharing = Statement(
    """
    SELECT c.* FROM unnest(%(names)s::text[], %(instants)s::timestamptz[]) AS asked (shares, at)
    CROSS JOIN LATERAL (
        SELECT b.opened_at FROM exception_case b
        WHERE b.shares <> '' AND b.shares = asked.shares AND b.opened_at <= asked.at
          AND NOT EXISTS (
              SELECT FROM exception_case before
              WHERE before.shares <> '' AND before.shares = b.shares
                AND before.opened_at < b.opened_at
                AND before.opened_at >= b.opened_at - %(joins)s)
        ORDER BY b.opened_at DESC LIMIT 1
    ) AS first
    JOIN exception_case c
      ON c.shares <> '' AND c.shares = asked.shares AND c.opened_at >= first.opened_at
    ORDER BY c.opened_at, c.id
    """,
    named=True,
)


def asking(touched: Mapping[str, datetime], joins: timedelta) -> trips.Asked:
    """Asks for the cases of these names that may belong to one group with what happened at these
    instants; the answer goes to ``by_name``.

    Read from the last gap that no group reaches over, so the cost is that of the group, not of the
    history of the name.
    """
    names = sorted(touched)
    instants = [touched[name] for name in names]
    return _sharing, {"names": names, "instants": instants, "joins": joins}


def by_name(rows: Iterable[Any]) -> dict[str, list[Case]]:
    """Cases by the name they share, in the order of their instants."""
    found: dict[str, list[Case]] = {}
    for row in rows:
        found.setdefault(row.shares, []).append(of_row(row))
    return found


def parents(conn: Connection, names: Iterable[str], numbers: Iterable[int]) -> dict[int, Case]:
    """The newest parent of each name and those with these numbers, locked."""
    marks = [case_fingerprint("ROOT_CAUSE", KIND, _subject(name)) for name in sorted(set(names))]
    newest = (
        select(func.max(_c.id).label("id"))
        .where(_c.fingerprint == any_(bindparam("marks", type_=ARRAY(Text))))
        .group_by(_c.fingerprint)
    )
    named = select(func.unnest(bindparam("numbers", type_=ARRAY(BigInteger))).label("id"))
    # One list of numbers: either of two conditions would have the server read every case.
    wanted = union(newest, named).subquery()
    rows = conn.execute(
        select(exception_case)
        .where(_c.kind == KIND, _c.id.in_(select(wanted.c.id)))
        .order_by(_c.id)
        .with_for_update(of=exception_case),
        {"marks": marks, "numbers": sorted(set(numbers))},
    )
    return {row.id: of_row(row) for row in rows}


def _subject(name: str) -> Subject:
    kind, _, rest = name.partition("|")
    return Subject(KIND, kind, rest)


def hang(conn: Connection, under: Mapping[int, int | None]) -> None:
    """Put cases under their parents (case -> parent); None takes one out."""
    if under:
        numbers = sorted(under)
        trips.tell(conn, _hang, {"cases": numbers, "parents": [under[n] for n in numbers]})


_hang = Statement(
    """
    UPDATE exception_case c SET parent_id = hung.parent
    FROM unnest(%(cases)s::bigint[], %(parents)s::bigint[]) AS hung (id, parent)
    WHERE c.id = hung.id
    """
)


def open_among(conn: Connection, numbers: Iterable[int]) -> set[int]:
    """Which of these cases are open."""
    wanted = sorted(set(numbers))
    if not wanted:
        return set()
    return set(
        conn.execute(select(_c.id).where(_c.id.in_(wanted), _c.state != "resolved")).scalars()
    )


def children(conn: Connection, numbers: Iterable[int]) -> list[Case]:
    """The open cases under these parents."""
    wanted = sorted(set(numbers))
    if not wanted:
        return []
    rows = conn.execute(
        select(exception_case)
        .where(_c.parent_id.in_(wanted), _c.state != "resolved")
        .order_by(_c.id)
    )
    return [of_row(row) for row in rows]


def leave_to_parents(conn: Connection, under: Mapping[int, int], now: datetime) -> None:
    """Nobody waits any more to be told of these cases (case -> parent): the parent says it.

    Who was told of one of them stays in the group, so as to hear of its end. What would have
    reminded of it, or escalated it, is gone too.
    """
    if not under:
        return
    conn.execute(delete(escalation).where(escalation.c.case_id.in_(sorted(under))))
    m = group_member.c
    gone = conn.execute(
        delete(group_member)
        .where(
            m.case_id.in_(sorted(under)),
            # A partner is told of its own documents, and never of a parent, which is ours.
            ~m.recipient.startswith("partner:"),
            ~select(1).where(told.c.case_id == m.case_id, told.c.recipient == m.recipient).exists(),
        )
        .returning(m.case_id, m.recipient)
    ).all()
    rows = [
        {"case_id": n, "recipient": who, "at": now, "reason": in_case(under[n])}
        for n, who in sorted((row[0], row[1]) for row in gone)
    ]
    if rows:
        conn.execute(suppression.insert(), rows)


def in_case(parent: int) -> str:
    """Why nobody is told of a case that hangs under another."""
    return f"told in case {parent}, which it shares a cause with"


def sum_up(conn: Connection, numbers: Iterable[int], company_currency: str) -> None:
    """Write the figures of these parents anew: sums over their open cases.

    A customer order line that several of them hit counts once; money in other currencies than the
    company's (else the most frequent one's) is not added.
    """
    wanted = sorted(set(numbers))
    if not wanted:
        return
    i = order_impact.c
    child = exception_case.alias("child")
    hit = (
        select(
            child.c.parent_id,
            i.scope,
            i.order,
            i.order_line,
            func.max(i.open_value).label("open_value"),
            func.max(i.currency).label("currency"),
        )
        .select_from(child)
        .join(
            order_impact,
            (i.po_home == child.c.home_key)
            & ((child.c.kind == "po") | ((child.c.kind == "po_line") & (i.po_line == child.c.line)))
            | ((i.case_id == child.c.id) & (child.c.kind == "asn")),
        )
        .where(child.c.parent_id.in_(wanted), child.c.state != "resolved")
        .group_by(child.c.parent_id, i.scope, i.order, i.order_line)
        .subquery("hit")
    )
    told_in = func.coalesce(
        func.max(case((hit.c.currency == company_currency, hit.c.currency))),
        func.mode().within_group(hit.c.currency),
    )
    currencies = (
        select(hit.c.parent_id, told_in.label("currency")).group_by(hit.c.parent_id).subquery("cur")
    )
    lines = (
        select(
            hit.c.parent_id,
            func.count(distinct(func.concat(hit.c.scope, "/", hit.c.order))).label("orders"),
            func.count().label("lines"),
            func.sum(case((hit.c.currency == currencies.c.currency, hit.c.open_value))).label(
                "value"
            ),
            func.max(currencies.c.currency).label("currency"),
        )
        .join(currencies, currencies.c.parent_id == hit.c.parent_id)
        .group_by(hit.c.parent_id)
        .subquery("lines")
    )
    parent = exception_case.alias("parent")
    own = (
        select(
            parent.c.id,
            func.sum(child.c.priority).label("priority"),
            func.max(child.c.urgency).label("urgency"),
            func.avg(child.c.confidence).label("confidence"),
            func.min(child.c.need_date).label("need_date"),
            func.sum(child.c.document_value).label("document_value"),
            func.max(child.c.currency).label("currency"),
        )
        .select_from(parent)
        .outerjoin(child, (child.c.parent_id == parent.c.id) & (child.c.state != "resolved"))
        .where(parent.c.id.in_(wanted))
        .group_by(parent.c.id)
        .subquery("own")
    )
    conn.execute(
        update(exception_case)
        .where(_c.id == own.c.id)
        .values(
            priority=own.c.priority,
            urgency=own.c.urgency,
            confidence=own.c.confidence,
            need_date=own.c.need_date,
            document_value=own.c.document_value,
            currency=func.coalesce(
                select(lines.c.currency).where(lines.c.parent_id == own.c.id).scalar_subquery(),
                own.c.currency,
                company_currency,
            ),
            orders_affected=func.coalesce(
                select(lines.c.orders).where(lines.c.parent_id == own.c.id).scalar_subquery(), 0
            ),
            lines_affected=func.coalesce(
                select(lines.c.lines).where(lines.c.parent_id == own.c.id).scalar_subquery(), 0
            ),
            value_at_risk=select(lines.c.value)
            .where(lines.c.parent_id == own.c.id)
            .scalar_subquery(),
        )
    )
