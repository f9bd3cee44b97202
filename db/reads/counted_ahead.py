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

from sqlalchemy import Connection, func, or_, select, text

from db.reads import kpi_ahead
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

    def in_parts(self) -> tuple[Sums, Sums, tuple[Sums, ...]]:
        """(the period, the one before, each part of the period)."""
        period = self.question.period
        seconds = period.length.total_seconds() / period.parts

        def part(day: date) -> int:
            return int((midnight(day) - period.start).total_seconds() // seconds)

        # The period before is one part: nobody draws its course.
        piles = self.piles(lambda day: max(part(day), -1))
        parts = [self._sums(piles.get((place, None))) for place in range(period.parts)]
        before = self._sums(piles.get((-1, None)))
        whole = Pile()
        for (place, _), pile in piles.items():
            if place != -1:
                whole.add(pile)
        return self._sums(whole), before, tuple(parts)

    def by_dimension(self, by: str) -> dict[Hashable, Sums]:
        """By number of the supplier, buyer or warehouse; None where a subject has none."""
        return {key: self._sums(pile) for (_, key), pile in self.piles(lambda _: 0).items()}

    def by_calendar(self, step: str) -> dict[date, Sums]:
        """By first day of each week or month, UTC."""
        return {start: sums for (start, _), sums in self.by_calendar_and_party(step).items()}

    def by_calendar_and_party(self, step: str) -> dict[tuple[date, Hashable], Sums]:
        first = monday if step == "week" else _first_of_month
        return {key: self._sums(pile) for key, pile in self.piles(first).items()}

    def piles(self, place: Callable[[date], Any]) -> dict[tuple[Any, Hashable], Pile]:
        """Subjects by place, a word for days, and by party where the question asks for one."""
        return piled([self], place)[0]

    def _sums(self, pile: Pile | None) -> Sums:
        return (pile or Pile()).sums(self.question.definition, self.words, self.outside)


def _first_of_month(day: date) -> date:
    return day.replace(day=1)


@dataclass(frozen=True, slots=True)
class _Spans:
    """Days or calendar weeks that are read for one place."""

    place: Any
    since: date  # the first day: all of them are judged alike
    days: list[tuple[int, date]] = field(default_factory=list)


def piled(
    aheads: Sequence[Ahead], place: Callable[[date], Any]
) -> list[dict[tuple[Any, Hashable], Pile]]:
    """The subjects of several questions by the same parties, in one reading."""
    if not aheads:
        return []
    one = aheads[0].question
    by = told_by(one) or ""
    party = getattr(one.narrowed, by) if by else None
    if party is not None and by == "supplier":
        party = partner_id(party)
    found: list[dict[tuple[Any, Hashable], Pile]] = [{} for _ in aheads]
    wanted: list[tuple[int, Ahead, _Spans]] = []
    for number, ahead in enumerate(aheads):
        wanted += [(number, ahead, spans) for spans in _spans_of(ahead.question, place)]
    asked = [
        (SAME_AS.get(a.question.definition.id, a.question.definition.id), number, days, start)
        for number, (_, a, spans) in enumerate(wanted)
        for days, start in spans.days
    ]
    if asked:
        kinds = {a.question.definition.id for a in aheads}
        median = any(a.question.definition.statistic == "median" for a in aheads)
        by_day = not kinds.isdisjoint(BY_DAY_ALONE)
        weighs = any(not a.words or not a.words.isdisjoint(_WEIGHING) for a in aheads)
        for row in _read(
            one.conn, asked, by, party, values=median or by_day, weighs=weighs, days=by_day
        ):
            number, ahead, spans = wanted[row.place]
            key = row.party if by in one.needs else None
            if key in (0, ""):
                key = None
            pile = found[number].setdefault((spans.place, key), Pile())
            _lay(pile, ahead, spans, row)
    for number, ahead in enumerate(aheads):
        if ahead.late is not None:
            _add_late(ahead.question, ahead.late, place, found[number])
    return found


def _spans_of(question: Question, place: Callable[[date], Any]) -> list[_Spans]:
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
_READ = """
SELECT a.place, s.verdict, s.healed, s.word, s.start, {columns}
FROM unnest(CAST(:figures AS text[]), CAST(:places AS int[]), CAST(:days AS int[]),
    CAST(:starts AS date[])) AS a (figure, place, days, start)
JOIN figure_span AS s
    ON s.figure = a.figure AND s.by = :by AND s.days = a.days AND s.start = a.start
"""
_OF_PARTY = """
CROSS JOIN LATERAL (
    SELECT array_position(s.{parties}, :party) AS first,
        cardinality(array_positions(s.{parties}, :party)) AS n) AS place
WHERE place.n > 0
"""  # what is told of one party stands together


@dataclass(slots=True)
class _Alike:
    """Subjects of one place, verdict, word and party."""

    place: int
    verdict: str
    healed: bool
    word: str
    day: date | None
    party: Hashable
    n: int
    amount: Any
    weight: Any
    each: Mapping[float, int]


def _read(
    conn: Connection,
    asked: Sequence[tuple[str, int, int, date]],
    by: str,
    party: Any,
    *,
    values: bool,
    weighs: bool,
    days: bool,
) -> Iterator[_Alike]:
    """What the days and weeks asked for come to by place, verdict and party.

    asked   figure, place, 1 or 7 days, first day
    values  with what the subjects measure; ``weighs`` with what they weigh
    days    each day for itself

    The arrays are added up here: the database takes ten times as long to take them apart.
    """
    parties = "suppliers" if by == "supplier" else "parties"
    wanted = [parties, "n"] + ["each"] * values + ["amount", "weight"] * weighs
    told: dict[str, Any] = {
        "figures": [one[0] for one in asked],
        "places": [one[1] for one in asked],
        "days": [one[2] for one in asked],
        "starts": [one[3] for one in asked],
        "by": by,
    }
    columns = [f"s.{name}" for name in wanted]
    if party is not None:
        told["party"] = party
        columns = [f"{one}[place.first:place.first + place.n - 1]" for one in columns]
    statement = _READ.format(columns=", ".join(columns))
    if party is not None:
        statement += _OF_PARTY.format(parties=parties)
    bags: dict[tuple[Any, ...], _Bag] = {}
    for place, verdict, healed, word, start, of, n, *more in conn.execute(text(statement), told):
        key = (place, verdict, healed, word, start if days else None)
        bag = bags.get(key)
        if bag is None:
            bag = bags[key] = _Bag()
        # Where all measure nothing, no array says so.
        each = (more[0] or [0.0] * len(n)) if values else None
        bag.take(of, n, each, *(more[-2:] if weighs else (None, None)))
    for key, bag in bags.items():
        for who, number in bag.n.items():
            yield _Alike(*key, who, number, bag.amount.get(who), bag.weight.get(who),
                         bag.each.get(who, _NONE))  # fmt: skip


_NONE: Mapping[float, int] = {}


@dataclass(slots=True)
class _Bag:
    """Arrays of alike subjects, added up by party."""

    n: dict[Hashable, int] = field(default_factory=dict)
    amount: dict[Hashable, Any] = field(default_factory=dict)
    weight: dict[Hashable, Any] = field(default_factory=dict)
    each: dict[Hashable, dict[float, int]] = field(default_factory=dict)

    def take(self, of: Any, n: Any, each: Any, amount: Any, weight: Any) -> None:
        of = of or [None] * len(n)  # of the whole house
        found = self.n
        for who, number in zip(of, n, strict=True):
            found[who] = found.get(who, 0) + number
        if each is not None:
            values = self.each
            for who, number, value in zip(of, n, each, strict=True):
                known = values.get(who)
                if known is None:
                    known = values[who] = {}
                known[value] = known.get(value, 0) + number
        for sums, told in ((self.amount, amount), (self.weight, weight)):
            if told:
                for who, one in zip(of, told, strict=True):
                    if one is not None:
                        sums[who] = sums.get(who, 0) + one


def _lay(pile: Pile, ahead: Ahead, spans: _Spans, row: _Alike) -> None:
    question = ahead.question
    of, kpi, verdict, n = question.definition, question.definition.id, row.verdict, row.n
    if kpi == "coverage":
        _lay_covered(pile, question, row)
        return
    amount, values = row.amount, _NONE
    if kpi == "unit_days_late":
        end = min(question.beyond, question.today)
        amount += row.weight * (end - SINCE).days
    if of.statistic == "median":
        values = row.each
    if of.dated and kpi not in _WHEN_DONE and spans.since >= question.today:
        verdict = PENDING
    elif verdict == MISS:
        blind = question.receipts_known_to
        if kpi in _BLIND and blind is not None and not row.healed and spans.since >= blind:
            verdict = UNKNOWN
        elif kpi == "asn_accurate" and spans.since >= question.today - RECEIVED_WITHIN:
            verdict = RECEIVING
    pile.lay(verdict, n, healed=row.healed, unit=row.word, amount=amount, weight=row.weight,
             values=values)  # fmt: skip


def _lay_covered(pile: Pile, question: Question, row: _Alike) -> None:
    """Each order once in each period, on the first of its days in it. All days of orders are there
    as hits; those on which a feed was silent as misses beside."""
    start = question.period.start.date()
    if row.day is None:
        return
    begin = start if row.day >= start else question.first
    for each, times in row.each.items():
        if each < 0 or row.day - timedelta(days=int(each)) < begin:
            pile.lay(row.verdict, times)
            if row.verdict == MISS:
                pile.lay(HIT, -times)


def _add_late(
    question: Question,
    late: Counted,
    place: Callable[[date], Any],
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
        values = {float(row.amount): 1} if median and row.amount is not None else _NONE
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


def by_party(questions: Sequence[Question]) -> list[dict[Hashable, Sums]] | None:
    """What the subjects of several questions come to by the one party that all ask for, in one
    reading; None where only documents tell of one of them."""
    if not all(holds(question) for question in questions):
        return None
    aheads = [Ahead(question, frozenset(), ()) for question in questions]
    return [
        {key: pile.sums(one.definition, frozenset(), ()) for (_, key), pile in piles.items()}
        for one, piles in zip(questions, piled(aheads, lambda _: 0), strict=True)
    ]


def by_dimension(aheads: Sequence[Ahead]) -> list[dict[Hashable, Sums]]:
    """``Ahead.by_dimension`` of several questions by the same party, in one reading."""
    return [
        {key: one._sums(pile) for (_, key), pile in piles.items()}
        for one, piles in zip(aheads, piled(aheads, lambda _: 0), strict=True)
    ]


def words(question: Question) -> dict[str, int] | None:
    """Subjects that count, by their word; None where only documents tell."""
    if not holds(question):
        return None
    pile = Ahead(question, frozenset(), ()).piles(lambda _: 0).get((0, None), Pile())
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
