"""Live operation: orders at any hour, answered and shipped within minutes, so that screens move."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from simulator.business import Po
from simulator.buying import new_po
from simulator.cast import HQ, WAREHOUSES, Cast
from simulator.demand import Demand
from simulator.plots import Plot, answered_rows, minutes
from simulator.story import Storyteller

SLOT = timedelta(minutes=5)
PACE = 0.15  # of the ordinary time between two steps
REFUSED_EVERY, WRONG_NOTICE_EVERY = 13, 9
_FIRST_ORDER = 4_500_900_000


@dataclass(slots=True)
class _Span:
    """``end`` is None while it lasts. ``next`` is the first slot that is not planned."""

    start: datetime
    end: datetime | None
    per_minute: float
    next: datetime

    def planned_to(self) -> datetime:
        """Start of the first slot that this span will never plan, or has not planned yet."""
        if self.end is None or self.end <= self.next:
            return self.next
        slots = -((self.next - self.end) // SLOT)
        return self.next + slots * SLOT


@dataclass(slots=True)
class Trickle:
    """Plans live orders slot by slot, so that a part of a span is a function of the seed alone."""

    seed: int
    cast: Cast
    teller: Storyteller
    demand: Demand
    spans: list[_Span] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.teller = replace(self.teller, pace=PACE)

    def open_span(self, start: datetime, end: datetime | None, per_minute: float) -> None:
        for span in self.spans:
            if span.end is None:
                span.end = start
        width = SLOT.total_seconds()
        first = datetime.fromtimestamp(start.timestamp() // width * width, UTC)
        # After a short stop the slot is planned already, its orders come as planned.
        first = max([first, *(span.planned_to() for span in self.spans)])
        self.spans.append(_Span(start, end, per_minute, first))

    def _span(self) -> _Span | None:
        for span in self.spans:
            if span.end is None or span.next < span.end:
                return span
        return None

    def next_slot(self) -> datetime | None:
        """Start of the next slot to plan; None when no span is open."""
        span = self._span()
        return None if span is None else span.next

    def plan(self) -> None:
        """Plan the next slot."""
        span = self._span()
        if span is None:
            return
        rng = Random(f"{self.seed}:live:{span.next.timestamp():.0f}")
        for _ in range(max(1, round(span.per_minute * SLOT / timedelta(minutes=1)))):
            at = span.next + rng.random() * SLOT
            if at >= span.start:
                self._order(rng, at)
        span.next += SLOT

    def _order(self, rng: Random, at: datetime) -> None:
        able = [
            s
            for s in self.cast.suppliers
            if s.channel in ("edi", "api") and s.tier != "A" and s.answers_orders and s.sends_asn
        ]
        self.count += 1
        supplier = rng.choice(able)
        number = str(_FIRST_ORDER + self.count)
        po = replace(new_po(rng, supplier, rng.choice(WAREHOUSES), at, number), kind="standard")
        sent_at = at + minutes(rng, 0.3, 1)
        plot = self._plot(rng, po, sent_at)
        self.teller.play(rng, [po], plot, sent_at)
        self.demand.follow(rng, [(po, True)], quick=True)

    def _plot(self, rng: Random, po: Po, sent_at: datetime) -> Plot:
        answer_at = sent_at + minutes(rng, 1, 5)
        deliver = HQ.shift_days(HQ.local_day(po.released), rng.randint(8, 11))
        for line in po.lines:
            line.wanted = deliver
        plot = Plot(answer_at=answer_at, ready_at=answer_at, deliver=deliver)
        plot.ship_at = answer_at + minutes(rng, 3, 9)
        if self.count % REFUSED_EVERY == 0:
            plot.fault, plot.code = "ACK_REJECTED", "RD"
            plot.again_at = answer_at + minutes(rng, 25, 50)
            plot.ship_at = plot.again_at + minutes(rng, 3, 9)
            self.teller.plotter.book.plant(
                "ACK_REJECTED", po.ref, po.released, answer_at,
                f"{po.supplier.name} refuses the order and takes it after a talk",
            )  # fmt: skip
        elif self.count % WRONG_NOTICE_EVERY == 0:
            plot.fault, plot.variant = "ASN_INVALID", self.count // WRONG_NOTICE_EVERY
        plot.rows = {po.number: answered_rows(rng, po, plot.code, 0.0)}
        return plot
