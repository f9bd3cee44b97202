"""One visit to a unit: from its rows to what its clocks now say. No database, no own time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from db.clocks import BEGINNING, Judged, UnitRows
from db.completeness import LOOK_BACK, NEVER, Feeds
from tower import root_causes, rulebook
from tower.cases import Brief, Happening, Level, owner_of
from tower.court import Code, UnitCourt, spread, subject_attributes, supplier_of
from tower.cycles import Cycle
from tower.evidence import of_source
from tower.identity import partner_id
from tower.rulebook import Rule
from tower.signs import COUNTED, Evidence, Sign, Spell, Subject
from tower.timeline import ClockKey, Entry, UnitState, advance


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visit found.

    next   when to come again by the unit's clocks alone; None if nothing else is to come
    work   per rule and subject with news for cases: what the case says, and what happened
    """

    judged: Judged
    next: datetime | None
    partner: str | None
    work: Sequence[tuple[Brief, list[Happening]]]


def visit(rows: UnitRows, code: Code, feeds: Feeds, now: datetime) -> Visit:
    """Bring one unit's clocks up to ``now``."""
    arrived, later = _arrived(rows.signs, now)
    partner = supplier_of(arrived, code.network)
    court = UnitCourt(code, partner, subject_attributes(arrived), rows.clocks)
    signs = spread(arrived, code.line_types)
    return judged(rows, court, signs, _spells(rows, court, signs, feeds, now), now, later)


def judged(
    rows: UnitRows,
    court: UnitCourt,
    signs: Mapping[Subject, Sequence[Sign]],
    spells: Sequence[Spell],
    now: datetime,
    later: datetime | None = None,
) -> Visit:
    """A visit by a court that is given, to the signs that can be known at ``now``.

    ``later`` is when the next sign will be known. Signs with an applied instant were taken before.
    """
    code = court.code
    taken: dict[Subject, tuple[Sign, ...]] = {}
    new: dict[Subject, list[Sign]] = {}
    for subject, its in signs.items():
        taken[subject] = tuple(s for s in its if s.applied_at is not None)
        waiting = [s for s in its if s.applied_at is None]
        if waiting or subject.kind == "source" or subject.kind in COUNTED:
            new[subject] = waiting
    state = UnitState(rows.instant, rows.clocks, taken)
    rejudge_at = code.activated_at if code.outdated(rows.clocks) else None
    result = advance(state, new, spells, now, court, rejudge_at, reread_at=rows.reread_at)
    following = [at for at in (result.next, later) if at is not None]
    return Visit(
        judged=Judged(
            home=rows.home,
            partner_id=None if court.partner is None else partner_id(court.partner),
            applied=result.applied,
            journal=result.journal,
            before=rows.clocks,
            changed=result.changed,
            instant=result.state.instant,
            impact_at=rows.impact_at,
        ),
        next=min(following, default=None),
        partner=court.partner,
        work=news(result.journal, court, rows.home, rows.clocks, now),
    )


def _arrived(
    signs: Mapping[Subject, Sequence[Sign]], now: datetime
) -> tuple[dict[Subject, list[Sign]], datetime | None]:
    """The signs that can be known at ``now``, and when the next one will be."""
    found: dict[Subject, list[Sign]] = {}
    later: datetime | None = None
    for subject, its in signs.items():
        found[subject] = [s for s in its if s.applied_at is not None or s.arrived_at <= now]
        for sign in its:
            if sign.applied_at is None and sign.arrived_at > now:
                later = sign.arrived_at if later is None else min(later, sign.arrived_at)
    return found, later


def _spells(
    rows: UnitRows,
    court: UnitCourt,
    subjects: Mapping[Subject, Any],
    feeds: Feeds,
    now: datetime,
) -> list[Spell]:
    """What the unit's clocks must know about blind sources; a source its own spells, all of them,
    as they number its cycles."""
    own = [subject.number for subject in subjects if subject.kind == "source"]
    if own:
        sources = court.code.network.sources
        evidence = [of_source(name, sources[name]) for name in own if name in sources]
        # A source that was never read is silent from when we began to look, which is written down.
        return [s for s in feeds.blind(evidence, None, now) if s.from_at != NEVER]
    return feeds.blind(evidence_of(court, subjects, now), looking_back(rows), now)


def looking_back(rows: UnitRows) -> datetime:
    """Spells of silence that ended before this instant cannot matter to the unit any more."""
    if rows.instant is not None and rows.instant != BEGINNING:
        return rows.instant - LOOK_BACK
    arrivals = [sign.arrived_at for signs in rows.signs.values() for sign in signs]
    return min(arrivals, default=BEGINNING + LOOK_BACK) - LOOK_BACK


def evidence_of(court: UnitCourt, subjects: Mapping[Subject, Any], now: datetime) -> list[Evidence]:
    """Every source that a clock of this unit may rest on."""
    profile = court.code.profile_at(court.partner, now)
    served = profile.body.get("feeds") or () if profile else ()
    found = {
        evidence.source: evidence
        for kind in {subject.kind for subject in subjects}
        for rule in court.code.by_subject.get(kind, ())
        for evidence in court.code.evidence_of(rule.rule, court.partner, served)
    }
    return list(found.values())


def news(
    journal: Sequence[Entry],
    court: UnitCourt,
    home: int,
    clocks: Mapping[ClockKey, Sequence[Cycle]],
    now: datetime,
) -> list[tuple[Brief, list[Happening]]]:
    """The journal by rule and subject, from where a level that tells people was reached.

    ``clocks`` are the cycles as they stood before it.
    """
    grouped: dict[ClockKey, list[Happening]] = {}
    reached: set[tuple[ClockKey, int]] = set()
    telling = court.code.telling
    for entry in journal:
        levels = telling.get(entry.rule)
        if levels is None:
            continue
        key = (entry.rule, entry.subject)
        if entry.name in levels:
            reached.add((key, entry.cycle))
        if (key, entry.cycle) in reached or _told(levels, entry.cycle, clocks.get(key, ())):
            grouped.setdefault(key, []).append(
                Happening(
                    name=entry.name,
                    cycle=entry.cycle,
                    effective=entry.effective,
                    detected=entry.detected,
                    due=entry.due,
                    why=entry.why,
                )
            )
    found: list[tuple[Brief, list[Happening]]] = []
    if not grouped:
        return found
    held = _held(journal, clocks)
    rules = {rule.id: rule for rule in court.code.book.rules}
    for (rule_id, subject), happenings in grouped.items():
        attributes = court.described(subject, now)
        said = brief(rules[rule_id], subject, home, attributes, court.code)
        waited_for = held.get(((rule_id, subject), happenings[-1].cycle))
        if waited_for is not None:
            said = replace(said, shares=root_causes.of_source(waited_for))
        found.append((said, happenings))
    return found


def _held(
    journal: Iterable[Entry], clocks: Mapping[ClockKey, Sequence[Cycle]]
) -> dict[tuple[ClockKey, int], str]:
    """The silent source that each cycle waited for, now or before this visit."""
    found = {
        (key, cycle.number): cycle.held_by
        for key, cycles in clocks.items()
        for cycle in cycles
        if cycle.held_by is not None
    }
    for entry in journal:
        if entry.name == "held" and "by" in entry.why:
            found[(entry.rule, entry.subject), entry.cycle] = str(entry.why["by"])
    return found


def _told(telling: Collection[str], number: int, cycles: Iterable[Cycle]) -> bool:
    """Whether this cycle stood at a level that opens a case."""
    return any(
        fact.name in telling for cycle in cycles if cycle.number == number for fact in cycle.facts
    )


def brief(
    rule: Rule, subject: Subject, home: int | None, attributes: Mapping[str, Any], code: Code
) -> Brief:
    """What a rule says about a case of this subject."""
    levels = {
        name: Level(
            name=name,
            severity=level.severity.value,
            policy=level.notify or "",
            also=level.also,
            unless_taken=level.unless == "taken",
        )
        for name, level in rule.telling_levels.items()
    }
    first = next(iter(levels.values()))
    policy = code.book.notify.get(first.policy)
    partner = attributes.get("partner.key")
    return Brief(
        subject=subject,
        home_key=home,
        rule=rule.id,
        category=rule.category,
        levels=levels,
        title=rulebook.title_of(rule, attributes),
        advice=rule.advice,
        owner=owner_of(
            rule.owner_letter,
            code.network,
            attributes.get("po.buyer"),
            policy.fallback if policy else None,
        ),
        letter=rule.owner_letter,
        partner_id=None if partner is None else partner_id(partner),
        supplier=partner,
        buyer=attributes.get("po.buyer"),
        shares=root_causes.shared(
            rule.category,
            partner,
            code=attributes.get("asn.rule") if subject.kind == "asn" else None,
            queue=attributes.get("queue.name"),
        ),
    )


def with_impact_at(visited: Visit, at: datetime | None) -> Visit:
    """The visit with the instant at which its lines must be looked at again."""
    return replace(visited, judged=replace(visited.judged, impact_at=at))
