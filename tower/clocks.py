"""The clock: a pure fold from signs, spells of silence and an instant to the facts that stand.

``fold`` sorts the signs of one subject, builds the cycles of one rule, judges each as of ``now``.
What stands depends only on the set of signs and spells, never on the order they came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tower.agreement import as_deadline, compared
from tower.calendars import BeyondHorizon, Calendar
from tower.cycles import Ahead, Cycle, Fact, Folded, Verdict, text_of
from tower.due import Plan, Statement, after, plan
from tower.measured import fold_queue
from tower.ratios import fold_ratio
from tower.rulebook import (
    AgreementRule,
    DeadlineRule,
    EventRule,
    ImpactRule,
    QueueRule,
    RatioRule,
    SourceRule,
    VolumeRule,
)
from tower.signs import Evidence, RuleInForce, Setting, SettingAt, Sign, Spell
from tower.silent_sources import fold_source, versions_of
from tower.volumes import fold_volume


def fold(
    rule: RuleInForce,
    signs: Iterable[Sign],
    spells: Sequence[Spell],
    setting_at: SettingAt,
    now: datetime,
) -> Folded:
    """The cycles of ``rule`` on the subject of these signs, judged as of ``now``.

    ``spells`` may hold any source and any time; those not known at ``now`` only tell when to look
    again. For a rule of kind source the spells are those of the source itself.
    """
    if isinstance(rule.rule, SourceRule):
        return fold_source(rule.rule, spells, setting_at, now)
    if isinstance(rule.rule, QueueRule):
        return fold_queue(rule, rule.rule, signs, setting_at, now)
    if isinstance(rule.rule, RatioRule):
        return fold_ratio(rule, rule.rule, signs, setting_at, now)
    if isinstance(rule.rule, VolumeRule):
        return fold_volume(rule, rule.rule, signs, spells, setting_at, now)
    if isinstance(rule.rule, ImpactRule):
        raise TypeError("whom late supply hurts is walked, not folded (tower/impact.py)")
    if isinstance(rule.rule, AgreementRule):
        signs = list(signs)
        begin = min((sign.occurred_at for sign in signs), default=now)
        signs = compared(rule.rule, rule, signs, setting_at(1, begin).systems)
        rule = as_deadline(rule)
    track = Track(rule, setting_at)
    track.take(signs)
    return track.judged(spells, now)


def facts(
    rule: RuleInForce,
    signs: Iterable[Sign],
    spells: Sequence[Spell],
    calendar: Calendar,
    profile: Mapping[str, Any],
    now: datetime,
    evidence: tuple[Evidence, ...] = (),
) -> Folded:
    """``fold`` for a subject whose calendar, profile and evidence never changed."""
    setting = Setting(rule, calendar, profile, evidence)
    return fold(rule, signs, spells, lambda _number, _start: setting, now)


# --- building cycles ----------------------------------------------------------------------------


class Track:
    """One rule of kind deadline or event on one subject, while its signs come in.

    What was made of earlier signs is kept, so that an instant at which only time has passed costs
    the judging of the open cycle alone. The answers are those of ``fold`` over all signs taken.
    """

    def __init__(self, rule: RuleInForce, setting_at: SettingAt) -> None:
        self._rule, self._setting_at = rule, setting_at
        self._order = _by_arrival if rule.by_arrival else _by_occurrence
        self._heard: dict[int, Sign] = {}
        self._last = _NOTHING
        self._builder = _Builder(rule, setting_at)

    def take(self, signs: Iterable[Sign]) -> None:
        """Signs in any order; those that the rule does not hear are passed over."""
        listens = self._rule.listens
        self.hear([sign for sign in signs if listens(sign)])

    def hear(self, signs: Sequence[Sign]) -> None:
        """Signs that the rule hears; of several of one event the last one counts."""
        heard, order = self._heard, self._order
        if len(signs) == 1 and signs[0].event_id.int not in heard:
            [sign] = signs
            heard[sign.event_id.int] = sign
            told = [sign]
            again = False
        else:
            fresh = {sign.event_id.int: sign for sign in signs}
            if not fresh:
                return
            again = not heard.keys().isdisjoint(fresh)
            heard |= fresh
            told = sorted(fresh.values(), key=order)
        if again or order(told[0]) < self._last:
            # The past has changed: everything is told anew.
            self._builder = _Builder(self._rule, self._setting_at)
            told = sorted(heard.values(), key=order)
        self._last = order(told[-1])
        by_arrival, take = self._rule.by_arrival, self._builder.take
        for sign in told:
            take(sign, sign.arrived_at if by_arrival else sign.occurred_at)

    def judged(self, spells: Sequence[Spell], now: datetime) -> Folded:
        """The cycles as of ``now``."""
        runs = self._builder.runs
        return Folded(tuple([_judged(run, spells, now) for run in runs])) if runs else _NO_CYCLES


@dataclass(slots=True)
class _Run:
    """A cycle under construction: what happened, not yet what it means.

    planned, receipt  what follows from it all but the end; worked out when asked for
    started           the fact that it began
    wait              how long a miss waits for stragglers and for the next read
    closed            what it came to, once it has an end: nothing moves it any more
    """

    number: int
    start: datetime
    sign: Sign
    setting: Setting
    attributes: dict[str, Any]
    exempt: str = ""
    statements: list[Statement] = field(default_factory=list)
    pauses: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    end: datetime | None = None
    end_how: str = ""  # stop, cancelled, superseded
    end_sign: Sign | None = None
    planned: _Stages | None = None
    receipt: dict[str, Any] | None = None
    started: Fact = field(init=False)
    wait: timedelta = timedelta(0)
    sources: frozenset[str] = frozenset()
    closed: Cycle | None = None

    def __post_init__(self) -> None:
        settle, evidence = self.setting.rule.rule.settle.length, self.setting.evidence
        self.wait = max([settle, *(e.tolerance for e in evidence if e.pull)])
        self.sources = frozenset([e.source for e in evidence])
        self.started = Fact("started", self.start, {"event": self.sign.type})

    def changed(self) -> None:
        """A pause or a stated date: due must be worked out again."""
        self.planned = self.receipt = None


@dataclass(frozen=True, slots=True)
class _Stages:
    """A plan with its levels in order, as the facts they become: up to due, at it, and after it."""

    plan: Plan
    early: Sequence[Fact] = ()
    breach: Fact | None = None
    later: Sequence[Fact] = ()


_NO_CYCLES = Folded()
_NOTHING = (datetime(1, 1, 1, tzinfo=UTC), -1)


def _by_occurrence(sign: Sign) -> tuple[datetime, int]:
    return sign.occurred_at, sign.event_id.int


def _by_arrival(sign: Sign) -> tuple[datetime, int]:
    return sign.arrived_at, sign.event_id.int


class _Builder:
    """Walks the signs of a subject in order and opens, moves and ends cycles."""

    def __init__(self, rule: RuleInForce, setting_at: SettingAt) -> None:
        self.runs: list[_Run] = []
        self._rule = rule
        self._setting_at = setting_at
        self._open: _Run | None = None
        self._known: dict[str, Any] = {}
        self._held_since: datetime | None = None
        # Done or cancelled before it began: clocks of partners are not ours. Deadlines only; what
        # was cleared before it went wrong says nothing about the wrong that follows.
        self._early: tuple[str, Sign] | None = None
        self._keeps_early = not isinstance(rule.rule, EventRule)

    def take(self, sign: Sign, at: datetime) -> None:
        rule, kind = self._rule, sign.type
        stated = self._learn(sign)
        if kind in rule.pause:
            self._pause(at)
        elif kind in rule.resume:
            self._resume(at)
        run = self._open
        if run is None:
            if kind in rule.start or (stated and not rule.start and not self.runs):
                self._begin(sign, at)
            elif self._keeps_early and not self.runs and self._early is None:
                if kind in rule.stop:
                    self._early = ("stop", sign)
                elif kind in rule.cancel:
                    self._early = ("cancelled", sign)
            return
        if stated:
            self._state(run, at)
        if kind in rule.stop:
            self._end("stop", sign, at)
        elif kind in rule.cancel or self._needless(run):
            self._end("cancelled", sign, at)
        elif kind in rule.restart:
            self._end("superseded", sign, at)
            self._begin(sign, at)

    def _needless(self, run: _Run) -> bool:
        rule = run.setting.rule.rule
        when = rule.clock.cancel_when if isinstance(rule, DeadlineRule) else None
        return when is not None and when.holds({**run.attributes, **self._known})

    def _learn(self, sign: Sign) -> bool:
        """Take what the sign says about the subject; True if a date that moves due was said."""
        stated = False
        for attribute, statement in self._rule.stating.get(sign.type, ()):
            if statement.first_stays and attribute in self._known:
                continue
            for fact in statement.facts:
                value = sign.facts.get(fact)
                if value is not None:
                    self._known[attribute] = value
                    stated = stated or attribute in self._rule.dates
                    break
        return stated

    def _begin(self, sign: Sign, at: datetime) -> None:
        number = len(self.runs) + 1
        setting = self._setting_at(number, at)
        attributes = {**setting.attributes, **self._known}
        applies = setting.rule.rule.applies_when
        if applies is not None and not applies.holds(attributes):
            return
        run = _Run(number, at, sign, setting, attributes)
        for exemption in setting.rule.exemptions:
            if exemption.when.holds(attributes):
                run.exempt = exemption.because or exemption.when.sentence()
                break
        if self._held_since is not None:
            run.pauses.append((at, None))
        self.runs.append(run)
        self._open = run
        self._state(run, at)
        if self._early is not None and number == 1:
            how, early = self._early
            self._end(how, early, at)
        elif self._needless(run):
            self._end("cancelled", sign, at)

    def _state(self, run: _Run, at: datetime) -> None:
        for attribute in run.setting.rule.dates:
            value = self._known.get(attribute, run.setting.attributes.get(attribute))
            if value is not None:
                last = run.statements[-1] if run.statements else None
                if last is None or (last.attribute, last.value) != (attribute, value):
                    run.statements.append(Statement(at, attribute, value))
                    run.changed()
                return

    def _pause(self, at: datetime) -> None:
        if self._held_since is None:
            self._held_since = at
            if self._open is not None:
                self._open.pauses.append((at, None))
                self._open.changed()

    def _resume(self, at: datetime) -> None:
        if self._held_since is not None:
            self._held_since = None
            if self._open is not None and self._open.pauses:
                begin, _ = self._open.pauses[-1]
                self._open.pauses[-1] = (begin, at)
                self._open.changed()

    def _end(self, how: str, sign: Sign, at: datetime) -> None:
        if self._open is not None:
            self._open.end, self._open.end_how, self._open.end_sign = at, how, sign
            self._open = None


# --- judging ------------------------------------------------------------------------------------


def _judged(run: _Run, spells: Sequence[Spell], now: datetime) -> Cycle:
    if run.closed is not None:
        return run.closed
    rule = run.setting.rule.rule
    if run.exempt:
        cycle = _excluded(run, run.exempt, {})
    elif isinstance(rule, EventRule):
        cycle = _judged_event(run, rule, spells, now)
    else:
        if isinstance(rule, AgreementRule):
            rule = rule.deadline
        if not isinstance(rule, DeadlineRule):
            raise TypeError(f"a rule of kind {rule.kind} has no signs to start it")
        if run.planned is None:
            run.planned = _stages(run, rule)
        planned = run.planned.plan
        if planned.exempt:
            cycle = _excluded(run, planned.exempt, planned.receipt)
        else:
            cycle = _judged_deadline(run, run.planned, spells, now)
    if run.end is not None:
        run.closed = cycle
    return cycle


def _stages(run: _Run, rule: DeadlineRule) -> _Stages:
    planned = plan(
        rule, run.start, run.setting.calendar, run.attributes, run.statements, run.pauses
    )
    due = planned.due
    early: list[Fact] = []
    later: list[Fact] = []
    for name, at in planned.levels.items():
        if at is not None:
            (early if due is None or at <= due else later).append(Fact(name, at))
    breach = None if due is None else Fact("breach", due)
    return _Stages(planned, sorted(early, key=_in_time), breach, sorted(later, key=_in_time))


def _in_time(fact: Fact) -> tuple[datetime, str]:
    return fact.effective, fact.name


def _judged_deadline(
    run: _Run, planned: _Stages, spells: Sequence[Spell], now: datetime
) -> Cycle:
    due, end = planned.plan.due, run.end
    paused = end is None and bool(run.pauses) and run.pauses[-1][1] is None
    judge = _Judge(run, spells, now)
    standing = [run.started]
    if paused:
        standing.append(Fact("paused", run.pauses[-1][0]))
    warned = [fact for fact in planned.early if judge.passed(fact.effective)]
    standing.extend(warned)
    breached = due is not None and judge.proven(due, planned.plan.by_day)
    if planned.breach is not None and breached:
        standing.append(planned.breach)
        standing.extend([fact for fact in planned.later if judge.proven(fact.effective)])
    elif judge.held_by is not None and due is not None:
        standing.append(Fact("held", due, {"by": judge.held_by}))
    verdict = Verdict.AT_RISK if warned else Verdict.PENDING
    if breached:
        verdict = Verdict.BREACHED
    elif judge.held_by is not None:
        verdict = Verdict.UNKNOWN
    ahead = None
    if end is not None:
        verdict = _ended(run, standing, breached)
    elif due is not None and not judge.hears_of_silence and verdict is not Verdict.BREACHED:
        ahead = _ahead(planned.early[len(warned) :], due + run.wait, run.wait)
    return _cycle(run, verdict, standing, judge, planned.plan, paused, ahead)


def _ahead(warnings: Sequence[Fact], then: datetime, wait: timedelta) -> Ahead | None:
    """The warnings that come alone; one at the very instant of the breach does not."""
    alone = tuple([(fact.name, fact.effective) for fact in warnings if fact.effective < then])
    return Ahead(alone, then, wait) if alone else None


def _judged_event(run: _Run, rule: EventRule, spells: Sequence[Spell], now: datetime) -> Cycle:
    judge = _Judge(run, spells, now)
    standing = [run.started]
    reached = False
    for name, level in rule.levels.items():
        try:
            at = after(run.start, level.at, run.setting.calendar)
        except BeyondHorizon as error:
            return _excluded(run, str(error), {})
        stands = judge.proven(at) if at > run.start else judge.settled(at)
        if stands:
            standing.append(Fact(name, at))
            reached = True
    verdict = Verdict.BREACHED if reached else Verdict.PENDING
    if run.end is not None:
        verdict = _ended(run, standing, reached)
    return _cycle(run, verdict, standing, judge, _NO_PLAN, paused=False)


_NO_PLAN = Plan()


def _ended(run: _Run, standing: list[Fact], missed: bool) -> Verdict:
    """Add the end of a closed cycle to its facts and tell its verdict."""
    if run.end is None or run.end_sign is None:
        raise ValueError("the cycle is open")
    why: dict[str, Any] = {"by": run.end_sign.type, "event": str(run.end_sign.event_id)}
    occurred = run.end_sign.occurred_at
    if occurred < run.start:
        why["before_start"] = occurred.isoformat()
    if run.end_how == "stop":
        how, verdict = ("late", Verdict.MET_LATE) if missed else ("met", Verdict.MET)
    else:
        # Cancelling does not wash a breach.
        how, verdict = run.end_how, Verdict.BREACHED if missed else Verdict.NOT_MEASURED
    standing.append(Fact(f"end:{how}", run.end, why))
    return verdict


def _cycle(
    run: _Run,
    verdict: Verdict,
    standing: list[Fact],
    judge: _Judge,
    planned: Plan,
    paused: bool,
    ahead: Ahead | None = None,
) -> Cycle:
    is_open = run.end is None
    reason = ""
    if verdict is Verdict.NOT_MEASURED:
        reason = f"{run.end_how} before it was due"
    return Cycle(
        number=run.number,
        verdict=verdict,
        open=is_open,
        paused=paused,
        started=run.start,
        due=planned.due,
        facts=tuple(standing),
        next=judge.next if is_open else None,
        held_by=judge.held_by if verdict is Verdict.UNKNOWN else None,
        ended=run.end,
        reason=reason,
        receipt=_receipt(run, planned.receipt),
        rule_version=run.setting.rule.version,
        calendar_version=run.setting.calendar.version,
        profile_version=run.setting.profile_version,
        ahead=ahead,
    )


def _excluded(run: _Run, reason: str, receipt: Mapping[str, Any]) -> Cycle:
    return Cycle(
        number=run.number,
        verdict=Verdict.NOT_MEASURED,
        open=False,
        paused=False,
        started=run.start,
        due=None,
        facts=(Fact("excluded", run.start, {"reason": reason}),),
        next=None,
        ended=run.end,
        reason=reason,
        receipt=_receipt(run, receipt),
        **versions_of(run.setting),
    )


def _receipt(run: _Run, arithmetic: Mapping[str, Any]) -> dict[str, Any]:
    if run.receipt is not None:
        return run.receipt
    receipt = run.receipt = {
        "rule": run.setting.rule.id,
        "rule_version": run.setting.rule.version,
        "start": run.start.isoformat(),
        "started_by": run.sign.type,
        "calendar": run.setting.calendar.name,
        "calendar_version": run.setting.calendar.version,
        "zone": run.setting.calendar.spec.zone,
        **arithmetic,
    }
    if "apart" in run.sign.facts:
        receipt["apart"] = run.sign.facts["apart"]
    if run.pauses:
        receipt["pauses"] = [[begin.isoformat(), text_of(end)] for begin, end in run.pauses]
    return receipt


class _Judge:
    """Decides which levels of one cycle stand at an instant and when to look again.

    ``next`` is collected on the way: the earliest instant after ``now`` at which an answer given
    here may change. Looking too often changes nothing; looking too late would.
    """

    def __init__(self, run: _Run, spells: Sequence[Spell], now: datetime) -> None:
        self.next: datetime | None = None
        self.held_by: str | None = None
        self._now = now
        self._end = run.end
        self._settle = run.setting.rule.rule.settle.length
        self._wait = run.wait
        sources = run.sources
        self._spells = [s for s in spells if s.source in sources] if spells and sources else []

    @property
    def hears_of_silence(self) -> bool:
        """Whether a source of evidence was silent at any time that may count."""
        return bool(self._spells)

    def passed(self, at: datetime) -> bool:
        """A level that needs no evidence: its instant has come and the end was not before it."""
        if self._end is not None:
            return at < self._end
        return self._reached(at)

    def settled(self, at: datetime) -> bool:
        """A level that only waits for stragglers."""
        if self._end is not None:
            return at < self._end
        return self._reached(at + self._settle)

    def proven(self, at: datetime, by_day: bool = False) -> bool:
        """A level that speaks of something missing: waited for, and every source complete past it.

        With a known end nothing is missing. Otherwise a spell known at this instant that left a
        source incomplete before the level holds the judgement until recovery has settled.
        ``by_day`` says that ``at`` is the end of a day, which does not belong to that day.
        """
        if self._end is not None:
            return at < self._end or (by_day and at == self._end)
        ready = self._reached(at + self._wait)
        if not self._spells:
            return ready
        blocked = self._blocked(at)
        if self._now >= at and blocked is not None:
            self.held_by = self.held_by or blocked
            return False
        return ready

    def _reached(self, at: datetime) -> bool:
        if at <= self._now:
            return True
        self._look_at(at)
        return False

    def _blocked(self, at: datetime) -> str | None:
        """The source whose known spell leaves it incomplete before ``at``."""
        if at > self._now:
            self._look_at(at)
        found: list[tuple[datetime, str]] = []
        for spell in self._spells:
            if spell.from_at >= at:
                continue
            over = None if spell.to_at is None else spell.to_at + self._settle
            if spell.known_at > self._now:
                self._look_at(max(spell.known_at, at))
            elif over is None or self._now < over:
                found.append((spell.from_at, spell.source))
            if over is not None and over > self._now:
                self._look_at(over)
        return min(found)[1] if found else None

    def _look_at(self, at: datetime) -> None:
        if at > self._now and (self.next is None or at < self.next):
            self.next = at
