"""Figures counted ahead, so that a page over millions of documents asks for a few thousand rows.

A week's documents (by the release of their header, which hardly ever moves) are counted whole,
from the documents themselves and by the very SELECTs that figures are made from: nothing is added
up as messages come, so that late, doubled or corrected facts need no thought of their own. Whoever
changes a document or a clock leaves a mark for its week (db/week_marks.py); the worker counts
marked weeks anew. So the counts equal a full rebuild whatever came in which order, as soon as no
mark is left.

Below LEAST_DOCUMENTS nothing is counted ahead: figures are then asked of the documents, and are
current at once. Above, they are as old as the oldest mark, which their ``as_of`` tells.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Double,
    Engine,
    Numeric,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql

from db.configuration import NETWORK, RULES
from db.reads.counted_ahead import FIGURES, OF_HOUSE, monday
from db.reads.counting import Question, Week, midnight
from db.reads.figures import MAKERS
from db.reads.filters import Filter, Period
from db.tables import active_config, document, figure_count, figure_mark, figure_week
from db.week_marks import NO_RELEASE
from tower.access import EVERYTHING
from tower.kpi_catalogue import chosen, definition

LEAST_DOCUMENTS = 200_000
KEPT_WEEKS = 80  # four quarters of a trend, and the half year that orders take
_LATE = datetime(2900, 1, 1, tzinfo=UTC)  # by when everything has fallen due
_AROUND = timedelta(days=400)  # of a week, in which what its documents tell counts
_PARTIES = ("supplier", "buyer", "warehouse")


def count_due(
    engine: Engine,
    now: datetime,
    *,
    least: int = LEAST_DOCUMENTS,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Count the weeks that have changed or were never counted, the newest first; how many.

    One transaction per week, and one process at a time: others find nothing to do. ``stop`` is
    asked before each week.
    """
    done = 0
    for week in _due(engine, now, least):
        with engine.begin() as conn:
            if stop() or not _alone(conn):
                return done
            count_week(conn, week, now)
        done += 1
    return done


def _due(engine: Engine, now: datetime, least: int) -> list[date]:
    """Weeks to count. Marks of weeks that nobody counts are dropped."""
    last = monday(now.astimezone(UTC).date())
    kept = [last - timedelta(weeks=n) for n in range(KEPT_WEEKS)] + [NO_RELEASE]
    m, w = figure_mark.c, figure_week.c
    with engine.begin() as conn:
        if not _alone(conn):
            return []
        known = dict(conn.execute(select(w.week, w.config)).all())
        if not known and _documents(conn) < least:
            conn.execute(delete(figure_mark))
            return []
        old = [week for week in known if week not in kept]
        conn.execute(delete(figure_week).where(w.week.in_(old)))
        conn.execute(delete(figure_count).where(figure_count.c.week.in_(old)))
        conn.execute(delete(figure_mark).where(m.week.not_in(kept)))
        marked = set(conn.execute(select(m.week).distinct()).scalars())
        config = _config(conn)
    return [week for week in kept if week in marked or known.get(week) != config]


def count_week(conn: Connection, week: date, now: datetime) -> None:
    """Count one week anew. Its marks go first: who marks later is seen the next time, whatever this
    transaction saw of it."""
    conn.execute(delete(figure_mark).where(figure_mark.c.week == week))
    conn.execute(delete(figure_count).where(figure_count.c.week == week))
    if _anything(conn, week):
        for kpi in FIGURES:
            _count(conn, kpi, week, now)
    row = {"week": week, "counted_at": now, "config": _config(conn)}
    conn.execute(
        postgresql.insert(figure_week)
        .values(row)
        .on_conflict_do_update(index_elements=["week"], set_=row)
    )


def _count(conn: Connection, kpi: str, week: date, now: datetime) -> None:
    of = definition(kpi)
    middle = midnight(monday(now.date()) if week == NO_RELEASE else week)
    around = Period(middle - _AROUND, middle + _AROUND)
    question = Question(
        conn,
        EVERYTHING,
        of,
        Filter(around),
        around,
        around,
        _LATE,
        chosen(of, {}),
        needs=frozenset() if kpi in OF_HOUSE else frozenset(_PARTIES),
        week=Week(None if week == NO_RELEASE else week, now),
    )
    r = MAKERS[kpi](question).rows.subquery().c
    each: ColumnElement[Any] | None = None
    if kpi == "coverage":
        each = r.amount
    elif of.statistic == "median":
        each = _rounded(r.amount) if of.unit == "h" else r.amount
    base = (
        select(
            cast(func.timezone("UTC", r.at), Date).label("day"),
            r.verdict,
            (func.coalesce(r.healed, False) if "healed" in r else literal(False)).label("healed"),
            (func.coalesce(r.unit, "") if "unit" in r else literal("")).label("word"),
            (literal(0) if each is None else func.coalesce(each, 0)).label("each"),
            *(r[name].label(name) for name in _PARTIES if name in r),
            (r.amount if "amount" in r and each is None else cast(None, Numeric)).label("amount"),
            (r.weight if "weight" in r else cast(None, Numeric)).label("weight"),
        )
        .where(r.at.is_not(None))
        .subquery()
        .c
    )
    alike = [base[name] for name in ("day", "verdict", "healed", "word", "each")]
    parties = [name for name in _PARTIES if name in base and kpi not in OF_HOUSE]
    grouped = [(func.grouping(base[name]) == 0, literal(name)) for name in parties]
    by = case(*grouped, else_=literal("")) if grouped else literal("")
    told = [base[name] for name in parties[1:]]  # null but in their own sets
    found = select(
        literal(kpi), literal(week, Date), by, *alike,
        func.coalesce(base.supplier, 0) if parties else literal(0),
        func.coalesce(*told, "") if told else literal(""),
        func.count(), func.sum(base.amount), func.sum(base.weight),
    ).group_by(
        func.grouping_sets(tuple_(*alike), *(tuple_(*alike, base[name]) for name in parties))
    )  # fmt: skip
    names = ("figure", "week", "by", "day", "verdict", "healed", "word", "each", "supplier",
             "party", "n", "amount", "weight")  # fmt: skip
    conn.execute(insert(figure_count).from_select(list(names), found))


def _anything(conn: Connection, week: date) -> bool:
    d = document.c
    header = Week(None if week == NO_RELEASE else week, _LATE).released(d)
    return conn.execute(select(d.home_key).where(*header).limit(1)).first() is not None


def _rounded(hours: ColumnElement[Any]) -> ColumnElement[Any]:
    """Hours to the middle of steps of two per cent: equal ones are one row. None stays none."""
    step = func.round(func.ln(cast(func.greatest(hours, 0.0001), Double)) / 0.02)
    return case((hours <= 0, 0), else_=func.round(cast(func.exp(step * 0.02), Numeric), 6))


def _config(conn: Connection) -> str:
    a = active_config.c
    rows = conn.execute(select(a.name, a.hash).where(a.name.in_((NETWORK, RULES))).order_by(a.name))
    return " ".join(f"{row.name}:{row.hash}" for row in rows)


def _documents(conn: Connection) -> int:
    found = conn.execute(text("SELECT reltuples FROM pg_class WHERE oid = 'document'::regclass"))
    return max(0, int(found.scalar_one()))  # -1: never looked at


def _alone(conn: Connection) -> bool:
    """Whether no other process counts; until the end of the transaction."""
    lock = "SELECT pg_try_advisory_xact_lock(hashtextextended('tower.rollups', 0))"
    return bool(conn.execute(text(lock)).scalar_one())
