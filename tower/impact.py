"""Whom a late, short or silent purchase order line hurts: the customer order lines it is pegged to.

Dates are compared as dates. A line that nobody has answered for, or whose shipment notice failed
or is missing, is taken to come as late as its supplier usually does, and says so. Goods that are
overdue cannot arrive in the past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

ZERO = Decimal(0)
AFFECTED = "affected"
"""Kind of subject of cases about customers: the purchase order line, and the customer after it."""

BASIS_CONFIDENCE = {"receipt": 1.0, "asn": 1.0, "confirmed": 0.9, "assumed": 0.6}
PEG_GIVEN = 1.0  # a peg that the ERP states; derived ones will count less
EVIDENCE_UNKNOWN = 0.5  # a feed that could tell otherwise is silent


@dataclass(frozen=True, slots=True)
class PoLine:
    """One purchase order line as far as its supply matters. Quantities None = nobody said.

    rejected_qty      received but not usable
    ends              no more will come: closed, cancelled or refused by the supplier
    refused           the supplier's answer was no
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
    """One customer order line. ``ends``: shipped complete, closed or cancelled: nobody waits.

    margin_days   so many days before the promise the supply must be there
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

    projected  day on which the last of it can be used; None = nothing says that it will come
    """

    order: OrderLine
    po: PoLine
    uncovered: Decimal
    projected: date | None
    basis: str
    days_late: int
    confidence: float
    cause: str


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
        for peg, portion in _handed_out(its_pegs, supply(line, today)):
            if asked is None or peg.order_line in asked:
                parts.setdefault(peg.order_line, []).append(_Part(line, portion))
    found = []
    for key, its_parts in parts.items():
        found.extend(_uncovered(order_lines[key], its_parts, today))
    found.sort(key=lambda a: (a.order.key, a.po.key))
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """A portion of supply set aside for an order line; its day None = it does not come."""

    line: PoLine
    portion: Supply | _Missing


@dataclass(frozen=True, slots=True)
class _Missing:
    qty: Decimal


def _promise(order: OrderLine) -> date:
    return order.promise_date or date.max


def _handed_out(
    pegs: Sequence[Peg], supplies: Sequence[Supply]
) -> list[tuple[Peg, Supply | _Missing]]:
    """The supplies given to the pegs in the order of both, split where they must be."""
    out: list[tuple[Peg, Supply | _Missing]] = []
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
            out.append((peg, _Missing(need)))
    return out


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
        late.setdefault(part.line.key, []).append(
            _Part(part.line, replace(part.portion, qty=qty))
        )
    return [_told(order, its, open_qty, today) for its in late.values()]


def _told(
    order: OrderLine, parts: Sequence[_Part], open_qty: Decimal | None, today: date
) -> Affected:
    line = parts[0].line
    promise = _promise(order)
    short = sum((p.portion.qty for p in parts), ZERO)
    coming = [p.portion for p in parts if isinstance(p.portion, Supply)]
    never = any(isinstance(p.portion, _Missing) for p in parts)
    last = max(coming, key=lambda s: s.day, default=None)
    projected = None if never or last is None else last.day
    basis = min((s.basis for s in coming), key=lambda b: BASIS_CONFIDENCE[b], default="confirmed")
    confidence = PEG_GIVEN * BASIS_CONFIDENCE[basis] * (EVIDENCE_UNKNOWN if line.unknown else 1.0)
    return Affected(
        order=order,
        po=line,
        uncovered=short if open_qty is None else min(short, open_qty),
        projected=projected,
        basis=basis,
        days_late=max(((projected or max(today, promise)) - promise).days, 0),
        confidence=round(confidence, 4),
        cause=_cause(line, last, never=never),
    )


def _cause(line: PoLine, last: Supply | None, *, never: bool) -> str:
    """A category of exceptions: what is to blame."""
    if never:
        if line.refused:
            return "ACK_REJECTED"
        if not line.ends and line.confirmed is not None and line.ordered is not None:
            return "ACK_QTY_VARIANCE"
        return "RECEIPT_VARIANCE" if line.received else "ORDER_AFFECTED"
    if last is not None and last.why:
        return last.why
    return "ORDER_AFFECTED"
