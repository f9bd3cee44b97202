"""Shares of what goes wrong: cycles of a rule from the counts of one partner.

Messages are counted in steps of five minutes by the time that they state, so neither their order
nor a repeat changes a count. A window is passed when it is sure, not merely so, that more than the
limit goes wrong: the lower end of Wilson's interval around the share lies above it, both over the
whole window and over its last part, and enough came to say anything.

A step that is not over yet may open a cycle, but only a full one closes it. A last part in which
nothing came says nothing: it neither opens nor closes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from math import sqrt
from statistics import NormalDist
from typing import Any

from tower.cycles import Cycle, Fact, Folded, Verdict
from tower.measured import excluded, footing_of
from tower.overruns import Footing
from tower.rule_parts import MAX_ERRORS, STEP, Guard, Window, percent
from tower.rulebook import RatioRule
from tower.signs import RuleInForce, Setting, SettingAt, Sign

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_SURE = 0.999_999


def step_of(at: datetime) -> datetime:
    """Beginning of the five minutes in which an instant lies."""
    return at - (at - _EPOCH) % STEP


def times(sign: Sign) -> int:
    """How many events a sign stands for: one, unless it is a count of a step."""
    return int(sign.facts.get("n", 1))


@lru_cache(maxsize=32)
def _deviations(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + min(confidence, _SURE)) / 2)


def lower_bound(bad: int, total: int, confidence: float) -> float:
    """Lower end of Wilson's score interval around ``bad / total``, two-sided; 0 of nothing."""
    if total <= 0:
        return 0.0
    z, share = _deviations(confidence), bad / total
    square = z * z / total
    spread = z * sqrt(share * (1 - share) / total + square / (4 * total))
    return max(0.0, (share + square / 2 - spread) / (1 + square))


def is_over(bad: int, total: int, limit: float, confidence: float) -> bool:
    """Whether surely more than ``limit`` of these went wrong."""
    return lower_bound(bad, total, confidence) > limit


@dataclass(frozen=True, slots=True)
class Count:
    """How many went wrong of how many. Where more fail than came (of what came nobody told), all of
    it failed."""

    bad: int
    came: int

    @property
    def total(self) -> int:
        return max(self.bad, self.came)


class Counts:
    """The counts of one partner by step."""

    def __init__(self, signs: Iterable[Sign], bad: frozenset[str], of: frozenset[str]) -> None:
        found: dict[datetime, list[int]] = {}
        for sign in signs:
            if sign.type in bad or sign.type in of:
                here = found.setdefault(step_of(sign.occurred_at), [0, 0])
                here[0] += times(sign) * (sign.type in bad)
                here[1] += times(sign) * (sign.type in of)
        self.steps = sorted(found)
        self._bad = [0, *accumulate(found[step][0] for step in self.steps)]
        self._came = [0, *accumulate(found[step][1] for step in self.steps)]

    def up_to(self, step: datetime, length: timedelta) -> Count:
        """What happened in the window of this length that ends with a step, that one included."""
        first = bisect_right(self.steps, step - length)
        last = bisect_right(self.steps, step)
        return Count(self._bad[last] - self._bad[first], self._came[last] - self._came[first])

    def edges(self, windows: Sequence[Window], begin: datetime, end: datetime) -> list[datetime]:
        """The steps after ``begin`` up to ``end`` at which something enters or leaves a window."""
        lengths = {timedelta(0), *(w.over.length for w in windows)}
        lengths |= {w.confirm.length for w in windows}
        lo = bisect_left(self.steps, begin - max(lengths))
        found = {step + length for step in self.steps[lo:] for length in lengths}
        return sorted(step for step in found if begin < step <= end)


def answer(
    counts: Counts, step: datetime, window: Window, limit: float, guard: Guard
) -> bool | None:
    """Whether a window is passed at a step: True, False, or None where nothing says so."""
    confidence = float(guard.confidence)
    whole = counts.up_to(step, window.over.length)
    if whole.bad < guard.bad or whole.total < guard.total:
        return False
    if not is_over(whole.bad, whole.total, limit, confidence):
        return False
    last = counts.up_to(step, window.confirm.length)
    if not last.total:
        return None
    return is_over(last.bad, last.total, limit, confidence)


def limit_of(window: Window, attributes: Mapping[str, Any]) -> float | None:
    """The share that is too much for this partner, None if it has no such limit."""
    above = window.more_than.above
    if above == MAX_ERRORS:
        agreed = attributes.get(MAX_ERRORS)
        above = window.more_than.default if agreed is None else agreed
    return None if above is None else float(above)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A window with the limit of this partner."""

    window: Window
    limit: float


@dataclass(slots=True)
class _Spell:
    """A cycle on its way."""

    number: int
    since: datetime
    reached: dict[str, datetime] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    over: datetime | None = None


def fold_ratio(
    rule: RuleInForce,
    body: RatioRule,
    signs: Iterable[Sign],
    setting_at: SettingAt,
    now: datetime,
) -> Folded:
    """The cycles of a partner's rule from its counts.

    It goes on from an instant outside of any cycle (a FOOTING sign); what was before is history.
    """
    own = list(signs)
    footing = footing_of(rule.id, own)
    counts = Counts(own, frozenset(body.bad), frozenset(body.of))
    if not counts.steps:
        return Folded()
    attributes = setting_at(footing.number + 1, footing.at).attributes
    if body.applies_when is not None and not body.applies_when.holds(attributes):
        return Folded()
    asked = [
        _Asked(w, limit)
        for w in body.windows
        if w.level in body.levels and (limit := limit_of(w, attributes)) is not None
    ]
    if not asked:
        return Folded()
    spells, following = _walk(counts, asked, body.guard, footing, now)
    cycles = tuple(_cycle(s, setting_at(s.number, s.since), following) for s in spells)
    waits = bool(cycles) and cycles[-1].open
    return Folded(cycles, None if waits else following)


def _walk(
    counts: Counts, asked: Sequence[_Asked], guard: Guard, start: Footing, now: datetime
) -> tuple[list[_Spell], datetime | None]:
    """Cycles after a state, and when time alone may change something."""
    windows = [one.window for one in asked]
    longest = max(w.over.length for w in windows)
    begin = max(start.at, counts.steps[0] - STEP)
    edges = counts.edges(windows, begin, now + longest + STEP)
    spells: list[_Spell] = []
    current: _Spell | None = None
    for step in edges:
        if step > now:
            break
        answers = {
            one.window.level: answer(counts, step, one.window, one.limit, guard) for one in asked
        }
        held = [one for one in asked if answers[one.window.level]]
        if held and current is None:
            current = _Spell(start.number + len(spells) + 1, step)
            spells.append(current)
        if current is None:
            continue
        for one in held:
            level = one.window.level
            if level not in current.reached:
                current.reached[level] = step
                if level == "breach" or not current.told:
                    current.told = _told(counts, step, one, guard)
        # A last part in which nothing came says nothing about what it was over.
        gone = all(answers[level] is False for level in current.reached)
        if not held and gone and step + STEP <= now:
            current.over = step
            current = None
    if current is not None:
        ahead = (step + STEP for step in edges if step + STEP > now)
    else:
        bad_lately = counts.up_to(now, longest).bad
        ahead = (step for step in edges if step > now and bad_lately)
    return spells, min(ahead, default=None)


def _told(counts: Counts, step: datetime, one: _Asked, guard: Guard) -> dict[str, Any]:
    count = counts.up_to(step, one.window.over.length)
    bound = lower_bound(count.bad, count.total, float(guard.confidence))
    return {
        "bad": count.bad,
        "total": count.total,
        "over": str(one.window.over),
        "limit": round(one.limit, 6),
        "bound": round(bound, 4),
        "confidence": percent(guard.confidence),
    }


def _cycle(spell: _Spell, setting: Setting, following: datetime | None) -> Cycle:
    body, at = setting.rule.rule, spell.reached.get("breach")
    receipt = {
        "rule": body.id,
        "rule_version": setting.rule.version,
        "start": spell.since.isoformat(),
        "zone": setting.calendar.spec.zone,
        "share": spell.told,
    }
    out = excluded(spell.number, spell.since, setting, receipt)
    if out is not None:
        return out
    standing = [Fact("started", spell.since)]
    standing += [Fact(name, since) for name, since in spell.reached.items()]
    if spell.over is not None:
        standing.append(Fact("end:cleared", spell.over))
    verdict = Verdict.AT_RISK if at is None else Verdict.BREACHED
    if spell.over is not None:
        verdict = Verdict.MET if at is None else Verdict.MET_LATE
    return Cycle(
        number=spell.number,
        verdict=verdict,
        open=spell.over is None,
        paused=False,
        started=spell.since,
        due=at,
        facts=tuple(standing),
        next=following if spell.over is None else None,
        ended=spell.over,
        receipt=receipt,
        rule_version=setting.rule.version,
        calendar_version=setting.calendar.version,
        profile_version=setting.profile_version,
    )
