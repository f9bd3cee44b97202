"""What stands: the verdict, facts and instants of each run of a rule on a subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tower.values import value


class Verdict(StrEnum):
    """Verdicts of a cycle. Rates count met, met_late and breached; the rest is coverage."""

    PENDING = "pending"
    AT_RISK = "at_risk"
    BREACHED = "breached"
    MET = "met"
    MET_LATE = "met_late"
    NOT_MEASURED = "not_measured"
    UNKNOWN = "unknown"


@value
class Fact:
    """A claim that stands: started, excluded, paused, warn, held, breach, a level, end:<how>."""

    name: str
    effective: datetime
    why: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What time alone will add to an open cycle while nothing is told and no source is silent.

    warnings  levels that need no evidence, by their instants, and where they are counted as reached
    then      when to look after the last of them
    wait      how long a miss waits for stragglers and reads, as ``then`` was reckoned
    """

    warnings: tuple[tuple[str, datetime], ...]
    then: datetime
    wait: timedelta

    def to_json(self) -> dict[str, Any]:
        return {
            "warnings": [[name, at.isoformat()] for name, at in self.warnings],
            "then": self.then.isoformat(),
            "wait": self.wait.total_seconds(),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Ahead:
        warnings = tuple((name, datetime.fromisoformat(at)) for name, at in body["warnings"])
        wait = timedelta(seconds=body["wait"])
        return cls(warnings, datetime.fromisoformat(body["then"]), wait)


@value
class Cycle:
    """One run of a rule on one subject, as judged at an instant.

    due       None while paused, or when nothing is measured
    held_by   the silent source that keeps it unknown
    next      next instant at which time alone changes it, None if there is none
    ahead     the next warnings, if no more than that is to come at ``next`` (tower/passing.py)
    reason    why it is not measured
    receipt   JSON of the arithmetic (tower/receipts.py tells it in words)
    """

    number: int
    verdict: Verdict
    open: bool
    paused: bool
    started: datetime
    due: datetime | None
    facts: tuple[Fact, ...]
    next: datetime | None
    held_by: str | None = None
    ended: datetime | None = None
    reason: str = ""
    rule_version: str = ""
    calendar_version: str = ""
    profile_version: str = ""
    ahead: Ahead | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def fact(self, name: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.name == name), None)

    @property
    def breached_at(self) -> datetime | None:
        """Effective instant of the standing breach."""
        breach = self.fact("breach")
        return breach.effective if breach else None

    @property
    def warned_at(self) -> datetime | None:
        warn = self.fact("warn")
        return warn.effective if warn else None

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values; ``from_json`` reads it back equal."""
        return {
            "number": self.number,
            "verdict": self.verdict.value,
            "open": self.open,
            "paused": self.paused,
            "started": self.started.isoformat(),
            "due": text_of(self.due),
            "next": text_of(self.next),
            "held_by": self.held_by,
            "ended": text_of(self.ended),
            "reason": self.reason,
            "versions": [self.rule_version, self.calendar_version, self.profile_version],
            "facts": [[f.name, f.effective.isoformat(), dict(f.why)] for f in self.facts],
            "ahead": None if self.ahead is None else self.ahead.to_json(),
            "receipt": dict(self.receipt),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Cycle:
        rule_version, calendar_version, profile_version = body["versions"]
        ahead = body.get("ahead")
        return cls(
            number=body["number"],
            verdict=Verdict(body["verdict"]),
            open=body["open"],
            paused=body["paused"],
            started=datetime.fromisoformat(body["started"]),
            due=moment_of(body["due"]),
            facts=tuple(
                Fact(name, datetime.fromisoformat(at), why) for name, at, why in body["facts"]
            ),
            next=moment_of(body["next"]),
            held_by=body["held_by"],
            ended=moment_of(body["ended"]),
            reason=body["reason"],
            rule_version=rule_version,
            calendar_version=calendar_version,
            profile_version=profile_version,
            ahead=None if ahead is None else Ahead.from_json(ahead),
            receipt=body["receipt"],
        )


@dataclass(frozen=True, slots=True)
class Folded:
    """The cycles of one rule on one subject as of an instant, oldest first."""

    cycles: tuple[Cycle, ...] = ()
    upcoming: datetime | None = None  # a spell of this source that is not known yet

    @property
    def next(self) -> datetime | None:
        """Earliest instant at which time alone changes any cycle."""
        following = next_of(self.cycles)
        if following is None or self.upcoming is None:
            return following or self.upcoming
        return min(following, self.upcoming)

    @property
    def latest(self) -> Cycle | None:
        return self.cycles[-1] if self.cycles else None


def next_of(cycles: Sequence[Cycle]) -> datetime | None:
    """Earliest instant at which time alone changes one of them."""
    if len(cycles) == 1:
        return cycles[0].next
    return min([cycle.next for cycle in cycles if cycle.next is not None], default=None)


def text_of(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def moment_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
