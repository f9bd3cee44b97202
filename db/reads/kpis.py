"""The key figures of the overview: its cards, and on-time acknowledgement by supplier and week.

What each figure counts stands in db/reads/figures.py; here they are only chosen and put side by
side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from db.reads import figures
from db.reads.counting import midnight
from db.reads.filters import Filter, Period
from db.reads.kpi_now import open_exceptions, orders_affected, value_at_risk
from tower import kpis
from tower.access import Scope
from tower.kpi_catalogue import told_to
from tower.kpis import DEFINITIONS, Figure, Tally

CARDS = (
    *("orders_affected", "value_at_risk", "ack_on_time", "asn_on_time", "asn_valid", "otif"),
    *("open_exceptions", "coverage"),
)


@dataclass(frozen=True, slots=True)
class WeekShare:
    """On-time acknowledgement of one supplier over the ``weeks`` up to and with ``week``.

    ``share`` None = too few orders to judge.
    """

    supplier: str
    supplier_name: str
    week: date
    hits: int
    n: int
    share: float | None
    weeks: int


def leader_figures(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime
) -> tuple[Figure, ...]:
    """The cards of the overview that this viewer is told, in their order."""
    known = told_to(scope)
    asked = [(name, figures.NO_SWITCHES) for name in CARDS if name in known]
    return tuple(figures.several(conn, scope, asked, narrowed, now))


def ack_by_week(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime, suppliers: int = 15
) -> tuple[WeekShare, ...]:
    """On-time acknowledgement per week of the suppliers with most misses, those ahead.

    Weeks begin on Monday, UTC; at least six are shown, however short the period. Where most single
    weeks hold too few orders to be judged, each cell tells of the four weeks up to its own.
    """
    first = _monday(min(narrowed.period.start, now - timedelta(weeks=6)).date())
    begin = midnight(first - timedelta(weeks=POOLED_WEEKS - 1))
    wide = replace(narrowed, period=Period(begin, narrowed.period.end))
    tallies = _by_week(conn, scope, wide, now)
    shown = _most_missed(tallies, first)[:suppliers]
    least = DEFINITIONS["ack_on_time"].least
    single = [t for who in shown for monday, t in tallies[who].items() if monday >= first and t.n]
    judged = sum(t.n >= least for t in single)
    weeks = 1 if 2 * judged >= len(single) else POOLED_WEEKS
    last = _monday(narrowed.period.end.date())
    found = []
    for who in shown:
        for place in range((last - first).days // 7 + 1):
            monday = first + timedelta(weeks=place)
            pooled = kpis.pooled(
                tallies[who].get(monday - timedelta(weeks=back)) for back in range(weeks)
            )
            if pooled.n:
                share = kpis.share(pooled, least)
                found.append(WeekShare(*who, monday, pooled.hits, pooled.n, share, weeks))
    return tuple(found)


POOLED_WEEKS = 4

Tallies = Mapping[tuple[str, str], Mapping[date, Tally]]
"""By key and name of a supplier, and by the first day of a week."""


def _by_week(conn: Connection, scope: Scope, narrowed: Filter, now: datetime) -> Tallies:
    named = figures.labels(conn, scope, "supplier")
    found: dict[tuple[str, str], dict[date, Tally]] = defaultdict(dict)
    sums = figures.weeks_by_supplier(conn, scope, "ack_on_time", narrowed, now)
    for (monday, supplier), one in sums.items():
        who = named.get(supplier)
        if who is not None:
            found[who][monday] = found[who].get(monday, Tally()) + Tally(one.hits, one.n)
    return found


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _most_missed(tallies: Tallies, first: date) -> list[tuple[str, str]]:
    """Suppliers by their number of misses since ``first``, then by their number of orders."""
    since = {
        who: kpis.pooled(t for monday, t in weeks.items() if monday >= first)
        for who, weeks in tallies.items()
    }
    return sorted(
        (who for who, t in since.items() if t.n),
        key=lambda who: (since[who].hits - since[who].n, -since[who].n, who),
    )


__all__ = [
    "WeekShare",
    "ack_by_week",
    "leader_figures",
    "open_exceptions",
    "orders_affected",
    "value_at_risk",
]
