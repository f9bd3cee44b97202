"""A rule as people read it: sentences, the table of times, the levels and who hears of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tower.agreement import WINDOW
from tower.categories import CATEGORIES, OWNERS
from tower.rule_parts import percent
from tower.rule_terms import DO_NOT_MEASURE
from tower.rulebook import Rule, RuleBook

_SPAN = re.compile(r"([+-]?)(\d+(?:\.\d+)?)(s|m|h|bh|bd)\Z")
_UNITS = {
    "s": "second", "m": "minute", "h": "hour", "bh": "open hour", "bd": "business day",
}  # fmt: skip
_SYSTEMS = {"po": "PO", "asn": "ASN", "fa": "functional acknowledgement"}


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One row of the table of times: whom it is for, and how long they have."""

    whom: str
    within: str


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One level: when it is reached, how bad it is, who is told.

    told   "" where nobody is mailed
    """

    level: str
    when: str
    severity: str
    told: str


@dataclass(frozen=True, slots=True)
class RuleWords:
    """A rule in words.

    sentences  what is expected, counted how, and what makes it needless
    targets    the table of times, first match first; empty for kinds without one
    """

    id: str
    kind: str
    category: str
    meaning: str
    title: str
    about: str
    owner: str
    sentences: tuple[str, ...]
    targets: tuple[TargetRow, ...]
    levels: tuple[LevelRow, ...]
    advice: str


def words(rule: Rule, book: RuleBook) -> RuleWords:
    """What a rule says."""
    category = CATEGORIES.get(rule.category)
    said = [*_WORDS.get(rule.kind, _of_any)(rule), *_common(rule, book)]
    return RuleWords(
        id=rule.id,
        kind=rule.kind,
        category=rule.category,
        meaning=category.meaning if category is not None else rule.category,
        title=rule.title,
        about=_subject(rule.about),
        owner=OWNERS.get(rule.owner_letter, rule.owner_letter).replace("_", " "),
        sentences=tuple(said),
        targets=_targets(rule),
        levels=tuple(_level(name, level, rule, book) for name, level in rule.levels.items()),
        advice=rule.advice,
    )


def length(text: object) -> str:
    """ "4bh" as "4 open hours", "do_not_measure" as "not measured"; other words as they are."""
    written = str(text)
    if written == DO_NOT_MEASURE:
        return "not measured"
    if written.startswith("supplier."):
        return f"as agreed with the supplier ({written})"
    match = _SPAN.match(written)
    if match is None:
        return written
    unit = _UNITS[match[3]]
    return f"{match[2]} {unit}" if match[2] == "1" else f"{match[2]} {unit}s"


def event(name: str) -> str:
    """ "po.acknowledged" as "PO acknowledged"."""
    family, _, what = name.partition(".")
    said = _SYSTEMS.get(family, family.replace("_", " "))
    return f"{said} {what.replace('_', ' ')}".strip()


def events(names: Iterable[str], join: str = "or") -> str:
    said = [event(name) for name in names]
    if len(said) < 2:
        return "".join(said)
    return f"{', '.join(said[:-1])} {join} {said[-1]}"


# --- by kind --------------------------------------------------------------------------------------


def _deadline(rule: Any) -> list[str]:
    clock, due = rule.clock, rule.due
    stop = events(clock.stop)
    found = []
    if clock.start:
        found.append(f"After {events(clock.start)}, there must be {stop} in time.")
    else:
        side = clock.before if clock.before is not None else clock.after
        word = "before" if clock.before is not None else "after"
        dates = ", else ".join(a.split(".", 1)[-1].replace("_", " ") for a in clock.anchor)
        found.append(f"There must be {stop} {length(side)} {word} the {dates}.")
    if due is not None and due.from_document:
        found.append(f"A date in the document itself wins ({due.from_document}).")
    if clock.cut_off:
        found.append(f"What starts after {clock.cut_off:%H:%M} counts from the next business day.")
    if clock.pause:
        found.append(f"No time runs from {events(clock.pause.from_)} to {events(clock.pause.to)}.")
    if clock.restart:
        found.append(f"{_capital(events(clock.restart))} begins it anew.")
    if clock.cancel:
        found.append(f"{_capital(events(clock.cancel))} makes it needless.")
    if clock.cancel_when is not None:
        found.append(f"It is needless once {clock.cancel_when.sentence()}.")
    if clock.time == "received":
        found.append("What counts is when we received it, not when it happened.")
    return found


def _event(rule: Any) -> list[str]:
    found = [f"{_capital(events(rule.trigger))} is a case at once, until {events(rule.clears)}."]
    if rule.cancel:
        found.append(f"{_capital(events(rule.cancel))} makes it needless.")
    return found


def _source(_: Any) -> list[str]:
    return ["A source that is silent longer than its silent_after in network.yaml is a case."]


def _queue(rule: Any) -> list[str]:
    limits = []
    for limit in rule.any:
        if limit.depth is not None:
            deep = str(limit.depth.above)
            if deep == "queue.max_depth":
                deep = f"its agreed depth (else {limit.depth.default})"
            limits.append(f"deeper than {deep}")
        else:
            limits.append(f"its oldest message older than {length(limit.oldest_age.above)}")
    return [
        f"A queue is a case that is {', or '.join(limits)}, for {length(rule.hold)}.",
        f"It is over after {length(rule.clear_after)} below every limit.",
    ]


def _agreement(rule: Any) -> list[str]:
    if rule.about == "supplier":
        [pair] = rule.compare
        return [
            f"The median lead time of a supplier may be {percent(pair.tolerance)} from its plan, "
            "longer or shorter: the days that were agreed with it.",
            f"Looked at once a day, over the orders completed in the last {WINDOW.days} days, of "
            f"which there must be {pair.at_least}.",
        ]
    pairs = [f"{_side(c.a)} and {_side(c.b)}" for c in rule.compare]
    return [f"{', '.join(pairs)} must be the same; they may differ for {length(rule.within)}."]


def _ratio(rule: Any) -> list[str]:
    found = [f"{_capital(events(rule.bad))}, as a share of {events(rule.of, 'and')}:"]
    for window in rule.windows:
        more = window.more_than
        limit = more.above
        if isinstance(limit, str):
            share = "what was agreed"
            if more.default is not None:
                share += f" (else {float(more.default) * 100:g} %)"
        else:
            share = f"{float(limit) * 100:g} %"
        found.append(
            f"more than {share} over {length(window.over)}, confirmed by the last "
            f"{length(window.confirm)}: {window.level}."
        )
    return found


def _volume(rule: Any) -> list[str]:
    at_least = rule.at_least
    share = at_least.share
    much = f"{float(share) * 100:g} % of what is usual" if share else str(at_least)
    found = [f"At least {much} of {events(rule.count)} is expected within {length(rule.within)}."]
    if rule.while_ is not None:
        found.append(f"Only while {rule.while_.sentence()}.")
    return found


def _impact(rule: Any) -> list[str]:
    causes = ", ".join(f"{name} ({level})" for name, level in rule.walk_from.items())
    return [
        "Customer order lines that their pegged supply does not cover in time are a case.",
        f"Dates are in doubt from these on: {causes}.",
    ]


def _of_any(rule: Any) -> list[str]:
    return [f"A rule of kind {rule.kind} about {_subject(rule.about)}."]


_WORDS = {
    "deadline": _deadline,
    "event": _event,
    "source": _source,
    "queue": _queue,
    "agreement": _agreement,
    "ratio": _ratio,
    "volume": _volume,
    "impact": _impact,
}


# --- of every rule --------------------------------------------------------------------------------


def _common(rule: Rule, book: RuleBook) -> list[str]:
    found = []
    if rule.applies_when is not None:
        found.append(f"Only where {rule.applies_when.sentence()}.")
    if rule.kind in ("deadline", "event", "agreement"):
        whose = (
            "the supplier's own hours, else ours"
            if rule.calendar == "supplier"
            else (f"calendar {rule.calendar}")
        )
        found.append(f"Open hours are those of {whose}.")
    if rule.evidence:
        named = ", ".join(
            "a feed of the supplier" if name == "supplier.feeds" else name for name in rule.evidence
        )
        found.append(f"While {named} is silent nobody is called late: the clock is unknown.")
    if rule.settle.length:
        found.append(f"It waits {length(rule.settle)} for stragglers before it speaks.")
    if rule.raise_ is not None:
        steps = "one severity" if rule.raise_.by == 1 else f"{rule.raise_.by} severities"
        found.append(f"It is {steps} worse where {rule.raise_.when.sentence()}.")
    for inhibition in rule.inhibited_by:
        same = " and ".join(inhibition.same)
        found.append(f"No mail while {inhibition.rule} has an open case of the same {same}.")
    exempt = [e.when.sentence() for e in book.not_measured]
    if exempt and rule.kind not in ("source", "queue"):
        found.append(f"Nobody is judged where {'; or '.join(exempt)}.")
    return found


def _targets(rule: Any) -> tuple[TargetRow, ...]:
    due = getattr(rule, "due", None)
    if due is None:
        return ()
    rows = [
        TargetRow(t.when.sentence() if t.when is not None else "everybody", length(t.within))
        for t in due.targets
    ]
    if due.otherwise is not None:
        rows.append(TargetRow("otherwise" if rows else "everybody", length(due.otherwise)))
    return tuple(rows)


def _level(name: str, level: Any, rule: Rule, book: RuleBook) -> LevelRow:
    when = "as soon as it is true"
    if level.at is not None:
        point = str(level.at)
        if level.at.share is not None:
            when = f"{point} of the time is gone"
        elif rule.kind == "event":
            when = "at once" if point.lstrip("+") == "0m" else f"after {length(point)}"
        else:
            side = "before" if level.at.sign < 0 else "after"
            when = f"{length(point)} {side} due"
    elif name == "breach" and rule.kind == "deadline":
        when = "at due"
    told = ""
    if level.notify:
        policy = book.notify.get(level.notify)
        whom = _person(policy.to) if policy is not None else level.notify
        told = f"{whom} ({level.notify})"
        if level.also:
            told += f", also {_person(level.also)}"
        if level.unless:
            told += ", unless taken"
    return LevelRow(name, when, level.severity.value, told)


def _person(word: str) -> str:
    return {"case.owner": "the owner", "po.buyer": "the buyer"}.get(word, word.replace("_", " "))


def _subject(kind: str) -> str:
    return {"po": "purchase order", "po_line": "purchase order line", "asn": "shipment notice"}.get(
        kind, kind.replace("_", " ")
    )


def _side(side: object) -> str:
    return str(side).replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def in_short(said: Sequence[str]) -> str:
    """The first sentence, for a list of rules."""
    return said[0] if said else ""
