"""What a cycle comes to as of an instant: its due, the facts that stand, its verdict.

A pure function of what happened to it (tower/runs.py), the spells of silence and the instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from tower.calendars import BeyondHorizon, Calendar
from tower.cycles import Ahead, Cycle, Fact, Verdict, text_of
from tower.due import Plan, Statement, after, plan
from tower.rulebook import AgreementRule, DeadlineRule, EventRule
from tower.runs import Run, Stages
from tower.signs import RuleInForce, Spell
from tower.silent_sources import versions_of


def judged(run: Run, spells: Sequence[Spell], now: datetime) -> Cycle:
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
            run.planned = _stages(run)
        planned = run.planned.plan
        if planned.exempt:
            cycle = _excluded(run, planned.exempt, planned.receipt)
        else:
            cycle = _judged_deadline(run, run.planned, spells, now)
    if run.end is not None:
        run.closed = cycle
    return cycle


def _stages(run: Run) -> Stages:
    """What follows from what happened to the cycle. Lines of one order mostly share it."""
    rule, attributes = run.setting.rule, run.attributes
    planned: Callable[..., Stages] = _planned
    known = [attributes.get(name) for name in rule.asks]
    for value in (*known, *[statement.value for statement in run.statements]):
        # What is no plain value (a document may say anything) cannot be looked up.
        if not (value is None or isinstance(value, (str, bool))):
            planned = _planned.__wrapped__
    statements, pauses = tuple(run.statements), tuple(run.pauses)
    return planned(rule, run.setting.calendar, run.start, statements, pauses, *known)


@lru_cache(maxsize=256)
def _planned(
    in_force: RuleInForce,
    calendar: Calendar,
    start: datetime,
    statements: tuple[Statement, ...],
    pauses: tuple[tuple[datetime, datetime | None], ...],
    *known: Any,
) -> Stages:
    """The same for a rule; ``known`` are the values of the attributes that its budget asks."""
    rule = in_force.rule.deadline if isinstance(in_force.rule, AgreementRule) else in_force.rule
    if not isinstance(rule, DeadlineRule):
        raise TypeError(f"a rule of kind {rule.kind} has no due")
    attributes = dict(zip(in_force.asks, known, strict=True))
    planned = plan(rule, start, calendar, attributes, statements, pauses)
    due = planned.due
    early: list[Fact] = []
    later: list[Fact] = []
    for name, at in planned.levels.items():
        if at is not None:
            (early if due is None or at <= due else later).append(Fact(name, at))
    breach = None if due is None else Fact("breach", due)
    early.sort(key=_in_time)
    later.sort(key=_in_time)
    return Stages(planned, early, breach, later)


def _in_time(fact: Fact) -> tuple[datetime, str]:
    return fact.effective, fact.name


def _judged_deadline(run: Run, planned: Stages, spells: Sequence[Spell], now: datetime) -> Cycle:
    if run.end is not None:
        return _closed_deadline(run, planned, run.end)
    due = planned.plan.due
    paused = bool(run.pauses) and run.pauses[-1][1] is None
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
    if due is not None and not judge.hears_of_silence and verdict is not Verdict.BREACHED:
        ahead = _ahead(planned.early[len(warned) :], due + run.wait, run.wait)
    return _cycle(run, verdict, standing, judge, planned.plan, paused, ahead)


def _closed_deadline(run: Run, planned: Stages, end: datetime) -> Cycle:
    """With a known end nothing is missing: neither time nor silence says anything more."""
    standing = [run.started, *[fact for fact in planned.early if fact.effective < end]]
    due = planned.plan.due
    # The end of a day does not belong to that day.
    breached = due is not None and (due < end or (planned.plan.by_day and due == end))
    if planned.breach is not None and breached:
        standing.append(planned.breach)
        standing.extend([fact for fact in planned.later if fact.effective < end])
    verdict = _ended(run, standing, breached)
    return _cycle(run, verdict, standing, None, planned.plan, paused=False)


def _ahead(warnings: Sequence[Fact], then: datetime, wait: timedelta) -> Ahead | None:
    """The warnings that come alone; one at the very instant of the breach does not."""
    alone = tuple([(fact.name, fact.effective) for fact in warnings if fact.effective < then])
    return Ahead(alone, then, wait) if alone else None


def _judged_event(run: Run, rule: EventRule, spells: Sequence[Spell], now: datetime) -> Cycle:
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


def _ended(run: Run, standing: list[Fact], missed: bool) -> Verdict:
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
    run: Run,
    verdict: Verdict,
    standing: list[Fact],
    judge: _Judge | None,
    planned: Plan,
    paused: bool,
    ahead: Ahead | None = None,
) -> Cycle:
    setting = run.setting
    reason = ""
    if verdict is Verdict.NOT_MEASURED:
        reason = f"{run.end_how} before it was due"
    return Cycle(
        number=run.number,
        verdict=verdict,
        open=run.end is None,
        paused=paused,
        started=run.start,
        due=planned.due,
        facts=tuple(standing),
        next=judge.next if judge and run.end is None else None,
        held_by=judge.held_by if judge and verdict is Verdict.UNKNOWN else None,
        ended=run.end,
        reason=reason,
        receipt=_receipt(run, planned.receipt),
        rule_version=setting.rule.version,
        calendar_version=setting.calendar.version,
        profile_version=setting.profile_version,
        ahead=ahead,
    )


def _excluded(run: Run, reason: str, receipt: Mapping[str, Any]) -> Cycle:
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


def _receipt(run: Run, arithmetic: Mapping[str, Any]) -> dict[str, Any]:
    if run.receipt is not None:
        return run.receipt
    rule, calendar = run.setting.rule, run.setting.calendar
    receipt = run.receipt = {
        "rule": rule.id,
        "rule_version": rule.version,
        "start": run.start.isoformat(),
        "started_by": run.sign.type,
        "calendar": calendar.name,
        "calendar_version": calendar.version,
        "zone": calendar.spec.zone,
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

    def __init__(self, run: Run, spells: Sequence[Spell], now: datetime) -> None:
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
