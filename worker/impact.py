"""Whom changed purchase orders hurt, computed anew in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection

from db import impact as rows
from db import supply
from db.supply import Terms
from tower import impact
from tower.court import Code
from tower.impact import OrderLine, PoLine
from tower.zones import zone


@dataclass(slots=True)
class Impact:
    """What a round found.

    po_homes  purchase orders whose affected lines may have changed
    next      per changed home: when the mere passing of days moves what is expected of it
    """

    po_homes: set[int] = field(default_factory=set)
    next: dict[int, datetime] = field(default_factory=dict)


def terms_of(code: Code) -> Terms:
    """What supply and demand are weighed by."""
    return Terms(code.network, code.book, code.calendar(code.network.company.calendar))


def recompute(conn: Connection, code: Code, homes: Iterable[int], now: datetime) -> Impact:
    """Bring the affected order lines of these purchase orders up to date."""
    changed = set(homes)
    if not changed:
        return Impact()
    web = rows.web(conn, changed)
    if not web.order_lines:
        return Impact(po_homes=changed)
    today = now.astimezone(zone(code.network.company.zone)).date()
    terms = terms_of(code)
    po_lines = supply.po_lines(conn, terms, web.po_homes)
    order_lines = supply.order_lines(
        conn, terms, {peg.order_line for peg in web.pegs} | web.order_lines
    )
    found = impact.affected(po_lines, order_lines, web.pegs, today, web.order_lines)
    rows.replace_affected(conn, web.order_lines, found, "peg", terms.hours, now)
    return Impact(
        po_homes=web.po_homes,
        next=_next(code, changed, po_lines, order_lines, web, today),
    )


def _next(
    code: Code,
    homes: set[int],
    po_lines: Mapping[rows.LineKey, PoLine],
    order_lines: Mapping[rows.LineKey, OrderLine],
    web: rows.Web,
    today: date,
) -> dict[int, datetime]:
    """Midnights at which goods that somebody waits for become overdue, or a day more so."""
    found: dict[int, date] = {}
    for peg in web.pegs:
        line, order = po_lines.get(peg.po_line), order_lines.get(peg.order_line)
        if line is None or order is None or order.ends or line.home_key not in homes:
            continue
        day = impact.next_change(line, today)
        if day is not None:
            found[line.home_key] = min(day, found.get(line.home_key, day))
    return {home: begin_of(day, code) for home, day in found.items()}


def tomorrow(code: Code, now: datetime) -> datetime:
    """When the next day of the company begins."""
    today = now.astimezone(zone(code.network.company.zone)).date()
    return begin_of(today + timedelta(days=1), code)


def begin_of(day: date, code: Code) -> datetime:
    """A minute past midnight, so that no clock's rounding lands on the day before."""
    local = zone(code.network.company.zone)
    return datetime.combine(day, time(0, 1), local).astimezone(zone("UTC"))
