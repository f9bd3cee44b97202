"""Cycles under construction: the signs of one subject, walked in order, begin, move and end them.

What happened is built here; what it means at an instant is judged by tower/judgement.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tower.attributes import Statement as Stating
from tower.cycles import Cycle, Fact
from tower.due import Plan, Statement
from tower.rulebook import EventRule
from tower.signs import RuleInForce, Setting, SettingAt, Sign


@dataclass(slots=True)
class Run:
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
    planned: Stages | None = None
    receipt: dict[str, Any] | None = None
    started: Fact = field(init=False)
    wait: timedelta = timedelta(0)
    sources: frozenset[str] = frozenset()
    closed: Cycle | None = None

    def __post_init__(self) -> None:
        wait, evidence = self.setting.rule.rule.settle.length, self.setting.evidence
        for source in evidence:
            if source.pull and source.tolerance > wait:
                wait = source.tolerance
        self.wait = wait
        self.sources = frozenset([source.source for source in evidence])
        self.started = Fact("started", self.start, {"event": self.sign.type})

    def changed(self) -> None:
        """A pause or a stated date: due must be worked out again."""
        self.planned = self.receipt = None


@dataclass(frozen=True, slots=True)
class Stages:
    """A plan with its levels in order, as the facts they become: up to due, at it, and after it."""

    plan: Plan
    early: Sequence[Fact] = ()
    breach: Fact | None = None
    later: Sequence[Fact] = ()


class Builder:
    """Walks the signs of a subject in order and opens, moves and ends cycles."""

    def __init__(self, rule: RuleInForce, setting_at: SettingAt) -> None:
        self.runs: list[Run] = []
        self._rule = rule
        self._setting_at = setting_at
        self._open: Run | None = None
        self._known: dict[str, Any] = {}
        self._held_since: datetime | None = None
        # Done or cancelled before it began: clocks of partners are not ours. Deadlines only; what
        # was cleared before it went wrong says nothing about the wrong that follows.
        self._early: tuple[str, Sign] | None = None
        self._keeps_early = not isinstance(rule.rule, EventRule)

    def take(self, sign: Sign, at: datetime) -> bool:
        """Whether a cycle began, moved or ended by it."""
        part = self._rule.parts[sign.type]
        stated = bool(part.stating) and self._learn(sign, part.stating)
        moved = False
        if part.pauses:
            moved = self._pause(at)
        elif part.resumes:
            moved = self._resume(at)
        run = self._open
        if run is None:
            if part.starts or (stated and not self._rule.start and not self.runs):
                return self._begin(sign, at)
            if self._keeps_early and not self.runs and self._early is None:
                if part.stops:
                    self._early = ("stop", sign)
                elif part.cancels:
                    self._early = ("cancelled", sign)
            return False
        if stated and self._state(run, at):
            moved = True
        if part.stops:
            self._end("stop", sign, at)
        elif part.cancels or self._needless(run):
            self._end("cancelled", sign, at)
        elif part.restarts:
            self._end("superseded", sign, at)
            self._begin(sign, at)
        else:
            return moved
        return True

    def _needless(self, run: Run) -> bool:
        when = run.setting.rule.needless
        return when is not None and when.holds({**run.attributes, **self._known})

    def _learn(self, sign: Sign, stating: Iterable[tuple[str, Stating]]) -> bool:
        """Take what the sign says about the subject; True if a date that moves due was said."""
        stated = False
        for attribute, statement in stating:
            if statement.first_stays and attribute in self._known:
                continue
            for fact in statement.facts:
                value = sign.facts.get(fact)
                if value is not None:
                    self._known[attribute] = value
                    stated = stated or attribute in self._rule.dates
                    break
        return stated

    def _begin(self, sign: Sign, at: datetime) -> bool:
        """Whether a cycle began: not one that the rule does not apply to."""
        number = len(self.runs) + 1
        setting = self._setting_at(number, at)
        attributes = {**setting.attributes, **self._known}
        applies = setting.rule.rule.applies_when
        if applies is not None and not applies.holds(attributes):
            return False
        run = Run(number, at, sign, setting, attributes)
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
        return True

    def _state(self, run: Run, at: datetime) -> bool:
        """Whether another date than before is stated now."""
        for attribute in run.setting.rule.dates:
            value = self._known.get(attribute, run.setting.attributes.get(attribute))
            if value is not None:
                last = run.statements[-1] if run.statements else None
                if last is None or (last.attribute, last.value) != (attribute, value):
                    run.statements.append(Statement(at, attribute, value))
                    run.changed()
                    return True
                return False
        return False

    def _pause(self, at: datetime) -> bool:
        if self._held_since is not None:
            return False
        self._held_since = at
        if self._open is None:
            return False
        self._open.pauses.append((at, None))
        self._open.changed()
        return True

    def _resume(self, at: datetime) -> bool:
        if self._held_since is None:
            return False
        self._held_since = None
        if self._open is None or not self._open.pauses:
            return False
        begin, _ = self._open.pauses[-1]
        self._open.pauses[-1] = (begin, at)
        self._open.changed()
        return True

    def _end(self, how: str, sign: Sign, at: datetime) -> None:
        if self._open is not None:
            self._open.end, self._open.end_how, self._open.end_sign = at, how, sign
            self._open = None
