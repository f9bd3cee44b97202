"""The stored past judged anew, in memory: what a rule book would have said. Nothing is written.

By arrival, events become known in the order in which the worker took them, and silence counts as it
was noticed: that is what would have been said. By occurrence every event is known when it happened
and no feed is ever silent: that is what was true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from sqlalchemy import Connection

from db import clocks, completeness, measured, tallies
from db.clocks import BEGINNING, UnitRows
from db.completeness import NEVER, Feeds
from db.driver import no_garbage
from db.reads import hindsight as past
from tower.cases import Case, Happening, case_fingerprint
from tower.court import Code, UnitCourt, spread, subject_attributes, supplier_of
from tower.cycles import Cycle
from tower.documents import HEADER_OF
from tower.evidence import of_source
from tower.identity import source_key
from tower.receipts import receipt_text
from tower.rule_parts import STEP
from tower.rulebook import QueueRule, RatioRule
from tower.signs import Sign, Spell, Subject
from tower.silences import Silence
from tower.timeline import ClockKey, Entry, UnitState, advance
from worker.hindsight_measured import Played, known_by, play_partner, play_queue
from worker.judging import Judging
from worker.rehearsal import Posting, Rehearsal, Work
from worker.units import evidence_of, news

SLICE = 500  # documents read at once
By = Literal["arrival", "occurred"]


@dataclass(frozen=True, slots=True)
class Alert:
    """A level that tells people was reached.

    started    beginning of its cycle: with rule, subject and level it names the alert
    detected   when it could be known
    withdrawn  later data took it back
    """

    rule: str
    subject: str
    started: datetime
    level: str
    severity: str
    effective: datetime
    detected: datetime
    due: datetime | None
    receipt: str
    withdrawn: bool = False

    @property
    def key(self) -> tuple[str, str, datetime, str]:
        return (self.rule, self.subject, self.started, self.level)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one rule book says of some of the documents."""

    verdicts: dict[str, Counter[str]]
    alerts: dict[tuple[str, str, datetime, str], Alert]
    news: list[tuple[datetime, int, int, Work]]
    raises: dict[str, int]


class Hindsight:
    """What one rule book says of the past between two instants.

    ``verdicts`` counts, by rule, the cycles that ran in that time by what they were at its end;
    ``alerts`` are the levels reached in it that tell people.
    """

    def __init__(
        self,
        config: Judging,
        code: Code,
        begin: datetime,
        end: datetime,
        by: By,
        hushes: Sequence[Silence] = (),
    ) -> None:
        self.verdicts: dict[str, Counter[str]] = {rule.id: Counter() for rule in code.rules}
        self.alerts: dict[tuple[str, str, datetime, str], Alert] = {}
        self._config, self._code = config, code
        self._begin, self._end, self._by = begin, end, by
        self._news: list[tuple[datetime, int, int, Work]] = []  # instant, home, order in it
        self._raises: dict[str, int] = {}
        self._hushes = hushes
        self._feeds: Feeds | None = None
        self._blind: dict[tuple[str | None, frozenset[str]], Sequence[Spell]] = {}
        ratios = [rule for rule in config.rulebook.rules if isinstance(rule, RatioRule)]
        alone = config.rulebook.model_copy(update={"rules": tuple(ratios)})
        # Suppliers gone quiet are judged beside the shares of a partner, and are not played here.
        self._ratios = replace(code, book=alone)

    def take(self, rows: UnitRows, feeds: Feeds) -> None:
        """Judge one document and its lines from their first event on."""
        signs = {subject: self._known(its) for subject, its in rows.signs.items()}
        partner = supplier_of(signs, self._code.network)
        court = UnitCourt(self._code, partner, subject_attributes(signs), {})
        spells = self._spells(court, signs, feeds) if self._by == "arrival" else ()
        self._judge(rows.home, court, spread(signs, self._code.line_types), spells)

    def _spells(
        self, court: UnitCourt, signs: Mapping[Subject, Sequence[Sign]], feeds: Feeds
    ) -> Sequence[Spell]:
        """Silences that the clocks of such subjects of this partner may rest on."""
        if feeds is not self._feeds:
            self._feeds, self._blind = feeds, {}
        key = (court.partner, frozenset([subject.kind for subject in signs]))
        found = self._blind.get(key)
        if found is None:
            evidence = evidence_of(court, signs, self._end)
            blind = feeds.blind(evidence, None, self._end)
            found = self._blind[key] = [s for s in blind if s.known_at < self._end]
        return found

    def take_source(self, name: str, feeds: Feeds) -> None:
        """Judge one of our own feeds by its silences; by occurrence there are none."""
        spec = self._code.network.sources.get(name)
        if spec is None or self._by == "occurred":
            return
        subject = Subject("source", "", name)
        spells = [
            s for s in feeds.blind([of_source(name, spec)], None, self._end) if s.from_at != NEVER
        ]
        court = UnitCourt(self._code, None, {subject: {"source.name": name}}, {})
        self._judge(source_key(name), court, {subject: []}, spells)

    def take_queue(self, home: int, subject: Subject, samples: Sequence[Sign]) -> None:
        """Judge one queue by its samples."""
        if any(isinstance(rule, QueueRule) for rule in self._config.rulebook.rules):
            known = known_by(samples, self._by, timedelta(0), self._end)
            self._tell_played(home, play_queue(self._code, home, subject, known, self._end))

    def take_partner(self, home: int, key: str, counts: Sequence[Sign], feeds: Feeds) -> None:
        """Judge one partner's shares of failures by what was counted."""
        if self.counted and key in self._code.network.partners:
            mine = [sign for sign in counts if sign.type in self.counted]
            known = known_by(mine, self._by, STEP, self._end)
            self._tell_played(home, play_partner(self._ratios, home, key, known, feeds, self._end))

    @cached_property
    def counted(self) -> frozenset[str]:
        """Types of events of which the shares of partners are made."""
        return frozenset(t for rule in self._ratios.rules for t in rule.start)

    def parcel(self) -> Parcel:
        """What was found so far, to be sent to another process."""
        return Parcel(self.verdicts, self.alerts, self._news, self._raises)

    def absorb(self, other: Parcel) -> None:
        """Add what the same book says of other documents."""
        for rule, counts in other.verdicts.items():
            self.verdicts.setdefault(rule, Counter()).update(counts)
        self.alerts |= other.alerts
        self._news.extend(other.news)
        self._raises |= other.raises

    def mails(self) -> list[Posting]:
        """The mails that would have gone out in that time, after all documents were taken."""
        told = Rehearsal(self._config, self._code, self._raise_by, self._hushes)
        self._news.sort(key=lambda item: item[:3])
        # As in ``judge_past``: a collection would look at all alerts and news again and again.
        with no_garbage():
            for at, _, _, work in self._news:
                told.until(at - timedelta(microseconds=1))
                told.happen([work], at)
            told.until(self._end - timedelta(microseconds=1))
        return [posting for posting in told.postings if posting.at >= self._begin]

    def _known(self, signs: Iterable[Sign]) -> list[Sign]:
        if self._by == "occurred":
            return [
                replace(sign, arrived_at=sign.occurred_at, applied_at=None)
                for sign in signs
                if sign.occurred_at < self._end
            ]
        return [s for s in signs if (s.applied_at or s.arrived_at) < self._end]

    def _judge(
        self,
        home: int,
        court: UnitCourt,
        signs: Mapping[Subject, Sequence[Sign]],
        spells: Sequence[Spell],
    ) -> None:
        until = self._end - timedelta(microseconds=1)
        result = advance(UnitState(), signs, spells, until, court)
        self._tell(home, court, result.journal, result.state.clocks)

    def _tell_played(self, home: int, played: Played) -> None:
        self._tell(home, played.court, played.journal, played.clocks)

    def _tell(
        self,
        home: int,
        court: UnitCourt,
        journal: Sequence[Entry],
        clocks: Mapping[ClockKey, Sequence[Cycle]],
    ) -> None:
        until = self._end - timedelta(microseconds=1)
        for (rule, _), cycles in clocks.items():
            counts = self.verdicts.get(rule) or self.verdicts.setdefault(rule, Counter())
            for cycle in cycles:
                if cycle.started < self._end and (
                    cycle.open or cycle.ended is None or cycle.ended >= self._begin
                ):
                    counts[cycle.verdict.value] += 1
        self._note(journal, clocks)
        for brief, happenings in news(journal, court, home, {}, until):
            self._raises[case_fingerprint(brief.category, brief.rule, brief.subject)] = _raise(
                court, brief.rule, brief.subject, until
            )
            for at, group in _by_instant(happenings):
                self._news.append((at, home, len(self._news), (brief, group)))

    def _note(self, journal: Sequence[Entry], clocks: Mapping[ClockKey, Sequence[Cycle]]) -> None:
        for entry in journal:
            levels = self._code.telling.get(entry.rule)
            level = None if levels is None else entry.level
            if levels is None or level is None or level not in levels:
                continue
            cycle = _cycle(clocks, entry)
            started = cycle.started if cycle is not None else entry.effective
            alert = Alert(
                entry.rule,
                str(entry.subject),
                started,
                level,
                levels[level].severity.value,
                entry.effective,
                entry.detected,
                entry.due,
                receipt_text(entry.why),
            )
            known = self.alerts.get(alert.key)
            if entry.name.startswith("retract:"):
                if known is not None:
                    self.alerts[alert.key] = replace(known, withdrawn=True)
            elif entry.detected >= self._begin:
                first = alert.detected if known is None else known.detected
                self.alerts[alert.key] = replace(alert, detected=first)

    def _raise_by(self, case: Case) -> int:
        return self._raises.get(case.fingerprint, 0)


def _cycle(clocks: Mapping[ClockKey, Sequence[Cycle]], entry: Entry) -> Cycle | None:
    cycles = clocks.get((entry.rule, entry.subject), ())
    return next((cycle for cycle in cycles if cycle.number == entry.cycle), None)


def _raise(court: UnitCourt, rule_id: str, subject: Subject, at: datetime) -> int:
    """By how much the rule makes a case worse, as far as the subject itself tells; whom it hurt at
    that time is not known any more."""
    rule = court.code.book.rule(rule_id)
    if rule is None or rule.raise_ is None:
        return 0
    return rule.raise_.by if rule.raise_.when.holds(court.described(subject, at)) else 0


def _by_instant(happenings: Sequence[Happening]) -> list[tuple[datetime, list[Happening]]]:
    found: dict[datetime, list[Happening]] = {}
    for happening in happenings:
        found.setdefault(happening.detected, []).append(happening)
    return sorted(found.items())


# --- over the store -------------------------------------------------------------------------------


def judge_past(
    conn: Connection,
    books: Sequence[Hindsight],
    codes: Sequence[Code],
    end: datetime,
    told: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    part: int = 0,
    parts: int = 1,
    total: int | None = None,
) -> tuple[int, int]:
    """Have every book judge every document known before ``end``: (documents, events of each).

    Read slice by slice, each in three questions, whatever the number of documents; ``told`` is
    called with (done, all) after each slice. Of several ``parts`` (a power of two) only the
    documents of one are judged, and the feeds with the first; see worker/backtest.py. ``total``
    is the number of all documents, counted here if it is not given.
    """
    kinds = {HEADER_OF.get(kind, kind) for code in codes for kind in code.by_subject}
    unheard = frozenset.intersection(*(code.unheard for code in codes))
    sources = {name for code in codes for name in code.network.sources}
    feeds = completeness.read(conn, sources, None)
    total = past.count_homes(conn, kinds, end) if total is None else total
    done, events = 0, 0
    last: int | None = None
    while homes := past.homes(conn, kinds, end, last, SLICE, part, parts):
        last = homes[-1]
        # A collection would look at all that was found so far; a slice makes no rings.
        with no_garbage():
            for rows in clocks.load(conn, homes, unheard).values():
                events += len({s.event_id.int for its in rows.signs.values() for s in its})
                for book in books:
                    book.take(rows, feeds)
        done += len(homes)
        told(done, max(total, done))
    for name in sorted(sources) if part == 0 else ():
        for book in books:
            book.take_source(name, feeds)
    if part == 0:
        _judge_measured(conn, books, feeds, end)
    return done, events


def _judge_measured(
    conn: Connection, books: Sequence[Hindsight], feeds: Feeds, end: datetime
) -> None:
    """Queues by their samples, partners by their counts, one after the other."""
    for home, subject in past.measured(conn, "queue"):
        samples = measured.samples(conn, {(home, subject): BEGINNING}, end)[home, subject]
        for book in books:
            book.take_queue(home, subject, samples)
    counted = frozenset[str]().union(*(book.counted for book in books))
    for home, subject in past.measured(conn, "partner") if counted else ():
        counts = tallies.signs(conn, {home: BEGINNING}, counted)[home]
        for book in books:
            book.take_partner(home, subject.number, counts, feeds)


@dataclass(frozen=True, slots=True)
class NotReplayed:
    """A rule that says nothing of the past, and why."""

    rule: str
    why: str


_NOT_KEPT = {
    "impact": "whom late supply hurt is walked from orders, stock and dates as they are now; as "
    "they were is not kept",
    "volume": "what a supplier owed at a time is told by its orders as they are now; as they were "
    "is not kept",
}


_LEAD_TIMES = (
    "lead times are measured once a day from orders as they are then; as they were is not kept"
)


def uncovered(code: Code) -> list[NotReplayed]:
    """Rules that are not replayed, each with why."""
    why = {r.id: _NOT_KEPT[r.rule.kind] for r in code.rules if r.rule.kind in _NOT_KEPT}
    why |= {rule.id: _LEAD_TIMES for rule in code.planning}
    return [NotReplayed(rule, said) for rule, said in sorted(why.items())]


@dataclass(frozen=True)
class Differences:
    """Alerts of one book that the other does not give, or at another instant."""

    added: list[Alert]
    removed: list[Alert]
    moved: list[tuple[Alert, Alert]]


def differences(before: Hindsight, after: Hindsight) -> Differences:
    """How ``after`` differs from ``before``, in the order of time."""
    old, new = before.alerts, after.alerts
    return Differences(
        added=_sorted(alert for key, alert in new.items() if key not in old),
        removed=_sorted(alert for key, alert in old.items() if key not in new),
        moved=sorted(
            (
                (old[key], alert)
                for key, alert in new.items()
                if key in old
                and (old[key].effective, old[key].detected) != (alert.effective, alert.detected)
            ),
            key=lambda pair: (pair[1].detected, pair[1].key),
        ),
    )


def _sorted(alerts: Iterable[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (alert.detected, alert.key))
