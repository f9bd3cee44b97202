"""What the types of a rule book cannot see: names that lead nowhere, rows nobody reaches.

Errors refuse the file, warnings are told. With a network at hand the names of calendars, sources
and people are checked too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from tower.attributes import ATTRIBUTES, visible
from tower.categories import CATEGORIES
from tower.conditions import Condition, implies
from tower.errors import ConfigError, Problem
from tower.evidence import SUPPLIER_FEEDS, evidence_words
from tower.reports import Digest, ScorecardMail
from tower.rule_terms import ANSWER_WITHIN, RESERVED_LEVELS, NotifyPolicy
from tower.rulebook import (
    AgreementRule,
    DeadlineRule,
    EventRule,
    ImpactRule,
    RatioRule,
    Rule,
    RuleBook,
    VolumeRule,
    placeholders,
    title_of,
)
from tower.strict_yaml import Path, closest
from tower.vocabulary import EVENT_TYPES

OWNER_ROLES = frozenset({"case.owner", "po.buyer"})
PARTNER_CONTACT = "partner.contact"
SUPPLIER_CALENDAR = "supplier"
_LEVEL_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class NetworkView(Protocol):
    """What lint asks of a network."""

    @property
    def calendars(self) -> Mapping[str, Any]: ...
    @property
    def sources(self) -> Mapping[str, Any]: ...
    @property
    def systems(self) -> Mapping[str, Any]: ...
    @property
    def people(self) -> Mapping[str, Any]: ...
    @property
    def channels(self) -> Mapping[str, Any]: ...
    @property
    def partners(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or odd, with its place in the file."""

    file: str
    line: int | None
    col: int | None
    path: str
    message: str
    next_step: str
    severity: Literal["error", "warning"] = "error"

    @property
    def problem(self) -> Problem:
        return Problem(self.file, self.line, self.col, self.path, self.message, self.next_step)

    def __str__(self) -> str:
        mark = "warning: " if self.severity == "warning" else ""
        return f"{mark}{self.problem}"


def lint(book: RuleBook, network: NetworkView | None = None) -> list[Finding]:
    """Everything that is wrong or odd in a book whose types are right, in the order of the file."""
    marks, name = book.source
    found = []
    for flaw in _all(book, network):
        path = flaw.path
        while path and path not in marks.values:  # one word is written where a list could stand
            path = path[:-1]
        place = marks.values.get(path)
        line, col = place or (None, None)
        said = marks.say(path if path else flaw.path)
        found.append(Finding(name, line, col, said, flaw.message, flaw.next_step, flaw.severity))
    return sorted(found, key=lambda f: (f.line or 0, f.col or 0))


def refuse(book: RuleBook) -> None:
    """Raise ConfigError with the place of each error; warnings pass."""
    errors = [finding.problem for finding in lint(book) if finding.severity == "error"]
    if errors:
        raise ConfigError(errors)


class Flaw(NamedTuple):
    """A finding before its place in the text is known."""

    path: Path
    message: str
    next_step: str
    severity: Literal["error", "warning"] = "error"


def _all(book: RuleBook, network: NetworkView | None) -> Iterator[Flaw]:
    seen: dict[str, int] = {}
    for n, rule in enumerate(book.rules):
        path: Path = ("rules", n)
        if rule.id in seen:
            first = seen[rule.id] + 1
            yield Flaw((*path, "id"), f"rule {first} has this id too", "choose another id")
        seen.setdefault(rule.id, n)
        yield from _rule(rule, path, book)
        if network is not None:
            yield from _rule_names(rule, path, network)
    for n, exemption in enumerate(book.not_measured):
        yield from _condition(exemption.when, ("not_measured", n, "when"), frozenset(ATTRIBUTES))
    for name, policy in book.notify.items():
        yield from _policy(policy, ("notify", name), network)
    yield from _inhibition(book)
    if network is not None:
        yield from _reports(book, network)


# --- one rule -----------------------------------------------------------------------------------


def _rule(rule: Rule, path: Path, book: RuleBook) -> Iterator[Flaw]:
    known = visible(rule.about)
    if isinstance(rule, ImpactRule):
        known |= visible("po_line")  # the line whose supply is late
        yield from _walk(rule, path, book)
    if isinstance(rule, VolumeRule) and rule.while_ is not None:
        yield from _condition(rule.while_, (*path, "while"), known)
    if rule.category not in CATEGORIES:
        near = closest(rule.category, frozenset(CATEGORIES))
        yield Flaw(
            (*path, "category"),
            f'"{rule.category}" is not a category',
            f"write {near}" if near else "docs/rules.md lists all",
        )
    if rule.applies_when is not None:
        yield from _condition(rule.applies_when, (*path, "applies_when"), known)
    if rule.raise_ is not None:
        yield from _condition(rule.raise_.when, (*path, "raise", "when"), known)
    yield from _events(rule, path)
    yield from _levels(rule, path, book)
    yield from _title(rule, path, known)
    if isinstance(rule, DeadlineRule):
        yield from _deadline(rule, path, known)


def _events(rule: Rule, path: Path) -> Iterator[Flaw]:
    for where, words in _event_words(rule, path):
        for n, word in enumerate(words):
            if word not in EVENT_TYPES:
                near = closest(word, frozenset(EVENT_TYPES))
                advice = (
                    f"write {near} (docs/rules.md lists all)"
                    if near
                    else ("docs/rules.md lists all")
                )
                yield Flaw((*where, n), f'"{word}" is an unknown event', advice)
    used = {where[-1]: (where, set(words)) for where, words in _event_words(rule, path)}
    for begins in ("start", "trigger", "restart"):
        for ends in ("stop", "clears", "cancel"):
            if begins not in used or ends not in used:
                continue
            both = used[begins][1] & used[ends][1]
            if both:
                yield Flaw(
                    used[ends][0],
                    f"{', '.join(sorted(both))} is under {begins} too",
                    "one event cannot begin and end a cycle",
                )


def _event_words(rule: Rule, path: Path) -> list[tuple[Path, tuple[str, ...]]]:
    if isinstance(rule, EventRule):
        return [((*path, name), getattr(rule, name)) for name in ("trigger", "clears", "cancel")]
    if isinstance(rule, AgreementRule):
        return [((*path, "cancel"), rule.cancel)]
    if isinstance(rule, RatioRule):
        return [((*path, "bad"), rule.bad), ((*path, "of"), rule.of)]
    if isinstance(rule, VolumeRule):
        return [((*path, "count"), rule.count)]
    if not isinstance(rule, DeadlineRule):
        return []
    clock, where = rule.clock, (*path, "clock")
    found: list[tuple[Path, tuple[str, ...]]] = [
        ((*where, name), getattr(clock, name)) for name in ("start", "stop", "cancel", "restart")
    ]
    if clock.pause is not None:
        found.append(((*where, "pause", "from"), clock.pause.from_))
        found.append(((*where, "pause", "to"), clock.pause.to))
    return found


def _levels(rule: Rule, path: Path, book: RuleBook) -> Iterator[Flaw]:
    for name, level in rule.levels.items():
        where = (*path, "levels", name)
        if name in RESERVED_LEVELS or not _LEVEL_NAME.match(name):
            yield Flaw(where, f'"{name}" cannot name a level', "choose another word")
        if level.notify is not None and level.notify not in book.notify:
            known = ", ".join(book.notify) or "none is written yet"
            yield Flaw(
                (*where, "notify"), f'"{level.notify}" is not a policy', f"write one of: {known}"
            )
        if level.notify is None and (level.also or level.unless):
            yield Flaw(where, "tells nobody, so also and unless mean nothing", "add notify")
        early = level.at is not None and (level.at.share is not None or level.at.sign < 0)
        if isinstance(rule, DeadlineRule) and name == "warn" and not early:
            yield Flaw((*where, "at"), "a warning comes before due", 'write "75%" or -8bh')
    if not rule.telling_levels:
        yield Flaw(
            (*path, "levels"),
            "tells nobody",
            "add notify to a level, if that is not meant",
            "warning",
        )
    awaited = isinstance(rule, (DeadlineRule, AgreementRule, VolumeRule))
    if isinstance(rule, AgreementRule) and rule.about == "supplier":
        awaited = False  # measured from goods that came, not from what did not
    if awaited and not rule.evidence:
        yield Flaw(
            path,
            "has no evidence: a feed of ours that is silent looks like a partner that is late",
            f"write evidence: {SUPPLIER_FEEDS}",
            "warning",
        )
    if not rule.levels:
        yield Flaw((*path, "levels"), "has no level", "write breach: {severity: medium}")


def _title(rule: Rule, path: Path, known: frozenset[str]) -> Iterator[Flaw]:
    for name in placeholders(rule.title):
        if name not in known:
            yield Flaw(
                (*path, "title"),
                f"{{{name}}} is not known about a {rule.about}",
                _attribute_advice(name, known),
            )
    said = title_of(rule, dict.fromkeys(known, "sample"))
    if "{" in said or "}" in said:
        yield Flaw((*path, "title"), "a brace is left over", "write {po.number}")


def _deadline(rule: DeadlineRule, path: Path, known: frozenset[str]) -> Iterator[Flaw]:
    for n, name in enumerate(rule.clock.anchor):
        if name not in known or not name.startswith(rule.about + "."):
            yield Flaw(
                (*path, "clock", "anchor", n),
                f'"{name}" is no date of a {rule.about}',
                _attribute_advice(name, frozenset(k for k in known if "date" in k)),
            )
    if rule.clock.cancel_when is not None:
        yield from _condition(rule.clock.cancel_when, (*path, "clock", "cancel_when"), known)
    if rule.due is None:
        return
    where = (*path, "due")
    document = rule.due.from_document
    if document is not None and (
        document not in known or not document.startswith(rule.about + ".")
    ):
        yield Flaw(
            (*where, "from_document"),
            f'"{document}" is no date of a {rule.about}',
            _attribute_advice(document, known),
        )
    closed = False
    for n, target in enumerate(rule.due.targets):
        if target.when is not None:
            yield from _condition(target.when, (*where, "targets", n, "when"), known)
        closed = closed or (target.when is None and target.within != ANSWER_WITHIN)
        for earlier in range(n):
            if rule.due.targets[earlier].within == ANSWER_WITHIN:
                continue  # whoever agreed nothing goes on to the next row
            before = rule.due.targets[earlier].when
            mine = target.when.node if target.when else None
            if implies(mine, before.node if before else None):
                yield Flaw(
                    (*where, "targets", n),
                    f"is never reached: row {earlier + 1} matches all of it",
                    "move it up or remove it",
                )
                break
    if closed and rule.due.otherwise is not None:
        yield Flaw(
            (*where, "otherwise"), "is never reached: a row has no when", "remove one of them"
        )
    if not closed and rule.due.otherwise is None:
        yield Flaw(where, "some subjects match no row", "write otherwise: 2bd")


_WALKED = {"ACK_OVERDUE": "po", "ASN_INVALID": "asn", "ASN_MISSING": "po_line"}
"""Categories whose standing clocks put the dates of a document of this kind in doubt."""


def _walk(rule: ImpactRule, path: Path, book: RuleBook) -> Iterator[Flaw]:
    by = {one.id: one for one in book.rules}
    for name, level in rule.walk_from.items():
        where = (*path, "walk_from", name)
        source = by.get(name)
        if source is None:
            near = closest(name, frozenset(by))
            yield Flaw(
                where,
                f'"{name}" is not a rule',
                f"write {near}" if near else "name a rule of this file",
            )
        elif _WALKED.get(source.category) != source.about:
            said = ", ".join(f"{c} about a {kind}" for c, kind in _WALKED.items())
            yield Flaw(
                where, f"{name} puts no date of supply in doubt", f"name a rule of these: {said}"
            )
        elif level not in source.levels:
            yield Flaw(
                where,
                f'"{level}" is no level of {name}',
                f"write one of: {', '.join(source.levels)}",
            )
    others = [one for one in book.rules if isinstance(one, ImpactRule)]
    if others[0] is not rule:
        yield Flaw((*path, "kind"), f"{others[0].id} walks to customers already", "keep one")


def _condition(condition: Condition, path: Path, known: Collection[str]) -> Iterator[Flaw]:
    names = frozenset(known)
    for name in sorted(condition.attributes()):
        if name not in names:
            yield Flaw((*path, name), f'"{name}" is not known here', _attribute_advice(name, names))


def _attribute_advice(name: str, known: frozenset[str]) -> str:
    near = closest(name, known)
    return f"write {near}" if near else "docs/rules.md lists what can be asked"


# --- the whole book -----------------------------------------------------------------------------


def _policy(policy: NotifyPolicy, path: Path, network: NetworkView | None) -> Iterator[Flaw]:
    if policy.closed == "digest" and policy.digest is None:
        yield Flaw(path, "tells settled cases in a digest that has no time", 'add digest: "08:00"')
    if network is None:
        return
    if policy.hours != "always":
        yield from _calendar(policy.hours, (*path, "hours"), network)
    yield from _person(policy.fallback, (*path, "fallback"), network)
    if policy.to not in (*OWNER_ROLES, PARTNER_CONTACT):
        yield from _person(policy.to, (*path, "to"), network)
    for n, step in enumerate(policy.escalate):
        if step.to not in OWNER_ROLES:
            yield from _person(step.to, (*path, "escalate", n, "to"), network)
    if policy.channel is not None and policy.channel not in network.channels:
        near = closest(policy.channel, frozenset(network.channels))
        yield Flaw(
            (*path, "channel"),
            f'"{policy.channel}" is not a channel of the network',
            f"write {near}" if near else "describe it under channels in network.yaml",
        )


def _reports(book: RuleBook, network: NetworkView) -> Iterator[Flaw]:
    """Mails that come by the calendar: their readers, hours and suppliers."""
    told: list[tuple[Path, Digest | ScorecardMail]] = [
        (("digests", name), digest) for name, digest in book.digests.items()
    ]
    mail = book.scorecard.mail
    if mail is not None:
        told.append((("scorecard", "mail"), mail))
        for n, key in enumerate(mail.suppliers):
            if key not in network.partners:
                near = closest(key, frozenset(network.partners))
                yield Flaw(
                    ("scorecard", "mail", "suppliers", n),
                    f'"{key}" is no partner of the network',
                    f"write {near}" if near else "write a key of partners in network.yaml",
                )
    for path, report in told:
        if report.hours != "always":
            yield from _calendar(report.hours, (*path, "hours"), network)
        for n, reader in enumerate(report.to):
            if reader != PARTNER_CONTACT or path[0] == "digests":
                yield from _person(reader, (*path, "to", n), network)


def _inhibition(book: RuleBook) -> Iterator[Flaw]:
    by = {rule.id: [i.rule for i in rule.inhibited_by] for rule in book.rules}
    for n, rule in enumerate(book.rules):
        for m, other in enumerate(by[rule.id]):
            path: Path = ("rules", n, "inhibited_by", m, "rule")
            if other not in by:
                near = closest(other, frozenset(by))
                advice = f"write {near}" if near else "name a rule of this file"
                yield Flaw(path, f'"{other}" is not a rule', advice)
            elif _reaches(other, rule.id, by):
                yield Flaw(
                    path, f"{rule.id} and {other} silence each other", "remove one of the two"
                )


def _reaches(start: str, goal: str, by: Mapping[str, Sequence[str]]) -> bool:
    seen: set[str] = set()
    open_ends = [start]
    while open_ends:
        rule = open_ends.pop()
        if rule == goal:
            return True
        if rule not in seen:
            seen.add(rule)
            open_ends.extend(by.get(rule, ()))
    return False


# --- names of the network -----------------------------------------------------------------------


def _rule_names(rule: Rule, path: Path, network: NetworkView) -> Iterator[Flaw]:
    if rule.calendar != SUPPLIER_CALENDAR:
        yield from _calendar(rule.calendar, (*path, "calendar"), network)
    if isinstance(rule, AgreementRule) and rule.about == "po_line":
        yield from _sides(rule, path, network)
    known = evidence_words(network)
    for n, word in enumerate(rule.evidence):
        if word not in known:
            near = closest(word, known)
            yield Flaw(
                (*path, "evidence", n),
                f'"{word}" is no source or system of the network',
                f"write {near}" if near else f"write a source, a system or {SUPPLIER_FEEDS}",
            )
    for name, level in rule.levels.items():
        if level.also is not None and level.also not in (*OWNER_ROLES, PARTNER_CONTACT):
            yield from _person(level.also, (*path, "levels", name, "also"), network)


def _sides(rule: AgreementRule, path: Path, network: NetworkView) -> Iterator[Flaw]:
    known = frozenset({*network.systems, *(system.kind for system in network.systems.values())})
    for n, pair in enumerate(rule.compare):
        for word, side in (("a", pair.a), ("b", pair.b)):
            system = side.partition(".")[0]
            if system not in known:
                near = closest(system, known)
                yield Flaw(
                    (*path, "compare", n, word),
                    f'"{system}" is no system of the network',
                    f"write {near}" if near else f"known: {', '.join(sorted(known))}",
                )


def _calendar(name: str, path: Path, network: NetworkView) -> Iterator[Flaw]:
    if name not in network.calendars:
        near = closest(name, frozenset(network.calendars))
        known = ", ".join(sorted(network.calendars))
        yield Flaw(
            path,
            f'"{name}" is not a calendar of the network',
            f"write {near}" if near else f"known calendars: {known or 'none'}",
        )


def _person(name: str, path: Path, network: NetworkView) -> Iterator[Flaw]:
    if name not in network.people:
        near = closest(name, frozenset(network.people))
        yield Flaw(
            path,
            f'"{name}" is nobody in the network',
            f"write {near}" if near else "add this person under people in network.yaml",
        )
