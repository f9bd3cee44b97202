"""What will happen to an order: when it is answered, for when, when it ships, what goes wrong.

A plot decides, simulator/story.py tells it. Without a fault everything stays well inside the limits
of simulator/limits.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from random import Random

from simulator import limits
from simulator.business import AnswerLine, Po, PoLine
from simulator.cast import HQ, Supplier
from simulator.limits import AnswerTime
from simulator.stage import Outage
from simulator.truth import FaultBook

CLEAR_OF_OUTAGES = timedelta(hours=30)
MOST_SHARE = 0.58  # of the time a supplier has
SHIPS_BEFORE = (5, 6)  # open days of headquarters between dispatch and delivery, at least
NEVER = datetime.max.replace(tzinfo=UTC)
TRIES = 25  # later delivery days that are tried until everything fits


@dataclass(frozen=True, slots=True)
class Skew:
    """A partner whose clock is ahead by ``ahead`` from ``start`` to ``end``."""

    supplier: str
    start: datetime
    end: datetime
    ahead: timedelta

    def stated(self, supplier: Supplier, at: datetime) -> datetime:
        if supplier.key == self.supplier and self.start <= at < self.end:
            return at + self.ahead
        return at

    def covers(self, supplier: Supplier, at: datetime) -> bool:
        return self.stated(supplier, at) != at


@dataclass(slots=True)
class Plot:
    """Decisions about one order, or about orders that travel together.

    answer_at    when the supplier answers; None = never
    code         BAK02 of that answer
    again_at     a second, accepting answer after a refusal
    changed_at   our own change before the answer (860)
    cancel_at    we give up
    ready_at     the supplier ships no earlier
    rows         answered lines per PO number
    ship_at      dispatch, arrives on ``deliver``; None = nothing ever comes
    fa           whether a functional acknowledgement comes
    proposal_at  the supplier moves the delivery by itself, to ``proposed``
    """

    fault: str = ""
    variant: int = 0
    answer_at: datetime | None = None
    code: str = "AD"
    again_at: datetime | None = None
    changed_at: datetime | None = None
    cancel_at: datetime | None = None
    ready_at: datetime = NEVER
    rows: dict[str, tuple[AnswerLine, ...]] = field(default_factory=dict)
    ship_at: datetime | None = None
    deliver: date = date.max
    fa: bool = True
    delayed: bool = False
    proposal_at: datetime | None = None
    proposed: date = date.max


@dataclass(frozen=True, slots=True)
class Twist:
    """A plot with a fault: from when it is true and why. ``due`` is None where only the shipment
    will tell; then the story plants it.
    """

    plot: Plot
    due: datetime | None = None
    why: str = ""


Attempt = Callable[[Random, Po, AnswerTime, datetime, Plot], Twist | None]


def minutes(rng: Random, least: float, most: float) -> timedelta:
    return timedelta(minutes=rng.uniform(least, most))


@dataclass(slots=True)
class Plotter:
    """Chooses plots; plants faults in the book as their turn comes."""

    book: FaultBook
    outages: Sequence[Outage]
    skew: Skew | None

    def plot(self, rng: Random, pos: Sequence[Po], sent_at: datetime) -> Plot:
        """Decide, and set the dates wanted of each line."""
        po = pos[0]
        clock = limits.answer_time(po.supplier, po.released, po.kind)
        plain = self._plain(rng, pos, clock, sent_at)
        if len(pos) == 1 and po.supplier.answers_orders and po.kind == "standard":
            skewed = self.skew is not None and self.skew.covers(po.supplier, po.released)
            if not skewed:
                for category, attempt in self._attempts().items():
                    if not self.book.is_due(category):
                        continue
                    twist = attempt(rng, po, clock, sent_at, plain)
                    if twist is not None and self._set_dates(rng, pos, twist.plot):
                        if twist.due is not None:
                            self.book.plant(category, po.ref, po.released, twist.due, twist.why)
                        return twist.plot
        if not self._set_dates(rng, pos, plain):
            raise AssertionError(f"no day of delivery fits {po.number}")
        return plain

    def outage(self, rng: Random, pos: Sequence[Po], sent_at: datetime, why: str) -> Plot | None:
        """Orders sent together to a partner whose translator stands still: no receipt comes, and
        the answers come when it runs again, in time themselves. None if that does not fit.
        """
        po = pos[0]
        clock = limits.answer_time(po.supplier, po.released, po.kind)
        twist = self._lost_receipt(rng, po, clock, sent_at, Plot())
        if twist is None or twist.due is None or not self._set_dates(rng, pos, twist.plot):
            return None
        for po in pos:
            self.book.plant("FA_OVERDUE", po.ref, po.released, twist.due, why, counted=False)
        return twist.plot

    # --- without a fault --------------------------------------------------------------------------

    def _plain(self, rng: Random, pos: Sequence[Po], clock: AnswerTime, sent_at: datetime) -> Plot:
        po = pos[0]
        supplier = po.supplier
        if not supplier.answers_orders:
            return Plot(ready_at=supplier.hours.add(clock.start, 600))
        # The skewed house answers early: its clock adds hours to what it says.
        skewed = self.skew is not None and self.skew.supplier == supplier.key
        # Most answer early in the time they have; machines at once.
        share = 0.06 + (0.2 if skewed else MOST_SHARE - 0.06) * rng.betavariate(1.6, 2.2)
        if supplier.channel == "api" and rng.random() < 0.7:
            share = min(share, rng.uniform(0.03, 0.12))
        plot = Plot(code="AD" if rng.random() < 0.78 else "AC")
        earliest = sent_at + minutes(rng, 25, 35)
        if (
            len(pos) == 1
            and supplier.channel == "edi"
            and supplier.tier != "A"
            and po.kind == "standard"
            and not skewed
            and rng.random() < 0.03
        ):
            plot.changed_at = sent_at + minutes(rng, 20, 45)
            plot.code = "AD"
            share = min(share, 0.4)
            earliest = plot.changed_at + minutes(rng, 40, 60)
        answer_at = supplier.hours.add(clock.start, share * clock.minutes)
        if answer_at < earliest:
            answer_at = supplier.hours.next_open(earliest)
        plot.answer_at = answer_at
        plot.ready_at = answer_at
        plot.delayed = (
            supplier.channel == "edi" and supplier.tier != "A" and share < 0.35
        ) and rng.random() < 0.04
        if (
            len(pos) == 1
            and supplier.channel == "edi"
            and not skewed
            and plot.changed_at is None
            and rng.random() < 0.02
        ):
            plot.proposal_at = supplier.hours.add(answer_at, rng.uniform(500, 1300))
            plot.ready_at = plot.proposal_at
        return plot

    # --- with a fault -----------------------------------------------------------------------------

    def _attempts(self) -> dict[str, Attempt]:
        return {
            "FA_OVERDUE": self._lost_receipt,
            "ACK_OVERDUE": self._late_answer,
            "ACK_REJECTED": self._refusal,
            "ACK_NOT_IN_ERP": self._not_applied,
            "ASN_MISSING": self._asn_fault("ASN_MISSING"),
            "ASN_INVALID": self._asn_fault("ASN_INVALID"),
            "ASN_SHORT": self._asn_fault("ASN_SHORT"),
            "ASN_DUPLICATE": self._asn_fault("ASN_DUPLICATE"),
        }

    def _fits(self, due: datetime) -> bool:
        near = any(
            o.start - CLEAR_OF_OUTAGES < due < o.end + CLEAR_OF_OUTAGES for o in self.outages
        )
        return self.book.may_come_true(due) and not near

    def _late_answer(
        self, rng: Random, po: Po, clock: AnswerTime, sent_at: datetime, plain: Plot
    ) -> Twist | None:
        if not self._fits(clock.due):
            return None
        hours = po.supplier.hours
        variant = self.book.turn("ACK_OVERDUE") % 5
        plot = Plot("ACK_OVERDUE", variant)
        if variant in (0, 2, 3):
            plot.answer_at = hours.add(clock.due, rng.uniform(480, 1200))
            plot.ready_at = plot.answer_at
            why = f"{po.supplier.name} answers about {plot.answer_at:%d %b %H:%M} UTC, too late"
        elif variant == 1:
            plot.ready_at = hours.add(clock.due, rng.uniform(900, 1400))
            why = f"{po.supplier.name} never answers, but ships"
        else:
            plot.cancel_at = HQ.add(clock.due, rng.uniform(1440, 3300))
            plot.ready_at = plot.cancel_at
            why = f"{po.supplier.name} never answers; the buyer gives up"
        return Twist(plot, clock.due, why)

    def _refusal(
        self, rng: Random, po: Po, clock: AnswerTime, sent_at: datetime, plain: Plot
    ) -> Twist | None:
        told = plain.answer_at
        if told is None or not self._fits(told):
            return None
        variant = self.book.turn("ACK_REJECTED") % 2
        plot = Plot("ACK_REJECTED", variant, told, rng.choice(("RD", "RJ")))
        if variant == 0:
            plot.again_at = po.supplier.hours.add(told, rng.uniform(480, 1400))
            plot.ready_at = plot.again_at
            why = f"{po.supplier.name} refuses the order and takes it after a talk"
        else:
            plot.cancel_at = HQ.add(told, rng.uniform(500, 1900))
            plot.ready_at = plot.cancel_at
            why = f"{po.supplier.name} refuses the order"
        # True as soon as it is told; documents need a few minutes to reach us.
        return Twist(plot, told + timedelta(minutes=10), why)

    def _not_applied(
        self, rng: Random, po: Po, clock: AnswerTime, sent_at: datetime, plain: Plot
    ) -> Twist | None:
        told = plain.answer_at
        if told is None or (self.skew is not None and self.skew.covers(po.supplier, told)):
            return None
        due = told + limits.APPLIED_WITHIN
        if not self._fits(due):
            return None
        variant = self.book.turn("ACK_NOT_IN_ERP") % 3
        plot = Plot("ACK_NOT_IN_ERP", variant, told, "AD", ready_at=told)
        why = "The answer hangs in the posting queue" + (
            " and is posted by hand later" if variant != 1 else " and is never posted"
        )
        return Twist(plot, due, why)

    def _lost_receipt(
        self, rng: Random, po: Po, clock: AnswerTime, sent_at: datetime, plain: Plot
    ) -> Twist | None:
        supplier = po.supplier
        due = sent_at + limits.FA_WITHIN
        if not supplier.expects_fa or not self._fits(due):
            return None
        answer_at = supplier.hours.next_open(due + minutes(rng, 360, 500))
        used = supplier.hours.minutes_between(clock.start, answer_at)
        if used > 0.78 * clock.minutes:
            return None  # the answer itself would come late
        plot = Plot("FA_OVERDUE", 0, answer_at, "AD", ready_at=answer_at, fa=False)
        return Twist(plot, due, f"The functional acknowledgement of {supplier.name} was lost")

    def _asn_fault(self, category: str) -> Attempt:
        def attempt(
            rng: Random, po: Po, clock: AnswerTime, sent_at: datetime, plain: Plot
        ) -> Twist | None:
            if not po.supplier.sends_asn or plain.answer_at is None:
                return None
            return Twist(
                replace(
                    plain,
                    fault=category,
                    variant=self.book.turn(category),
                    code="AD",
                    proposal_at=None,
                    changed_at=None,
                )
            )

        return attempt

    # --- dates ------------------------------------------------------------------------------------

    def _set_dates(self, rng: Random, pos: Sequence[Po], plot: Plot) -> bool:
        """Choose the day of delivery so that dispatch comes after the answer and well before it."""
        supplier = pos[0].supplier
        abroad = supplier.country != "US"
        lead = rng.randint(18, 30) if abroad else rng.randint(14, 24)
        spread = rng.random() < 0.25 and not plot.fault.startswith("ASN")
        offsets = {
            (po.number, line.line): rng.randint(1, 5) if spread and n else 0
            for po in pos
            for n, line in enumerate(po.lines)
        }
        changes = rng.random()
        when_shipped = rng.random()
        before = rng.choice(SHIPS_BEFORE)
        first_day = HQ.shift_days(HQ.local_day(pos[0].released), lead)
        state = rng.getstate()
        for later in range(TRIES):
            rng.setstate(state)
            for po in pos:
                for line in po.lines:
                    line.wanted = HQ.shift_days(first_day, later + offsets[po.number, line.line])
            plot.rows = {
                po.number: answered_rows(rng, po, plot.code, changes)
                for po in pos
                if plot.answer_at is not None
            }
            self._set_proposal(rng, pos, plot)
            plot.deliver = self._earliest(pos, plot)
            plot.ship_at = dispatch(supplier, plot.deliver, before, when_shipped)
            if plot.ship_at < plot.ready_at + timedelta(hours=3):
                continue
            if plot.fault.startswith("ASN") and not self._asn_comes_true(pos[0], plot):
                continue
            if plot.cancel_at is not None:
                plot.ship_at = None
            return True
        return False

    def _set_proposal(self, rng: Random, pos: Sequence[Po], plot: Plot) -> None:
        if plot.proposal_at is not None:
            latest = max(row.delivery for row in plot.rows[pos[0].number])
            plot.proposed = HQ.shift_days(latest, rng.randint(2, 6))

    @staticmethod
    def _earliest(pos: Sequence[Po], plot: Plot) -> date:
        """The earliest day for which anything of the orders is promised, else wanted."""
        days = [day for rows in plot.rows.values() for row in rows for _, _, day in row.parts] or [
            line.wanted for po in pos for line in po.lines
        ]
        if plot.fault == "ACK_REJECTED" and plot.again_at is not None:
            days = [line.wanted for po in pos for line in po.lines]
        return min(days)

    def _asn_comes_true(self, po: Po, plot: Plot) -> bool:
        due = limits.asn_due(plot.deliver) if plot.fault == "ASN_MISSING" else plot.ship_at
        # The eastern warehouse may be silent for hours: then its verdict comes late.
        return due is not None and self._fits(due)


def dispatch(supplier: Supplier, deliver: date, before: int, share: float) -> datetime:
    """When goods leave so that they arrive on ``deliver`` and the ASN comes in good time."""
    day = min(deliver - timedelta(days=supplier.transit), HQ.shift_days(deliver, -before))
    day = supplier.hours.open_day_on_or_before(day)
    return supplier.hours.add(supplier.hours.opening(day), 20 + 380 * share)


def _row(line: PoLine, word: str, code: str, **changed: int | date) -> AnswerLine:
    quantity = int(str(changed.get("quantity", line.quantity)))
    price = int(str(changed.get("price", line.price_cents)))
    day = changed.get("delivery", line.wanted)
    if not isinstance(day, date):
        raise TypeError("a delivery is a date")
    return AnswerLine(line, word, code, quantity, price, day, ((code, quantity, day),))


def answered_rows(rng: Random, po: Po, code: str, kind: float) -> tuple[AnswerLine, ...]:
    """What the supplier says about each line; under AC one or two lines differ.

    ``kind`` between 0 and 1 chooses what differs.
    """
    if code in ("RD", "RJ"):
        return tuple(_row(line, "rejected", "IR") for line in po.lines)
    rows = [_row(line, "accepted", "IA") for line in po.lines]
    if code != "AC":
        return tuple(rows)
    for n in rng.sample(range(len(rows)), min(len(rows), rng.choice((1, 1, 2)))):
        line = po.lines[n]
        later = HQ.shift_days(line.wanted, rng.randint(1, 6))
        if kind < 0.45:
            rows[n] = _row(line, "accepted_with_changes", "DR", delivery=later)
        elif kind < 0.62 and line.quantity > 4:
            less = max(1, line.quantity * rng.randint(80, 95) // 100)
            rows[n] = _row(line, "accepted_with_changes", "IQ", quantity=less)
        elif kind < 0.78:
            price = max(1, line.price_cents * rng.randint(97, 104) // 100)
            rows[n] = _row(line, "accepted_with_changes", "IP", price=price)
        elif kind < 0.9:
            rows[n] = _row(line, "backordered", "IB", delivery=later)
        elif kind < 0.95 and line.quantity > 4 and po.supplier.channel == "edi":
            now = line.quantity * 6 // 10
            rows[n] = replace(
                _row(line, "backordered", "BP", delivery=later),
                parts=(("BP", now, line.wanted), ("IB", line.quantity - now, later)),
            )
        else:
            rows[n] = _row(line, "substituted", "IS")
    return tuple(rows)
