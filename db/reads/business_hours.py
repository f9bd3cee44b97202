"""Open hours between two instants, reckoned by the database.

Calendars are compiled in Python (tower/calendars.py); a question hands over, per calendar, when it
opens and closes and how long it was open before. The database looks an instant up by bisection
(width_bucket), so that a median over a hundred thousand orders needs no row to travel.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)

from db.reads import names
from db.reads.counting import Question
from tower.calendars import Calendar
from tower.identity import partner_id
from tower.network import Network

REACH = timedelta(days=120)  # how long before the span what ended in it may have begun
ALWAYS = ""  # the calendar of a house without calendars: every hour counts

_compiled: dict[int, Calendar] = {}


def open_hours(
    question: Question,
    source: FromClause,
    supplier: ColumnElement[Any] | None,
    begin: ColumnElement[Any],
    end: ColumnElement[Any],
) -> tuple[FromClause, ColumnElement[Any]]:
    """The source joined with the calendars, and the open hours between two of its instants.

    supplier  number of the partner whose calendar counts, else the company's; None = the company's
    """
    net = names.network(question.conn)
    house = (
        ALWAYS
        if net is None or net.company.calendar not in net.calendars
        else (net.company.calendar)
    )
    of_partner = {} if net is None or supplier is None else _of_partners(net, house)
    windows = _windows(question, net, {house, *of_partner.values()})
    name: ColumnElement[Any] = literal(house)
    if supplier is not None and of_partner:
        kept = func.unnest(
            bindparam("p_ids", list(of_partner), type_=ARRAY(BigInteger), unique=True),
            bindparam("p_names", list(of_partner.values()), type_=ARRAY(Text), unique=True),
        ).table_valued(column("partner_id", BigInteger), column("calendar", Text), name="hours_of")
        kept = kept.render_derived()
        source = source.outerjoin(kept, kept.c.partner_id == supplier)
        name = func.coalesce(kept.c.calendar, house)
    source = source.outerjoin(windows, windows.c.calendar == name)
    w = windows.c
    spent = _before(w, end) - _before(w, begin)
    return source, case((end.is_(None), None), else_=func.greatest(spent, 0) / 3600)


def _before(w: Any, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Open seconds from the first window up to an instant."""
    at = cast(func.extract("epoch", moment), Double)
    place = type_coerce(func.width_bucket(at, w.opens), Integer)
    inside = func.least(at, w.closes[place]) - w.opens[place]
    return case((place == 0, 0), else_=w.ahead[place] + inside)


def _of_partners(net: Network, house: str) -> dict[int, str]:
    """Number of a partner -> its calendar, where it is another than ours."""
    return {
        partner_id(key): one.calendar
        for key, one in net.partners.items()
        if one.calendar in net.calendars and one.calendar != house
    }


def _windows(question: Question, net: Network | None, wanted: set[str]) -> Any:
    first = question.span.start - REACH
    rows = []
    for name in sorted(wanted):
        opens, closes, ahead, seconds = [], [], [], 0.0
        for begin, stop in _segments(net, name, first, question.as_of):
            opens.append(begin.timestamp())
            closes.append(stop.timestamp())
            ahead.append(seconds)
            seconds += (stop - begin).total_seconds()
        rows.append((name, opens, closes, ahead))
    told = [
        select(
            literal(name).label("calendar"),
            *(
                bindparam(None, numbers, type_=ARRAY(Double), unique=True).label(label)
                for label, numbers in zip(("opens", "closes", "ahead"), arrays, strict=True)
            ),
        )
        for name, *arrays in rows
    ]
    # Materialized: made once, not once per row that looks something up.
    return union_all(*told).cte("windows").prefix_with("MATERIALIZED")


def _segments(
    net: Network | None, name: str, first: datetime, last: datetime
) -> list[tuple[datetime, datetime]]:
    if net is None or name == ALWAYS:
        return [(first.astimezone(UTC), last.astimezone(UTC))]
    spec = net.calendars[name]
    calendar = _compiled.get(id(spec))
    if calendar is None:
        if len(_compiled) > 64:  # of networks that are no longer in force
            _compiled.clear()
        calendar = _compiled[id(spec)] = Calendar(name, spec)
    return list(calendar.segments(first, last)) or [(first, first)]
