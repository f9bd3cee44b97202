"""Figures counted ahead, so that a page over millions of documents asks for a few thousand rows.

A week's documents (by the release of their header, which hardly ever moves) are counted whole,
from the documents themselves and by the very SELECTs that figures are made from: nothing is added
up as messages come, so that late, doubled or corrected facts need no thought of their own. Whoever
changes a document or a clock leaves a mark for its week (db/week_marks.py); the worker counts
marked weeks anew. So the counts equal a full rebuild whatever came in which order, as soon as no
mark is left.

What one week of documents comes to (figure_count) is added up over all of them by day and by
calendar week (figure_span), anew for each calendar week that has changed: pages read that alone.

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
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql

from db.configuration import NETWORK, RULES
from db.reads import kpi_ahead
from db.reads.counted_ahead import BESIDE, BY_DAY_ALONE, FIGURES, OF_HOUSE, SINCE, monday
from db.reads.counting import Question, Week, midnight
from db.reads.figures import MAKERS
from db.reads.filters import Filter, Period
from db.reads.receipts import differences, worth
from db.tables import (
    active_config,
    document,
    figure_count,
    figure_line,
    figure_mark,
    figure_shift,
    figure_span,
    figure_week,
)
from db.week_marks import NO_RELEASE
from tower.access import EVERYTHING
from tower.kpi_catalogue import chosen, definition

LEAST_DOCUMENTS = 200_000
ADDED_UP_AFTER = 8  # weeks counted: how often pages see what has been counted in a long round
KEPT_WEEKS = 80  # four quarters of a trend, and the half year that orders take
FORGOTTEN = ""  # in the place of the configuration: of a week that is not kept any more
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
        if not done % ADDED_UP_AFTER:
            add_up(engine)
    add_up(engine)
    return done


def _due(engine: Engine, now: datetime, least: int) -> list[date]:
    """Weeks to count. Marks of weeks that nobody counts are dropped."""
    last = monday(now.astimezone(UTC).date())
    kept = [last - timedelta(weeks=n) for n in range(KEPT_WEEKS)] + [NO_RELEASE]
    m, w, s = figure_mark.c, figure_week.c, figure_shift.c
    with engine.begin() as conn:
        if not _alone(conn):
            return []
        known = dict(conn.execute(select(w.week, w.config)).all())
        # Counted, but not added up because somebody stopped.
        waiting = select(s.week, func.max(s.config)).where(s.config != FORGOTTEN)
        known |= dict(conn.execute(waiting.group_by(s.week)).all())
        if not known and _documents(conn) < least:
            conn.execute(delete(figure_mark))
            return []
        config = _config(conn)
        for week in known.keys() - set(kept):
            _forget(conn, week, now, config)
        conn.execute(delete(figure_mark).where(m.week.not_in(kept)))
        marked = set(conn.execute(select(m.week).distinct()).scalars())
    return [week for week in kept if week in marked or known.get(week) != config]


def count_week(conn: Connection, week: date, now: datetime) -> None:
    """Count one week anew. Its marks go first: who marks later is seen the next time, whatever this
    transaction saw of it. Pages see it when it is added up."""
    config = _config(conn)
    conn.execute(delete(figure_mark).where(figure_mark.c.week == week))
    _shift(conn, week, now, config)
    conn.execute(delete(figure_count).where(figure_count.c.week == week))
    if _anything(conn, week):
        for kpi in (*FIGURES, *BESIDE):
            _count(conn, kpi, week, now)
    _find_lines(conn, week)
    _shift(conn, week, now, config)


def _find_lines(conn: Connection, week: date) -> None:
    """The lines of which something else came than was announced."""
    d, f = document.c, figure_line.c
    conn.execute(delete(figure_line).where(f.week == week))
    told = (d.home_key, d.scope, d.number, d.line, literal(week, Date), d.goods_received_at,
            d.partner_id, d.buyer, d.warehouse, func.coalesce(worth(), -1))  # fmt: skip
    names = ("home_key", "scope", "number", "line", "week", "received_at", "partner_id", "buyer",
             "warehouse", "worth")  # fmt: skip
    h = document.alias("of_week").c
    header = Week(None if week == NO_RELEASE else week, _LATE).released(h, "po")
    found = select(*told).where(
        d.kind == "po_line",
        d.goods_received_at.is_not(None),
        d.home_key.in_(select(h.home_key).where(*header)),
        or_(*differences(conn).values()),
    )
    upsert = postgresql.insert(figure_line).from_select(list(names), found)
    new = upsert.excluded
    conn.execute(
        # Its order may have moved here from another week.
        upsert.on_conflict_do_update(
            index_elements=list(names[:4]), set_={name: new[name] for name in names[4:]}
        )
    )


def _shift(conn: Connection, week: date, now: datetime, config: str) -> None:
    """The calendar weeks in which something of a week of release counts are to be added up anew;
    of one in which nothing does, that it was counted."""
    told = {"week": week, "now": now, "config": config, "none": NO_RELEASE}
    conn.execute(text(_SHIFT), told)


_SHIFT = """
INSERT INTO figure_shift (week, monday, counted_at, config)
SELECT :week, monday, :now, :config
FROM (SELECT CAST(date_trunc('week', day) AS date) AS monday FROM figure_count WHERE week = :week
      UNION SELECT :none) AS days
ON CONFLICT (week, monday) DO UPDATE
SET counted_at = excluded.counted_at, config = excluded.config
"""


def _forget(conn: Connection, week: date, now: datetime, config: str) -> None:
    """A week that has grown too old to be kept."""
    _shift(conn, week, now, config)
    conn.execute(delete(figure_count).where(figure_count.c.week == week))
    conn.execute(delete(figure_line).where(figure_line.c.week == week))
    conn.execute(delete(figure_week).where(figure_week.c.week == week))
    conn.execute(update(figure_shift).where(figure_shift.c.week == week).values(config=FORGOTTEN))


def add_up(engine: Engine) -> None:
    """Add up anew the calendar weeks of which something was counted: all in one transaction, for
    what has moved from one week to another is in both."""
    s = figure_shift.c
    with engine.begin() as conn:
        if not _alone(conn):
            return
        mondays = sorted(conn.execute(select(s.monday).distinct()).scalars())
        if not mondays:
            return
        mondays = [one for one in mondays if one != NO_RELEASE] or mondays
        conn.execute(
            delete(figure_span).where(
                cast(func.date_trunc("week", figure_span.c.start), Date).in_(mondays)
            )
        )
        for kpi in (*FIGURES, *BESIDE):
            for days in (1,) if kpi in BY_DAY_ALONE else (1, 7):
                told = {"kpi": kpi, "days": days, "mondays": mondays, "since": SINCE}
                told |= {"first": mondays[0], "beyond": mondays[-1] + timedelta(weeks=1)}
                conn.execute(text(_ADDED_UP), told | {"by": ["", *_PARTIES]})
        counted = (
            select(s.week, func.max(s.counted_at), func.max(s.config))
            .where(s.config != FORGOTTEN)
            .group_by(s.week)
        )
        names = ["week", "counted_at", "config"]
        upsert = postgresql.insert(figure_week).from_select(names, counted)
        new = upsert.excluded
        conn.execute(
            upsert.on_conflict_do_update(
                index_elements=["week"],
                set_={"counted_at": new.counted_at, "config": new.config},
            )
        )
        conn.execute(delete(figure_shift))


_ADDED_UP = """
INSERT INTO figure_span
    (figure, by, days, start, verdict, healed, word, suppliers, parties, each, n, amount, weight)
SELECT :kpi, by, :days, start, verdict, healed, word,
    CASE WHEN by = 'supplier' THEN array_agg(supplier ORDER BY supplier, party, each) END,
    CASE WHEN by IN ('buyer', 'warehouse')
         THEN array_agg(party ORDER BY supplier, party, each) END,
    CASE WHEN bool_or(each <> 0) THEN array_agg(each ORDER BY supplier, party, each) END,
    array_agg(n ORDER BY supplier, party, each),
    CASE WHEN count(amount) > 0 THEN array_agg(amount ORDER BY supplier, party, each) END,
    CASE WHEN count(weight) > 0 THEN array_agg(weight ORDER BY supplier, party, each) END
FROM (
    SELECT by, CASE WHEN :days = 1 THEN day ELSE CAST(date_trunc('week', day) AS date) END AS start,
        verdict, healed, word, supplier, party, each, sum(n) AS n, sum(weight) AS weight,
        sum(CASE WHEN :kpi = 'unit_days_late' THEN amount - weight * (day - CAST(:since AS date))
                 ELSE amount END) AS amount
    FROM figure_count
    WHERE figure = :kpi AND by = ANY(:by) AND day >= :first AND day < :beyond
        AND CAST(date_trunc('week', day) AS date) = ANY(:mondays)
    GROUP BY by, start, verdict, healed, word, supplier, party, each
) AS alike
GROUP BY by, start, verdict, healed, word
"""


def _count(conn: Connection, kpi: str, week: date, now: datetime) -> None:
    of = kpi_ahead.DEFINITIONS.get(kpi) or definition(kpi)
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
    r = {**MAKERS, **kpi_ahead.MAKERS}[kpi](question).rows.subquery().c
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
