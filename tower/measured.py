"""Clocks of what is measured: cycles of a rule from the readings of one subject.

Each overrun (tower/overruns.py) is a cycle: it starts with the first reading over the limit, is
breached once that lasted, and ends when it is under its limits again for long enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tower.cycles import Cycle, Fact, Folded, Verdict
from tower.due import after
from tower.overruns import Footing, Overrun, Patience, Reading, walk
from tower.rule_parts import QueueLimit
from tower.rulebook import QueueRule
from tower.signs import FOOTING, SAMPLE, RuleInForce, Setting, SettingAt, Sign

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)

NO_SAMPLE = "no sample"  # what holds a clock whose readings stopped


@dataclass(frozen=True, slots=True)
class Measured:
    """What was read, as one rule sees it.

    footing  where to go on from; readings after it, in any order
    """

    footing: Footing
    readings: Sequence[Reading]
    patience: Patience


def fold_queue(
    rule: RuleInForce,
    body: QueueRule,
    signs: Iterable[Sign],
    setting_at: SettingAt,
    now: datetime,
) -> Folded:
    """The cycles of a queue's rule from its samples, as far as these go back."""
    own = list(signs)
    footing = footing_of(rule.id, own)
    attributes = setting_at(footing.number + 1, footing.at).attributes
    if body.applies_when is not None and not body.applies_when.holds(attributes):
        return Folded()
    measured = measured_queue(body, own, footing, attributes)
    overruns, _ = walk(measured.footing, measured.readings, measured.patience)
    return Folded(
        tuple(
            _cycle(overrun, setting_at(overrun.number, overrun.since), measured.patience, now)
            for overrun in overruns
        )
    )


def measured_queue(
    rule: QueueRule, signs: Iterable[Sign], footing: Footing, attributes: Mapping[str, Any]
) -> Measured:
    """The samples of a queue as answers to the rule's limits."""
    asks = [_asked(limit, attributes) for limit in rule.any]
    readings = [
        Reading(sign.occurred_at, tuple(ask(sign.facts) for ask in asks), sign.facts)
        for sign in signs
        if sign.type == SAMPLE
    ]
    return Measured(
        footing,
        readings,
        Patience(rule.hold.length, rule.clear_after.length, rule.no_sample_after.length),
    )


def footing_of(rule: str, signs: Iterable[Sign]) -> Footing:
    """Where a rule's fold goes on from; the beginning of time if it never folded."""
    for sign in signs:
        if sign.type == FOOTING and rule in sign.facts:
            return Footing.from_json(sign.facts[rule])
    return Footing(_BEGINNING)


_Ask = Callable[[Mapping[str, Any]], bool | None]


def _asked(limit: QueueLimit, attributes: Mapping[str, Any]) -> _Ask:
    """A limit as a question to a sample; None where the sample does not say."""
    if limit.oldest_age is not None:
        longest = limit.oldest_age.above.length / timedelta(seconds=1)

        def too_old(facts: Mapping[str, Any]) -> bool | None:
            age = facts.get("oldest_age")
            if age is not None:
                return bool(age > longest)
            # No message, no oldest one: the only silence that says something.
            return False if facts.get("depth") == 0 else None

        return too_old
    deepest = _depth(limit, attributes)

    def too_deep(facts: Mapping[str, Any]) -> bool | None:
        depth = facts.get("depth")
        return None if depth is None or deepest is None else bool(depth > deepest)

    return too_deep


def _depth(limit: QueueLimit, attributes: Mapping[str, Any]) -> int | None:
    if limit.depth is None:
        return None
    if isinstance(limit.depth.above, int):
        return limit.depth.above
    agreed = attributes.get(limit.depth.above)
    return limit.depth.default if agreed is None else int(agreed)


# --- cycles -------------------------------------------------------------------------------------


def excluded(
    number: int, since: datetime, setting: Setting, receipt: Mapping[str, Any]
) -> Cycle | None:
    """The cycle of what is exempt, None for what is measured."""
    for exemption in setting.rule.exemptions:
        if exemption.when.holds(setting.attributes):
            reason = exemption.because or exemption.when.sentence()
            return Cycle(
                number, Verdict.NOT_MEASURED, False, False, since, None,
                (Fact("excluded", since, {"reason": reason}),), None,
                reason=reason,
                rule_version=setting.rule.version,
                calendar_version=setting.calendar.version,
                profile_version=setting.profile_version,
                receipt=receipt,
            )  # fmt: skip
    return None


def _cycle(overrun: Overrun, setting: Setting, patience: Patience, now: datetime) -> Cycle:
    body = setting.rule.rule
    receipt = {
        "rule": body.id,
        "rule_version": setting.rule.version,
        "start": overrun.since.isoformat(),
        "zone": setting.calendar.spec.zone,
        "measured": dict(overrun.told),
        "due": overrun.begun.isoformat(),
    }
    versions: dict[str, Any] = {
        "rule_version": setting.rule.version,
        "calendar_version": setting.calendar.version,
        "profile_version": setting.profile_version,
    }
    out = excluded(overrun.number, overrun.since, setting, receipt)
    if out is not None:
        return out
    standing = [Fact("started", overrun.since), Fact("breach", overrun.begun)]
    for name, level in body.levels.items():
        if level.at is None:
            continue
        at = after(overrun.begun, level.at, setting.calendar)
        # Spoken by a reading that is past it, like all else.
        if at <= overrun.seen if overrun.over is None else at < overrun.over:
            standing.append(Fact(name, at))
    unsure = overrun.seen + patience.reading_gap
    if overrun.over is not None:
        standing.append(Fact("end:cleared", overrun.over))
    elif unsure <= now:
        standing.append(Fact("held", unsure, {"by": NO_SAMPLE}))
    return Cycle(
        number=overrun.number,
        verdict=Verdict.BREACHED if overrun.over is None else Verdict.MET_LATE,
        open=overrun.over is None,
        paused=False,
        started=overrun.since,
        due=overrun.begun,
        facts=tuple(standing),
        next=unsure if overrun.over is None and unsure > now else None,
        ended=overrun.over,
        receipt=receipt,
        **versions,
    )
