"""Figures from what was counted ahead, where that gives what their documents would.

``figure_span`` holds the subjects of a figure by day and by calendar week, those that are alike as
one (db/rollups.py). What depends on the instant of asking is decided here: what is not due yet,
what a silent feed may have told. Whoever asks for more than it holds is answered from documents.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select

from db.reads import kpi_ahead, spans
from db.reads.counting import (
    LONGEST_ORDER,
    PENDING,
    UNKNOWN,
    Counted,
    Question,
    midnight,
)
from db.reads.filters import Filter, Period
from db.reads.kpi_answers import covered_since
from db.reads.kpi_shipments import RECEIVED_WITHIN, RECEIVING
from db.reads.piles import Pile
from db.reads.remembered import once
from db.tables import figure_mark, figure_shift, figure_week
from tower.access import Scope
from tower.identity import partner_id
from tower.kpi_definition import Definition
from tower.kpi_sums import Sums
from tower.kpis import HIT, MISS

FIGURES = (
    *("ack_on_time", "ack_cycle_clock", "ack_cycle_business", "coverage"),
    *("first_confirm", "commit_reliability"),
    *("asn_on_time", "asn_valid", "asn_accurate"),
    *("otif", "fill_value", "perfect_order"),
    *("invoice_match", "lead_time", "unit_days_late"),
)
"""What is counted ahead: figures of the pages of leaders, by their usual definition."""

BESIDE = tuple(kpi_ahead.DEFINITIONS)
"""What else is counted ahead for these pages."""

SAME_AS: Mapping[str, str] = {"fill_line": "otif"}
"""Figures that count the same subjects as another, by their usual definitions."""

OF_HOUSE = frozenset({"coverage"})
"""Figures of which only those of the whole house are counted ahead."""

BY_DAY_ALONE = frozenset({"coverage"})
"""Figures that are not added up by week: which of its days counts depends on the period."""

SINCE = date(2000, 1, 1)
"""From when the days of what is missing are counted (``unit_days_late``)."""

OF_CLOCKS = frozenset({"ack_on_time", "ack_cycle_clock", "ack_cycle_business", "coverage"})
_PARTIES = ("supplier", "buyer", "warehouse")
_BY_ANY_ORDER = frozenset({"asn_on_time", "asn_valid"})
_WHEN_DONE = frozenset({"lead_time", kpi_ahead.ACTUAL.id, kpi_ahead.ASKED.id})
"""Figures of what is done, by the day on which it was: nothing of it is still to come."""

_BLIND = frozenset({"commit_reliability", "otif", "fill_line", "fill_value"})


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def usual(of: Definition, switches: Mapping[str, str]) -> bool:
    """Whether these are the choices that a figure has unless others are made."""
    return all(switches.get(name) == words[0] for name, words in of.switches.items())


def told_by(question: Question) -> str | None:
    """The party by which the counts are to be read, "" for all of the house; None: by more than
    one, of which only documents tell."""
    asked = {
        name
        for name in (*_PARTIES, "category")
        if name in question.needs or getattr(question.narrowed, name) is not None
    }
    if len(asked) > 1 or "category" in asked:
        return None
    return next(iter(asked), "")


Parts = tuple[Sums, Sums, tuple[Sums, ...]]
Place = Callable[[date], Any]
"""A word for days that are told together."""


@dataclass(frozen=True)
class Ahead:
    """What was counted ahead of a question.

    words     the columns that its subjects have
    outside   words under which they are left out
    late      subjects of today, from the documents: clocks that fell due since midnight
    """

    question: Question
    words: frozenset[str]
    outside: tuple[str, ...]
    late: Counted | None = None

    def in_parts(self) -> Parts:
        """(the period, the one before, each part of the period)."""
        return in_parts([self])[0]

    def by_dimension(self, by: str) -> dict[Hashable, Sums]:
        """By number of the supplier, buyer or warehouse; None where a subject has none."""
        return {key: self._sums(pile) for (_, key), pile in self.piles(_as_one).items()}

    def by_calendar(self, step: str) -> dict[date, Sums]:
        """By first day of each week or month, UTC."""
        return {start: sums for (start, _), sums in self.by_calendar_and_party(step).items()}

    def by_calendar_and_party(self, step: str) -> dict[tuple[date, Hashable], Sums]:
        first = monday if step == "week" else _first_of_month
        return {key: self._sums(pile) for key, pile in self.piles(first).items()}

    def piles(self, place: Place) -> dict[tuple[Any, Hashable], Pile]:
        """Subjects by place, a word for days, and by party where the question asks for one."""
        return piled([self], [place])[0]

    def _sums(self, pile: Pile | None) -> Sums:
        return (pile or Pile()).sums(self.question.definition, self.words, self.outside)


def _first_of_month(day: date) -> date:
    return day.replace(day=1)


def _as_one(_: date) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class _Spans:
    """Days or calendar weeks that are read for one place."""

    place: Any
    since: date  # the first day: all of them are judged alike
    days: list[tuple[int, date]] = field(default_factory=list)


def in_parts(aheads: Sequence[Ahead]) -> list[Parts]:
    """``Ahead.in_parts`` of several questions by the same parties, in one reading."""

    def place_of(period: Period) -> Place:
        seconds = period.length.total_seconds() / period.parts

        def place(day: date) -> int:
            part = int((midnight(day) - period.start).total_seconds() // seconds)
            return max(part, -1)  # the period before is one part: nobody draws its course

        return place

    found = []
    piles_of = piled(aheads, [place_of(one.question.period) for one in aheads])
    for one, piles in zip(aheads, piles_of, strict=True):
        number = range(one.question.period.parts)
        parts = tuple(one._sums(piles.get((place, None))) for place in number)
        whole = Pile()
        for (place, _), pile in piles.items():
            if place != -1:
                whole.add(pile)
        found.append((one._sums(whole), one._sums(piles.get((-1, None))), parts))
    return found


def piled(
    aheads: Sequence[Ahead], places: Sequence[Place]
) -> list[dict[tuple[Any, Hashable], Pile]]:
    """The subjects of several questions by the same parties, each with its word for days, in one
    reading."""
    if not aheads:
        return []
    one = aheads[0].question
    by = told_by(one) or ""
    party = getattr(one.narrowed, by) if by else None
    if party is not None and by == "supplier":
        party = partner_id(party)
    found: list[dict[tuple[Any, Hashable], Pile]] = [{} for _ in aheads]
    # Figures of the same subjects read them once.
    wanted: dict[spans.Days, list[tuple[int, _Spans]]] = {}
    for number, (ahead, place) in enumerate(zip(aheads, places, strict=True)):
        for alike in _spans_of(ahead.question, place):
            wanted.setdefault(_days(ahead, alike), []).append((number, alike))
    asked = list(wanted)
    for told in spans.read(one.conn, asked, by, party):
        for number, alike in wanted[asked[told.place]]:
            _lay(found[number], aheads[number].question, by, alike, told)
    for number, (ahead, place) in enumerate(zip(aheads, places, strict=True)):
        if ahead.late is not None:
            _add_late(ahead.question, ahead.late, place, found[number])
    return found


def _days(ahead: Ahead, alike: _Spans) -> spans.Days:
    of = ahead.question.definition
    by_day = of.id in BY_DAY_ALONE
    weighs = not ahead.words or not ahead.words.isdisjoint(_WEIGHING)
    return spans.Days(
        SAME_AS.get(of.id, of.id),
        tuple(alike.days),
        values=by_day or of.statistic == "median",
        weighs=weighs,
        apart=by_day,
    )


def _spans_of(question: Question, place: Place) -> list[_Spans]:
    """The days that count, those of one place that are judged alike together; whole calendar weeks
    among them as such."""
    cuts = {question.today, question.today - RECEIVED_WITHIN, question.receipts_known_to}
    whole = question.definition.id not in BY_DAY_ALONE
    cuts.add(question.period.start.date())
    found: list[_Spans] = []
    day, beyond = question.first, _last(question)
    while day < beyond:
        where = place(day)
        if not found or found[-1].place != where or day in cuts:
            found.append(_Spans(where, day))
        week = day + timedelta(weeks=1)
        alike = (day + timedelta(days=n) for n in range(1, 7))
        if (
            whole
            and not day.weekday()
            and week <= beyond
            and all(place(one) == where and one not in cuts for one in alike)
        ):
            found[-1].days.append((7, day))
            day = week
        else:
            found[-1].days.append((1, day))
            day += timedelta(days=1)
    return found


_WEIGHING = frozenset({"amount", "weight"})


def _lay(
    found: dict[tuple[Any, Hashable], Pile],
    question: Question,
    by: str,
    alike: _Spans,
    told: spans.Alike,
) -> None:
    """What was read, to the piles of its place and parties."""
    kpi = question.definition.id
    verdict = _verdict(question, alike.since, told)
    days = None
    if kpi == "unit_days_late":
        days = (min(question.beyond, question.today) - SINCE).days
    median = question.definition.statistic == "median"
    for who, n in told.n.items():
        key = (alike.place, who if by in question.needs and who not in (0, "") else None)
        pile = found.get(key)
        if pile is None:
            pile = found[key] = Pile()
        if kpi == "coverage":
            _lay_covered(pile, question, told, told.each[who])
            continue
        amount, weight = told.amount.get(who), told.weight.get(who)
        if days is not None:
            amount = told.amount[who] + told.weight[who] * days
        pile.lay(verdict, n, healed=told.healed, unit=told.word, amount=amount, weight=weight,
                 values=told.each.get(who) if median else None)  # fmt: skip


def _verdict(question: Question, since: date, told: spans.Alike) -> str:
    """As of the instant of asking; of days from ``since`` on."""
    of, verdict = question.definition, told.verdict
    if of.dated and of.id not in _WHEN_DONE and since >= question.today:
        return PENDING
    if verdict == MISS:
        blind = question.receipts_known_to
        if of.id in _BLIND and blind is not None and not told.healed and since >= blind:
            return UNKNOWN
        if of.id == "asn_accurate" and since >= question.today - RECEIVED_WITHIN:
            return RECEIVING
    return verdict


def _lay_covered(
    pile: Pile, question: Question, told: spans.Alike, each: Mapping[float, int]
) -> None:
    """Each order once in each period, on the first of its days in it. All days of orders are there
    as hits; those on which a feed was silent as misses beside."""
    start = question.period.start.date()
    if told.day is None:
        return
    begin = start if told.day >= start else question.first
    for since, times in each.items():
        if since < 0 or told.day - timedelta(days=int(since)) < begin:
            pile.lay(told.verdict, times)
            if told.verdict == MISS:
                pile.lay(HIT, -times)


def _add_late(
    question: Question,
    late: Counted,
    place: Place,
    found: dict[tuple[Any, Hashable], Pile],
) -> None:
    """What fell due today, from its documents."""
    r = late.rows.subquery().c
    names = [name for name in ("verdict", "healed", "n", *question.needs) if name in r]
    apart = [r[name] for name in names]
    median = question.definition.statistic == "median"
    if median:
        rows = question.conn.execute(select(*apart, r.amount))
    else:
        rows = question.conn.execute(select(*apart, func.count().label("of")).group_by(*apart))
    party = next(iter(question.needs), "")
    for row in rows:
        told = row._mapping
        n = told.get("n", 1) * (1 if median else row.of)
        pile = found.setdefault((place(question.today), told.get(party)), Pile())
        values = {float(row.amount): 1} if median and row.amount is not None else None
        pile.lay(row.verdict, n, healed=bool(told.get("healed")), values=values)


def asked(
    conn: Connection,
    scope: Scope,
    of: Definition,
    narrowed: Filter,
    needs: frozenset[str] = frozenset(),
) -> Question:
    """The question for what is counted ahead beside the catalogue, as of the end of the period."""
    period = narrowed.period
    if of.dated:
        period = Period(midnight(period.start.date()), midnight(period.end.date()))
    now = narrowed.period.end
    return Question(conn, scope, of, narrowed, period, period, now, {}, needs=needs)


def subjects_of(question: Question, maker: Callable[[Question], Counted]) -> Counted | Ahead:
    """The subjects that ``maker`` finds in the documents, or what was counted of them ahead, if
    that tells the same."""
    if not holds(question):
        return maker(question)
    kpi = question.definition.id
    shape = _shapes.get(kpi)
    if shape is None:
        # Building a statement that is not asked costs more than asking the one that is.
        given = maker(question)
        shape = _shapes[kpi] = (frozenset(given.rows.selected_columns.keys()), given.outside)
    late = None
    if kpi in OF_CLOCKS and not _is_midnight(question.span.end):
        # Clocks that fall due later today are in the day's count, but not due yet.
        begin = midnight(question.today)
        if kpi == "coverage":
            late = Counted(covered_since(question, begin))
        else:
            late = maker(replace(question, span=Period(begin, question.span.end)))
    return Ahead(question, *shape, late)


_shapes: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {}
"""Columns of the subjects of a figure, and the words under which they are left out."""


def medians(questions: Sequence[Question]) -> list[dict[Hashable, tuple[int, float | None]]] | None:
    """Number and median of the subjects of several questions by the one party that all ask for, in
    one reading; None where only documents tell of one of them."""
    if not all(holds(question) for question in questions):
        return None
    aheads = [Ahead(question, frozenset({"verdict"}), ()) for question in questions]
    return [
        {
            key: (pile.counts.get(HIT, 0) + pile.counts.get(MISS, 0), pile.median())
            for (_, key), pile in piles.items()
        }
        for piles in piled(aheads, [_as_one] * len(aheads))
    ]


def by_dimension(aheads: Sequence[Ahead]) -> Iterator[dict[Hashable, Sums]]:
    """``Ahead.by_dimension`` of several questions by the same party, in one reading; one after the
    other, for nobody needs the sums of all of them at once."""
    for one, piles in zip(aheads, piled(aheads, [_as_one] * len(aheads)), strict=True):
        yield {key: one._sums(pile) for (_, key), pile in piles.items()}


def words(question: Question) -> dict[str, int] | None:
    """Subjects that count, by their word; None where only documents tell."""
    if not holds(question):
        return None
    pile = Ahead(question, frozenset(), ()).piles(_as_one).get((0, None), Pile())
    return {word: n for word, (n, _) in pile.units.items()}


def holds(question: Question) -> bool:
    kpi, narrowed, span = question.definition.id, question.narrowed, question.span
    by = told_by(question)
    if (
        SAME_AS.get(kpi, kpi) not in (*FIGURES, *BESIDE)
        or question.detailed
        or question.week is not None
        or not question.scope.sees_all
        or by is None
        or (by and kpi in OF_HOUSE)
        or not usual(question.definition, question.switches)
    ):
        return False
    if kpi in _BY_ANY_ORDER and (narrowed.buyer or narrowed.warehouse):
        return False  # a notice for orders of several counts for each of them
    whole = all(_is_midnight(moment) for moment in (span.start, question.period.start))
    up_to_now = span.end == question.now or _is_midnight(span.end)
    if not whole or not up_to_now or span.end > question.now:
        return False
    silent = question.receipts_known_to is not None
    if silent and question.definition.dated and kpi not in (*_BLIND, *_WHEN_DONE):
        return False
    return _weeks_are_counted(question)


def _is_midnight(moment: datetime) -> bool:
    return moment == midnight(moment.astimezone(UTC).date())


def _weeks_are_counted(question: Question) -> bool:
    first = monday((question.span.start - LONGEST_ORDER).date())
    last = monday(question.now.astimezone(UTC).date())
    wanted = (last - first).days // 7 + 1
    conn, weeks = question.conn, select(figure_week.c.week)
    counted = once(conn, "weeks counted", lambda: set(conn.execute(weeks).scalars()))
    return len([week for week in counted if first <= week <= last]) == wanted


def counted_until(conn: Connection) -> datetime | None:
    """When that was counted of which something has changed since; None if nothing has."""
    w = figure_week.c
    changed = or_(w.week.in_(select(figure_mark.c.week)), w.week.in_(select(figure_shift.c.week)))
    oldest = select(func.min(w.counted_at)).where(changed)

    def ask() -> datetime | None:
        found: datetime | None = conn.execute(oldest).scalar_one()
        return found

    return once(conn, "counted until", ask)


def _last(question: Question) -> date:
    """The day after the last that is read."""
    if _is_midnight(question.span.end) or question.definition.id in OF_CLOCKS:
        return question.beyond
    return question.beyond + timedelta(days=1)  # what happened today did so before now
