"""What waits for a case that nobody looks after: reminders, and steps up.

The policy's words are copied when the case is told first, so that a changed rule book does not
rewrite what was promised. Taking, snoozing or settling the case stops the chain; when the promise
to look after it ends, what is left of it starts over. Each start has a new generation, and a timer
of an older one does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from tower.calendars import Calendar
from tower.cases import ESCALATES_FOR, Case
from tower.durations import Span, Unit
from tower.rule_terms import NotifyPolicy

RESTARTS = frozenset({"assigned", "expired", "released", "reopened", "woken"})
"""Kinds of notes after which a chain that was stopped starts over."""


@dataclass(frozen=True, slots=True)
class ChainStep:
    """So long after the start, tell this person too."""

    after: Span
    to: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain of one case.

    policy       whose words these are
    repeat       remind so often; None = never
    next_step    number of the first step that was not taken
    generation   of this start
    started_at   steps count from here
    reminded_at  the next reminder counts from here
    """

    case_id: int
    policy: str
    repeat: Span | None
    steps: tuple[ChainStep, ...]
    next_step: int
    generation: int
    started_at: datetime
    reminded_at: datetime
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Rung:
    """What a chain asks for when its timer rings: whom to tell too, whether to remind."""

    chain: Chain
    tell: tuple[str, ...] = ()
    remind: bool = False


def after_change(
    case: Case, kinds: Iterable[str], policy: NotifyPolicy, now: datetime, known: Chain | None
) -> Chain | None:
    """The chain that begins, or begins again, with a change of an open case; None leaves it.

    ``kinds`` are those of the notes of the change, ``known`` what runs so far. A case that grew
    worse under the same policy keeps its chain; one that reopened has a chain from its first step.
    """
    happened = frozenset(kinds)
    if not case.open or case.id is None:
        return None
    generation = known.generation + 1 if known is not None else 1
    if known is None or known.policy != case.policy or "reopened" in happened:
        steps = tuple(ChainStep(step.after, step.to) for step in policy.escalate)
        if policy.repeat is None and not steps:
            return replace(known, stopped=True) if known is not None else None
        return Chain(case.id, case.policy, policy.repeat, steps, 0, generation, now, now)
    if happened & RESTARTS:
        return replace(known, generation=generation, started_at=now, reminded_at=now, stopped=False)
    return None


def next_due(chain: Chain, hours: Calendar) -> datetime | None:
    """When it asks for something next; None if it is stopped or used up."""
    if chain.stopped:
        return None
    waiting = []
    if chain.repeat is not None:
        waiting.append(_after(chain.reminded_at, chain.repeat, hours))
    if chain.next_step < len(chain.steps):
        waiting.append(_after(chain.started_at, chain.steps[chain.next_step].after, hours))
    return min(waiting, default=None)


def ring(chain: Chain, case: Case, now: datetime, hours: Calendar) -> Rung:
    """What to do at ``now``. However long nobody looked, there is one reminder.

    A case that somebody took, or that is older than thirty days, stops its chain.
    """
    if case.state != "new" or now - case.opened_at > ESCALATES_FOR:
        return Rung(replace(chain, stopped=True))
    tell, step = [], chain.next_step
    while step < len(chain.steps):
        if _after(chain.started_at, chain.steps[step].after, hours) > now:
            break
        tell.append(chain.steps[step].to)
        step += 1
    repeat = chain.repeat
    remind = repeat is not None and _after(chain.reminded_at, repeat, hours) <= now
    return Rung(
        replace(chain, next_step=step, reminded_at=now if remind else chain.reminded_at),
        tuple(tell),
        remind,
    )


def _after(begin: datetime, span: Span, hours: Calendar) -> datetime:
    return hours.add(begin, span.length) if span.unit is Unit.OPEN else begin + span.length
