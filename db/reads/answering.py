"""How likely suppliers answer in time: their former waits, as the survival curve needs them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from statistics import median
from typing import Any, Literal

from sqlalchemy import Connection, select

from db.reads import names
from db.reads.filters import within_scope
from db.reads.rules import rules_of
from db.tables import clock, partner
from tower.access import Scope
from tower.calendars import BeyondHorizon, Calendar, CalendarSpec
from tower.identity import partner_id
from tower.network import Network
from tower.survival import LEAST_ANSWERS, Curve, Forecasts, Wait, backtest, curve

HISTORY = timedelta(days=180)  # how far former orders speak of the next ones
MOST_WAITS = 5_000  # of a pool, the newest: more would not move the curve
MOST_OPEN = 50
ACK = "ACK_OVERDUE"  # category of the rules that ask for an answer

Basis = Literal["own", "tier", "all", ""]


@dataclass(frozen=True, slots=True)
class OpenWait:
    """An order that waits for its answer now.

    waited, budget   open hours so far, and in all until due
    chance           of an answer by its due; None = it waits longer than any order known
    """

    ref: str
    number: str
    started_at: datetime
    due_at: datetime
    waited: float
    budget: float
    chance: float | None


@dataclass(frozen=True, slots=True)
class Answering:
    """The chance of an answer in time, from what was seen.

    basis      own: of its own orders; tier: of all suppliers of its tier, all: of all suppliers,
               as it has too few of its own; "" = there are too few even then
    said       the basis in words
    n          orders behind the curve, ``answered`` of them answered; ``unknown`` left out, as a
               feed was silent
    in_time    chance of an answer within ``budget``, the usual time that it gets; open hours
    median, p90  open hours until answered; None = longer than anything seen
    points     (open hours, share answered), steps to draw
    forecasts  how former forecasts did, about its own orders, else (``about`` "pool") the pool's
    open       its orders that wait now, the least likely first
    """

    supplier: str
    basis: Basis
    said: str
    n: int
    answered: int
    unknown: int
    in_time: float | None
    budget: float | None
    median: float | None
    p90: float | None
    points: tuple[tuple[float, float], ...]
    forecasts: Forecasts
    about: Literal["own", "pool"]
    open: tuple[OpenWait, ...]

    @property
    def reason(self) -> str:
        """Why there is no answer; "" when there is one."""
        return "" if self.in_time is not None else f"no data ({self.answered} of {LEAST_ANSWERS})"


def answering(conn: Connection, scope: Scope, supplier: str, now: datetime) -> Answering | None:
    """The outlook of one supplier; None if the viewer knows no such supplier."""
    known = _partners(conn, scope)
    if supplier not in known:
        return None
    tier = known[supplier]
    rows = _rows(conn, scope, [supplier], now)
    hours = _hours(conn)
    own = _waits(rows, hours, now)
    pool, basis, said = own, "own", f"its own {len(own)} orders of the last {HISTORY.days} days"
    chosen: Basis = "own"
    if sum(w.answered for w in own) < LEAST_ANSWERS:
        few = f"too few answers of its own ({sum(w.answered for w in own)} of {LEAST_ANSWERS})"
        peers = {"tier": [k for k, t in known.items() if tier and t == tier], "all": list(known)}
        pool, chosen, said = [], "", f"{few}, and of all suppliers"
        for basis, keys in peers.items():
            waits = _waits(_rows(conn, scope, keys, now), hours, now) if keys else []
            if sum(w.answered for w in waits) >= LEAST_ANSWERS:
                whose = f"of tier {tier}" if basis == "tier" else "known"
                said = f"{few}: {len(waits)} orders of all {len(keys)} suppliers {whose}"
                pool, chosen = waits, "tier" if basis == "tier" else "all"
                break
    fitted = curve((w.waited, w.answered) for w in pool)
    budgets = [w.budget for w in (own or pool) if w.budget is not None]
    budget = median(budgets) if budgets else None
    about: Literal["own", "pool"] = "own"
    forecasts = backtest(pool, own, hours)
    if forecasts.brier is None and pool is not own:
        wider = backtest(pool, pool, hours)
        if wider.brier is not None:
            forecasts, about = wider, "pool"
    return Answering(
        supplier=supplier,
        basis=chosen,
        said=said,
        n=fitted.n,
        answered=fitted.answered,
        unknown=sum(row.verdict == "unknown" for row in rows),
        in_time=fitted.answered_within(budget) if chosen and budget is not None else None,
        budget=budget,
        median=fitted.quantile(0.5) if chosen else None,
        p90=fitted.quantile(0.9) if chosen else None,
        points=fitted.points() if chosen else (),
        forecasts=forecasts,
        about=about,
        open=_open(rows, fitted if chosen else None, hours, now),
    )


def _partners(conn: Connection, scope: Scope) -> dict[str, str | None]:
    """Tier by key of the suppliers that the viewer may know."""
    p = partner.c
    return dict(conn.execute(select(p.key, p.tier).where(*within_scope(p, scope))).all())


def _rows(
    conn: Connection, scope: Scope, suppliers: Collection[str], now: datetime
) -> Sequence[Any]:
    """Clocks of answers to orders of these suppliers that fell or fall due, the newest first."""
    c, p = clock.c, partner.c
    return conn.execute(
        select(
            p.key, c.kind, c.scope, c.number, c.verdict, c.open, c.paused, c.started_at,
            c.due_at, c.ended_at,
        )
        .join(partner, p.partner_id == c.partner_id)
        .where(
            c.rule.in_(rules_of(conn, ACK)),
            c.kind == "po",
            c.due_at >= now - HISTORY,
            c.partner_id.in_([partner_id(key) for key in suppliers]),
            *within_scope(c, scope),
        )
        .order_by(c.due_at.desc())
        .limit(MOST_WAITS)
    ).all()  # fmt: skip


def _waits(rows: Sequence[Any], hours: Hours, now: datetime) -> list[Wait]:
    """What each clock tells of waiting. Left out: paused ones, and those of silent feeds, of which
    nobody knows whether they were answered."""
    found = []
    for row in rows:
        if row.verdict == "unknown" or row.paused or row.started_at is None:
            continue
        until = now if row.open and row.verdict != "met" else row.ended_at
        if until is None or until < row.started_at:
            continue
        answered = row.verdict in ("met", "met_late")
        if row.verdict == "not_measured" and until == row.started_at:
            continue  # nothing was ever asked
        found.append(
            Wait(
                supplier=row.key,
                started_at=row.started_at,
                ended_at=until,
                waited=hours(row.key, row.started_at, until),
                answered=answered,
                budget=hours(row.key, row.started_at, row.due_at),
                in_time=_IN_TIME.get(row.verdict),
            )
        )
    return found


_IN_TIME = {"met": True, "met_late": False, "breached": False}


def _open(
    rows: Sequence[Any], fitted: Curve | None, hours: Hours, now: datetime
) -> tuple[OpenWait, ...]:
    found = []
    for row in rows:
        if not row.open or row.paused or row.verdict not in ("pending", "at_risk"):
            continue
        waited = hours(row.key, row.started_at, max(now, row.started_at))
        budget = hours(row.key, row.started_at, row.due_at)
        found.append(
            OpenWait(
                ref=f"{row.kind}:{row.scope}:{row.number}",
                number=row.number,
                started_at=row.started_at,
                due_at=row.due_at,
                waited=waited,
                budget=budget,
                chance=None if fitted is None else fitted.answered_within(budget, waited),
            )
        )
    found.sort(key=lambda w: (w.chance is None, w.chance or 0.0, w.due_at, w.number))
    return tuple(found[:MOST_OPEN])


class Hours:
    """Open hours between two instants in a supplier's own calendar, else the company's; clock
    hours where none is in force or an instant lies beyond its years."""

    def __init__(self, network: Network | None) -> None:
        self._network = network
        self._of: dict[str, Calendar | None] = {}

    def __call__(self, supplier: str, begin: datetime, end: datetime) -> float:
        calendar = self._calendar(supplier)
        try:
            span = end - begin if calendar is None else calendar.between(begin, end)
        except BeyondHorizon:
            span = end - begin
        return span / timedelta(hours=1)

    def _calendar(self, supplier: str) -> Calendar | None:
        if supplier not in self._of:
            self._of[supplier] = self._found(supplier)
        return self._of[supplier]

    def _found(self, supplier: str) -> Calendar | None:
        if self._network is None:
            return None
        known = self._network.partners.get(supplier)
        name = (known.calendar if known else None) or self._network.company.calendar
        spec = self._network.calendars.get(name)
        return None if spec is None else _compiled(name, spec.model_dump_json())


def _hours(conn: Connection) -> Hours:
    return Hours(names.network(conn))


@lru_cache(maxsize=64)
def _compiled(name: str, body: str) -> Calendar:
    """Compiling takes milliseconds, and the same few calendars are asked for again and again."""
    return Calendar(name, CalendarSpec.model_validate_json(body))
