"""Feeds that fall silent: each spell that lasts too long is a cycle of a source rule.

A pure fold, as that of the other clocks (tower/clocks.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from tower.cycles import Cycle, Fact, Folded, Verdict
from tower.due import after
from tower.rulebook import SourceRule
from tower.signs import Setting, SettingAt, Spell


def versions_of(setting: Setting) -> dict[str, Any]:
    return {
        "rule_version": setting.rule.version,
        "calendar_version": setting.calendar.version,
        "profile_version": setting.profile_version,
    }


def fold_source(
    body: SourceRule, spells: Sequence[Spell], setting_at: SettingAt, now: datetime
) -> Folded:
    """Each spell that outlives the source's ``silent_after`` is a cycle, breached at that instant.

    Shorter ones only make clocks wait; they are no cycle and nobody hears of them.
    """
    cycles: list[Cycle] = []
    upcoming: datetime | None = None
    for spell in sorted(set(spells), key=attrgetter("from_at", "known_at")):
        number = len(cycles) + 1
        setting = setting_at(number, spell.from_at)
        if body.applies_when is not None and not body.applies_when.holds(setting.attributes):
            continue
        breach = max(spell.known_at, spell.from_at + setting.silent_after)
        if spell.to_at is not None and spell.to_at <= breach:
            continue
        if breach > now:
            upcoming = _earlier(upcoming, breach)
        else:
            cycles.append(_spell_cycle(number, spell, breach, body, setting, now))
    return Folded(tuple(cycles), upcoming)


def _spell_cycle(
    number: int, spell: Spell, breach: datetime, body: SourceRule, setting: Setting, now: datetime
) -> Cycle:
    versions = versions_of(setting)
    receipt = {
        "rule": body.id,
        "rule_version": setting.rule.version,
        "start": spell.from_at.isoformat(),
        "zone": setting.calendar.spec.zone,
        "silent": spell.source,
        "due": breach.isoformat(),
    }
    for exemption in setting.rule.exemptions:
        if exemption.when.holds(setting.attributes):
            reason = exemption.because or exemption.when.sentence()
            return Cycle(
                number, Verdict.NOT_MEASURED, False, False, spell.from_at, None,
                (Fact("excluded", spell.from_at, {"reason": reason}),), None,
                reason=reason, receipt=receipt, **versions,
            )  # fmt: skip
    over = spell.to_at if spell.to_at is not None and spell.to_at <= now else None
    following = spell.to_at if over is None else None
    standing = [Fact("started", spell.from_at), Fact("breach", breach)]
    for name, level in body.levels.items():
        if level.at is None:
            continue
        at = after(breach, level.at, setting.calendar)
        if at <= now if over is None else at < over:
            standing.append(Fact(name, at))
        elif over is None:
            following = _earlier(following, at)
    if over is not None:
        standing.append(Fact("end:late", over, {"by": "source.heartbeat"}))
    return Cycle(
        number=number,
        verdict=Verdict.BREACHED if over is None else Verdict.MET_LATE,
        open=over is None,
        paused=False,
        started=spell.from_at,
        due=breach,
        facts=tuple(standing),
        next=following,
        ended=over,
        receipt=receipt,
        **versions,
    )


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    if first is None or second is None:
        return first or second
    return min(first, second)
