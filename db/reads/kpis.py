"""The key figures of the overview: its cards, and on-time acknowledgement by supplier and week.

What each figure counts stands in db/reads/figures.py; here they are only chosen and put side by
side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Date, cast, func, select

from db.reads import figures
from db.reads.counting import midnight
from db.reads.filters import Filter, of_supplier, within_scope
from db.reads.kpi_answers import ACK
from db.reads.kpi_now import open_exceptions, orders_affected, value_at_risk
from db.reads.rules import rules_of
from db.tables import clock, document, partner
from tower import kpis
from tower.access import Scope
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
    """The cards of the overview, in their order."""
    return tuple(figures.figure(conn, scope, name, narrowed, now) for name in CARDS)


def of_clocks(scope: Scope, narrowed: Filter) -> list[ColumnElement[bool]]:
    """Clocks of the viewer's choice."""
    c = clock.c
    found = [*within_scope(c, scope), *of_supplier(c, narrowed.supplier)]
    return found + _of_header(c.home_key, narrowed)


def _of_header(home: ColumnElement[int], narrowed: Filter) -> list[ColumnElement[bool]]:
    """Buyer and warehouse stand on the header of the purchase order."""
    if narrowed.buyer is None and narrowed.warehouse is None:
        return []
    h = document.alias("header").c
    conditions = [h.home_key == home, h.kind == "po", h.line == ""]
    if narrowed.buyer is not None:
        conditions.append(h.buyer == narrowed.buyer)
    if narrowed.warehouse is not None:
        conditions.append(h.warehouse == narrowed.warehouse)
    return [select(1).where(*conditions).exists()]


def ack_by_week(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime, suppliers: int = 15
) -> tuple[WeekShare, ...]:
    """On-time acknowledgement per week of the suppliers with most misses, those ahead.

    Weeks begin on Monday, UTC; at least six are shown, however short the period. Where most single
    weeks hold too few orders to be judged, each cell tells of the four weeks up to its own.
    """
    c = clock.c
    first = _monday(min(narrowed.period.start, now - timedelta(weeks=6)).date())
    week = cast(func.date_trunc("week", func.timezone("UTC", c.due_at)), Date).label("week")
    rows = conn.execute(
        select(partner.c.key, partner.c.name, week, c.verdict, func.count())
        .join(partner, partner.c.partner_id == c.partner_id)
        .where(
            c.rule.in_(rules_of(conn, ACK)),
            c.due_at >= midnight(first - timedelta(weeks=POOLED_WEEKS - 1)),
            c.due_at < narrowed.period.end,
            *of_clocks(scope, narrowed),
        )
        .group_by(partner.c.key, partner.c.name, week, c.verdict)
    )
    verdicts: dict[tuple[str, str], dict[date, dict[str, int]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for key, name, monday, verdict, n in rows:
        verdicts[key, name][monday][verdict] = n
    tallies = {
        who: {monday: kpis.clock_tally(counts) for monday, counts in weeks.items()}
        for who, weeks in verdicts.items()
    }
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


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _most_missed(
    tallies: Mapping[tuple[str, str], Mapping[date, Tally]], first: date
) -> list[tuple[str, str]]:
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
    "of_clocks",
    "open_exceptions",
    "orders_affected",
    "value_at_risk",
]
