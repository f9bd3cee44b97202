"""The clock: a pure fold from signs, spells of silence and an instant to the facts that stand.

``fold`` sorts the signs of one subject, builds the cycles of one rule, judges each as of ``now``.
What stands depends only on the set of signs and spells, never on the order they came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tower.agreement import against_plan, as_deadline, compared
from tower.calendars import Calendar
from tower.cycles import Cycle, Folded
from tower.judgement import judged
from tower.measured import fold_queue, footing_of
from tower.ratios import fold_ratio
from tower.rulebook import (
    AgreementRule,
    ImpactRule,
    QueueRule,
    RatioRule,
    SourceRule,
    VolumeRule,
)
from tower.runs import Builder
from tower.signs import Evidence, RuleInForce, Setting, SettingAt, Sign, Spell
from tower.silent_sources import fold_source
from tower.volumes import fold_volume


def fold(
    rule: RuleInForce,
    signs: Iterable[Sign],
    spells: Sequence[Spell],
    setting_at: SettingAt,
    now: datetime,
) -> Folded:
    """The cycles of ``rule`` on the subject of these signs, judged as of ``now``.

    ``spells`` may hold any source and any time; those not known at ``now`` only tell when to look
    again. For a rule of kind source the spells are those of the source itself.
    """
    if isinstance(rule.rule, SourceRule):
        return fold_source(rule.rule, spells, setting_at, now)
    if isinstance(rule.rule, QueueRule):
        return fold_queue(rule, rule.rule, signs, setting_at, now)
    if isinstance(rule.rule, RatioRule):
        return fold_ratio(rule, rule.rule, signs, setting_at, now)
    if isinstance(rule.rule, VolumeRule):
        return fold_volume(rule, rule.rule, signs, spells, setting_at, now)
    if isinstance(rule.rule, ImpactRule):
        raise TypeError("whom late supply hurts is walked, not folded (tower/impact.py)")
    if isinstance(rule.rule, AgreementRule):
        signs = list(signs)
        if rule.rule.about == "supplier":
            return _against_plan(rule, rule.rule, signs, spells, setting_at, now)
        begin = min((sign.occurred_at for sign in signs), default=now)
        signs = compared(rule.rule, rule, signs, setting_at(1, begin).systems)
        rule = as_deadline(rule)
    track = Track(rule, setting_at)
    track.take(signs)
    return Folded(track.cycles(spells, now))


def _against_plan(
    rule: RuleInForce,
    body: AgreementRule,
    signs: Sequence[Sign],
    spells: Sequence[Spell],
    setting_at: SettingAt,
    now: datetime,
) -> Folded:
    """Cycles of a supplier's lead time; as with counts, what was before a footing is history."""
    footing = footing_of(rule.id, signs)
    before = footing.number
    track = Track(as_deadline(rule), lambda number, start: setting_at(before + number, start))
    track.take(against_plan(body, [sign for sign in signs if sign.occurred_at > footing.at]))
    cycles = track.cycles(spells, now)
    return Folded(tuple(replace(cycle, number=before + cycle.number) for cycle in cycles))


def facts(
    rule: RuleInForce,
    signs: Iterable[Sign],
    spells: Sequence[Spell],
    calendar: Calendar,
    profile: Mapping[str, Any],
    now: datetime,
    evidence: tuple[Evidence, ...] = (),
) -> Folded:
    """``fold`` for a subject whose calendar, profile and evidence never changed."""
    setting = Setting(rule, calendar, profile, evidence)
    return fold(rule, signs, spells, lambda _number, _start: setting, now)


class Track:
    """One rule of kind deadline or event on one subject, while its signs come in.

    What was made of earlier signs is kept, so that an instant at which only time has passed costs
    the judging of the open cycle alone. The answers are those of ``fold`` over all signs taken.
    """

    def __init__(self, rule: RuleInForce, setting_at: SettingAt) -> None:
        self._rule, self._setting_at = rule, setting_at
        self._order = _by_arrival if rule.by_arrival else _by_occurrence
        self._heard: dict[int, Sign] = {}
        self._last = _NOTHING
        self._builder = Builder(rule, setting_at)

    def take(self, signs: Iterable[Sign]) -> None:
        """Signs in any order; those that the rule does not hear are passed over."""
        listens = self._rule.listens
        self.hear([sign for sign in signs if listens(sign)])

    def hear(self, signs: Sequence[Sign]) -> bool:
        """Signs that the rule hears; of several of one event the last one counts.

        False if they change no cycle.
        """
        heard, order = self._heard, self._order
        if len(signs) == 1:
            [sign] = signs
            at, number = order(sign)
            if (at, number) >= self._last and number not in heard:
                # As most signs: alone, and later than all before it.
                heard[number] = sign
                self._last = at, number
                return self._builder.take(sign, at)
        fresh = {sign.event_id.int: sign for sign in signs}
        if not fresh:
            return False
        moved = not heard.keys().isdisjoint(fresh)
        heard |= fresh
        told = sorted(fresh.values(), key=order)
        if moved or order(told[0]) < self._last:
            # The past has changed: everything is told anew.
            moved = True
            self._builder = Builder(self._rule, self._setting_at)
            told = sorted(heard.values(), key=order)
        self._last = order(told[-1])
        take = self._builder.take
        for sign in told:
            if take(sign, order(sign)[0]):
                moved = True
        return moved

    def cycles(self, spells: Sequence[Spell], now: datetime) -> tuple[Cycle, ...]:
        """The cycles as of ``now``."""
        runs = self._builder.runs
        return tuple([judged(run, spells, now) for run in runs]) if runs else ()


_NOTHING = (datetime(1, 1, 1, tzinfo=UTC), -1)


def _by_occurrence(sign: Sign) -> tuple[datetime, int]:
    return sign.occurred_at, sign.event_id.int


def _by_arrival(sign: Sign) -> tuple[datetime, int]:
    return sign.arrived_at, sign.event_id.int
