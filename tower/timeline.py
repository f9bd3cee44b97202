"""The merged line: signs and timers of one unit in one order of time, and the journal they write.

A unit is a root document with its lines (or a shipment, or a source): its signs and timers form
one line, so that ticks, downtime and the number of workers cannot show in the journal. Two halves
of one rule, never to be broken:

1. before a sign that arrived at T is folded, the unit's timers at or before T fire one by one, each
   with ``now`` = its own instant;
2. no timer at D fires while the unit has an unapplied sign that arrived before D. So ``advance``
   must be given every sign of the unit that is visible up to ``until``.

Logical time never goes back: a sign that became visible late is applied just after the last
instant; that instant is stored with it, and a replay uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from tower.clocks import Track, fold
from tower.cycles import Cycle, Fact, Verdict, next_of
from tower.rulebook import DeadlineRule, EventRule, RatioRule, SourceRule, VolumeRule
from tower.signs import Listeners, RuleInForce, Setting, Sign, Spell, Subject, listening
from tower.values import value

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)

REJUDGED = "rejudged_at"
"""In the ``why`` of an entry that a change of the rule book wrote: the logical instant of it."""

ClockKey = tuple[str, Subject]
"""Rule id and subject."""


@value
class Entry:
    """One line of the journal: a fact was added, moved or retracted.

    name       started, excluded, paused, resumed, warn, held, released, breach, the name of
               another level, end:met, end:late, end:cancelled, end:superseded, reopened,
               retract:<name>, moved:<name>; recalculated where a past verdict is another one now
    effective  when it was true; ``detected`` the logical instant at which it could be known
    due        of the cycle, as then known
    why        the fact's reason together with the receipt (tower/receipts.py)
    """

    rule: str
    subject: Subject
    cycle: int
    name: str
    effective: datetime
    detected: datetime
    due: datetime | None
    rule_version: str
    why: Mapping[str, Any] = field(compare=False)

    @property
    def level(self) -> str | None:
        """The level that was reached, retracted or moved; None for every other entry."""
        name = self.name.removeprefix("retract:").removeprefix("moved:")
        return None if name in _NOT_LEVELS or name.startswith("end:") else name


RECALCULATED = "recalculated"
"""Says that a verdict which had been given is another one now: ``why`` has ``was``, ``now`` (None =
nothing is measured any more) and ``because``. It is no fact, and stands after what it sums up."""

_NOT_LEVELS = frozenset(
    {"started", "excluded", "paused", "resumed", "held", "released", "reopened", RECALCULATED}
)


class Court(Protocol):
    """What judging asks of its surroundings: which rules, and what decided at a cycle's start."""

    def rules(self, subject: Subject) -> Sequence[RuleInForce]:
        """Rules about subjects of this kind."""

    def setting(self, rule: RuleInForce, subject: Subject, cycle: int, start: datetime) -> Setting:
        """Calendar, profile, evidence and rule version of a cycle."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit between two visits.

    instant  last logical instant, None before the first
    clocks   cycles of each rule and subject, as judged last
    signs    what its clocks took so far, per subject
    """

    instant: datetime | None = None
    clocks: Mapping[ClockKey, tuple[Cycle, ...]] = field(default_factory=dict)
    signs: Mapping[Subject, tuple[Sign, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advance:
    """What a visit did.

    journal  entries in order
    state    the unit as it now is
    changed  clocks whose cycles differ from before, with their present cycles
    applied  logical instant of each new sign; store it, a replay needs it
    next     when to come again if nothing else happens
    """

    journal: tuple[Entry, ...]
    state: UnitState
    changed: Mapping[ClockKey, tuple[Cycle, ...]]
    applied: Mapping[UUID, datetime]
    next: datetime | None


def advance(
    state: UnitState,
    new_signs: Mapping[Subject, Sequence[Sign]],
    spells: Sequence[Spell],
    until: datetime,
    court: Court,
    rejudge_at: datetime | None = None,
    *,
    reread_at: datetime | None = None,
) -> Advance:
    """Bring a unit up to ``until``.

    ``new_signs`` are all signs that its clocks have not taken yet; header signs of a PO come for
    its lines too. A subject without new signs may be named with an empty list (a source).
    ``spells`` must hold every spell of an evidence source that is open or has ended since the last
    visit; a spell that becomes visible late takes effect at the last logical instant.

    ``rejudge_at`` is the instant at which another rule book came into force since the last visit:
    there every clock is judged by what the court says now. Closed cycles keep what the court pins.

    ``reread_at``: signs that its clocks had taken were taken back then, because a message was read
    again. At that instant every clock is judged without them, and with what is told instead.
    """
    line = _Line(state, spells, court)
    line.open(new_signs)
    groups = _grouped(state.instant, new_signs)
    if reread_at is not None and state.instant is not None:
        again = max(reread_at, state.instant + _TICK)
        known: dict[Subject, list[Sign]] = {}
        for _, group in groups:
            for subject, signs in group.items():
                known.setdefault(subject, []).extend(s for s in signs if _applied(s) <= again)
        line.apply(again, _taken(known, again), because=_READ_AGAIN)
        line.judge_all(again, _READ_AGAIN)
        groups = [(at, group) for at, group in groups if at > again]
    changed_at = rejudge_at
    for instant, group in groups:
        if changed_at is not None and changed_at < instant:
            line.rejudge(changed_at)
            changed_at = None
        line.fire_up_to(instant)
        line.apply(instant, group)
    if changed_at is not None:
        line.rejudge(changed_at)
    line.fire_up_to(until)
    return line.result()


def _applied(sign: Sign) -> datetime:
    return sign.applied_at or sign.arrived_at


def _taken(signs: Mapping[Subject, Sequence[Sign]], at: datetime) -> dict[Subject, list[Sign]]:
    return {subject: [sign.taken(at) for sign in its] for subject, its in signs.items() if its}


def _grouped(
    last: datetime | None, new_signs: Mapping[Subject, Sequence[Sign]]
) -> list[tuple[datetime, dict[Subject, list[Sign]]]]:
    """Signs by the instant at which they are applied, ascending.

    What arrived at one instant is taken at one instant. A sign that is visible only now though it
    arrived at or before the last instant is taken one microsecond after it: had it shared the
    instant, a replay would take it together with what was taken then.
    """
    groups: dict[datetime, dict[Subject, list[Sign]]] = {}
    for subject, signs in new_signs.items():
        for sign in signs:
            at = sign.applied_at or sign.arrived_at
            if last is not None and at <= last:
                at = last + _TICK
            group = groups.get(at)
            if group is None:
                group = groups[at] = {}
            its = group.get(subject)
            if its is None:
                group[subject] = [sign.taken(at)]
            else:
                its.append(sign.taken(at))
    return sorted(groups.items(), key=lambda item: item[0])


class _Line:
    """The state of a unit while its line is walked."""

    def __init__(self, state: UnitState, spells: Sequence[Spell], court: Court) -> None:
        self._before = state.clocks
        self._clocks: dict[ClockKey, tuple[Cycle, ...]] = dict(state.clocks)
        self._signs: dict[Subject, list[Sign]] = {s: list(its) for s, its in state.signs.items()}
        self._instant = state.instant
        self._spells = spells
        self._court = court
        self._rules: dict[str, Listeners] = {}  # by kind of subject
        self._tracks: dict[ClockKey, Track] = {}
        self._next: dict[ClockKey, datetime] = {}
        self._journal: list[Entry] = []
        self._applied: dict[UUID, datetime] = {}
        for key, cycles in self._clocks.items():
            following = next_of(cycles)
            if following is not None:
                self._next[key] = following

    def open(self, new_signs: Mapping[Subject, Sequence[Sign]]) -> None:
        """Look at clocks that spells of silence may have changed since the last visit."""
        now = self._instant or _BEGINNING
        if self._spells:
            for key, cycles in self._before.items():
                rule = self._rule(key)
                if rule is not None and rule.rule.evidence and any(c.open for c in cycles):
                    self._judge(rule, key[1], now, because=_SILENT)
        for subject in new_signs:
            for rule in self._rules_of(subject):
                if isinstance(rule.rule, SourceRule | RatioRule | VolumeRule):
                    self._judge(rule, subject, now)

    def fire_up_to(self, until: datetime) -> None:
        """Fire timers one by one, the earliest first, each at its own instant."""
        while self._next:
            due = min(self._next.values())
            if due > until:
                return
            now = due if self._instant is None else max(due, self._instant)
            for key in sorted(key for key, at in self._next.items() if at == due):
                rule = self._rule(key)
                if rule is None:
                    del self._next[key]
                else:
                    self._judge(rule, key[1], now)
            self._instant = now

    def apply(
        self, now: datetime, group: Mapping[Subject, Sequence[Sign]], because: str = ""
    ) -> None:
        """Fold signs that share an instant into every clock that listens to one of them."""
        applied, last = self._applied, None
        for subject in sorted(group) if len(group) > 1 else group:
            signs = group[subject]
            self._signs.setdefault(subject, []).extend(signs)
            for sign in signs:
                # Mostly the lines of one order, which share what is said of it.
                if sign.event_id is not last:
                    last = sign.event_id
                    applied[last] = now
            listeners = self._listeners(subject)
            if len(signs) == 1:
                for rule, part in listeners.by_type.get(signs[0].type, ()):
                    if part.hears(signs[0]):
                        self._judge(rule, subject, now, signs, because)
                continue
            for rule in listeners.all:
                heard = [sign for sign in signs if rule.listens(sign)]
                if heard:
                    self._judge(rule, subject, now, heard, because)
        self._instant = now

    def rejudge(self, at: datetime) -> None:
        """Judge all clocks by the book in force; those whose rule is gone end unmeasured."""
        self.fire_up_to(at)
        now = at if self._instant is None else max(at, self._instant)
        before = len(self._journal)
        self.judge_all(now, _OTHER_BOOK)
        for key, cycles in list(self._clocks.items()):
            if self._rule(key) is None and any(cycle.open for cycle in cycles):
                after = tuple(_without_rule(c, now) if c.open else c for c in cycles)
                self._journal.extend(changes(*key, cycles, after, now))
                self._clocks[key] = after
                self._next.pop(key, None)
        said = {REJUDGED: now.isoformat()}
        self._journal[before:] = [
            replace(entry, why={**entry.why, **said}) for entry in self._journal[before:]
        ]
        self._instant = now

    def judge_all(self, now: datetime, because: str) -> None:
        """Judge every clock of the unit."""
        for subject in sorted({*self._signs, *(subject for _, subject in self._clocks)}):
            for rule in self._rules_of(subject):
                self._judge(rule, subject, now, because=because)
        self._instant = now

    def result(self) -> Advance:
        changed = {
            key: cycles
            for key, cycles in self._clocks.items()
            if cycles is not self._before.get(key) and cycles != self._before.get(key, ())
        }
        return Advance(
            tuple(self._journal),
            UnitState(
                self._instant, self._clocks, {s: tuple(its) for s, its in self._signs.items()}
            ),
            changed,
            self._applied,
            min(self._next.values(), default=None),
        )

    def _judge(
        self,
        rule: RuleInForce,
        subject: Subject,
        now: datetime,
        heard: Sequence[Sign] = (),
        because: str = "",
    ) -> None:
        """Judge one clock; ``heard`` are the signs of it that came since it was judged last, and
        ``because`` why a verdict that was given may be another one now, if not by them."""
        key = (rule.id, subject)
        found = self._found(rule, key, now, heard)
        if found is None:
            return
        after, following = found
        before = self._clocks.get(key, ())
        if after or before:
            self._journal.extend(changes(rule.id, subject, before, after, now, because, heard))
            self._clocks[key] = after
        if following is None:
            self._next.pop(key, None)
        else:
            self._next[key] = following

    def _found(
        self, rule: RuleInForce, key: ClockKey, now: datetime, heard: Sequence[Sign]
    ) -> tuple[tuple[Cycle, ...], datetime | None] | None:
        """The cycles as of ``now``, and when time changes them; None if they are those that stand.

        What is heard and changes no cycle changes nothing: timers fired up to here, so time alone
        does not either.
        """
        subject, spells = key[1], self._spells
        track = self._tracks.get(key)
        if track is not None:
            if heard and not track.hear(heard):
                return None
            cycles = track.cycles(spells, now)
            return cycles, next_of(cycles)
        # Not by way of ``self``: a ring of references would keep every line until it is collected.
        court = self._court

        def setting_at(number: int, start: datetime) -> Setting:
            return court.setting(rule, subject, number, start)

        signs = self._signs.get(subject, ())
        if isinstance(rule.rule, DeadlineRule | EventRule):
            track = self._tracks[key] = Track(rule, setting_at)
            track.take(signs)
            cycles = track.cycles(spells, now)
            return cycles, next_of(cycles)
        if isinstance(rule.rule, SourceRule):
            spells = [spell for spell in spells if spell.source == subject.number]
        folded = fold(rule, signs, spells, setting_at, now)
        return folded.cycles, folded.next

    def _rules_of(self, subject: Subject) -> Iterable[RuleInForce]:
        return self._listeners(subject).all

    def _rule(self, key: ClockKey) -> RuleInForce | None:
        return self._listeners(key[1]).by_id.get(key[0])

    def _listeners(self, subject: Subject) -> Listeners:
        found = self._rules.get(subject.kind)
        if found is None:
            found = self._rules[subject.kind] = listening(tuple(self._court.rules(subject)))
        return found


def _without_rule(cycle: Cycle, now: datetime) -> Cycle:
    """An open cycle whose rule was removed from the book."""
    kept = tuple(fact for fact in cycle.facts if fact.name not in ("paused", "held"))
    return replace(
        cycle,
        verdict=Verdict.NOT_MEASURED,
        open=False,
        paused=False,
        next=None,
        held_by=None,
        ended=now,
        reason="its rule was removed",
        facts=(*kept, Fact("end:cancelled", now, {"by": "rule removed"})),
    )


# --- differences --------------------------------------------------------------------------------


def changes(
    rule: str,
    subject: Subject,
    before: Sequence[Cycle],
    after: Sequence[Cycle],
    now: datetime,
    because: str = "",
    heard: Sequence[Sign] = (),
) -> list[Entry]:
    """Journal entries that lead from the facts that stood to those that stand now.

    ``because`` says why a verdict that was given is another one now; without it, the first of the
    signs ``heard``.
    """
    entries: list[Entry] = []
    for was, now_is in _pairs(before, after):
        cycle = now_is or was
        if cycle is None or (was and now_is and _alike(was, now_is)):
            continue
        number, due, version = cycle.number, cycle.due, cycle.rule_version
        for name, at, why in _steps(was, now_is):
            told = _reason(name, why, cycle)
            entries.append(Entry(rule, subject, number, name, at, now, due, version, told))
        overturned = None if was is None else _overturned(was, now_is)
        if was is not None and overturned is not None:
            judged = {
                "was": was.verdict.value,
                "now": None if now_is is None else now_is.verdict.value,
                "because": because or _late(heard),
            }
            entries.append(
                Entry(rule, subject, number, RECALCULATED, overturned, now, due, version, judged)
            )
    return entries


def _pairs(
    before: Sequence[Cycle], after: Sequence[Cycle]
) -> Iterable[tuple[Cycle | None, Cycle | None]]:
    """Each cycle as it was and as it is now, by number."""
    if len(after) == 1 and not before:
        return [(None, after[0])]
    if len(after) == len(before) == 1 and after[0].number == before[0].number:
        return [(before[0], after[0])]
    old = {cycle.number: cycle for cycle in before}
    new = {cycle.number: cycle for cycle in after}
    return [(old.get(number), new.get(number)) for number in sorted(old.keys() | new.keys())]


_READ_AGAIN = "a message was read again"
_OTHER_BOOK = "another rule book came into force"
_SILENT = "silence of a source was noticed late"


def _late(heard: Sequence[Sign]) -> str:
    if not heard:
        return ""
    first = min(heard, key=lambda sign: (sign.occurred_at, sign.type))
    return f"{first.type} of {first.occurred_at:%Y-%m-%d %H:%MZ} became known"


_GIVEN = frozenset({Verdict.BREACHED, Verdict.MET, Verdict.MET_LATE, Verdict.NOT_MEASURED})
_UNDECIDED = frozenset({"started", "paused", "warn", "held"})


def _overturned(was: Cycle, now_is: Cycle | None) -> datetime | None:
    """Since when a verdict that was given is untrue; None if it stands, or only time went on.

    What decided it must stand no more: an order that is answered after its breach is late as it was
    before.
    """
    if was.verdict not in _GIVEN or (now_is is not None and now_is.verdict == was.verdict):
        return None
    left = {fact.name for fact in now_is.facts} if now_is is not None else set()
    gone = [f.effective for f in was.facts if f.name not in left and f.name not in _UNDECIDED]
    return min(gone, default=None)


def _alike(was: Cycle, now_is: Cycle) -> bool:
    """Whether there is nothing to tell of the way from one to the other."""
    return was is now_is or (
        was.number == now_is.number and was.facts == now_is.facts and was.due == now_is.due
    )


def _reason(name: str, why: Mapping[str, Any], cycle: Cycle) -> Mapping[str, Any]:
    """The receipt goes with what a person may be told about; the rest carries its own reason."""
    if name in ("paused", "resumed", "held", "released"):
        return why
    return {**cycle.receipt, **why}


_RANK = {"started": 0, "excluded": 0, "paused": 1, "warn": 2, "held": 3, "breach": 4}

Step = tuple[str, datetime, Mapping[str, Any]]


def _steps(was: Cycle | None, now_is: Cycle | None) -> list[Step]:
    if now_is is not None and (was is None or was.due == now_is.due):
        # Mostly what stood stands, and more is told beside it.
        kept = 0 if was is None else len(was.facts)
        if was is None or now_is.facts[:kept] == was.facts:
            more = sorted(now_is.facts[kept:], key=_order)
            return [(fact.name, fact.effective, fact.why) for fact in more]
    old = {fact.name: fact for fact in was.facts} if was else {}
    new = {fact.name: fact for fact in now_is.facts} if now_is else {}
    steps: list[Step] = []
    gone = [fact for name, fact in old.items() if name not in new]
    added = {name for name in new if name not in old}
    ends = any(name.startswith("end:") for name in added)
    for fact in sorted(gone, key=_order, reverse=True):
        word = _undone(fact, now_is, ends, "breach" in added)
        if word:
            steps.append((word, fact.effective, fact.why))
    for name, fact in sorted(new.items(), key=lambda item: _order(item[1])):
        if name in added:
            steps.append((name, fact.effective, fact.why))
        elif fact.effective != old[name].effective:
            moved = {**fact.why, "from": old[name].effective.isoformat()}
            steps.append((f"moved:{name}", fact.effective, moved))
    if was and now_is and now_is.open and now_is.due is not None and now_is.due != was.due:
        told = {name for name, _, _ in steps}
        if not told & {"breach", "moved:breach", "retract:breach"}:
            moved = {} if was.due is None else {"from": was.due.isoformat()}
            steps.append(("moved:breach", now_is.due, moved))
    return steps


def _undone(fact: Fact, now_is: Cycle | None, ends: bool, breaches: bool) -> str:
    """The word for a fact that no longer stands; "" where a new fact says it all."""
    if now_is is None:
        return f"retract:{fact.name}"
    if fact.name.startswith("end:"):
        return "" if ends else "reopened"
    if fact.name == "held":
        return "" if ends or breaches else "released"
    if fact.name == "paused":
        return "" if ends else "resumed"
    return f"retract:{fact.name}"


def _order(fact: Fact) -> tuple[int, datetime, str]:
    rank = 9 if fact.name.startswith("end:") else _RANK.get(fact.name, 5)
    return rank, fact.effective, fact.name


def standing(journal: Iterable[Entry]) -> dict[tuple[str, Subject, int, str], datetime]:
    """The facts that stand after a journal: effective instant by rule, subject, cycle and name."""
    found: dict[tuple[str, Subject, int, str], datetime] = {}

    def drop(entry: Entry, which: Callable[[str], bool]) -> None:
        for key in [k for k in found if k[:3] == clock(entry) and which(k[3])]:
            del found[key]

    def clock(entry: Entry) -> tuple[str, Subject, int]:
        return entry.rule, entry.subject, entry.cycle

    for entry in journal:
        kind, _, what = entry.name.partition(":")
        if kind == RECALCULATED:
            continue
        if kind == "retract":
            found.pop((*clock(entry), what), None)
        elif kind == "moved":
            if (*clock(entry), what) in found:
                found[(*clock(entry), what)] = entry.effective
        elif kind == "reopened":
            drop(entry, lambda name: name.startswith("end:"))
        elif kind in ("resumed", "released"):
            found.pop((*clock(entry), {"resumed": "paused", "released": "held"}[kind]), None)
        else:
            if kind == "end":
                drop(entry, lambda name: name in ("paused", "held") or name.startswith("end:"))
            elif kind == "breach":
                found.pop((*clock(entry), "held"), None)
            found[(*clock(entry), entry.name)] = entry.effective
    return found
