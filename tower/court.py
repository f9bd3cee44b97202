"""What judging asks of its surroundings: who the subject is, by which version, in whose hours.

A cycle is judged by the profile of its partner as it was when the cycle started. Closed cycles
keep the rule and calendar version that judged them, also when late data reopens them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from tower.calendars import Calendar, CalendarSpec
from tower.conditions import Condition
from tower.cycles import Cycle
from tower.evidence import resolve
from tower.network import Network, Partner
from tower.rule_terms import Exemption, Level
from tower.rulebook import (
    AgreementRule,
    AnyRule,
    ImpactRule,
    RatioRule,
    Rule,
    RuleBook,
    SourceRule,
    VolumeRule,
    judging_body,
)
from tower.signs import (
    COUNTED,
    Evidence,
    RuleInForce,
    Setting,
    Sign,
    Subject,
    in_force,
    rules_in_force,
)
from tower.timeline import ClockKey
from tower.vocabulary import EVENT_TYPES

SUPPLIER_CALENDAR = "supplier"  # the partner's own hours, else the company's

# What a profile decides; texts, identifiers and contacts may change without a new version.
_PROFILE = (
    "template", "stage", "tier", "group", "country", "zone", "feeds", "acknowledges", "expects_fa",
    "sends_asn", "calendar",
)  # fmt: skip
_AGREED = ("answer_within", "max_errors")  # left out where nothing was agreed


@dataclass(frozen=True, slots=True)
class Profile:
    """A partner's profile as far as judging asks, since an instant."""

    version: str
    since: datetime
    body: Mapping[str, Any]


def profile_body(key: str, partner: Partner) -> dict[str, Any]:
    """The part of a profile that decides verdicts, as JSON; kept for good with its version."""
    body = {"partner": key, **{name: getattr(partner, name) for name in _PROFILE}}
    agreed = {name: getattr(partner, name) for name in _AGREED}
    return body | {name: str(value) for name, value in agreed.items() if value is not None}


def profile_version(body: Mapping[str, Any], again: int = 0) -> str:
    """Name of a version; ``again`` counts how often the partner had this very profile before."""
    text = json.dumps([body, again], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def new_profiles(
    network: Network, kept: Mapping[str, Sequence[Profile]]
) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Profiles that differ from each partner's last kept version: version -> (partner, body)."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for key, partner in network.partners.items():
        body = profile_body(key, partner)
        before = kept.get(key, ())
        if before and before[-1].body == body:
            continue
        again = sum(profile.body == body for profile in before)
        found[profile_version(body, again)] = (key, body)
    return found


def revived_rule(body: Mapping[str, Any], version: str) -> RuleInForce:
    """A rule as an earlier version of the book wrote it, from its kept judging part.

    Texts and recipients were not kept, as they never count for verdicts: fillers stand for them.
    """
    judging = _without_empty({k: v for k, v in body.items() if k != "not_measured"})
    judging["category"] = "TOWER_UNHEALTHY"
    judging["levels"] = {
        name: {**level, "severity": "low"} for name, level in body["levels"].items()
    }
    rule = _ANY_RULE.validate_json(json.dumps(judging))
    exemptions = tuple(Exemption(when=Condition.parse(when)) for when in body["not_measured"])
    book = RuleBook(version=1, not_measured=exemptions, rules=(rule,))
    return replace(in_force(rule, book), version=version)


def _without_empty(value: Any) -> Any:
    """What a file would say: words that were left out stand in a body as null or empty lists."""
    if isinstance(value, Mapping):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, [], ())}
    if isinstance(value, (list, tuple)):
        return [_without_empty(item) for item in value]
    return value


_ANY_RULE: TypeAdapter[Rule] = TypeAdapter(AnyRule)
_EvidenceKey = tuple[tuple[str, ...], str | None, tuple[str, ...]]
_TermsKey = tuple[RuleInForce, str | None, str]


class Terms(NamedTuple):
    """What a rule means for a partner with one version of its profile, whatever the subject."""

    calendar: Calendar
    evidence: tuple[Evidence, ...]
    systems: Mapping[str, str]


@dataclass
class Code:
    """The rules, calendars and profiles in force, and the versions before them.

    ``profiles`` hold each partner's versions, oldest first. ``rules`` and ``calendars`` give the
    bodies of versions that are no longer in force; they are read when a closed cycle asks.
    ``activated_at`` is when the book came into force, None if nothing was judged before.
    """

    network: Network
    book: RuleBook
    profiles: Mapping[str, Sequence[Profile]]
    activated_at: datetime | None = None
    old_rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    old_calendars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._calendars: dict[str, Calendar] = {}
        self._revived: dict[str, RuleInForce] = {}
        self._revived_calendars: dict[str, Calendar] = {}
        self._evidence: dict[_EvidenceKey, tuple[Evidence, ...]] = {}
        self._terms: dict[_TermsKey, Terms] = {}
        self._told: dict[tuple[str | None, str], Mapping[str, Any]] = {}

    @cached_property
    def rules(self) -> tuple[RuleInForce, ...]:
        return rules_in_force(self.book)

    @cached_property
    def by_subject(self) -> Mapping[str, tuple[RuleInForce, ...]]:
        """Rules with clocks by the kind of subject that they are about; impact has none here."""
        judged = [r for r in self.rules if not isinstance(r.rule, ImpactRule)]
        kinds = {rule.about for rule in judged}
        return {kind: tuple(r for r in judged if r.about == kind) for kind in kinds}

    @cached_property
    def impact(self) -> RuleInForce | None:
        """The rule about customers whom late supply hurts."""
        return next((r for r in self.rules if isinstance(r.rule, ImpactRule)), None)

    @cached_property
    def counting(self) -> tuple[RuleInForce, ...]:
        """Rules that are judged from the counts of partners, and from what is measured of them."""
        return tuple(r for r in self.rules if isinstance(r.rule, RatioRule | VolumeRule)) + (
            self.planning
        )

    @cached_property
    def planning(self) -> tuple[RuleInForce, ...]:
        """Rules that compare lead times of suppliers with their plan."""
        return tuple(
            r for r in self.rules if isinstance(r.rule, AgreementRule) and r.about == "supplier"
        )

    @cached_property
    def telling(self) -> Mapping[str, Mapping[str, Level]]:
        """By rule, the levels that tell people; rules that tell nobody are left out."""
        found = {rule.id: rule.telling_levels for rule in self.book.rules}
        return {rule: levels for rule, levels in found.items() if levels}

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """Kind of each system."""
        return {name: system.kind for name, system in self.network.systems.items()}

    @cached_property
    def line_types(self) -> frozenset[str]:
        """Event types that move clocks of purchase order lines."""
        rules = self.by_subject.get("po_line", ())
        return frozenset(t for rule in rules for t in rule.moving | rule.telling)

    @cached_property
    def unheard(self) -> frozenset[str]:
        """Event types that say nothing to any clock nor about any subject: not read at all."""
        judged = (rule for rules in self.by_subject.values() for rule in rules)
        heard = frozenset(t for r in judged if r.about not in COUNTED for t in r.moving | r.telling)
        return frozenset(
            name
            for name in EVENT_TYPES
            if name.partition(".")[0] in _SILENT_FAMILIES and name not in heard
        )

    @cached_property
    def versions(self) -> Mapping[str, Mapping[str, Any]]:
        """Judging part of each rule by its version."""
        return {r.version: judging_body(r.rule, self.book) for r in self.rules}

    @cached_property
    def calendar_versions(self) -> frozenset[str]:
        """Versions of all calendars in force."""
        names = {*self.network.calendars, self.network.company.calendar}
        return frozenset(self.calendar(name).version for name in names)

    def outdated(self, clocks: Mapping[ClockKey, Sequence[Cycle]]) -> bool:
        """Whether an open cycle was judged by a rule that is gone, or by an earlier version of its
        rule or calendar."""
        current = {rule.id: rule.version for rule in self.rules}
        rejudges = self.book.open_clocks == "rejudge"
        return any(
            cycle.open
            and (rule not in current or (rejudges and self._earlier(cycle, current[rule])))
            for (rule, _), cycles in clocks.items()
            for cycle in cycles
        )

    def _earlier(self, cycle: Cycle, rule_version: str) -> bool:
        calendar = cycle.calendar_version
        return cycle.rule_version != rule_version or (
            calendar != "" and calendar not in self.calendar_versions
        )

    def calendar(self, name: str) -> Calendar:
        """A compiled calendar; unknown names mean the company's, without one it is always open."""
        found = self._calendars.get(name)
        if found is None:
            spec = self.network.calendars.get(name)
            if spec is None and name != self.network.company.calendar:
                return self.calendar(self.network.company.calendar)
            found = self._calendars[name] = Calendar(name, spec or _ALWAYS)
        return found

    def hours_of(self, rule: Rule, profile: Mapping[str, Any]) -> Calendar:
        """The calendar that a rule counts in for a partner."""
        name = getattr(rule, "calendar", None) or self.network.company.calendar
        if name == SUPPLIER_CALENDAR:
            name = profile.get("calendar") or self.network.company.calendar
        return self.calendar(name)

    def profile_at(self, partner: str | None, at: datetime) -> Profile | None:
        """The partner's profile at an instant; the first known one counts for all time before."""
        versions = self.profiles.get(partner or "")
        if not versions:
            return None
        found = versions[0]
        for profile in versions[1:]:
            if profile.since <= at:
                found = profile
        return found

    def evidence_of(
        self, rule: Rule, partner: str | None, feeds: Sequence[str]
    ) -> tuple[Evidence, ...]:
        """Sources that could bring the stop; of several only those that serve this partner."""
        key = (rule.evidence, partner, tuple(feeds))
        found = self._evidence.get(key)
        if found is None:
            named = resolve(rule.evidence, self.network, partner)
            mine = tuple(e for e in named if e.source in feeds)
            found = self._evidence[key] = mine or named
        return found

    def terms(self, rule: RuleInForce, partner: str | None, profile: Profile | None) -> Terms:
        """Calendar, evidence and systems of a rule in force for a partner with this profile."""
        key = (rule, partner, profile.version if profile else "")
        found = self._terms.get(key)
        if found is None:
            body: Mapping[str, Any] = profile.body if profile else {}
            evidence = self.evidence_of(rule.rule, partner, body.get("feeds") or ())
            systems = self.kinds if isinstance(rule.rule, AgreementRule) else {}
            found = self._terms[key] = Terms(self.hours_of(rule.rule, body), evidence, systems)
        return found

    def told_of(self, partner: str | None, profile: Profile | None) -> Mapping[str, Any]:
        """What conditions and titles may ask about a partner with this profile."""
        key = (partner, profile.version if profile else "")
        found = self._told.get(key)
        if found is None:
            body: Mapping[str, Any] = profile.body if profile else {}
            found = self._told[key] = partner_attributes(self.network, partner, body)
        return found

    def silent_after(self, source: str, start: datetime) -> timedelta:
        """How long this source may be silent from an instant on, in its own hours if it has any."""
        spec = self.network.sources.get(source)
        if spec is None:
            return timedelta.max
        if spec.calendar is None:
            return spec.silent_after
        return self.calendar(spec.calendar).add(start, spec.silent_after) - start

    def revived(self, version: str) -> RuleInForce | None:
        """A rule version that is no longer in force, None if it was not kept."""
        if version not in self._revived:
            body = self.old_rules.get(version)
            if body is None:
                return None
            self._revived[version] = revived_rule(body, version)
        return self._revived[version]

    def revived_calendar(self, version: str) -> Calendar | None:
        if version not in self._revived_calendars:
            body = self.old_calendars.get(version)
            if body is None:
                return None
            spec = CalendarSpec.model_validate(body["spec"])
            self._revived_calendars[version] = Calendar(body["name"], spec)
        return self._revived_calendars[version]


_SILENT_FAMILIES = frozenset({"message", "invoice", "credit", "shipment", "source", "advice"})
_ALWAYS = CalendarSpec(zone="UTC", open={"daily": ["00:00-24:00"]})


@dataclass
class UnitCourt:
    """The court of one unit: implements what ``tower.timeline.advance`` asks.

    partner     key of its supplier in network.yaml, None if nobody named one we know
    attributes  what its earliest signs and its identity say, per subject
    clocks      its cycles before this visit
    """

    code: Code
    partner: str | None
    attributes: Mapping[Subject, Mapping[str, Any]]
    clocks: Mapping[ClockKey, Sequence[Cycle]]
    _known: dict[tuple[Subject, str], Mapping[str, Any]] = field(default_factory=dict)

    def rules(self, subject: Subject) -> Sequence[RuleInForce]:
        return self.code.by_subject.get(subject.kind, ())

    def setting(self, rule: RuleInForce, subject: Subject, cycle: int, start: datetime) -> Setting:
        code = self.code
        profile = code.profile_at(self.partner, start)
        judged_by, (calendar, evidence, systems) = rule, code.terms(rule, self.partner, profile)
        kept = self._kept(rule, subject, cycle) if self.clocks else None
        if kept is not None:
            if kept.rule_version != rule.version:
                judged_by = code.revived(kept.rule_version) or rule
                calendar, evidence, _ = code.terms(judged_by, self.partner, profile)
            if kept.calendar_version != calendar.version:
                calendar = code.revived_calendar(kept.calendar_version) or calendar
        attributes = self._attributes_of(subject, profile)
        version = profile.version if profile else ""
        if isinstance(rule.rule, SourceRule):
            silent_after = code.silent_after(subject.number, start)
            return Setting(judged_by, calendar, attributes, (), version, silent_after)
        return Setting(judged_by, calendar, attributes, evidence, version, systems=systems)

    def _attributes_of(self, subject: Subject, profile: Profile | None) -> Mapping[str, Any]:
        key = (subject, profile.version if profile else "")
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = {
                **self.code.told_of(self.partner, profile),
                **self.attributes.get(subject, {}),
            }
        return found

    def described(self, subject: Subject, at: datetime) -> Mapping[str, Any]:
        """What titles may say of a subject."""
        return self._attributes_of(subject, self.code.profile_at(self.partner, at))

    def _kept(self, rule: RuleInForce, subject: Subject, cycle: int) -> Cycle | None:
        """The cycle whose own versions count: closed ones, or all if the book keeps open ones."""
        for known in self.clocks.get((rule.id, subject), ()):
            if known.number == cycle:
                keeps = not known.open or self.code.book.open_clocks == "keep"
                return known if keeps else None
        return None


# --- attributes -----------------------------------------------------------------------------------

_HEADER_FACTS = {
    "type": "po.type",
    "buyer": "po.buyer",
    "warehouse": "po.warehouse",
    "currency": "po.currency",
    "channel": "po.channel",
    "revision": "po.revision",
    "acknowledge_by": "po.acknowledge_by",
    "ship_by": "po.ship_by",
    "cancel_after": "po.cancel_after",
    "value": "po.value",
}
_LINE_FACTS = {
    "item": "po_line.item",
    "description": "po_line.description",
    "category": "po_line.category",
    "requested_date": "po_line.requested_date",
    "answer": "po_line.answer",
}
_ASN_FACTS = {
    "eta": "asn.eta",
    "ship_date": "asn.ship_date",
    "warehouse": "asn.warehouse",
    "carrier": "asn.carrier",
    "rule": "asn.rule",
    "reason": "asn.reason",
}
_FACTS = {"po": _HEADER_FACTS, "po_line": _LINE_FACTS, "asn": _ASN_FACTS}


def partner_attributes(
    network: Network, partner: str | None, profile: Mapping[str, Any]
) -> dict[str, Any]:
    """What conditions and titles may ask about the partner; what is not known is left out."""
    known = network.partners.get(partner or "")
    values = {
        "supplier.key": partner,
        "supplier.name": known.name if known else partner,
        "supplier.tier": profile.get("tier"),
        "supplier.group": profile.get("group"),
        "supplier.country": profile.get("country"),
        "supplier.channel": profile.get("template"),
        "supplier.acknowledges": profile.get("acknowledges"),
        "supplier.expects_fa": profile.get("expects_fa"),
        "supplier.sends_asn": profile.get("sends_asn"),
        "supplier.answer_within": profile.get("answer_within"),
        "supplier.max_errors": profile.get("max_errors"),
        "partner.key": partner,
        "partner.name": known.name if known else partner,
        "partner.stage": profile.get("stage"),
    }
    return {name: value for name, value in values.items() if value is not None}


def subject_attributes(signs: Mapping[Subject, Iterable[Sign]]) -> dict[Subject, dict[str, Any]]:
    """Attributes of a unit's subjects from their earliest signs: who says a thing first, decides.

    Lines see what their header says.
    """
    own: dict[Subject, dict[str, Any]] = {}
    for subject, its in signs.items():
        names = _FACTS.get(subject.kind, {})
        values = _identity(subject)
        telling = [sign for sign in its if not names.keys().isdisjoint(sign.facts)]
        for sign in sorted(telling, key=_by_occurrence) if len(telling) > 1 else telling:
            for fact, value in sign.facts.items():
                if value is not None and fact in names:
                    values.setdefault(names[fact], value)
        own[subject] = values
    for subject, values in own.items():
        if subject.kind == "po_line":
            header = own.get(Subject("po", subject.scope, subject.number), {})
            for name, value in header.items():
                values.setdefault(name, value)
            values.setdefault("po.number", subject.number)
            values.setdefault("po.erp", subject.scope)
    return own


def _by_occurrence(sign: Sign) -> tuple[datetime, int]:
    return sign.occurred_at, sign.event_id.int


def _identity(subject: Subject) -> dict[str, Any]:
    match subject.kind:
        case "po":
            return {"po.number": subject.number, "po.erp": subject.scope}
        case "po_line":
            return {"po_line.line": subject.line}
        case "asn":
            return {"asn.number": subject.number}
        case "source":
            return {"source.name": subject.number}
        case "partner" | "supplier":
            return {"partner.key": subject.number, "supplier.key": subject.number}
        case "queue":
            return {"queue.name": subject.number, "queue.broker": subject.scope}
    return {}


def supplier_of(signs: Mapping[Subject, Iterable[Sign]], network: Network) -> str | None:
    """The partner that the earliest sign naming one names; a shipment belongs to its sender."""
    named: list[tuple[datetime, int, str]] = []
    for subject, its in signs.items():
        if subject.kind == "asn":
            named.append((_FIRST, -1, subject.scope))
        for sign in its:
            supplier = sign.facts.get("supplier")
            if isinstance(supplier, str) and supplier in network.partners:
                named.append((sign.occurred_at, sign.event_id.int, supplier))
    known = [found for found in named if found[2] in network.partners]
    return min(known)[2] if known else None


_FIRST = datetime.fromisoformat("0001-01-01T00:00:00+00:00")


def spread(
    signs: Mapping[Subject, Sequence[Sign]], line_types: frozenset[str]
) -> dict[Subject, list[Sign]]:
    """The signs of each subject of a unit, lines also with what is said of the order as a whole.

    An event that names the order and none of its lines is true of all of them; one that names some
    lines is true of those alone. Each event counts once per subject.
    """
    found = {subject: _once(its) for subject, its in signs.items()}
    lines = [subject for subject in found if subject.kind == "po_line"]
    if not lines:
        return found
    of_lines = {sign.event_id.int for subject in lines for sign in found[subject]}
    for subject, its in list(found.items()):
        if subject.kind != "po":
            continue
        shared = [s for s in its if s.type in line_types and s.event_id.int not in of_lines]
        for line in lines:
            if (line.scope, line.number) == (subject.scope, subject.number):
                found[line].extend(shared)
    return found


def _once(signs: Iterable[Sign]) -> list[Sign]:
    """One sign per event: the one its clocks took, else the one that could be known first."""
    if isinstance(signs, list) and len(signs) == 1:
        return [*signs]
    found: dict[int, Sign] = {}
    for sign in signs:
        known = found.get(sign.event_id.int)
        if known is None or (known.applied_at is None, known.arrived_at) > (
            sign.applied_at is None,
            sign.arrived_at,
        ):
            found[sign.event_id.int] = sign
    return list(found.values())
