"""Whom a late, short or silent purchase order line hurts: the customer order lines it is pegged to.

What is not pegged is netted by item and warehouse (tower/netting.py). Dates are compared as dates.
A line that nobody has answered for, or whose shipment notice failed or is missing, is taken to come
as late as its supplier usually does, and says so. Goods that are overdue cannot arrive in the past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal

from tower.calendars import BeyondHorizon, Calendar
from tower.categories import CATEGORIES

ZERO = Decimal(0)
AFFECTED = "affected"
"""Kind of subject of cases about customers: the purchase order line, and the customer after it."""

BASIS_CONFIDENCE = {"stock": 1.0, "receipt": 1.0, "asn": 1.0, "confirmed": 0.9, "assumed": 0.6}
"""How sure a date is, by what it rests on (sla-and-alerts.md 5)."""

Match = Literal["peg", "netting"]
"""How an order line got its supply: the ERP says so, or supply was netted against demand."""

MATCH_CONFIDENCE: Mapping[Match, float] = {"peg": 1.0, "netting": 0.7}
EVIDENCE_UNKNOWN = 0.5  # a feed that could tell otherwise is silent

UNCOVERED = "ORDER_AFFECTED"
"""Where nothing went wrong but the promise: supply runs to plan, and that is not enough by then."""
CANCELLED = "PO_CANCELLED"
NOT_ORDERED = "NOT_ON_ORDER"
CAUSES: Mapping[str, str] = {
    CANCELLED: "purchase line cancelled",
    NOT_ORDERED: "nothing on order",
    **{code: category.meaning for code, category in CATEGORIES.items()},
    UNCOVERED: "not planned in time",
}
"""What can be to blame and what it means: categories of exceptions, and two that are none."""


@dataclass(frozen=True, slots=True)
class PoLine:
    """One purchase order line as far as its supply matters. Quantities None = nobody said.

    rejected_qty      received but not usable
    ends              no more will come: closed, cancelled or refused by the supplier
    refused           the supplier's answer was no
    cancelled         we, or both, called it off
    ended_at          since when no more will come, where an event says so
    silent            its acknowledgement is overdue
    asn_failed, asn_missing   its shipment notice was refused, or did not come when due
    unknown           a feed that could tell better is silent
    usual_delay_days  what silence of this supplier is taken to cost
    dock_days         from arrival to availability in the warehouse
    """

    scope: str
    po: str
    line: str
    home_key: int
    ordered: Decimal | None = None
    confirmed: Decimal | None = None
    shipped: Decimal | None = None
    received: Decimal | None = None
    rejected_qty: Decimal | None = None
    requested_date: date | None = None
    first_confirmed_date: date | None = None
    confirmed_date: date | None = None
    eta: date | None = None
    received_date: date | None = None
    ends: bool = False
    refused: bool = False
    cancelled: bool = False
    ended_at: datetime | None = None
    silent: bool = False
    asn_failed: bool = False
    asn_missing: bool = False
    unknown: bool = False
    usual_delay_days: int = 0
    dock_days: int = 0
    supplier: str | None = None
    buyer: str | None = None
    warehouse: str | None = None
    item: str | None = None
    uom: str | None = None
    price: Decimal | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.scope, self.po, self.line)

    @property
    def expected(self) -> Decimal:
        """What will come altogether, in the unit ordered."""
        total = self.confirmed if self.confirmed is not None else self.ordered or ZERO
        got = max(self.received or ZERO, ZERO)
        return got if self.ends or self.refused else max(total, got)


@dataclass(frozen=True, slots=True)
class Supply:
    """A quantity and the day from which it can be used; ``basis`` names what that day rests on.

    why  what makes it late, a category of exceptions; "" when it runs to plan
    """

    qty: Decimal
    day: date
    basis: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One customer order line. ``ends``: delivered, closed or cancelled: nobody waits.

    margin_days   so many days before the promise the supply must be there
    placed_at     when the customer ordered it
    """

    scope: str
    order: str
    line: str
    home_key: int
    ordered: Decimal | None
    shipped: Decimal | None
    promise_date: date | None
    open_value: Decimal | None = None
    currency: str | None = None
    customer: str | None = None
    customer_name: str | None = None
    item: str | None = None
    warehouse: str | None = None
    uom: str | None = None
    placed_at: datetime | None = None
    ends: bool = False
    margin_days: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.scope, self.order, self.line)

    @property
    def needed_by(self) -> date:
        """Latest day on which supply still keeps the promise."""
        if self.promise_date is None:
            return date.max
        return self.promise_date - timedelta(days=self.margin_days)


@dataclass(frozen=True, slots=True)
class Peg:
    """A customer order line waits for this quantity of a purchase order line."""

    po_line: tuple[str, str, str]
    order_line: tuple[str, str, str]
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Affected:
    """A customer order line that one of its purchase order lines leaves uncovered.

    po         whom to blame; None = nothing is on order that could be
    projected  day on which the last of it can be used; None = nothing says that it will come
    cause      a word of CAUSES
    """

    order: OrderLine
    po: PoLine | None
    uncovered: Decimal
    projected: date | None
    basis: str
    days_late: int
    confidence: float
    cause: str
    match: Match = "peg"

    @property
    def po_key(self) -> tuple[str, str, str]:
        """The purchase order line to blame, empty words where there is none."""
        return ("", "", "") if self.po is None else self.po.key


def supply(line: PoLine, today: date) -> tuple[Supply, ...]:
    """When how much of a purchase order line can be used, earliest first."""
    found = []
    dock = timedelta(days=line.dock_days)
    got = max(line.received or ZERO, ZERO)
    usable = got - (line.rejected_qty or ZERO)
    if usable > 0:
        found.append(Supply(usable, (line.received_date or today) + dock, "receipt"))
    to_come = line.expected - got
    on_the_way = min(max((line.shipped or ZERO) - got, ZERO), max(to_come, ZERO))
    for qty, shipped in ((on_the_way, True), (to_come - on_the_way, False)):
        arrival = _arrival(line, qty, today, shipped=shipped) if qty > 0 else None
        if arrival is not None:
            found.append(arrival)
    return tuple(sorted(found, key=lambda s: s.day))


def _arrival(line: PoLine, qty: Decimal, today: date, *, shipped: bool) -> Supply | None:
    """One expected arrival; None when no date at all is known."""
    plan = line.confirmed_date or line.requested_date
    if shipped and line.eta is not None:
        day, basis = line.eta, "asn"
    elif plan is not None:
        day, basis = plan, "confirmed" if line.confirmed_date else "assumed"
    else:
        return None
    why = ""
    doubt = _doubt(line, shipped=shipped)
    if doubt:
        day, basis, why = day + timedelta(days=line.usual_delay_days), "assumed", doubt
    elif line.confirmed_date and day > (line.first_confirmed_date or line.confirmed_date):
        why = "COMMIT_CHANGED"
    elif line.requested_date and day > line.requested_date:
        why = "ACK_DATE_VARIANCE"
    if day < today:
        day, why = today, why if doubt else "PO_DELAYED"
    return Supply(qty, day + timedelta(days=line.dock_days), basis, why)


def _doubt(line: PoLine, *, shipped: bool) -> str:
    """The category of silence or failure that puts the stated day in doubt."""
    if line.asn_failed and shipped:
        return "ASN_INVALID"
    if line.silent and line.confirmed_date is None:
        return "ACK_OVERDUE"
    if line.asn_missing and not shipped:
        return "ASN_MISSING"
    return ""


def planned(line: PoLine) -> tuple[Supply, ...]:
    """What was to come, and when, before anything went wrong: the rest of the quantity ordered, on
    the day we asked for, else the first that the supplier named. Nothing when no day was named."""
    day = line.requested_date or line.first_confirmed_date or line.confirmed_date or line.eta
    there = max((line.received or ZERO) - (line.rejected_qty or ZERO), ZERO)
    wanted = line.ordered if line.ordered is not None else line.confirmed or ZERO
    if day is None or wanted <= there:
        return ()
    return (Supply(wanted - there, day + timedelta(days=line.dock_days), "plan"),)


def next_change(line: PoLine, today: date) -> date | None:
    """First day on which the mere passing of time moves what is expected of this line."""
    days = []
    got = max(line.received or ZERO, ZERO)
    for shipped in (True, False):
        arrival = _arrival(line, line.expected - got, date.min, shipped=shipped)
        if arrival is not None and line.expected > got:
            days.append(arrival.day - timedelta(days=line.dock_days))
    if not days:
        return None
    # On its own day it is still awaited; a day later it is overdue, and each day after that.
    return max(min(days), today) + timedelta(days=1)


def affected(
    po_lines: Mapping[tuple[str, str, str], PoLine],
    order_lines: Mapping[tuple[str, str, str], OrderLine],
    pegs: Iterable[Peg],
    today: date,
    wanted: Iterable[tuple[str, str, str]] | None = None,
) -> list[Affected]:
    """The customer order lines that their pegged supply does not cover by their promise.

    ``pegs`` must hold every peg of each purchase order line named, as its supply goes to the
    earliest promise first. Lines without a promise, or unknown to us, cannot be judged.
    ``wanted`` limits the answer to these order lines.
    """
    by_po: dict[tuple[str, str, str], list[Peg]] = {}
    for peg in pegs:
        if peg.qty > 0 and peg.order_line in order_lines:
            by_po.setdefault(peg.po_line, []).append(peg)
    asked = None if wanted is None else set(wanted)
    parts: dict[tuple[str, str, str], list[_Part]] = {}
    for po_key, its_pegs in by_po.items():
        line = po_lines.get(po_key)
        if line is None:
            continue
        its_pegs.sort(key=lambda p: (_promise(order_lines[p.order_line]), p.order_line))
        for peg, portion in shared_out(its_pegs, supply(line, today))[0]:
            if asked is None or peg.order_line in asked:
                parts.setdefault(peg.order_line, []).append(_Part(line, portion))
    found = []
    for key, its_parts in parts.items():
        found.extend(_uncovered(order_lines[key], its_parts, today))
    found.sort(key=lambda a: (a.order.key, a.po_key))
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """A portion of supply set aside for an order line; its day None = it does not come."""

    line: PoLine
    portion: Supply | Missing


@dataclass(frozen=True, slots=True)
class Missing:
    """A quantity that nothing says will come."""

    qty: Decimal


def _promise(order: OrderLine) -> date:
    return order.promise_date or date.max


def shared_out(
    pegs: Sequence[Peg], supplies: Sequence[Supply]
) -> tuple[list[tuple[Peg, Supply | Missing]], list[Supply]]:
    """The supplies given to the pegs in the order of both, split where they must be; and the rest,
    which nobody is promised."""
    out: list[tuple[Peg, Supply | Missing]] = []
    remaining = iter(supplies)
    current = next(remaining, None)
    for peg in pegs:
        need = peg.qty
        while need > 0 and current is not None:
            given = min(need, current.qty)
            out.append((peg, replace(current, qty=given)))
            need -= given
            if current.qty > given:
                current = replace(current, qty=current.qty - given)
            else:
                current = next(remaining, None)
        if need > 0:
            out.append((peg, Missing(need)))
    return out, [*([] if current is None else [current]), *remaining]


def _uncovered(order: OrderLine, parts: Sequence[_Part], today: date) -> list[Affected]:
    if order.ends or order.promise_date is None:
        return []
    # What was shipped to the customer came from the supply that was there first.
    gone = max(order.shipped or ZERO, ZERO)
    open_qty = None if order.ordered is None else order.ordered - gone
    if open_qty is not None and open_qty <= 0:
        return []
    ordered = sorted(
        parts,
        key=lambda p: (p.portion.day if isinstance(p.portion, Supply) else date.max, p.line.key),
    )
    late: dict[tuple[str, str, str], list[_Part]] = {}
    for part in ordered:
        qty = part.portion.qty
        taken = min(gone, qty)
        gone -= taken
        qty -= taken
        if qty <= 0:
            continue
        if isinstance(part.portion, Supply) and part.portion.day <= order.needed_by:
            continue
        late.setdefault(part.line.key, []).append(_Part(part.line, replace(part.portion, qty=qty)))
    return [_told(order, its, open_qty, today) for its in late.values()]


def _told(
    order: OrderLine, parts: Sequence[_Part], open_qty: Decimal | None, today: date
) -> Affected:
    line = parts[0].line
    promise = _promise(order)
    short = sum((p.portion.qty for p in parts), ZERO)
    coming = [p.portion for p in parts if isinstance(p.portion, Supply)]
    never = any(isinstance(p.portion, Missing) for p in parts)
    last = max(coming, key=lambda s: s.day, default=None)
    projected = None if never or last is None else last.day
    basis = min((s.basis for s in coming), key=lambda b: BASIS_CONFIDENCE[b], default="confirmed")
    return Affected(
        order=order,
        po=line,
        uncovered=short if open_qty is None else min(short, open_qty),
        projected=projected,
        basis=basis,
        days_late=days_late(promise, projected, today),
        confidence=confidence_of("peg", basis, unknown=line.unknown),
        cause=cut_cause(line) if never else (last.why if last else "") or UNCOVERED,
    )


def days_late(promise: date, projected: date | None, today: date) -> int:
    """Whole days after the promise; of what nobody says will come, so far."""
    return max(((projected or max(today, promise)) - promise).days, 0)


def confidence_of(match: Match, basis: str, *, unknown: bool) -> float:
    """From 0 to 1: how it was matched x what its date rests on x whether a feed is silent."""
    evidence = EVIDENCE_UNKNOWN if unknown else 1.0
    return round(MATCH_CONFIDENCE[match] * BASIS_CONFIDENCE[basis] * evidence, 4)


def cut_cause(line: PoLine) -> str:
    """What is to blame for goods that will never come: a word of CAUSES."""
    if line.refused:
        return "ACK_REJECTED"
    if line.cancelled:
        return CANCELLED
    wanted = line.ordered
    if not line.ends and wanted is not None and line.confirmed is not None:
        return "ACK_QTY_VARIANCE" if line.confirmed < wanted else UNCOVERED
    return "RECEIPT_VARIANCE" if line.received else UNCOVERED


def proposed_promise(
    projected: date | None, margin_days: int, hours: Calendar | None
) -> date | None:
    """The first working day of the company on which an order line can be promised anew: the goods
    can be used by then, the margin of the rule kept. None while nothing says that they will come.
    """
    if projected is None:
        return None
    day = projected + timedelta(days=margin_days)
    if hours is None:
        return day
    try:
        opening = hours.next_open(hours.local(day, time(0)))
    except BeyondHorizon:
        return day
    return opening.astimezone(hours.zone).date()
