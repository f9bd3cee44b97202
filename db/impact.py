"""Rows that impact is computed from, and the affected order lines it leads to.

Set-based: pegs of the changed purchase orders, all pegs of those order lines, all pegs of the
purchase orders these name; then documents by home. Two rounds that share an order line take turns
(advisory locks on orders, in order), so that neither writes from what the other is changing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Text,
    any_,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db import records, trips
from db.tables import clock, document, event_object, order_impact, peg
from db.trips import Statement
from tower.calendars import Calendar
from tower.cycles import Cycle
from tower.identity import document_home, partner_id
from tower.impact import AFFECTED, Affected, Match, Peg, proposed_promise
from tower.signs import Subject
from tower.timeline import ClockKey

LineKey = tuple[str, str, str]
"""(ERP, header number, line number)."""

Place = tuple[str, str]
"""(warehouse, item)."""

_HOMES = bindparam("homes", type_=ARRAY(BigInteger))


@dataclass(slots=True)
class Web:
    """Purchase and customer order lines that hang together by pegs.

    pegs         standing pegs of every purchase order named
    order_lines  the order lines to be computed anew, also those whose peg was removed
    po_homes     homes of all purchase orders named
    """

    pegs: list[Peg] = field(default_factory=list)
    order_lines: set[LineKey] = field(default_factory=set)
    po_homes: set[int] = field(default_factory=set)

    @property
    def order_homes(self) -> list[int]:
        return sorted({document_home("order", *line[:2]) for line in self.order_lines})


_pegs = Statement(
    select(
        peg.c.home_key, peg.c.scope, peg.c.po, peg.c.po_line, peg.c.order, peg.c.order_line,
        peg.c.qty,
    ).where(peg.c.home_key == any_(_HOMES)),
    named=True,
)  # fmt: skip


def web(conn: Connection, homes: Iterable[int]) -> Web:
    """What must be looked at when these purchase orders changed; locks the orders it touches."""
    changed = sorted(set(homes))
    found = Web()
    first = trips.ask_one(conn, _pegs, {"homes": changed})
    if not first:
        return found
    found.order_lines = {(row.scope, row.order, row.order_line) for row in first}
    conn.execute(
        select(func.pg_advisory_xact_lock(func.unnest(_HOMES))), {"homes": found.order_homes}
    )
    others = conn.execute(
        select(peg.c.home_key)
        .where(tuple_(peg.c.scope, peg.c.order, peg.c.order_line).in_(sorted(found.order_lines)))
        .distinct()
    ).scalars()
    found.po_homes = {*changed, *others}
    for row in trips.ask_one(conn, _pegs, {"homes": sorted(found.po_homes)}):
        if row.qty is not None and row.qty > 0:
            found.pegs.append(
                Peg(
                    (row.scope, row.po, row.po_line),
                    (row.scope, row.order, row.order_line),
                    row.qty,
                )
            )
    return found


_DOCUMENT = (
    "home_key", "kind", "scope", "number", "line", "supplier", "partner_id", "buyer", "customer",
    "customer_name", "warehouse", "item", "currency", "answer", "status", "closed", "ordered_qty",
    "confirmed_qty", "shipped_qty", "received_qty", "rejected_qty", "requested_date",
    "first_confirmed_date", "last_confirmed_date", "promised_date", "eta", "actual_receipt_date",
    "price", "value", "open_value", "type", "channel", "uom", "released_at", "first_seen_at",
    "cancelled_at", "closed_at", "last_event_at",
)  # fmt: skip

_documents = Statement(
    select(*(document.c[name] for name in _DOCUMENT)).where(
        document.c.home_key == any_(_HOMES),
        document.c.kind == any_(bindparam("kinds", type_=ARRAY(Text))),
    ),
    named=True,
)


def documents(conn: Connection, homes: Iterable[int], kinds: Sequence[str]) -> list[Any]:
    """Document rows of these homes and kinds."""
    wanted = sorted(set(homes))
    if not wanted:
        return []
    return trips.ask_one(conn, _documents, {"homes": wanted, "kinds": records.words(tuple(kinds))})


_pegged = Statement(
    """
    SELECT home_key, po_line, sum(qty) FROM peg
    WHERE home_key = ANY(%(homes)s::bigint[]) AND qty > 0 GROUP BY home_key, po_line
    """
)


@dataclass(slots=True)
class Stakes:
    """What cases of purchase orders are weighed by.

    affected   order lines that they leave uncovered
    documents  their headers and lines, as ``documents`` gives them
    pegged     quantity that customers wait for, by home and line
    """

    affected: list[AffectedRow] = field(default_factory=list)
    documents: list[Any] = field(default_factory=list)
    pegged: dict[tuple[int, str], Decimal] = field(default_factory=dict)


def stakes(conn: Connection, reach: Iterable[int], weighed: Iterable[int]) -> Stakes:
    """Order lines that any of ``reach`` leaves uncovered, and what else is asked of ``weighed``, in
    one trip to the server."""
    near, homes = sorted(set(reach)), sorted(set(weighed))
    asked: list[trips.Asked] = [(_affected, {"homes": records.numbers(near)})] if near else []
    if homes:
        asked.extend(_asking_documents(homes))
    answers = iter(trips.ask(conn, *asked)) if asked else iter(())
    found = Stakes()
    if near:
        found.affected = [_affected_row(row) for row in next(answers)]
    if homes:
        found.documents = next(answers)
        found.pegged = {(row[0], row[1]): row[2] for row in next(answers)}
    return found


def _asking_documents(homes: Sequence[int]) -> tuple[trips.Asked, trips.Asked]:
    given = {"homes": records.numbers(homes)}
    return (_documents, {**given, "kinds": records.words(("po", "po_line"))}), (_pegged, given)


def asking_stakes(homes: Iterable[int], *, pegged: bool = True) -> tuple[trips.Asked, ...]:
    """The questions of ``stakes`` of all these, asked before it is known which of them matter; the
    answers go to ``stakes_among``. Without ``pegged`` nobody must wait for any of them."""
    wanted = sorted(set(homes))
    asked = ((_affected, {"homes": records.numbers(wanted)}), *_asking_documents(wanted))
    return asked if pegged else asked[:-1]


def stakes_among(
    answers: Iterable[list[Any]], reach: Collection[int], weighed: Collection[int]
) -> Stakes:
    """What ``stakes`` would have told."""
    affected, documents, *rest = answers
    pegged = rest[0] if rest else ()
    return Stakes(
        [row for row in map(_affected_row, affected) if row.po_home in reach],
        [row for row in documents if row.home_key in weighed],
        {(home, line): qty for home, line, qty in pegged if home in weighed},
    )


@dataclass(frozen=True, slots=True)
class ClockMark:
    """A clock that puts supply in doubt: breached, or unknown for want of evidence."""

    home: int
    rule: str
    line: str
    breached: bool


def doubts(conn: Connection, homes: Iterable[int], levels: Mapping[str, str]) -> list[ClockMark]:
    """Open clocks of these rules that put supply in doubt, of these homes: held, or past the level
    given for the rule ("" for any that counts as breached)."""
    wanted, names = sorted(set(homes)), sorted(levels)
    if not wanted or not names:
        return []
    c = clock.c
    rows = conn.execute(
        select(c.home_key, c.rule, c.line, c.verdict, c.state)
        .where(c.home_key == any_(_HOMES), c.open, c.rule.in_(names))
        .where(c.verdict.in_(("breached", "at_risk", "unknown"))),
        {"homes": wanted},
    )
    found = []
    for home, rule, line, verdict, state in rows:
        past = (
            verdict == "breached"
            if not levels[rule]
            else any(fact[0] == levels[rule] for fact in state["facts"])
        )
        if past or verdict == "unknown":
            found.append(ClockMark(home, rule, line, past))
    return found


def linked(conn: Connection, homes: Iterable[int]) -> list[tuple[int, int]]:
    """(home, other end) of every link of these homes."""
    wanted = sorted(set(homes))
    if not wanted:
        return []
    return trips.ask_one(conn, _linked, {"homes": wanted})


@dataclass(slots=True)
class Near:
    """What stands around units, as far as it decides whether anybody may be hurt by them.

    pegged  purchase orders among them that customers wait for, or did
    links   as ``linked`` gives them
    cases   those that ever had a case
    stock   any stock is known, anywhere
    """

    pegged: set[int] = field(default_factory=set)
    links: list[tuple[int, int]] = field(default_factory=list)
    cases: set[int] = field(default_factory=set)
    stock: bool = False


def asking_near(homes: Iterable[int]) -> trips.Asked:
    """Asks what stands around these; the answer goes to ``near``."""
    return _near, {"homes": records.numbers(sorted(set(homes)))}


def near(answer: Iterable[tuple[str, int, int]], homes: Collection[int]) -> Near:
    """What stands around these, which may be fewer than were asked for."""
    found = Near()
    for kind, home, other in answer:
        if kind == "stock":
            found.stock = True
        elif home not in homes:
            continue
        elif kind == "peg":
            found.pegged.add(home)
        elif kind == "link":
            found.links.append((home, other))
        else:
            found.cases.add(home)
    return found


# One statement, as small questions cost more to say than to answer.
_near = Statement(
    """
    SELECT DISTINCT 'peg', home_key, 0::bigint FROM peg WHERE home_key = ANY(%(homes)s::bigint[])
    UNION ALL
    SELECT DISTINCT 'link', home_key, other_key FROM flow_link
    WHERE home_key = ANY(%(homes)s::bigint[])
    UNION ALL
    SELECT DISTINCT 'case', home_key, 0::bigint FROM exception_case
    WHERE home_key = ANY(%(homes)s::bigint[])
    UNION ALL
    SELECT 'stock', 0, 0 WHERE EXISTS (SELECT FROM stock_level)
    """
)
ANY_STOCK: trips.Asked = (Statement("SELECT EXISTS (SELECT FROM stock_level)"), {})
_linked = Statement(
    "SELECT DISTINCT home_key, other_key FROM flow_link WHERE home_key = ANY(%(homes)s::bigint[])"
)


# --- affected order lines -------------------------------------------------------------------------

_KEY = ("order_home", "scope", "order", "order_line", "po", "po_line", "matched_by")


def replace_affected(
    conn: Connection,
    order_lines: Iterable[LineKey],
    found: Sequence[Affected],
    match: Match,
    hours: Calendar | None,
    now: datetime,
    *,
    places: Iterable[Place] = (),
) -> set[int]:
    """Make ``found`` all that is known of these order lines by this way of matching, and of all
    that were netted in these buckets; the homes of purchase orders whose rows changed.

    A line that stays affected keeps the instant since when it is, and the case that is to blame.
    ``hours``: new promises are made for open days of this calendar.
    """
    lines, buckets = sorted(set(order_lines)), sorted(set(places))
    if not lines and not buckets:
        return set()
    before = _standing(conn, lines, buckets, match)
    told = notices(conn, {item.order.home_key for item in found})
    rows = []
    kept = set()
    homes = set()
    for item in found:
        row = _row(item, told, hours, now)
        key = tuple(row[name] for name in _KEY)
        kept.add(key)
        known = before.get(key)
        if known is not None:
            row["since"] = known.since
            if all(known._mapping[name] == value for name, value in row.items()):
                continue
        rows.append(row)
        homes.add(row["po_home"])
    gone = sorted(before.keys() - kept)
    homes |= {before[key].po_home for key in gone}
    if gone:
        i = order_impact.c
        conn.execute(delete(order_impact).where(tuple_(*(i[name] for name in _KEY)).in_(gone)))
    rows.sort(key=lambda row: [row[name] for name in _KEY])
    changed = tuple(name for name in rows[0] if name not in _KEY) if rows else ()
    records.put(conn, order_impact, rows, conflict=_KEY, changed=changed)
    return homes - {NO_PO}


NO_PO = 0
"""Home of the purchase order where nothing is on order."""


def _standing(
    conn: Connection, lines: Sequence[LineKey], places: Sequence[Place], match: Match
) -> dict[tuple[Any, ...], Any]:
    """Rows of these order lines, and of these buckets, by key."""
    i = order_impact.c
    asked = select(order_impact).where(i.matched_by == match)
    found: list[Any] = []
    if lines:
        homes = sorted({document_home("order", scope, order) for scope, order, _ in lines})
        wanted = set(lines)
        found += [
            row
            for row in conn.execute(asked.where(i.order_home == any_(_HOMES)), {"homes": homes})
            if (row.scope, row.order, row.order_line) in wanted
        ]
    if places:
        found += conn.execute(asked.where(tuple_(i.warehouse, i.item).in_(places)))
    return {tuple(row._mapping[name] for name in _KEY): row for row in found}


def netted_places(conn: Connection, homes: Iterable[int]) -> set[Place]:
    """Buckets in which order lines of these homes were last netted."""
    wanted = sorted(set(homes))
    if not wanted:
        return set()
    i = order_impact.c
    rows = conn.execute(
        select(i.warehouse, i.item)
        .where(or_(i.order_home == any_(_HOMES), i.po_home == any_(_HOMES)))
        .where(i.matched_by == "netting")
        .distinct(),
        {"homes": wanted},
    )
    return {(row[0], row[1]) for row in rows}


def places_with_rows(conn: Connection, places: Collection[Place]) -> set[Place]:
    """Those of these buckets of which order lines are known to be uncovered."""
    if not places:
        return set()
    i = order_impact.c
    rows = conn.execute(
        select(i.warehouse, i.item)
        .where(tuple_(i.warehouse, i.item).in_(sorted(places)), i.matched_by == "netting")
        .distinct()
    )
    return {(row[0], row[1]) for row in rows}


def _row(
    item: Affected,
    told: Mapping[tuple[int, str], Notice],
    hours: Calendar | None,
    now: datetime,
) -> dict[str, Any]:
    order, po = item.order, item.po
    notice = told.get((order.home_key, order.line)) or told.get((order.home_key, ""))
    supplier = None if po is None else po.supplier
    return {
        "order_home": order.home_key,
        "scope": order.scope,
        "order": order.order,
        "order_line": order.line,
        "po": "" if po is None else po.po,
        "po_line": "" if po is None else po.line,
        "matched_by": item.match,
        "po_scope": "" if po is None else po.scope,
        "po_home": NO_PO if po is None else po.home_key,
        "supplier": supplier,
        "partner_id": None if supplier is None else partner_id(supplier),
        "buyer": None if po is None else po.buyer,
        "warehouse": order.warehouse if po is None else po.warehouse,
        "item": order.item if po is None else po.item or order.item,
        "customer": order.customer,
        "customer_name": order.customer_name,
        "promise_date": order.promise_date,
        "projected_date": item.projected,
        "proposed_date": proposed_promise(item.projected, order.margin_days, hours),
        "basis": item.basis,
        "days_late": item.days_late,
        "uncovered_qty": item.uncovered,
        "open_value": order.open_value,
        "currency": order.currency,
        "confidence": item.confidence,
        "cause": item.cause,
        "told_at": None if notice is None else notice.at,
        "told_date": None if notice is None else notice.day,
        "since": now,
    }


class Notice(NamedTuple):
    """That a customer was told of a delay: when, and the day told, if one was."""

    at: datetime
    day: date | None


def notices(conn: Connection, order_homes: Iterable[int]) -> dict[tuple[int, str], Notice]:
    """The latest notice to the customer by order and line ("" = all lines), as the house told."""
    wanted = sorted(set(order_homes))
    if not wanted:
        return {}
    e = event_object.c
    found: dict[tuple[int, str], Notice] = {}
    for home, at, words in conn.execute(
        select(e.home_key, e.occurred_at, e.words)
        .where(e.home_key == any_(_HOMES), e.type == "order.notified")
        .order_by(e.occurred_at, e.event_id),
        {"homes": wanted},
    ):
        for line, facts in words.items():
            if line or len(words) == 1:
                day = facts.get("told_date")
                found[home, line] = Notice(at, date.fromisoformat(day) if day else None)
    return found


@dataclass(frozen=True, slots=True)
class AffectedRow:
    """An affected order line as it is kept."""

    key: tuple[Any, ...]
    po_home: int
    po_line: str
    order: tuple[str, str]
    order_line: str
    promise_date: date
    open_value: Decimal | None
    currency: str | None
    confidence: float
    cause: str
    case_id: int | None
    scope: str = ""
    po: str = ""
    supplier: str | None = None
    buyer: str | None = None
    customer: str | None = None
    customer_name: str | None = None
    projected_date: date | None = None
    basis: str = ""


def affected_by(conn: Connection, po_homes: Iterable[int]) -> list[AffectedRow]:
    """Order lines that these purchase orders leave uncovered."""
    wanted = sorted(set(po_homes))
    if not wanted:
        return []
    return [_affected_row(row) for row in trips.ask_one(conn, _affected, {"homes": wanted})]


_affected = Statement(
    select(order_impact).where(order_impact.c.po_home == any_(_HOMES)), named=True
)


def _affected_row(row: Any) -> AffectedRow:
    return AffectedRow(
        key=tuple(getattr(row, name) for name in _KEY),
        po_home=row.po_home,
        po_line=row.po_line,
        order=(row.scope, row.order),
        order_line=row.order_line,
        promise_date=row.promise_date,
        open_value=row.open_value,
        currency=row.currency,
        confidence=row.confidence,
        cause=row.cause,
        case_id=row.case_id,
        scope=row.po_scope or row.scope,
        po=row.po,
        supplier=row.supplier,
        buyer=row.buyer,
        customer=row.customer,
        customer_name=row.customer_name,
        projected_date=row.projected_date,
        basis=row.basis,
    )


def affected_homes(conn: Connection) -> list[int]:
    """Purchase orders that leave any customer order line uncovered. Reads all of them: only for the
    moment in which a rule about them comes into force."""
    return list(conn.execute(select(order_impact.c.po_home).distinct()).scalars())


def cycles(conn: Connection, homes: Iterable[int]) -> dict[int, dict[ClockKey, tuple[Cycle, ...]]]:
    """Clocks about customers whom these purchase orders leave uncovered, by home."""
    wanted = sorted(set(homes))
    if not wanted:
        return {}
    c = clock.c
    found: dict[int, dict[ClockKey, tuple[Cycle, ...]]] = {}
    for home, rule, *subject, state in conn.execute(
        select(c.home_key, c.rule, c.kind, c.scope, c.number, c.line, c.state)
        .where(c.home_key == any_(_HOMES), c.kind == AFFECTED)
        .order_by(c.home_key, c.rule, c.number, c.line, c.cycle),
        {"homes": wanted},
    ):
        clocks = found.setdefault(home, {})
        key = (rule, Subject(*subject))
        clocks[key] = (*clocks.get(key, ()), Cycle.from_json(state))
    return found


def blame(conn: Connection, cases: Sequence[tuple[tuple[Any, ...], int | None]]) -> None:
    """Name the case that is to blame for each of these rows; None where no case is open."""
    for case_id in [*sorted({c for _, c in cases if c is not None}), None]:
        keys = sorted(key for key, c in cases if c == case_id)
        if keys:
            conn.execute(
                update(order_impact)
                .where(tuple_(*(order_impact.c[name] for name in _KEY)).in_(keys))
                .values(case_id=case_id)
            )
