"""What a partner sees of itself: open orders, overdue answers first, one order, what was rejected.

Columns are chosen here: no customer, no value, no person of ours and no words of a case are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from db.reads.filters import within_scope
from db.reads.kpi_answers import ACK
from db.reads.paging import COUNT_UP_TO, Total, bounded
from db.reads.rules import rulebook, rules_of
from db.tables import clock, dead_letter, document, event
from tower import rule_words
from tower.access import Scope
from tower.ladder import Rung, rungs
from tower.partner_words import TOLD_CATEGORIES

MOST_ROWS = 200
CHANGE_ACK = "CHANGE_ACK_OVERDUE"

_d, _c, _l, _e = document.c, clock.c, dead_letter.c, event.c
_COLUMNS = tuple(column for column in _d if column.name != "state")


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """One open purchase order.

    awaited   an answer is asked for: it has none, or was changed since
    due_at    until when; None = no deadline runs
    overdue   that has passed
    expected  day the goods are expected: last confirmed, else requested
    """

    home_key: int
    scope: str
    number: str
    supplier: str | None
    answer: str | None
    released_at: datetime | None
    expected: date | None
    n_lines: int | None
    awaited: bool
    due_at: datetime | None
    overdue: bool
    ladder: tuple[Rung, ...]

    @property
    def ref(self) -> str:
        return f"po:{self.scope}:{self.number}"


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """The first orders of the list, all there are, those that wait for an answer, and the rules
    whose clocks run for those shown, each as one sentence.
    """

    rows: tuple[OpenOrder, ...]
    total: Total
    awaited: int
    overdue: int
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line as it stands; quantities in ``uom``."""

    line: str
    item: str | None
    description: str | None
    uom: str | None
    ordered_qty: Decimal | None
    confirmed_qty: Decimal | None
    requested_date: date | None
    confirmed_date: date | None
    answer: str | None
    cancelled: bool


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """One order with its lines. ``rev`` changes whenever anything of it does."""

    scope: str
    number: str
    supplier: str
    rev: int
    closed: bool
    answer: str | None
    lines: tuple[OrderLine, ...]
    ladder: tuple[Rung, ...]

    @property
    def ref(self) -> str:
        return f"po:{self.scope}:{self.number}"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that could not be taken, or a shipment notice that failed our checks.

    document  its number, or the name of the message
    position  where in it: "byte 214", "DTM 02"; "" if nobody knows
    """

    at: datetime
    kind: str
    document: str
    cause: str
    position: str
    advice: str


def open_orders(
    conn: Connection, scope: Scope, now: datetime, *, after: int = 0, limit: int = MOST_ROWS
) -> OpenOrders:
    """Open orders: overdue answers first, then those that wait for one, by deadline; then the
    others, by the day on which they are expected. ``after``: so many are left out before them.
    """
    running = (
        select(_c.home_key, func.min(_c.due_at).label("due_at"))
        .where(_c.rule.in_(rules_of(conn, ACK, CHANGE_ACK)), _c.open, *within_scope(_c, scope))
        .group_by(_c.home_key)
        .subquery()
        .c
    )
    wanted = and_(_d.kind == "po", _d.line == "", _d.known, ~_d.closed, *within_scope(_d, scope))
    # An order whose message never went out is nobody's to answer.
    sent = or_(_d.transmitted_at.is_not(None), _d.released_at.is_not(None))
    awaited: ColumnElement[bool] = or_(
        running.home_key.is_not(None), and_(_d.acknowledged_at.is_(None), _d.answer != "rejected")
    )
    overdue = func.coalesce(running.due_at < now, False)
    expected = func.coalesce(_d.last_confirmed_date, _d.first_confirmed_date, _d.requested_date)
    joined = document.outerjoin(running.home_key.table, running.home_key == _d.home_key)
    rows = conn.execute(
        select(
            *_COLUMNS,
            running.due_at,
            awaited.label("awaited"),
            overdue.label("overdue"),
            expected.label("expected"),
        )
        .select_from(joined)
        .where(wanted, sent)
        .order_by(
            overdue.desc(), awaited.desc(), running.due_at.nulls_last(), expected.nulls_last(),
            _d.number, _d.scope,
        )
        .offset(min(max(after, 0), COUNT_UP_TO))
        .limit(bounded(limit))
    ).all()  # fmt: skip
    counted = conn.execute(
        select(
            func.count(),
            func.count().filter(awaited),
            func.count().filter(overdue),
        )
        .select_from(joined)
        .where(wanted, sent)
    ).one()
    clocks = _clocks(conn, [row.home_key for row in rows])
    return OpenOrders(
        rows=tuple(
            OpenOrder(
                home_key=row.home_key,
                scope=row.scope,
                number=row.number,
                supplier=row.supplier,
                answer=row.answer,
                released_at=row.released_at,
                expected=row.expected,
                n_lines=row.n_lines,
                awaited=row.awaited,
                due_at=row.due_at,
                overdue=row.overdue,
                ladder=tuple(rungs(dict(row._mapping), (), clocks[row.home_key])),
            )
            for row in rows
        ),
        total=Total.of(min(counted[0], COUNT_UP_TO + 1)),
        awaited=counted[1],
        overdue=counted[2],
        rules=_rules(conn, {c["rule"] for found in clocks.values() for c in found}),
    )


def order(conn: Connection, scope: Scope, ref: str) -> OwnOrder | None:
    """One order of the viewer's, None if there is none of theirs with this name."""
    kind, _, rest = ref.partition(":")
    erp, _, number = rest.partition(":")
    if kind != "po" or not number:
        return None
    family = conn.execute(
        select(*_COLUMNS)
        .where(
            _d.kind.in_(("po", "po_line")),
            _d.scope == erp,
            _d.number == number,
            _d.home_key.in_(
                select(_d.home_key).where(
                    _d.kind == "po", _d.scope == erp, _d.number == number, _d.line == "", _d.known
                )
            ),
            *within_scope(_d, scope),
        )
        .order_by(func.length(_d.line), _d.line)
    ).all()
    headers = [row for row in family if row.kind == "po"]
    if not headers or headers[0].supplier is None:
        return None
    header = headers[0]
    lines = [row for row in family if row.kind == "po_line"]
    clocks = _clocks(conn, [header.home_key])[header.home_key]
    return OwnOrder(
        scope=header.scope,
        number=header.number,
        supplier=header.supplier,
        rev=max(row.rev for row in family),
        closed=header.closed,
        answer=header.answer,
        lines=tuple(
            OrderLine(
                line=row.line,
                item=row.item,
                description=row.description,
                uom=row.uom,
                ordered_qty=row.ordered_qty,
                confirmed_qty=row.confirmed_qty,
                requested_date=row.requested_date,
                confirmed_date=row.last_confirmed_date,
                answer=row.answer,
                cancelled=row.cancelled_at is not None,
            )
            for row in lines
        ),
        ladder=tuple(rungs(dict(header._mapping), [dict(row._mapping) for row in lines], clocks)),
    )


def rejected(conn: Connection, scope: Scope, *, limit: int = MOST_ROWS) -> tuple[Rejected, ...]:
    """Messages that could not be taken and notices that failed and were not replaced, the newest
    first.
    """
    letters = conn.execute(
        select(_l.key, _l.cause, _l.advice, _l.byte_offset, _l.position, _l.received_at)
        .where(
            _l.state.in_(("open", "in_replay")), _l.kind == "interpret", *within_scope(_l, scope)
        )
        .order_by(_l.received_at.desc())
        .limit(bounded(limit))
    )
    found = [
        Rejected(
            at=row.received_at,
            kind="Message",
            document=row.key,
            cause=row.cause,
            position=_place(row.byte_offset, row.position),
            advice=row.advice,
        )
        for row in letters
    ]
    found += _failed_notices(conn, scope, limit)
    found.sort(key=lambda one: one.at, reverse=True)
    return tuple(found[: bounded(limit)])


def _failed_notices(conn: Connection, scope: Scope, limit: int) -> list[Rejected]:
    notices = conn.execute(
        select(_d.home_key, _d.number, _d.last_event_at)
        .where(
            _d.kind == "asn",
            _d.line == "",
            _d.asn_status == "invalid",
            ~_d.closed,
            *within_scope(_d, scope),
        )
        .order_by(_d.last_event_at.desc())
        .limit(bounded(limit))
    ).all()
    told: dict[int, Any] = {}
    for row in conn.execute(
        select(_e.home_key, _e.occurred_at, _e.data)
        .where(
            _e.home_key.in_([row.home_key for row in notices]),
            _e.type == "asn.rejected",
            *within_scope(_e, scope),
        )
        .order_by(_e.occurred_at)
    ):
        told[row.home_key] = row
    found = []
    for notice in notices:
        last = told.get(notice.home_key)
        data: Mapping[str, Any] = {} if last is None else last.data
        found.append(
            Rejected(
                at=notice.last_event_at if last is None else last.occurred_at,
                kind="Shipment notice",
                document=notice.number,
                cause=str(data.get("reason") or data.get("rule") or "It did not pass our checks."),
                position=_errors(data.get("errors") or ()),
                advice="Please send a corrected one.",
            )
        )
    return found


def _errors(errors: Sequence[Any]) -> str:
    """Where a notice is wrong, at most three places."""
    said = []
    for one in errors[:3]:
        if isinstance(one, Mapping):
            said.append(" ".join(str(v) for v in one.values() if v not in (None, "")))
        else:
            said.append(str(one))
    more = f" and {len(errors) - 3} more" if len(errors) > 3 else ""
    return "; ".join(said) + more


def _place(offset: int | None, position: str) -> str:
    if position and offset is not None:
        return f"{position}, byte {offset}"
    return position or ("" if offset is None else f"byte {offset}")


def _clocks(conn: Connection, homes: Sequence[int]) -> Mapping[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    columns = (
        _c.home_key, _c.rule, _c.kind, _c.line, _c.cycle, _c.verdict, _c.open, _c.due_at,
        _c.held_by,
    )  # fmt: skip
    for row in conn.execute(select(*columns).where(_c.home_key.in_(homes), _c.kind == "po")):
        found[row.home_key].append(dict(row._mapping))
    return found


def _rules(conn: Connection, running: set[str]) -> tuple[str, ...]:
    """The rules whose clocks run, as sentences of events and lengths: whom else they hold for, and
    who of us is told, is not in them.
    """
    book = rulebook(conn)
    if book is None:
        return ()
    return tuple(
        rule_words.words(rule, book).sentences[0]
        for rule in book.rules
        if rule.id in running and rule.kind == "deadline" and rule.category in TOLD_CATEGORIES
    )
