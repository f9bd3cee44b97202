"""Troubles of a whole partner or of a queue: messages that fail in a row, a house gone quiet, a
translator that stands still, a queue that nobody empties.

Each is planted once in a history that is long enough for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from simulator.business import Po
from simulator.buying import new_po
from simulator.cast import HQ, WAREHOUSES, Supplier
from simulator.house import House, Journey
from simulator.queues import Backlog
from simulator.truth import FaultBook

STORM_SHARE = 0.3
"""Share of the history that is still to come when a partner's messages fail."""
STORM_MESSAGES, STORM_FAILED, STORM_LASTS = 30, 25, timedelta(minutes=45)
BACKLOG_SHARE, BACKLOG_QUEUE = 0.24, "ack.inbound"
BACKLOG_LASTS, BACKLOG_PER_HOUR = timedelta(minutes=40), 1800.0
BROKER = "broker"

BURST_DAYS, BURST_A_DAY, BURST_TOGETHER = 3, 4, 3
"""A house that goes quiet gets its orders of weeks in three days, in bunches that travel together:
these are answered in time and ship eight open days later at the earliest."""
OUTAGE_NEEDS, OUTAGE_SHARE, OUTAGE_TOGETHER = 180, 0.5, 5
"""A partner's translator stands still for a day just when the planning run has ordered a season's
goods there: days of history it takes, share of it still to come, orders that travel together."""
OUTAGE_A_DAY = 400 / 365
"""Orders it hits, per day of history."""
QUIET_DAYS = 9  # open days without a new order, from the first of the burst on
QUIET_NEEDS = 21  # days of history


@dataclass(slots=True)
class Troubles:
    """What is to go wrong, decided when the world is made; told day by day.

    watched  queues whose samples must be taken often while they are in trouble
    """

    book: FaultBook
    house: House
    seed: int
    storm_day: date
    backlog_day: date
    burst: Sequence[date] = ()
    quiet: Supplier | None = None
    watched: list[Backlog] = field(default_factory=list)
    outage_day: date | None = None
    silent: Supplier | None = None
    _orders: int = 0
    _known: dict[str, list[Po]] = field(default_factory=dict)
    _suppliers: dict[str, Supplier] = field(default_factory=dict)

    def plan_backlog(self, start: datetime) -> None:
        """A consumer stands still for a while; the queue drains slowly afterwards."""
        begin = _local(self.backlog_day, time(13, 20))
        due = begin + timedelta(minutes=25)
        if begin < start + timedelta(days=1) or not self.book.may_come_true(due):
            return
        self.watched.append(Backlog(BACKLOG_QUEUE, begin, begin + BACKLOG_LASTS, BACKLOG_PER_HOUR))
        self.book.plant(
            "QUEUE_BACKLOG",
            f"queue:{BROKER}:{BACKLOG_QUEUE}",
            begin,
            due,
            f"The consumer of {BACKLOG_QUEUE} stands still for 40 minutes",
        )

    # --- a house gone quiet -----------------------------------------------------------------------

    def plan_quiet(
        self, suppliers: Sequence[Supplier], first: date, days: int, skewed: str
    ) -> None:
        """Choose a house that gets many orders at once, answers them and is not heard of again
        until it ships."""
        able = [
            s
            for s in suppliers
            if s.channel == "edi" and s.country == "US" and s.answers_orders and s.sends_asn
            and s.tier == "C" and s.transit <= 4 and s.key != skewed
        ]  # fmt: skip
        if days < QUIET_NEEDS or not able:
            return
        self.quiet = min(able, key=lambda s: (s.weight, s.key))
        begin = first if HQ.is_open_day(first) else HQ.shift_days(first, 1)
        self.burst = [HQ.shift_days(begin, n) for n in range(BURST_DAYS)]
        hours, last = self.quiet.hours, HQ.opening(HQ.shift_days(self.burst[-1], 1))
        answered = hours.end_of_business_day(hours.next_open(last), 2)
        due = hours.end_of_business_day(hours.next_open(answered), 2)
        self.book.plant(
            "VOLUME_ANOMALY",
            f"supplier::{self.quiet.key}",
            HQ.opening(self.burst[0]),
            due,
            f"{self.quiet.name} has {BURST_DAYS * BURST_A_DAY * BURST_TOGETHER} orders open and "
            "says nothing for days",
        )

    def buys_from(self, supplier: Supplier, day: date) -> bool:
        """Whether ordinary orders of a day may go to this house."""
        if self.silent is not None and supplier.key == self.silent.key:
            return self.outage_day is not None and day > HQ.shift_days(self.outage_day, QUIET_DAYS)
        if self.quiet is None or supplier.key != self.quiet.key:
            return True
        return day > HQ.shift_days(self.burst[0], QUIET_DAYS)

    def bunches(self, rng: Random, day: date) -> list[list[Po]]:
        """The orders of a day of the burst; none on other days."""
        if self.quiet is None or day not in self.burst:
            return []
        found = []
        for _ in range(BURST_A_DAY):
            released = _local(day, time(9)) + timedelta(minutes=rng.uniform(0, 240))
            warehouse = rng.choice(WAREHOUSES)
            pos = [new_po(rng, self.quiet, warehouse, released) for _ in range(BURST_TOGETHER)]
            for po in pos:
                po.kind = "standard"
            found.append(pos)
        return found

    # --- a translator that stands still -----------------------------------------------------------

    def plan_outage(self, suppliers: Sequence[Supplier], day: date, days: int, skewed: str) -> None:
        """Choose the house and the day; the orders are told on it."""
        quiet = "" if self.quiet is None else self.quiet.key
        able = [
            s
            for s in suppliers
            if s.expects_fa and s.country == "US" and s.answers_orders and s.sends_asn
            and s.tier == "C" and s.transit <= 4 and s.key not in (skewed, quiet)
        ]  # fmt: skip
        if days < OUTAGE_NEEDS or not able:
            return
        house = self.silent = min(able, key=lambda s: (s.weight, s.key))
        self.outage_day, self._orders = day, round(days * OUTAGE_A_DAY)
        # With all of them answered it has nothing to say until it ships.
        answered = house.hours.next_open(_local(HQ.shift_days(day, 1), time(23)))
        self.book.plant(
            "VOLUME_ANOMALY",
            f"supplier::{house.key}",
            HQ.opening(day),
            house.hours.end_of_business_day(answered, 2),
            f"{house.name} has {self._orders} orders open and says nothing for days",
        )

    def unheard(self, day: date) -> list[list[Po]]:
        """The orders of the planning run that this house does not confirm; none on other days."""
        if self.silent is None or day != self.outage_day:
            return []
        rng = Random(f"{self.seed}:outage")
        released = _local(day, time(8, 45))
        found: list[list[Po]] = []
        for n in range(self._orders):
            if n % OUTAGE_TOGETHER == 0:
                warehouse = rng.choice(WAREHOUSES)
                found.append([])
            po = new_po(rng, self.silent, warehouse, released)
            po.kind = "standard"
            found[-1].append(po)
        return found

    # --- messages that fail -----------------------------------------------------------------------

    def know(self, bunch: Sequence[Po], day: date) -> None:
        """Orders that were told: a storm is about what a partner says of them."""
        if day < self.storm_day:
            for po in bunch:
                self._known.setdefault(po.supplier.key, []).append(po)
                self._suppliers[po.supplier.key] = po.supplier

    def strike(self, day: date) -> None:
        """On its day nearly all messages of one partner fail until its certificate is renewed."""
        if day != self.storm_day:
            return
        able = [
            key
            for key, pos in self._known.items()
            if len(pos) >= 3 and self._suppliers[key].channel == "edi"
            and (self.quiet is None or key != self.quiet.key)
        ]  # fmt: skip
        begin = _local(day, time(10, 35))
        due = begin + timedelta(minutes=30)
        if not able or not self.book.may_come_true(due):
            return
        key = max(able, key=lambda k: (self._suppliers[k].weight, k))
        supplier, pos = self._suppliers[key], self._known[key][-12:]
        rng = Random(f"{self.seed}:storm")
        for n in range(STORM_MESSAGES):
            at = begin + STORM_LASTS * n / STORM_MESSAGES + timedelta(seconds=rng.uniform(0, 40))
            serial = f"{rng.getrandbits(40):010x}"
            po = pos[n % len(pos)]
            journey = Journey(f"gls-in-{serial}", f"msg-in-{serial}", supplier)
            self.house.log(
                at, "inbound.received", journey, hop="edi>middleware",
                text="Order status taken in",
            )  # fmt: skip
            at += timedelta(seconds=rng.uniform(2, 9))
            if n < STORM_FAILED:
                self.house.log(
                    at, "delivery.failed", journey, po=po.number, hop="middleware", attempt=1,
                    error="SignatureError", code="AS2-4061",
                    text="The certificate of the partner has expired",
                )  # fmt: skip
                at = begin + STORM_LASTS + timedelta(minutes=rng.uniform(5, 20))
                self.house.log(
                    at, "delivery.retried", journey, po=po.number, hop="middleware", attempt=2
                )
                at += timedelta(seconds=rng.uniform(2, 9))
            self.house.log(
                at, "inbound.mapped", journey, po=po.number, hop="middleware",
                ms=rng.randint(15, 160),
            )  # fmt: skip
        self.book.plant(
            "PARTNER_ERRORS",
            f"partner::{key}",
            begin,
            due,
            f"The certificate of {supplier.name} has expired: {STORM_FAILED} messages fail",
        )


def _local(day: date, at: time) -> datetime:
    return datetime.combine(day, at, HQ.zone).astimezone(UTC)
