"""Exception cases: what opens, raises, heals and reopens the work item that a person owns.

A case is folded from the journal of its clock, entry by entry, so that its history does not depend
on when a worker happened to look. Machine and human state never write each other: taking a case
moves no clock, and no clock deletes a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from tower.categories import Severity
from tower.cycles import text_of
from tower.errors import TowerError
from tower.identity import fingerprint
from tower.network import Network
from tower.signs import Subject
from tower.timeline import REJUDGED
from tower.values import value

REOPEN_WINDOW = timedelta(hours=72)  # a case that heals on Friday and fails on Monday is one story
ESCALATES_FOR = timedelta(days=30)  # what nobody mended in a month is no news
TAKEN_FOR = timedelta(hours=4)  # a promise to look after it; then it is raised again

STATES = ("new", "taken", "waiting", "snoozed", "resolved")
BY_HAND = ("repaired", "accepted", "false_alarm")  # resolutions that a person may give
RESOLUTIONS = ("healed", *BY_HAND, "merged")
_DECIDED = (*BY_HAND, "merged")  # by a person, about one cycle of a clock
VERDICTS = ("useful", "false_alarm")
CAUSES = (
    "partner", "gateway", "middleware", "erp", "warehouse", "carrier", "master_data", "tower",
    "unknown",
)  # fmt: skip
ANY_CYCLE = 0
RULE_REMOVED = "its rule was removed"
AUTHOR = "tower"  # of what the machine writes into a history

_HEALED = {
    "met": "it came in time",
    "late": "it came, late",
    "cleared": "back under its limit",
    "cancelled": "no longer expected",
    "superseded": "replaced by a newer version, which has a clock of its own",
    "excluded": "not measured",
    "retract": "later data show that it was not late",
}


@dataclass(frozen=True, slots=True)
class Level:
    """A level of a rule that tells people when it is reached."""

    name: str
    severity: str
    policy: str
    also: str | None = None
    unless_taken: bool = False


@dataclass(frozen=True, slots=True)
class Brief:
    """What a rule says about the cases it opens, with the words filled in for one subject.

    home_key   home of the subject; None for our own addresses and workers
    levels     the telling levels by name, lowest first
    owner      key of a person in network.yaml; ``letter`` is where that came from
    shares     the root cause that it may have in common with others (tower/root_causes.py)
    """

    subject: Subject
    home_key: int | None
    rule: str
    category: str
    levels: Mapping[str, Level]
    title: str
    advice: str
    owner: str
    letter: str
    partner_id: int | None = None
    supplier: str | None = None
    buyer: str | None = None
    cause: str = "unknown"
    shares: str = ""


@value
class Happening:
    """One entry of a clock's journal, as far as cases care.

    cycle      of the clock; ANY_CYCLE where an end is true of whatever cycle is open
    name       a level's name, "retract:<level>", "moved:<level>", "end:<how>", "reopened", ...
    effective  when it was true, ``detected`` the logical instant it could be known
    """

    name: str
    cycle: int
    effective: datetime
    detected: datetime
    due: datetime | None = None
    why: Mapping[str, Any] = field(default_factory=dict)


@value
class Case:
    """The machine's and the person's state of one exception case; ``id`` None until stored.

    shares     what it has in common with other cases of the same root cause, "" for nothing
    parent_id  the case of that root cause, None while it stands alone
    verdict    what a person thinks of the alert: useful or false_alarm, with ``judged_at``
    """

    id: int | None
    fingerprint: str
    cycle: int
    subject: Subject
    home_key: int | None
    category: str
    rule: str
    level: str
    levels: tuple[str, ...]
    base_severity: str
    severity: str
    state: str
    resolution: str | None
    clock_cycle: int
    partner_id: int | None
    supplier: str | None
    title: str
    advice: str
    owner: str
    letter: str
    policy: str
    cause: str
    opened_at: datetime
    detected_at: datetime
    due_at: datetime | None
    resolved_at: datetime | None
    first_taken_at: datetime | None = None
    taken_until: datetime | None = None
    snoozed_until: datetime | None = None
    reopened: int = 0
    held_subjects: int = 0
    why: Mapping[str, Any] = field(default_factory=dict)
    shares: str = ""
    parent_id: int | None = None
    verdict: str | None = None
    judged_at: datetime | None = None

    @property
    def open(self) -> bool:
        return self.state != "resolved"


@value
class Note:
    """One line in the history of a case."""

    at: datetime
    author: str
    kind: str
    text: str


@value
class Changed:
    """A case as it now stands, the notes that led there, and whether people may want to hear."""

    case: Case
    notes: tuple[Note, ...]
    tell: bool


def case_fingerprint(category: str, rule: str, subject: Subject) -> str:
    """Stable name of "this kind of trouble with this subject"."""
    return fingerprint((category, rule, str(subject)))


@lru_cache(maxsize=16)
def severity_rank(severity: str) -> int:
    return Severity(severity).rank


def raised(severity: str, by: int) -> str:
    """The severity ``by`` steps higher, at most critical."""
    return Severity(severity).raised(by).value


# --- what the journal does to a case --------------------------------------------------------------


def fold(known: Case | None, happenings: Sequence[Happening], brief: Brief) -> list[Changed]:
    """The cases of one fingerprint after these journal entries of its clock, oldest first.

    ``known`` is its latest case. One result per case that changed: two when an old one ended here
    and a new cycle of it was opened more than 72 hours later. Entries must come in journal order.
    """
    case, notes, tell = known, list[Note](), False
    done: list[Changed] = []
    for entry in happenings:
        before = case
        case, added, wants_telling = _step(case, entry, brief)
        if before is not None and case is not None and case.cycle != before.cycle:
            if notes:
                done.append(Changed(before, tuple(notes), tell))
            notes, tell = [], False
        notes.extend(added)
        tell = tell or wants_telling
    if case is not None and (notes or tell or case != known):
        done.append(Changed(case, tuple(notes), tell))
    return done


def _step(
    case: Case | None, entry: Happening, brief: Brief
) -> tuple[Case | None, list[Note], bool]:
    level = brief.levels.get(entry.name)
    if level is not None:
        return _reached(case, entry, level, brief)
    if case is None or entry.cycle not in (case.clock_cycle, ANY_CYCLE):
        return case, [], False
    kind, _, what = entry.name.partition(":")
    if kind == "retract":
        return _retracted(case, entry, what, brief)
    if kind == "moved":
        return _moved(case, entry, what)
    if kind == "reopened":
        if case.resolution == "merged":
            # The case it was merged into says it, or, where that ended, it is looked at anew.
            return case, [], bool(case.levels)
        if case.open or case.resolution in _DECIDED or not case.levels:
            return case, [], False
        level = brief.levels.get(case.level) or next(iter(brief.levels.values()))
        return _again(case, entry, level, brief, "what had settled it was undone")
    if kind in ("end", "excluded"):
        return _settled(case, entry, what or kind)
    return case, [], False


def _reached(
    case: Case | None, entry: Happening, level: Level, brief: Brief
) -> tuple[Case, list[Note], bool]:
    if case is None:
        return _opened(1, entry, level, brief)
    if case.open:
        if case.clock_cycle == entry.cycle and level.name in case.levels:
            return case, [], False
        if level.unless_taken and case.state == "taken":
            return case, [], False
        same = case.clock_cycle == entry.cycle
        if same and entry.effective - case.opened_at > ESCALATES_FOR:
            return case, [], False
        levels = case.levels if same else ()
        case = replace(
            case,
            clock_cycle=entry.cycle,
            levels=(*levels, level.name),
            due_at=entry.due or case.due_at,
            why=_why(case, entry, brief),
        )
        weighed, notes, tell = _weighed(case, entry, brief)
        # Whom this level names besides the owner has not heard of it, however severe it was.
        return weighed, notes, tell or level.also is not None
    if case.resolution in _DECIDED and case.clock_cycle == entry.cycle:
        # A person has decided about this very cycle; another level of it is no news.
        known = case.levels if level.name in case.levels else (*case.levels, level.name)
        return replace(case, levels=known), [], False
    if case.resolved_at is not None and entry.detected - case.resolved_at <= REOPEN_WINDOW:
        return _again(case, entry, level, brief, "it happened again within 72 hours")
    return _opened(case.cycle + 1, entry, level, brief)


def _opened(
    cycle: int, entry: Happening, level: Level, brief: Brief
) -> tuple[Case, list[Note], bool]:
    case = Case(
        id=None,
        fingerprint=case_fingerprint(brief.category, brief.rule, brief.subject),
        cycle=cycle,
        subject=brief.subject,
        home_key=brief.home_key,
        category=brief.category,
        rule=brief.rule,
        level=level.name,
        levels=(level.name,),
        base_severity=level.severity,
        severity=level.severity,
        state="new",
        resolution=None,
        clock_cycle=entry.cycle,
        partner_id=brief.partner_id,
        supplier=brief.supplier,
        title=brief.title,
        advice=brief.advice,
        owner=brief.owner,
        letter=brief.letter,
        policy=level.policy,
        cause=brief.cause,
        opened_at=entry.effective,
        detected_at=entry.detected,
        due_at=entry.due,
        resolved_at=None,
        why=_why(None, entry, brief),
        shares=brief.shares,
    )
    return case, [Note(entry.detected, AUTHOR, "opened", brief.title)], True


def _why(case: Case | None, entry: Happening, brief: Brief) -> dict[str, Any]:
    """The receipt of the case, the instant at which its last level could be known, the buyer."""
    found = dict(case.why) if case is not None else {}
    found |= entry.why
    found["reached_at"] = entry.detected.isoformat()
    if brief.buyer is not None:
        found["buyer"] = brief.buyer
    return found


def _again(
    case: Case, entry: Happening, level: Level, brief: Brief, because: str
) -> tuple[Case, list[Note], bool]:
    same_cycle = case.clock_cycle == entry.cycle
    levels = case.levels if same_cycle else ()
    if level.name not in levels:
        levels = (*levels, level.name)
    severity = _highest(levels, brief) or level.severity
    case = replace(
        case,
        state="new",
        resolution=None,
        resolved_at=None,
        snoozed_until=None,
        taken_until=None,
        reopened=case.reopened + 1,
        parent_id=None if case.resolution == "merged" else case.parent_id,
        clock_cycle=entry.cycle,
        level=level.name,
        levels=levels,
        base_severity=severity,
        severity=severity,
        detected_at=entry.detected,
        due_at=entry.due or case.due_at,
        why=_why(case, entry, brief),
    )
    return case, [Note(entry.detected, AUTHOR, "reopened", because)], True


def _weighed(case: Case, entry: Happening, brief: Brief) -> tuple[Case, list[Note], bool]:
    """Severity and level after the levels changed."""
    severity = _highest(case.levels, brief) or case.base_severity
    if severity == case.base_severity:
        return case, [], False
    rises = severity_rank(severity) > severity_rank(case.base_severity)
    steps = severity_rank(case.severity) - severity_rank(case.base_severity)
    now = raised(severity, steps)
    level = max(case.levels, key=lambda n: severity_rank(brief.levels[n].severity), default="")
    notes = [Note(entry.detected, AUTHOR, "severity", f"{case.severity} to {now}: {entry.name}")]
    changed = replace(case, level=level or case.level, base_severity=severity, severity=now)
    if level and rises:
        changed = replace(changed, policy=brief.levels[level].policy)
    return changed, notes, rises


def _retracted(
    case: Case, entry: Happening, name: str, brief: Brief
) -> tuple[Case, list[Note], bool]:
    if name not in case.levels:
        return case, [], False
    case = replace(case, levels=tuple(n for n in case.levels if n != name))
    if not case.open:
        return case, [], False
    if case.levels:
        return _weighed(case, entry, brief)
    return _healed(case, entry, _HEALED["retract"])


def _moved(case: Case, entry: Happening, name: str) -> tuple[Case, list[Note], bool]:
    if name not in case.levels:
        return case, [], False
    # It began at the instant of the level that opened it: another level moves nothing of that.
    was = entry.why.get("from")
    began = was is not None and datetime.fromisoformat(was) == case.opened_at
    moved = replace(
        case,
        opened_at=entry.effective if began else case.opened_at,
        due_at=entry.due or case.due_at,
        why={**case.why, **entry.why},
    )
    text = f"{name} is now {entry.effective.isoformat(timespec='minutes')}"
    return moved, [Note(entry.detected, AUTHOR, "moved", text)], False


def _settled(case: Case, entry: Happening, how: str) -> tuple[Case, list[Note], bool]:
    """Its clock ended. ``levels`` stay as they stood: an end may be undone by later data."""
    if not case.open:
        return case, [], False
    return _healed(case, entry, _HEALED.get(how, f"its clock ended: {how}"))


def _healed(case: Case, entry: Happening, because: str) -> tuple[Case, list[Note], bool]:
    by = entry.why.get("by")
    changed = heal(case, entry.detected, f"{because} ({by})" if by else because)
    healed = changed.case
    if REJUDGED in entry.why:
        healed = replace(healed, why={**healed.why, REJUDGED: entry.why[REJUDGED]})
    return healed, list(changed.notes), changed.tell


def is_past(changed: Changed) -> bool:
    """Whether a change of the rule book did this to the case, not time and not news.

    People hear of such cases in one summary, not in mails about the past.
    """
    case = changed.case
    if not case.open and case.why.get("healed") == RULE_REMOVED:
        return bool(changed.notes)
    stamp = case.why.get(REJUDGED)
    return stamp is not None and any(text_of(note.at) == stamp for note in changed.notes)


def heal(case: Case, at: datetime, because: str) -> Changed:
    """The case resolved by evidence, with what healed it."""
    healed = replace(
        case,
        state="resolved",
        resolution="healed",
        resolved_at=at,
        taken_until=None,
        snoozed_until=None,
        why={**case.why, "healed": because},
    )
    return Changed(healed, (Note(at, AUTHOR, "resolved", f"healed: {because}"),), True)


def _highest(levels: Sequence[str], brief: Brief) -> str | None:
    severities = [brief.levels[name].severity for name in levels if name in brief.levels]
    return max(severities, key=severity_rank, default=None)


def with_raise(case: Case, by: int, at: datetime, because: str) -> Changed | None:
    """The case with its rule's raise of ``by`` steps applied to the base; None if nothing moves."""
    severity = raised(case.base_severity, by)
    if severity == case.severity or not case.open:
        return None
    rises = severity_rank(severity) > severity_rank(case.severity)
    note = Note(at, AUTHOR, "severity", f"{case.severity} to {severity}: {because}")
    old = at - case.opened_at > ESCALATES_FOR
    return Changed(replace(case, severity=severity), (note,), rises and not old)


# --- what people do to a case ---------------------------------------------------------------------


class NotPossible(TowerError):
    """The wish does not fit the case as it stands; the message says why and what would."""


def take(case: Case, who: str, now: datetime) -> Changed:
    """Somebody says "mine". It expires after four hours, then the case is raised again."""
    must_be_open(case, "taken")
    until = now + TAKEN_FOR
    taken = replace(
        case,
        state="taken",
        first_taken_at=case.first_taken_at or now,
        taken_until=until,
        snoozed_until=None,
        why={**case.why, "taken_by": who},
    )
    return Changed(taken, (Note(now, who, "taken", f"until {minute(until)}"),), False)


def snooze(case: Case, who: str, now: datetime, until: datetime) -> Changed:
    """Say nothing until then. Its age runs on; what is still open at that time is told."""
    must_be_open(case, "snoozed")
    if until <= now:
        raise NotPossible(f"{minute(until)} is past. Choose a time to come.")
    quiet = replace(case, state="snoozed", snoozed_until=until, taken_until=None)
    return Changed(quiet, (Note(now, who, "snoozed", f"until {minute(until)}"),), False)


def resolve(
    case: Case, who: str, now: datetime, resolution: str, text: str, cause: str | None = None
) -> Changed:
    """Close it by hand: repaired, accepted (left so) or false_alarm."""
    must_be_open(case, "resolved")
    if resolution not in BY_HAND:
        raise NotPossible(f'"{resolution}" is no way to resolve; write {", ".join(BY_HAND)}.')
    if cause is not None and cause not in CAUSES:
        raise NotPossible(f'"{cause}" is no cause; write {", ".join(CAUSES)}.')
    closed = replace(
        case,
        state="resolved",
        resolution=resolution,
        resolved_at=now,
        taken_until=None,
        snoozed_until=None,
        cause=cause or case.cause,
    )
    if resolution == "false_alarm" and case.verdict is None:
        closed = replace(closed, verdict="false_alarm", judged_at=now)
    note = Note(now, who, "resolved", f"{resolution}: {text}" if text else resolution)
    return Changed(closed, (note,), True)


def assign(case: Case, who: str, now: datetime, owner: str) -> Changed:
    """Give it to another person; the former owner hears that it was passed on."""
    must_be_open(case, "passed on")
    if owner == case.owner:
        raise NotPossible(f"{owner} owns this case already.")
    passed = replace(case, owner=owner, state="new", taken_until=None, snoozed_until=None)
    return Changed(passed, (Note(now, who, "assigned", f"{case.owner} to {owner}"),), True)


def wake(case: Case, now: datetime, still_true: bool) -> Changed | None:
    """What a case does when one of its own times has come; None if it has none to act on.

    ``still_true`` tells whether its facts stand: a case repaired by hand whose facts stand reopens,
    and so does a merged one that outlives what it was merged into. Who accepts it or calls it a
    false alarm has decided about these very facts: it stays closed until they happen anew.
    """
    if case.state == "taken" and case.taken_until is not None and case.taken_until <= now:
        expired = replace(case, state="new", taken_until=None)
        note = Note(now, AUTHOR, "expired", "taken four hours ago and still open")
        return Changed(expired, (note,), True)
    if case.state == "snoozed" and case.snoozed_until is not None and case.snoozed_until <= now:
        awake = replace(case, state="new", snoozed_until=None)
        return Changed(awake, (Note(now, AUTHOR, "woken", "the snooze is over"),), True)
    if case.state == "waiting" and case.snoozed_until is not None and case.snoozed_until <= now:
        awake = replace(case, state="new", snoozed_until=None)
        return Changed(awake, (Note(now, AUTHOR, "woken", "the time to wait is over"),), True)
    if case.state == "resolved" and case.resolution == "repaired" and still_true:
        again = replace(
            case, state="new", resolution=None, resolved_at=None, reopened=case.reopened + 1
        )
        return Changed(again, (Note(now, AUTHOR, "reopened", "still true"),), True)
    if case.state == "resolved" and case.resolution == "merged" and still_true:
        again = replace(
            case,
            state="new",
            resolution=None,
            resolved_at=None,
            parent_id=None,
            reopened=case.reopened + 1,
        )
        text = f"still true; case {case.parent_id}, into which it was merged, is resolved"
        return Changed(again, (Note(now, AUTHOR, "reopened", text),), True)
    return None


def must_be_open(case: Case, done: str) -> None:
    """Refuse what makes no sense for a resolved case."""
    if not case.open:
        raise NotPossible(
            f"The case is resolved ({case.resolution}) and cannot be {done}. If it happens again, "
            "it reopens by itself."
        )


def minute(at: datetime) -> str:
    """An instant as histories tell it."""
    return at.strftime("%Y-%m-%d %H:%M UTC")


# --- who owns it ----------------------------------------------------------------------------------


def owner_of(letter: str, network: Network, buyer: str | None, fallback: str | None) -> str:
    """The person behind an owner letter; every case has one, at worst a fallback.

    B is the buyer named on the order, if network.yaml knows that person; S the supplier, for whom
    the supplier desk (D) answers. Empty only if network.yaml names nobody at all.
    """
    if letter == "B" and buyer in network.people:
        return str(buyer)
    for asked in (letter, "D") if letter == "S" else (letter,):
        person = network.owners.get(asked)
        if person in network.people:
            return str(person)
    if fallback in network.people:
        return str(fallback)
    return next(iter(network.people), "")
