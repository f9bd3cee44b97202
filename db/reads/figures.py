"""Every figure of the catalogue: its value, its course, by whom, and the subjects it counted.

The one door for screens, the command, mails and the read API. A figure's subjects are one SELECT
(kpi_answers, kpi_shipments, kpi_receipts, kpi_orders, kpi_messages, kpi_cases); all answers here
are made from it. What figures mean is said in tower/kpi_catalogue.py.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, func, select

from db.reads import (
    counted_ahead,
    kpi_answers,
    kpi_cases,
    kpi_messages,
    kpi_now,
    kpi_orders,
    kpi_receipts,
    kpi_shipments,
    names,
    sums,
)
from db.reads.counted_ahead import Ahead
from db.reads.counting import Counted, Question, midnight
from db.reads.filters import Filter, Period, within_scope
from db.reads.remembered import once
from db.reads.restating import restated
from db.reads.rules import rulebook
from db.roles import knowing_the_house
from db.tables import checkpoint, document, partner
from tower.access import Scope
from tower.kpi_catalogue import (
    OF_CUSTOMERS_HURT,
    WEIGHTS,
    Switches,
    check_dimension,
    chosen,
    definition,
)
from tower.kpi_definition import OF_CUSTOMERS, Definition
from tower.kpi_score import Targets, Weights, score
from tower.kpi_sums import NOTHING, Sums, Value, figure_of, value_of
from tower.kpis import Figure

NO_SWITCHES: Switches = {}
DIMENSIONS = ("supplier", "buyer", "warehouse", "category", "topic")
SCORE = "supplier_score"

Maker = Callable[[Question], Counted]
Asked = tuple[str, Switches]
"""A figure and its switches."""

MAKERS: Mapping[str, Maker] = {
    "ack_on_time": kpi_answers.ack_on_time,
    "ack_cycle_clock": kpi_answers.ack_cycle,
    "ack_cycle_business": kpi_answers.ack_cycle,
    "first_confirm": kpi_answers.first_confirm,
    "fa_rate": kpi_answers.fa_rate,
    "coverage": kpi_answers.coverage,
    "asn_on_time": kpi_shipments.asn_on_time,
    "asn_valid": kpi_shipments.asn_valid,
    "asn_accurate": kpi_shipments.asn_accurate,
    "shipped_on_time": kpi_shipments.shipped_on_time,
    "fill_first": kpi_shipments.fill_first,
    "commit_reliability": kpi_receipts.commit_reliability,
    "otif": kpi_receipts.otif,
    "fill_line": kpi_receipts.fill,
    "fill_unit": kpi_receipts.fill,
    "fill_value": kpi_receipts.fill,
    "unit_days_late": kpi_receipts.unit_days_late,
    "promise_reliability": kpi_receipts.promise_reliability,
    "perfect_order": kpi_orders.perfect_order,
    "lead_time": kpi_orders.lead_time,
    "lead_time_var": kpi_orders.lead_time,
    "invoice_match": kpi_orders.invoice_match,
    "hop_latency": kpi_messages.hop_latency,
    "partner_error_rate": kpi_messages.partner_error_rate,
    "retry_count": kpi_messages.retry_count,
    "queue_depth": kpi_messages.queue_depth,
    "feed_freshness": kpi_messages.feed_freshness,
    "orders_affected": kpi_cases.orders_affected,
    "value_at_risk": kpi_cases.value_at_risk,
    "open_exceptions": kpi_cases.open_exceptions,
    "exception_age": kpi_cases.exception_age,
    "mtta": kpi_cases.mtta,
    "mttr": kpi_cases.mttr,
    "alert_precision": kpi_cases.alert_precision,
    "auto_healed": kpi_cases.auto_healed,
}


@dataclass(frozen=True, slots=True)
class Told:
    """One figure among several: ``key`` of the supplier, buyer, warehouse, category or topic (""
    where the subjects have none), or the first day of a week or month, with the name people know
    it by."""

    key: str
    name: str
    figure: Figure


def figure(
    conn: Connection,
    scope: Scope,
    kpi_id: str,
    narrowed: Filter,
    now: datetime,
    switches: Switches = NO_SWITCHES,
) -> Figure:
    """One figure over the period of ``narrowed``, with the period before and its course.

    ``now``: what is due after it is pending; figures of now are told as of it. Raises
    UnknownChoice for a figure, switch or word that the catalogue does not know.
    """
    return several(conn, scope, [(kpi_id, switches)], narrowed, now)[0]


def several(
    conn: Connection, scope: Scope, asked: Sequence[Asked], narrowed: Filter, now: datetime
) -> list[Figure]:
    """The same of several figures, each with its switches. What is counted ahead of them, and of
    the parts of a score, is read at once."""
    wanted = [(kpi_id, chosen(definition(kpi_id), switches)) for kpi_id, switches in asked]
    found: dict[_Key, Figure] = {}
    aheads: dict[_Key, Ahead] = {}
    for kpi_id, words in _with_parts(conn, wanted):
        key = _key(kpi_id, words)
        if key in found or key in aheads:
            continue
        of = definition(kpi_id)
        if (nothing := _lacking(scope, of, words, narrowed)) is not None:
            found[key] = nothing
        elif kpi_id in kpi_now.SPECIAL:
            told = kpi_now.SPECIAL[kpi_id](conn, scope, narrowed, now)
            found[key] = _finished(conn, told, words)
        elif kpi_id != SCORE:
            question = _question(conn, scope, of, narrowed, now, words)
            counted = counted_ahead.subjects_of(question, MAKERS[kpi_id])
            if isinstance(counted, Ahead):
                aheads[key] = counted
            else:
                found[key] = _of_documents(question, counted)
    read = counted_ahead.in_parts(list(aheads.values()))
    for (key, ahead), parts in zip(aheads.items(), read, strict=True):
        told = figure_of(ahead.question.definition, *parts)
        found[key] = _completed(ahead.question, ahead, told)
    figures = []
    for kpi_id, words in wanted:
        key = _key(kpi_id, words)
        if key not in found:
            weights, targets = scoring(conn)
            found[key] = score({c: found[_key(c, _usual(c))] for c in weights}, weights, targets)
        figures.append(found[key])
    return figures


_Key = tuple[str, frozenset[tuple[str, str]]]


def _key(kpi_id: str, words: Switches) -> _Key:
    return kpi_id, frozenset(words.items())


def _usual(kpi_id: str) -> Switches:
    return chosen(definition(kpi_id), NO_SWITCHES)


def _with_parts(conn: Connection, wanted: Sequence[Asked]) -> list[Asked]:
    """The figures, those that a score is made of beside it."""
    found = list(wanted)
    if any(kpi_id == SCORE for kpi_id, _ in wanted):
        found += [(part, _usual(part)) for part in scoring(conn)[0]]
    return found


def _of_documents(question: Question, counted: Counted) -> Figure:
    of = question.definition
    if of.snapshot:
        beside = kpi_now.beside(question, of.id)
        told = figure_of(of, sums.of_all(question, counted), beside=beside)
    else:
        told = figure_of(of, *sums.in_parts(question, counted))
    return _completed(question, counted, told)


def _completed(question: Question, counted: Counted | Ahead, told: Figure) -> Figure:
    """A figure with why it is nothing, what was told of its period later, and when."""
    conn, of, words, now = question.conn, question.definition, question.switches, question.now
    if told.value == 0 and (why := _untold(conn, of.id, words)):
        told = replace(told, value=None, interval=None, reason=f"no data: {why}")
    ended = question.narrowed.period.end <= midnight(now.astimezone(UTC).date())
    if told.n and not of.snapshot and ended:
        listed = MAKERS[of.id](replace(question, span=question.period, detailed=True))
        told = replace(told, restated=restated(conn, listed, question.period.end))
    return _stamped(told, words, _as_of(conn, counted))


def figures_by(
    conn: Connection,
    scope: Scope,
    kpi_id: str,
    by: str,
    narrowed: Filter,
    now: datetime,
    switches: Switches = NO_SWITCHES,
) -> list[Told]:
    """The figure of each supplier, buyer, warehouse, category of goods or topic that has subjects
    in the period, those with most subjects first; by week or month the same as ``course``.

    Without course and period before: compare with ``course`` of one. Raises UnknownChoice.
    """
    return several_by(conn, scope, [(kpi_id, switches)], by, narrowed, now)[0]


def several_by(
    conn: Connection,
    scope: Scope,
    asked: Sequence[Asked],
    by: str,
    narrowed: Filter,
    now: datetime,
) -> list[list[Told]]:
    """The same of several figures, each with its switches; but by week or month what is counted
    ahead of them is read at once."""
    if by in ("week", "month"):
        return [course(conn, scope, kpi, by, narrowed, now, switches) for kpi, switches in asked]
    found: list[list[Told]] = [[] for _ in asked]
    aheads: dict[int, Ahead] = {}
    for place, (kpi_id, switches) in enumerate(asked):
        of = definition(kpi_id)
        words = chosen(of, switches)
        check_dimension(of, by)
        if kpi_id == SCORE:
            weights, targets = scoring(conn)
            parts = [(part, NO_SWITCHES) for part in weights]
            told = several_by(conn, scope, parts, by, narrowed, now)
            found[place] = _scores(dict(zip(weights, told, strict=True)), weights, targets)
        elif _lacking(scope, of, words, narrowed, by) is None:
            needs = frozenset({by})
            question = _question(conn, scope, of, narrowed, now, words, needs=needs, before=False)
            counted = counted_ahead.subjects_of(question, MAKERS[kpi_id])
            if isinstance(counted, Ahead):
                aheads[place] = counted
            else:
                of_each = sums.by_dimension(question, counted, by)
                found[place] = _named(question, by, of_each, _as_of(conn, counted))
    read = counted_ahead.by_dimension(list(aheads.values()))
    for (place, ahead), of_each in zip(aheads.items(), read, strict=True):
        found[place] = _named(ahead.question, by, of_each, _as_of(conn, ahead))
    return found


def values_by_periods(
    conn: Connection,
    scope: Scope,
    kpis: Sequence[str],
    by: str,
    narrowed: Filter,
    periods: Sequence[Period],
    now: datetime,
) -> list[dict[str, dict[str, tuple[Value, int]]]]:
    """Value and number of subjects of several figures by their usual definitions, for each of
    several periods: figure -> key as in ``figures_by``. What is counted ahead is read at once."""
    found: list[dict[str, dict[str, tuple[Value, int]]]] = [{} for _ in periods]
    aheads: list[tuple[int, str, Ahead]] = []
    for place, period in enumerate(periods):
        asked = replace(narrowed, period=period)
        for kpi_id in kpis:
            of = definition(kpi_id)
            words = chosen(of, {})
            question = _question(
                conn, scope, of, asked, now, words, needs=frozenset({by}), before=False
            )
            counted = None
            if kpi_id != SCORE and _lacking(scope, of, words, asked, by) is None:
                counted = counted_ahead.subjects_of(question, MAKERS[kpi_id])
            if isinstance(counted, Ahead):
                aheads.append((place, kpi_id, counted))
            else:
                told = figures_by(conn, scope, kpi_id, by, asked, now)
                found[place][kpi_id] = {t.key: (t.figure.value, t.figure.n) for t in told}
    read = counted_ahead.by_dimension([ahead for _, _, ahead in aheads])
    named = labels(conn, scope, by)
    for (place, kpi_id, ahead), sums_of in zip(aheads, read, strict=True):
        found[place][kpi_id] = {
            named.get(key, _unnamed(key))[0]: (value_of(ahead.question.definition, one)[0], one.n)
            for key, one in sums_of.items()
        }
    return found


def _named(
    question: Question, by: str, found: Mapping[Hashable, Sums], stamp: datetime | None
) -> list[Told]:
    named = labels(question.conn, question.scope, by)
    of, words = question.definition, question.switches
    told = [
        Told(*named.get(key, _unnamed(key)), _stamped(figure_of(of, one), words, stamp))
        for key, one in found.items()
    ]
    return sorted(told, key=lambda t: (-t.figure.n, t.key))


def course(
    conn: Connection,
    scope: Scope,
    kpi_id: str,
    step: str,
    narrowed: Filter,
    now: datetime,
    switches: Switches = NO_SWITCHES,
) -> list[Told]:
    """The figure of every week (from Monday) or month, UTC, that the period touches, oldest first;
    those at its ends hold only what the period holds of them. Raises UnknownChoice."""
    of = definition(kpi_id)
    words = chosen(of, switches)
    check_dimension(of, step)
    if kpi_id == SCORE:
        weights, targets = scoring(conn)
        parts = {c: course(conn, scope, c, step, narrowed, now) for c in weights}
        return sorted(_scores(parts, weights, targets), key=lambda t: t.key)
    nothing = _lacking(scope, of, words, narrowed)
    found: Mapping[date, Sums] = {}
    counted = None
    if nothing is None:
        question = _question(conn, scope, of, narrowed, now, words, before=False)
        counted = counted_ahead.subjects_of(question, MAKERS[kpi_id])
        found = sums.by_calendar(question, counted, step)
    stamp = _as_of(conn, counted)
    return [
        Told(
            start.isoformat(),
            f"{start:%b %Y}" if step == "month" else f"week of {start:%d %b %Y}",
            nothing or _stamped(figure_of(of, found.get(start, NOTHING)), words, stamp),
        )
        for start in starts(narrowed.period, step)
    ]


def weeks_by_supplier(
    conn: Connection, scope: Scope, kpi_id: str, narrowed: Filter, now: datetime
) -> dict[tuple[date, Hashable], Sums]:
    """What the subjects of a figure come to by week (its Monday, UTC) and number of the
    supplier."""
    of = definition(kpi_id)
    by = frozenset({"supplier"})
    asked = _question(conn, scope, of, narrowed, now, chosen(of, {}), needs=by, before=False)
    found = counted_ahead.subjects_of(asked, MAKERS[kpi_id])
    return sums.by_calendar_and_dimension(asked, found, "week", "supplier")


def starts(period: Period, step: str) -> list[date]:
    """First days of the weeks or months that a period touches."""
    day = period.start.date()
    last = (period.end - timedelta(microseconds=1)).date()
    day = day - timedelta(days=day.weekday()) if step == "week" else day.replace(day=1)
    found = []
    while day <= last:
        found.append(day)
        if step == "week":
            day += timedelta(weeks=1)
        else:
            day = (day + timedelta(days=32)).replace(day=1)
    return found


_OF_RECEIPTS = frozenset(
    ("otif", "commit_reliability", "fill_line", "fill_unit", "fill_value", "perfect_order")
)


def _untold(conn: Connection, kpi_id: str, words: Switches) -> str:
    """Why nothing at all was received or delivered: no feed ever told of it. "" if one did.

    Asked only where a figure would be zero; the first line received answers it.
    """
    d = document.c
    if kpi_id == "promise_reliability" or words.get("side") == "customer":
        kind, what = "order_line", "deliveries to customers"
    elif kpi_id in _OF_RECEIPTS:
        kind, what = "po_line", "goods received"
    else:
        return ""
    one = select(d.home_key).where(d.kind == kind, d.goods_received_at.is_not(None)).limit(1)
    return "" if conn.execute(one).first() else f"no feed has told of {what} yet"


# --- shared ---------------------------------------------------------------------------------------


def _question(
    conn: Connection,
    scope: Scope,
    of: Definition,
    narrowed: Filter,
    now: datetime,
    words: Switches,
    *,
    needs: frozenset[str] = frozenset(),
    detailed: bool = False,
    before: bool = True,
) -> Question:
    """``before``: the period before is asked for, too."""
    period = narrowed.period
    if of.dated:
        # Days, not instants, fall due: the last day is that before the end.
        period = Period(midnight(period.start.date()), midnight(period.end.date()))
    span = Period(period.previous().start, period.end) if before else period
    return Question(
        conn, scope, of, narrowed, span, period, now, words, needs=needs, detailed=detailed
    )


def lacking(scope: Scope, kpi_id: str, switches: Switches, narrowed: Filter) -> Figure | None:
    """The figure without data where its subjects have not what it is narrowed to, or where it is
    not told to this viewer; else None."""
    of = definition(kpi_id)
    return _lacking(scope, of, chosen(of, switches), narrowed)


def question(
    conn: Connection,
    scope: Scope,
    kpi_id: str,
    narrowed: Filter,
    now: datetime,
    switches: Switches = NO_SWITCHES,
) -> Question:
    """The question whose subjects are listed (db/reads/subjects.py)."""
    of = definition(kpi_id)
    words = chosen(of, switches)
    return _question(conn, scope, of, narrowed, now, words, detailed=True, before=False)


def _lacking(
    scope: Scope, of: Definition, words: Switches, narrowed: Filter, by: str | None = None
) -> Figure | None:
    """No data where its subjects do not have what the question is narrowed to or told apart by."""
    if of.id in OF_CUSTOMERS_HURT and not scope.sees_value_at_risk:
        reason = "not told to your role, which does not include customers.read"
        return Figure(of, None, 0, reason=reason, switches=words)
    known = OF_CUSTOMERS if words.get("side") == "customer" else of.by
    asked = [name for name in DIMENSIONS if getattr(narrowed, name) is not None]
    for name in (*asked, *([by] if by else [])):
        if name not in known:
            named = "category of goods" if name == "category" else name
            reason = f"no data: {of.counts} of this figure have no {named}"
            return Figure(of, None, 0, reason=reason, switches=words)
    return None


def _as_of(conn: Connection, counted: Counted | Ahead | None = None) -> datetime | None:
    """The newest good read; of what was counted ahead, when it was, if it has changed since."""
    found = once(conn, "newest good read", lambda: _newest_good_read(conn))
    if found is None or not isinstance(counted, Ahead):
        return found
    return min(found, counted_ahead.counted_until(conn) or found)


def _newest_good_read(conn: Connection) -> datetime | None:
    newest = select(func.max(checkpoint.c.last_good_at))
    with knowing_the_house(conn):
        found: datetime | None = conn.execute(newest).scalar_one()
    return found


def _finished(conn: Connection, found: Figure, words: Switches) -> Figure:
    return _stamped(found, words, _as_of(conn))


def _stamped(found: Figure, words: Switches, as_of: datetime | None) -> Figure:
    return replace(found, switches=dict(words), as_of=as_of)


def labels(conn: Connection, scope: Scope, by: str) -> dict[Hashable, tuple[str, str]]:
    """Number of a supplier -> its key and name; categories of goods by the names that the network
    gives them; others are named by their key."""
    if by == "category":
        net = names.network(conn)
        return {} if net is None else {code: (code, name) for code, name in net.goods.items()}
    if by != "supplier":
        return {}
    return once(conn, ("suppliers", scope), lambda: _suppliers(conn, scope))


def _suppliers(conn: Connection, scope: Scope) -> dict[Hashable, tuple[str, str]]:
    p = partner.c
    rows = conn.execute(select(p.partner_id, p.key, p.name).where(*within_scope(p, scope)))
    return {number: (key, name) for number, key, name in rows}


def _unnamed(key: Hashable) -> tuple[str, str]:
    if key is None:
        return "", "none told"
    return (str(key), str(key)) if isinstance(key, str) else ("", "not in the network")


def scoring(conn: Connection) -> tuple[Weights, Targets]:
    """Weights and targets of the score by the rule book in force; the usual ones before it."""
    book = rulebook(conn)
    if book is None:
        return WEIGHTS, {}
    chosen_ones = book.scorecard.figures
    return (
        {name: one.weight for name, one in chosen_ones.items()},
        {name: float(one.target) for name, one in chosen_ones.items()},
    )


def _scores(parts: Mapping[str, list[Told]], weights: Weights, targets: Targets) -> list[Told]:
    together: dict[str, tuple[str, dict[str, Figure]]] = {}
    for component, told in parts.items():
        for one in told:
            together.setdefault(one.key, (one.name, {}))[1][component] = one.figure
    found = [Told(key, name, score(of, weights, targets)) for key, (name, of) in together.items()]
    return sorted(found, key=lambda t: (-float(t.figure.value or -1), t.key))
