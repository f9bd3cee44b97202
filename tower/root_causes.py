"""Root causes: cases that share one hang under one parent case, and people hear of that one.

What a case shares is a name: a source that was silent, a queue, a mapping, or a partner with what
went wrong there. Which cases form a group is a pure function of their names and effective instants,
so that neither the order in which they were found nor a second look changes it. Children keep their
clocks, owners and notes; the parent has their sum, and people's own state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tower.cases import AUTHOR, BY_HAND, Case, Changed, Note, case_fingerprint, heal, severity_rank
from tower.categories import CATEGORIES
from tower.rulebook import RuleBook
from tower.signs import Subject

KIND = "cause"
"""Subject kind of parent cases: no document, and no clock, stands behind them."""

SOURCE, QUEUE, MAPPING, PARTNER = "source", "queue", "mapping", "partner"
MOST_NAMED = 12  # children that a parent's advice names


@dataclass(frozen=True, slots=True)
class Grouping:
    """When cases that share a cause are told as one.

    at_least, within   so many cases effective within this time begin a group
    joins              a later one joins while it follows the last of them this closely
    """

    at_least: int = 5
    within: timedelta = timedelta(minutes=30)
    joins: timedelta = timedelta(hours=24)

    def of(self, shares: str) -> Grouping:
        """Due instants lie scattered over a silence: what it held back counts by the day."""
        return replace(self, within=self.joins) if shares.startswith(f"{SOURCE}|") else self


GROUPING = Grouping()


def grouping_of(book: RuleBook) -> Grouping:
    """What the rule book says of it."""
    said = book.root_causes
    return Grouping(said.at_least, said.within.length, said.joins.length)


def of_source(name: str) -> str:
    """The name of what cases share whose clocks waited for one silent source."""
    return f"{SOURCE}|{name}"


def shared(
    category: str,
    partner: str | None,
    *,
    code: str | None = None,
    queue: str | None = None,
    mapping: str | None = None,
) -> str:
    """What a case may share with others, the narrowest cause first; "" for nothing.

    ``code`` is what the sender's or our own check called the error.
    """
    if queue:
        return f"{QUEUE}|{queue}"
    if mapping:
        return f"{MAPPING}|{mapping}"
    if partner:
        return f"{PARTNER}|{partner}|{category}|{code or ''}".rstrip("|")
    return ""


def shared_name(parent: Case) -> str:
    """What the cases under this parent share."""
    return f"{parent.subject.scope}|{parent.subject.number}"


@dataclass(frozen=True, slots=True)
class Group:
    """A parent as it now should be, the cases under it, and what changed about it."""

    parent: Changed
    members: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Regrouped:
    """What becomes of the cases of one shared name.

    groups   parents that have cases, each with all of them
    ended    parents whose cases went elsewhere
    loose    cases that hung under a parent and belong to no group any more
    """

    groups: tuple[Group, ...] = ()
    ended: tuple[Changed, ...] = ()
    loose: tuple[Case, ...] = ()


def groups(cases: Iterable[Case], grouping: Grouping = GROUPING) -> list[list[Case]]:
    """Cases of one shared name that belong together, each group in the order of their instants.

    A case whose facts were taken back counts no more, nor does one that a person merged elsewhere.
    """
    counted = sorted(
        (c for c in cases if c.levels and c.resolution != "merged"),
        key=lambda c: (c.opened_at, str(c.subject), c.cycle),
    )
    last = grouping.at_least - 1
    dense = [False] * len(counted)
    for n in range(len(counted) - last):
        if counted[n + last].opened_at - counted[n].opened_at <= grouping.within:
            dense[n : n + last + 1] = [True] * (last + 1)
    found: list[list[Case]] = []
    running = False
    for case, starts in zip(counted, dense, strict=True):
        if running and case.opened_at - found[-1][-1].opened_at <= grouping.joins:
            found[-1].append(case)
        elif starts:
            found.append([case])
            running = True
        else:
            running = False
    return found


def regroup(
    shares: str,
    cases: Sequence[Case],
    parents: Mapping[int, Case],
    names: Mapping[str, str],
    now: datetime,
    grouping: Grouping = GROUPING,
) -> Regrouped:
    """Hang the cases of one shared name under their parents.

    ``cases`` are all that can belong together with what changed, ``parents`` those known for this
    name by number, ``names`` what partners are called.
    """
    found: list[Group] = []
    used: set[int] = set()
    ended: list[Changed] = []
    newest = max((parent.cycle for parent in parents.values()), default=0)
    held: set[int] = set()
    for members in groups(cases, grouping.of(shares)):
        held |= {c.id for c in members if c.id is not None}
        mine = sorted(_hung(members, parents) - used)
        if mine:
            known = parents[mine[0]]
            used |= set(mine)
            ended.extend(
                _merged(parents[other], known, now) for other in mine[1:] if parents[other].open
            )
        else:
            newest += 1
            known = None
        parent = _summed(known, newest, shares, members, names, now)
        found.append(Group(parent, tuple(members)))
    for number in sorted(_hung(cases, parents) - used):
        if parents[number].open:
            ended.append(heal(parents[number], now, "its cases share no cause any more"))
    loose = [
        c for c in cases if c.parent_id in parents and c.id not in held and c.resolution != "merged"
    ]
    return Regrouped(tuple(found), tuple(ended), tuple(loose))


def _hung(cases: Iterable[Case], parents: Mapping[int, Case]) -> set[int]:
    """Numbers of the parents that these cases hang under now."""
    numbers = {c.parent_id for c in cases if c.parent_id is not None}
    return numbers & parents.keys()


def _merged(case: Case, into: Case, now: datetime) -> Changed:
    closed = replace(
        case,
        state="resolved",
        resolution="merged",
        resolved_at=now,
        taken_until=None,
        snoozed_until=None,
        why={**case.why, "merged_into": into.id},
    )
    text = f"merged: it is the same cause as case {into.id}"
    return Changed(closed, (Note(now, AUTHOR, "resolved", text),), True)


def _summed(
    known: Case | None,
    cycle: int,
    shares: str,
    members: Sequence[Case],
    names: Mapping[str, str],
    now: datetime,
) -> Changed:
    """The parent as its cases make it; what people did to it stays."""
    standing = [c for c in members if c.open]
    case = known or _new(cycle, shares, members, now)
    worst = max(standing or members, key=lambda c: severity_rank(c.severity))
    levels = tuple(dict.fromkeys(n for c in standing or members for n in c.levels))
    summed = replace(
        case,
        title=_title(shares, standing or members, names),
        advice=_advice(standing or members),
        severity=worst.severity,
        base_severity=worst.severity,
        level=worst.level,
        levels=levels,
        policy=worst.policy,
        opened_at=members[0].opened_at,
        due_at=members[0].due_at,
        why={
            **case.why,
            "cases": len(members),
            "open_cases": len(standing),
            "shares": shares,
            "newest": (standing or members)[-1].opened_at.isoformat(),
            "reason": _reason(shares, members, names),
        },
    )
    if known is None:
        text = f"{len(members)} cases share one cause: {_cause(shares, members[0], names)}"
        return Changed(summed, (Note(now, AUTHOR, "opened", text),), bool(standing))
    if known.open and not standing:
        return heal(summed, now, "all its cases are settled")
    if not known.open:
        if not standing or known.resolution in (*BY_HAND, "merged"):
            return Changed(summed, (), False)
        again = replace(
            summed, state="new", resolution=None, resolved_at=None, reopened=known.reopened + 1
        )
        text = f"{len(standing)} of its cases are open again"
        return Changed(again, (Note(now, AUTHOR, "reopened", text),), True)
    rises = severity_rank(summed.severity) - severity_rank(known.severity)
    notes = []
    if rises:
        notes.append(Note(now, AUTHOR, "severity", f"{known.severity} to {summed.severity}"))
    return Changed(summed, tuple(notes), rises > 0 or bool(set(levels) - set(known.levels)))


def _new(cycle: int, shares: str, members: Sequence[Case], now: datetime) -> Case:
    first = members[0]
    kind, _, rest = shares.partition("|")
    subject = Subject(KIND, kind, rest)
    owners = Counter(c.owner for c in members)
    standing = any(c.open for c in members)
    return replace(
        first,
        id=None,
        fingerprint=case_fingerprint("ROOT_CAUSE", KIND, subject),
        cycle=cycle,
        subject=subject,
        home_key=None,
        state="new" if standing else "resolved",
        resolution=None if standing else "healed",
        resolved_at=None if standing else now,
        clock_cycle=0,
        owner=owners.most_common(1)[0][0],
        detected_at=now,
        first_taken_at=None,
        taken_until=None,
        snoozed_until=None,
        reopened=0,
        held_subjects=0,
        shares="",
        parent_id=None,
        verdict=None,
        judged_at=None,
        why={"reached_at": now.isoformat()}
        | {name: first.why[name] for name in ("rule_version", "zone") if name in first.why},
        partner_id=first.partner_id if kind == PARTNER else None,
        supplier=first.supplier if kind == PARTNER else None,
    )


# --- words ----------------------------------------------------------------------------------------


def _title(shares: str, counted: Sequence[Case], names: Mapping[str, str]) -> str:
    kinds = {c.category for c in counted}
    what = _meaning(counted[0].category) if len(kinds) == 1 else "cases"
    return f"{len(counted)} × {what}: {_cause(shares, counted[0], names)}"[:300]


def _reason(shares: str, members: Sequence[Case], names: Mapping[str, str]) -> str:
    n = sum(c.open for c in members)
    return (
        f"{len(members)} cases share one cause, {_cause(shares, members[0], names)}; "
        f"{n} of them open"
    )


def _cause(shares: str, first: Case, names: Mapping[str, str]) -> str:
    """The cause in words: "ACME Fasteners Ltd", "source erp was silent"."""
    kind, _, rest = shares.partition("|")
    if kind == SOURCE:
        return f"source {rest} was silent"
    if kind == QUEUE:
        return f"queue {rest}"
    if kind == MAPPING:
        return f"mapping {rest}"
    partner, _, failed = rest.partition("|")
    code = failed.partition("|")[2]
    said = names.get(partner, partner)
    return f"{said}, {code}" if code else said


def _advice(counted: Sequence[Case]) -> str:
    subjects = [f"{c.subject.number} {c.subject.line}".rstrip() for c in counted]
    said = ", ".join(subjects[:MOST_NAMED])
    if len(subjects) > MOST_NAMED:
        said += f" and {len(subjects) - MOST_NAMED} more"
    advice = counted[0].advice
    return f"{advice} It is about {said}.".strip()[:1000]


def _meaning(category: str) -> str:
    known = CATEGORIES.get(category)
    return known.meaning if known is not None else category.lower().replace("_", " ")
