"""Supply netted against demand of one item in one warehouse, where no peg says what is for whom.

Earliest need first: the demand that must be met first gets the supply that is there first, so each
order line is served as early as the needs before it allow. Pegs are served from their own purchase
lines before; only what they leave, and what they do not cover, is netted. Days are compared as
days, quantities are in one unit: where units differ, or nobody reported the stock, nothing is
claimed.

Who is to blame for an uncovered piece is found by comparing with the plan (``planned``): the lines
that by the day of need bring less than they were to bring, the one that was to come first, first.
What these do not account for was promised without supply in time; it is told with the supply that
will serve it, or with none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from tower.impact import (
    BASIS_CONFIDENCE,
    NOT_ORDERED,
    UNCOVERED,
    ZERO,
    Affected,
    OrderLine,
    Peg,
    PoLine,
    Supply,
    confidence_of,
    cut_cause,
    days_late,
    next_change,
    planned,
    shared_out,
    supply,
)

LineKey = tuple[str, str, str]
"""(ERP, header number, line number)."""

NO_STOCK = "no stock report"
UNITS_DIFFER = "units differ"


@dataclass(frozen=True, slots=True)
class Stock:
    """What a warehouse has of an item, as it last said, brought up to date.

    on_hand   in stock at ``as_of``
    came      usable goods received since, each with the day from which it can be used
    went      shipped to customers since; ``adjusted`` is what counts and losses changed since
    unknown   the feed that reports it is silent
    """

    on_hand: Decimal
    as_of: datetime
    uom: str | None = None
    came: tuple[Supply, ...] = ()
    went: Decimal = ZERO
    adjusted: Decimal = ZERO
    unknown: bool = False

    def free(self, held: Decimal = ZERO) -> list[Supply]:
        """What can be used and when, less what is ``held`` for somebody; earliest first."""
        there = Supply(max(self.on_hand + self.adjusted, ZERO), date.min, "stock")
        pool = [there, *sorted(self.came, key=lambda s: (s.day, s.qty))]
        return _without(pool, self.went + held)


@dataclass(slots=True)
class Bucket:
    """All that one item in one warehouse is netted from.

    po_lines      its purchase lines: open ones, and those that ended since the oldest open need
    order_lines   its open customer order lines
    pegs          every standing peg of all purchase lines given
    other_lines   purchase lines elsewhere to which its order lines are pegged
    other_orders  order lines that its pegs name and that are not its own
    """

    warehouse: str
    item: str
    stock: Stock | None = None
    po_lines: Mapping[LineKey, PoLine] = field(default_factory=dict)
    order_lines: Mapping[LineKey, OrderLine] = field(default_factory=dict)
    pegs: Sequence[Peg] = ()
    other_lines: Mapping[LineKey, PoLine] = field(default_factory=dict)
    other_orders: Mapping[LineKey, OrderLine] = field(default_factory=dict)

    def problem(self) -> str:
        """Why this bucket cannot be netted; "" when it can."""
        if self.stock is None:
            return NO_STOCK
        units = {self.stock.uom, *(line.uom for line in self.po_lines.values())}
        units |= {line.uom for line in self.order_lines.values()}
        named = sorted({unit for unit in units if unit})
        return f"{UNITS_DIFFER}: {', '.join(named)}" if len(named) > 1 else ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a purchase line brings beyond its pegs: as planned, and as it now looks."""

    line: PoLine
    planned: tuple[Supply, ...]
    projected: tuple[Supply, ...]

    def lost(self, day: date) -> Decimal:
        """How much less than planned it brings up to a day."""
        was = sum((s.qty for s in self.planned if s.day <= day), ZERO)
        now = sum((s.qty for s in self.projected if s.day <= day), ZERO)
        return max(was - now, ZERO)


@dataclass(frozen=True, slots=True)
class Need:
    """What an order line waits for beyond its pegs and what was shipped."""

    order: OrderLine
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Netted:
    """What became of a bucket.

    affected   its order lines that are not covered by their promise
    next       first day on which the mere passing of time can change that; None = never
    problem    why nothing is claimed, "" where it was netted
    """

    affected: tuple[Affected, ...] = ()
    next: date | None = None
    problem: str = ""


def judge(bucket: Bucket, today: date) -> Netted:
    """Net a bucket as it stands on a day."""
    problem = bucket.problem()
    if problem or bucket.stock is None:
        return Netted(problem=problem)
    incoming, held = free_supply(bucket, today)
    needs = needs_of(bucket)
    if not needs:
        return Netted()
    found = net(bucket.stock.free(held), incoming, needs, today, unknown=bucket.stock.unknown)
    ahead = [
        day
        for one in incoming
        if one.projected and (day := next_change(one.line, today)) is not None
    ]
    # How late something is that nobody says will come grows each day.
    ahead += [
        max(today, a.order.promise_date or today) + timedelta(days=1)
        for a in found
        if a.projected is None
    ]
    return Netted(tuple(found), min(ahead, default=None))


# --- what pegs leave -----------------------------------------------------------------------------


def free_supply(bucket: Bucket, today: date) -> tuple[list[Incoming], Decimal]:
    """What the purchase lines of a bucket bring beyond their pegs, and how much of the stock is
    held: received for pegs whose order lines still wait."""
    orders = {**bucket.other_orders, **bucket.order_lines}
    by_po: dict[LineKey, list[Peg]] = {}
    for peg in bucket.pegs:
        if peg.qty > 0:
            by_po.setdefault(peg.po_line, []).append(peg)
    taken: dict[LineKey, Decimal] = {}
    incoming = []
    received: dict[LineKey, Decimal] = {}
    for key, line in sorted({**bucket.other_lines, **bucket.po_lines}.items()):
        claims = _claims(by_po.get(key, ()), orders, taken)
        given, left = shared_out(claims, supply(line, today))
        if key not in bucket.po_lines:
            continue
        for peg, portion in given:
            if isinstance(portion, Supply) and portion.basis == "receipt":
                received[peg.order_line] = received.get(peg.order_line, ZERO) + portion.qty
        there = [s for s in supply(line, today) if s.basis == "receipt"]
        _, plan = shared_out(claims, [*there, *planned(line)])
        incoming.append(
            Incoming(
                line,
                tuple(s for s in plan if s.basis != "receipt"),
                tuple(s for s in left if s.basis != "receipt"),
            )
        )
    return incoming, sum((_waiting(orders.get(k), qty) for k, qty in received.items()), ZERO)


def _claims(
    pegs: Iterable[Peg], orders: Mapping[LineKey, OrderLine], taken: dict[LineKey, Decimal]
) -> list[Peg]:
    """The pegs of one purchase line by promise. An order line that ended took what was shipped to
    it and claims nothing more; one that we do not know of yet claims all of it."""
    found = []
    for peg in sorted(pegs, key=lambda p: (_promise(orders.get(p.order_line)), p.order_line)):
        order = orders.get(peg.order_line)
        qty = peg.qty
        if order is not None and order.ends:
            left = max((order.shipped or ZERO) - taken.get(peg.order_line, ZERO), ZERO)
            qty = min(qty, left)
            taken[peg.order_line] = taken.get(peg.order_line, ZERO) + qty
        if qty > 0:
            found.append(replace(peg, qty=qty))
    return found


def _waiting(order: OrderLine | None, received: Decimal) -> Decimal:
    """Of what was received for an order line: how much has not left for the customer."""
    if order is None:
        return received
    return ZERO if order.ends else max(received - max(order.shipped or ZERO, ZERO), ZERO)


def _promise(order: OrderLine | None) -> date:
    return (order.promise_date if order is not None else None) or date.max


def needs_of(bucket: Bucket) -> list[Need]:
    """The order lines of a bucket that wait for supply without a peg, earliest need first."""
    pegged: dict[LineKey, Decimal] = {}
    for peg in bucket.pegs:
        if peg.qty > 0:
            pegged[peg.order_line] = pegged.get(peg.order_line, ZERO) + peg.qty
    found = []
    for key, order in bucket.order_lines.items():
        if order.ends or order.ordered is None or order.promise_date is None:
            continue
        # What was shipped came from the pegged supply first.
        served = max(pegged.get(key, ZERO), order.shipped or ZERO, ZERO)
        if order.ordered > served:
            found.append(Need(order, order.ordered - served))
    found.sort(key=lambda n: (n.order.needed_by, n.order.key))
    return found


def _without(pool: Sequence[Supply], gone: Decimal) -> list[Supply]:
    """What is left of supplies when so much was taken from the earliest of them."""
    found = []
    for one in pool:
        taken = min(max(gone, ZERO), one.qty)
        gone -= taken
        if one.qty > taken:
            found.append(replace(one, qty=one.qty - taken))
    return found


# --- netting -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Portion:
    """A quantity for one need; ``line`` None is stock or nothing, ``coming`` None is nothing."""

    qty: Decimal
    coming: Supply | None = None
    line: PoLine | None = None


def net(
    stock: Sequence[Supply],
    incoming: Sequence[Incoming],
    needs: Sequence[Need],
    today: date,
    *,
    unknown: bool = False,
) -> list[Affected]:
    """The needs that are not covered in time, each with the purchase lines to blame.

    ``needs`` earliest first. ``unknown``: the feed that reports the stock is silent.
    """
    pool: list[tuple[Supply, PoLine | None]] = [(one, None) for one in stock]
    pool += [(one, source.line) for source in incoming for one in source.projected]
    pool.sort(key=lambda s: (s[0].day, ("", "", "") if s[1] is None else s[1].key, s[0].basis))
    found: list[Affected] = []
    before = ZERO  # demand of the needs before
    for need, portions in zip(needs, _served(needs, pool), strict=True):
        day = need.order.needed_by
        late = [p for p in portions if p.coming is None or p.coming.day > day]
        if late:
            there = sum((one.qty for one, _ in pool if one.day <= day), ZERO)
            behind = max(before - there, ZERO)
            found.extend(_told(need, late, behind, incoming, today, unknown=unknown))
        before += need.qty
    return found


def _served(
    needs: Sequence[Need], pool: Sequence[tuple[Supply, PoLine | None]]
) -> list[list[_Portion]]:
    """The k-th piece wanted gets the k-th piece that is there."""
    found = []
    n, left = 0, pool[0][0].qty if pool else ZERO
    for need in needs:
        portions: list[_Portion] = []
        wanted = need.qty
        while wanted > 0 and n < len(pool):
            given = min(wanted, left)
            if given > 0:
                portions.append(_Portion(given, *pool[n]))
                wanted -= given
                left -= given
            if left <= 0:
                n += 1
                left = pool[n][0].qty if n < len(pool) else ZERO
        if wanted > 0:
            portions.append(_Portion(wanted))
        found.append(portions)
    return found


@dataclass(slots=True)
class _Blamed:
    line: PoLine | None
    qty: Decimal
    cause: str
    basis: str


def _told(
    need: Need,
    late: Sequence[_Portion],
    behind: Decimal,
    incoming: Sequence[Incoming],
    today: date,
    *,
    unknown: bool,
) -> list[Affected]:
    """An uncovered need, one answer per purchase line to blame.

    ``behind`` pieces of earlier needs are uncovered too on the day of this one: the first lost
    pieces are missing to them.
    """
    order = need.order
    promise = order.promise_date or date.max
    last = None if late[-1].coming is None else late[-1].coming.day
    blamed = _blame(order, late, behind, incoming)
    return [
        Affected(
            order=order,
            po=one.line,
            uncovered=one.qty,
            projected=last,
            basis=one.basis,
            days_late=days_late(promise, last, today),
            confidence=confidence_of(
                "netting",
                one.basis,
                unknown=unknown or (one.line is not None and one.line.unknown),
            ),
            cause=one.cause,
            match="netting",
        )
        for one in blamed
    ]


def _blame(
    order: OrderLine, late: Sequence[_Portion], behind: Decimal, incoming: Sequence[Incoming]
) -> list[_Blamed]:
    day = order.needed_by
    missing = sum((p.qty for p in late), ZERO)
    found: dict[LineKey, _Blamed] = {}
    for source in sorted(
        (one for one in incoming if _concerns(one.line, order)),
        key=lambda one: (min((s.day for s in one.planned), default=date.max), one.line.key),
    ):
        lost = source.lost(day)
        skipped = min(lost, behind)
        behind -= skipped
        qty = min(lost - skipped, missing)
        if qty > 0:
            missing -= qty
            cause, basis = _why(source, day)
            found[source.line.key] = _Blamed(source.line, qty, cause, basis)
    # What no loss accounts for: the last pieces, with the supply that will serve them.
    for portion in reversed(late):
        if missing <= 0:
            break
        qty = min(portion.qty, missing)
        missing -= qty
        key = ("", "", "") if portion.line is None else portion.line.key
        known = found.get(key)
        if known is not None:
            known.qty += qty
        elif portion.coming is None:
            found[key] = _Blamed(None, qty, NOT_ORDERED, "stock")
        else:
            cause = portion.coming.why or UNCOVERED
            found[key] = _Blamed(portion.line, qty, cause, portion.coming.basis)
    return [found[key] for key in sorted(found)]


def _concerns(line: PoLine, order: OrderLine) -> bool:
    """Who ordered after a purchase line had ended was promised without it."""
    return line.ended_at is None or order.placed_at is None or order.placed_at < line.ended_at


def _why(source: Incoming, day: date) -> tuple[str, str]:
    """(cause, what the date rests on) of a purchase line that brings too little by a day."""
    late = [s for s in source.projected if s.day > day]
    if not late:
        return cut_cause(source.line), "confirmed"
    basis = min((s.basis for s in late), key=lambda b: BASIS_CONFIDENCE[b])
    return next((s.why for s in late if s.why), UNCOVERED), basis


# --- the picture ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Point:
    """Pieces by the end of a day, counted from today: wanted, there as planned, there as it looks.

    Wanted is what open order lines still lack; pegged or not makes no difference here.
    """

    day: date
    wanted: Decimal
    before: Decimal
    after: Decimal


def curve(bucket: Bucket, today: date) -> tuple[Point, ...]:
    """Supply and demand of a bucket day by day, before and after what went wrong. The first point
    is today, with all that is overdue; without a stock report it begins with nothing in stock."""
    wanted: dict[date, Decimal] = {today: ZERO}
    for order in bucket.order_lines.values():
        if not order.ends and order.ordered is not None and order.promise_date is not None:
            left = order.ordered - max(order.shipped or ZERO, ZERO)
            _add(wanted, max(order.promise_date, today), max(left, ZERO))
    oldest = min(
        (o.placed_at for o in bucket.order_lines.values() if not o.ends and o.placed_at),
        default=None,
    )
    before: dict[date, Decimal] = {}
    after: dict[date, Decimal] = {}
    for one in bucket.stock.free() if bucket.stock is not None else ():
        _add(before, max(one.day, today), one.qty)
        _add(after, max(one.day, today), one.qty)
    for line in bucket.po_lines.values():
        if line.ended_at is None or (oldest is not None and oldest < line.ended_at):
            for one in planned(line):
                _add(before, max(one.day, today), one.qty)
        for one in supply(line, today):
            if one.basis != "receipt":
                _add(after, max(one.day, today), one.qty)
    points = []
    sums = [ZERO, ZERO, ZERO]
    for day in sorted({*wanted, *before, *after}):
        sums = [so_far + of.get(day, ZERO) for so_far, of in
                zip(sums, (wanted, before, after), strict=True)]  # fmt: skip
        points.append(Point(day, *sums))
    return tuple(points)


def _add(found: dict[date, Decimal], day: date, qty: Decimal) -> None:
    if qty > 0:
        found[day] = found.get(day, ZERO) + qty
