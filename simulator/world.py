"""The pretend distributor as a whole: one seed, one end of history, and everything that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random

from simulator import limits, truth
from simulator.business import Po
from simulator.buying import new_po
from simulator.cast import HQ, WAREHOUSES, Cast, make_cast
from simulator.demand import Demand
from simulator.edi import Gateway
from simulator.emissions import Emissions
from simulator.hours import ONE_DAY
from simulator.house import House
from simulator.live import Trickle
from simulator.network_text import network_yaml
from simulator.partners import Partners
from simulator.plots import Plotter, Skew
from simulator.queues import Backlog, Stay
from simulator.stage import Outage, Stage
from simulator.stock import TOLD_FOR, Stock
from simulator.story import Storyteller
from simulator.troubles import BACKLOG_SHARE, OUTAGE_SHARE, STORM_SHARE, Troubles
from simulator.truth import FaultBook, Planted, Score

FIRST_ORDER = 4_500_010_000
RECENT_DAYS = 5  # before the end of history more goes wrong, so that there is something to do

# (door, share of the history that is still to come when it begins, local hour, hours it lasts, why)
_OUTAGES = (
    ("erp", 0.19, 9, 6, "The ERP's interface answers 503 for six hours"),
    ("portal", 0.34, 7, 10, "The portal answers 503 for ten hours"),
    ("wms_east", 0.09, 8, 9, "The eastern warehouse sends nothing for nine hours"),
)
_SKEWED_SHARE, _SKEWED_DAYS, SKEW = 0.42, 4, timedelta(hours=3)
_CONSTANT_SHARE, _CONSTANT_DAYS = 0.55, 3


class World:
    """Everything that happens, planned day by day and told in order of time.

    seed, as_of, days, suppliers, pos_per_day   what it follows from
    now      how far it has been told
    planted  the faults so far, in order of planning
    """

    def __init__(
        self, seed: int, as_of: datetime, days: int, suppliers: int, pos_per_day: int
    ) -> None:
        if as_of.tzinfo is None:
            raise ValueError("as_of must be an instant with a zone, like 2026-03-27T14:00:00Z")
        if days < 1 or pos_per_day < 1:
            raise ValueError(f"a history of {days} days with {pos_per_day} orders a day is empty")
        self.seed = seed
        self.as_of = as_of.astimezone(UTC)
        self.days = days
        self.pos_per_day = pos_per_day
        self.cast: Cast = make_cast(seed, suppliers)
        first = HQ.local_day(self.as_of) - timedelta(days=days)
        self.start = _midnight(first)
        self.stage = Stage(self.start)
        self.stays: list[Stay] = []
        self.backlogs: list[Backlog] = []
        self.book = FaultBook(self.as_of)
        self._next_day = first
        self._next_number = FIRST_ORDER
        self._stock = Stock(self.stage, seed, HQ.local_day(self.as_of) - TOLD_FOR)
        self._house = House(self.stage, self._stock)
        gateway = Gateway(self.stage)
        partners = Partners(self.stage, gateway)
        self.stage.outages.extend(self._outages())
        self._skew = self._clock_skew()
        self._constant_flow()
        self._troubles = self._make_troubles(first)
        self.backlogs.extend(self._troubles.watched)
        self._teller = Storyteller(
            self.stage,
            self._house,
            gateway,
            partners,
            Plotter(self.book, self.stage.outages, self._skew),
            self.stays,
        )
        self._demand = Demand(self.stage, self._house, self.cast)
        self._trickle = Trickle(seed, self.cast, self._teller, self._demand)

    @property
    def now(self) -> datetime:
        return self.stage.now

    @property
    def planted(self) -> list[Planted]:
        return self.book.planted

    @property
    def outages(self) -> list[Outage]:
        return self.stage.outages

    def expected(self, at: datetime) -> list[Planted]:
        """Faults that must have been found at ``at``."""
        return [fault for fault in self.planted if fault.expected(at)]

    def score(self, found: Iterable[tuple[str, str]], at: datetime | None = None) -> Score:
        """Compare cases, (category, subject reference) each, with the truth at ``at`` (now)."""
        return truth.score(self.planted, found, at or self.now)

    def network_yaml(self, home: Path, base_url: str, every: str = "1m") -> str:
        """network.yaml for this world.

        home      folder of the demo; the folders of files and logs lie in ``home/doors``
        base_url  address of the server of simulator.server
        every     rhythm in which pulled sources are read
        """
        years = range(self.start.year - 1, self.as_of.year + 4)
        return network_yaml(
            self.cast.suppliers, home.resolve() / "doors", base_url.rstrip("/"), every, years
        )

    def advance(self, until: datetime) -> Emissions:
        """Everything that comes out after the last call, up to and including ``until``.

        How far each call goes makes no difference to what comes out.
        """
        until = until.astimezone(UTC)
        while True:
            day_starts, slot_starts = _midnight(self._next_day), self._trickle.next_slot()
            starts = min(day_starts, slot_starts) if slot_starts is not None else day_starts
            if starts > until:
                break
            if starts == day_starts:
                self._plan_day(self._next_day)
                self._next_day += ONE_DAY
            else:
                self._trickle.plan()
        return self.stage.play(until)

    def go_live(
        self, start: datetime, end: datetime | None = None, per_minute: float = 1.0
    ) -> None:
        """Add a lively trickle of orders from ``start`` on (to ``end``), at any hour of the day.

        Tell spans in order of time, before ``advance`` comes to them.
        """
        self._trickle.open_span(start, end, per_minute)

    @property
    def watched(self) -> list[Backlog]:
        """Queues in trouble: only samples close to each other tell of it."""
        return self._troubles.watched

    # --- what is wrong with whole systems ---------------------------------------------------------

    def _make_troubles(self, first: date) -> Troubles:
        made = Troubles(
            self.book,
            self._house,
            self.seed,
            self._workday(STORM_SHARE),
            self._workday(BACKLOG_SHARE),
        )
        made.plan_backlog(self.start)
        skewed = self._skew.supplier if self._skew is not None else ""
        made.plan_quiet(self.cast.suppliers, first, self.days, skewed)
        made.plan_outage(self.cast.suppliers, self._workday(OUTAGE_SHARE), self.days, skewed)
        return made

    def _workday(self, share: float) -> date:
        """The headquarters' business day at this share of the history before its end."""
        day = HQ.local_day(self.as_of) - timedelta(days=round(self.days * share))
        return HQ.open_day_on_or_before(day)

    def _outages(self) -> list[Outage]:
        found: list[Outage] = []
        for door, share, hour, lasts, why in _OUTAGES:
            day = self._workday(share)
            start = datetime.combine(day, time(hour), HQ.zone).astimezone(UTC)
            outage = Outage(door, start, start + timedelta(hours=lasts))
            due = start + limits.SILENT_AFTER
            if start < self.start + ONE_DAY or not self.book.may_come_true(due):
                continue  # the history is too short for it
            if outage.end > self.as_of - timedelta(hours=2):
                continue
            found.append(outage)
            self.book.plant("SOURCE_SILENT", f"source::{door}", start, due, why)
        for outage in found:
            if outage.door == "wms_east":
                self.backlogs.append(Backlog("wms.east", outage.start, outage.end, 16))
            if outage.door == "erp":
                self.backlogs.append(Backlog("erp.posting", outage.start, outage.end, 14))
        return found

    def _clock_skew(self) -> Skew | None:
        able = [
            s
            for s in self.cast.suppliers
            if s.channel == "edi" and s.tier == "C" and s.country == "US" and s.answers_orders
        ]
        day = self._workday(_SKEWED_SHARE)
        if not able or _midnight(day) < self.start:
            return None
        supplier = max(able, key=lambda s: s.weight)
        end = HQ.shift_days(day, _SKEWED_DAYS)
        skew = Skew(supplier.key, _midnight(day), _midnight(end), SKEW)
        self.book.plant(
            "CLOCK_SKEW",
            f"partner::{supplier.key}",
            skew.start,
            skew.start,
            f"The clock of {supplier.name} is three hours ahead for {_SKEWED_DAYS} business days",
        )
        return skew

    def _constant_flow(self) -> None:
        day = self._workday(_CONSTANT_SHARE)
        if _midnight(day) < self.start:
            return
        end = HQ.shift_days(day, _CONSTANT_DAYS)
        spell = (_midnight(day), _midnight(end))
        self._house.constant_flow.append(spell)
        self.book.plant(
            "ID_NOT_IDENTIFYING",
            "id::0",
            spell[0],
            spell[1],
            f'The middleware logs "0" as correlation id for {_CONSTANT_DAYS} business days',
        )

    # --- a day ------------------------------------------------------------------------------------

    def _plan_day(self, day: date) -> None:
        self._stock.plan_night(day)
        if not HQ.is_open_day(day):
            return
        rng = Random(f"{self.seed}:day:{day}")
        bunches = sorted(self._bunches(rng, day), key=lambda bunch: bunch[0].released)
        recent = day > HQ.local_day(self.as_of) - timedelta(days=RECENT_DAYS)
        told: list[tuple[Po, bool]] = []
        for bunch in bunches:
            for po in bunch:
                po.number = str(self._next_number)
                self._next_number += 1
                self.book.earn(2.0 if recent and day <= HQ.local_day(self.as_of) else 1.0)
            before = len(self.planted)
            self._teller.tell(rng, bunch)
            self._troubles.know(bunch, day)
            told += [(po, len(self.planted) > before) for po in bunch]
        told += self._tell_outage(day)
        self._troubles.strike(day)
        self._demand.follow(rng, told)

    def _tell_outage(self, day: date) -> list[tuple[Po, bool]]:
        """The orders of the day that a partner's translator does not take; each is a fault."""
        rng = Random(f"{self.seed}:outage:{day}")
        told: list[tuple[Po, bool]] = []
        for bunch in self._troubles.unheard(day):
            supplier, sent_at = bunch[0].supplier, bunch[0].released + timedelta(minutes=6)
            why = f"The translator of {supplier.name} stands still: it confirms no order"
            for n, po in enumerate(bunch):
                po.number = str(self._next_number + n)
            plot = self._teller.plotter.outage(rng, bunch, sent_at, why)
            if plot is None:
                break  # a holiday over there
            self._next_number += len(bunch)
            self._teller.play(rng, bunch, plot, sent_at)
            told += [(po, True) for po in bunch]
        return told

    def _bunches(self, rng: Random, day: date) -> list[list[Po]]:
        suppliers = [s for s in self.cast.suppliers if self._troubles.buys_from(s, day)]
        weights = [supplier.weight for supplier in suppliers]
        count = max(1, round(rng.gauss(self.pos_per_day, self.pos_per_day * 0.12)))
        bunches: list[list[Po]] = []
        skew = self._skew
        if skew is not None and skew.start <= HQ.opening(day) < skew.end:
            supplier = next(s for s in suppliers if s.key == skew.supplier)
            bunches.append([new_po(rng, supplier, rng.choice(WAREHOUSES), _released(rng, day))])
        while sum(len(bunch) for bunch in bunches) < count:
            supplier = rng.choices(suppliers, weights)[0]
            warehouse = rng.choice(WAREHOUSES)
            released = _released(rng, day)
            n = rng.choice((2, 2, 3)) if rng.random() < 0.06 else 1
            bunch = [new_po(rng, supplier, warehouse, released) for _ in range(n)]
            if n > 1:  # they are answered together, so none of them is in a hurry
                bunch = [replace(po, kind="standard") for po in bunch]
            bunches.append(bunch)
        return bunches + self._troubles.bunches(rng, day)


def _released(rng: Random, day: date) -> datetime:
    """Most orders come from the planning runs in the morning and after lunch."""
    chance = rng.random()
    if chance < 0.45:
        hour = rng.triangular(8.2, 10.8, 8.7)
    elif chance < 0.8:
        hour = rng.triangular(13.1, 15.6, 13.5)
    else:
        hour = rng.uniform(8.1, 16.6)
    midnight = datetime.combine(day, time(), HQ.zone)
    return (midnight + timedelta(seconds=int(hour * 3600))).astimezone(UTC)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), HQ.zone).astimezone(UTC)


def build(
    seed: int, as_of: datetime, days: int = 90, suppliers: int = 300, pos_per_day: int = 35
) -> World:
    """A world whose history ends at ``as_of``; nothing is told yet (``World.advance``)."""
    return World(seed, as_of, days, suppliers, pos_per_day)
