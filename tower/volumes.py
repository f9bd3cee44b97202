"""Partners gone quiet: cycles of a rule from the counts of one supplier.

Messages are counted in steps of five minutes by the time that they state. A number is expected in
every stretch of ``within``: time runs from the last message (but so many, where more than one is
expected), or from when something was first expected, whichever is later. A share of the usual is
looked at when a business day closes: what came in the last ``within`` business days, against the
median of the same weekday over the past weeks.

As with deadlines nothing is claimed while a source of the evidence is silent. Shorter silences are
no cycle and nobody hears of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from statistics import median
from typing import Any

from tower.calendars import BeyondHorizon, Calendar
from tower.cycles import Cycle, Fact, Folded, Verdict
from tower.due import after
from tower.durations import Span, Unit
from tower.measured import excluded, footing_of
from tower.ratios import step_of, times
from tower.rule_parts import STEP, AtLeast
from tower.rulebook import VolumeRule
from tower.signs import RuleInForce, Setting, SettingAt, Sign, Spell

OPEN_SINCE = "supplier.open_since"
"""Attribute: since when the oldest of its open orders is out; nothing was expected before."""
IDLE_SINCE = "supplier.idle_since"
"""Attribute: when it had last anything open."""
ASK_EVERY = timedelta(minutes=15)  # whether something is still expected of who is quiet
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
LEAST_WEEKS = 4  # with fewer weeks known nothing is usual yet


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch with less than expected.

    since  what is counted from; ``due`` when enough should have come; ``over`` when it had
    """

    since: datetime
    due: datetime
    over: datetime | None
    told: Mapping[str, Any]


def latest_end(at: datetime, within: Span, calendar: Calendar) -> datetime:
    """The end of a stretch of ``within`` that begins at an instant."""
    if within.unit is Unit.CLOCK:
        return at + within.length
    if within.unit is Unit.OPEN:
        return calendar.add(calendar.next_open(at), within.length)
    return calendar.end_of_business_day(at, within.days)


def silences(
    steps: Sequence[datetime],
    counts: Sequence[int],
    body: VolumeRule,
    calendar: Calendar,
    since: datetime | None,
    begin: datetime,
    now: datetime,
) -> tuple[list[Silence], datetime | None]:
    """Silences that fell due after ``begin`` or last still, and the next instant to look again.

    ``since`` is when something was first expected, None if that was always so.
    """
    if body.at_least.share is not None:
        return _below_usual(steps, counts, body, calendar, since, begin, now)
    return _too_few(steps, counts, body, calendar, since, begin, now)


def _too_few(
    steps: Sequence[datetime],
    counts: Sequence[int],
    body: VolumeRule,
    calendar: Calendar,
    since: datetime | None,
    begin: datetime,
    now: datetime,
) -> tuple[list[Silence], datetime | None]:
    wanted = body.at_least.count or 0
    if not wanted:
        return [], None
    heard = [step for step, n in zip(steps, counts, strict=True) for _ in range(min(n, wanted))]
    found: list[Silence] = []
    # The message from which on time runs: with ``wanted`` of two, the last but one.
    bases: list[datetime | None] = [None] * wanted
    bases += [step + STEP for step in heard]
    upcoming: datetime | None = None
    n = 0
    while n <= len(heard):
        last = n == len(heard)
        starts = [at for at in (bases[n], since) if at is not None]
        if not starts or (not last and since is not None and since >= heard[n]):
            n += 1  # nothing was expected in this stretch, as far as we know
            continue
        start = max(starts)
        due = latest_end(start, body.within, calendar)
        if not last and heard[n] <= due:
            n += 1
            continue
        over, enough = None, n
        for later in range(n, len(heard)):
            reached = bases[later + 1]
            if reached is not None and latest_end(reached, body.within, calendar) >= heard[later]:
                over, enough = heard[later], later + 1
                break
        if over is None and due > now:
            upcoming = due
        elif over is None or due > begin:
            came = sum(1 for at in heard if start < at + STEP <= due)
            found.append(Silence(start, due, over, _told(body.at_least, came, body.within)))
        if over is None:
            break
        n = enough
    return found, upcoming


def _below_usual(
    steps: Sequence[datetime],
    counts: Sequence[int],
    body: VolumeRule,
    calendar: Calendar,
    since: datetime | None,
    begin: datetime,
    now: datetime,
) -> tuple[list[Silence], datetime | None]:
    days = body.within.days
    upcoming = calendar.end_of_business_day(now, 0)
    if upcoming <= now:
        upcoming = calendar.end_of_business_day(now, 1)
    if not steps:
        return [], upcoming
    # A day's own counts begin after the close of the day before.
    closes = calendar.closings(steps[0], now)
    total = [0, *accumulate(counts)]

    def came(close: datetime, until: datetime) -> int:
        return total[bisect_left(steps, until)] - total[bisect_left(steps, close)]

    where = {close.astimezone(calendar.zone).date(): n for n, close in enumerate(closes)}
    found: list[Silence] = []
    for n, close in enumerate(closes):
        if close <= begin or n < days:
            continue
        start = closes[n - days]
        lasting = found[-1] if found and found[-1].over is None else None
        if since is not None and since > start and lasting is None:
            continue
        day = close.astimezone(calendar.zone).date()
        same = [where.get(day - timedelta(weeks=k)) for k in range(1, body.weeks + 1)]
        known = [came(closes[i - days], closes[i]) for i in same if i is not None and i >= days]
        if len(known) < LEAST_WEEKS:
            continue
        usual = median(known)
        limit = Decimal(str(usual)) * (body.at_least.share or Decimal(0))
        had = came(start, close)
        quiet = limit >= 1 and had < limit
        if quiet and lasting is None:
            told = _told(body.at_least, had, body.within) | {"usual": float(usual)}
            found.append(Silence(start, close, None, told))
        elif not quiet and lasting is not None:
            found[-1] = Silence(lasting.since, lasting.due, close, lasting.told)
    return found, upcoming


def _told(at_least: AtLeast, came: int, within: Span) -> dict[str, Any]:
    return {"came": came, "at_least": str(at_least), "within": str(within)}


# --- cycles -------------------------------------------------------------------------------------


def fold_volume(
    rule: RuleInForce,
    body: VolumeRule,
    signs: Iterable[Sign],
    spells: Sequence[Spell],
    setting_at: SettingAt,
    now: datetime,
) -> Folded:
    """The cycles of a supplier's rule from its counts.

    It goes on from an instant outside of any cycle, or from the cycle that was open (a FOOTING
    sign); what was before is history.
    """
    own = list(signs)
    footing = footing_of(rule.id, own)
    setting = setting_at(footing.number + 1, now)
    if body.applies_when is not None and not body.applies_when.holds(setting.attributes):
        return Folded()
    found: dict[datetime, int] = {}
    for sign in own:
        if sign.type in rule.start:
            step = step_of(sign.occurred_at)
            found[step] = found.get(step, 0) + times(sign)
    steps = sorted(found)
    since = _moment(setting.attributes.get(OPEN_SINCE), setting.calendar)
    kept = footing.current
    if kept is not None:
        since = kept.since  # what it waited for then is what it waits for now
    expected = body.while_ is None or body.while_.holds(setting.attributes)
    try:
        quiet, upcoming = silences(
            steps, [found[step] for step in steps], body, setting.calendar, since, footing.at, now
        )
    except BeyondHorizon:
        return Folded()
    cycles: list[Cycle] = []
    for silence in quiet:
        number = footing.number + len(cycles) + 1
        mine = setting_at(number, silence.since)
        ended = None
        if not expected:
            if kept is None or kept.number != number:
                continue
            if silence.over is None:
                ended = _moment(setting.attributes.get(IDLE_SINCE), setting.calendar) or now
        cycles.append(_cycle(number, silence, body, mine, spells, now, ended))
    return Folded(tuple(cycles), upcoming)


def _moment(value: Any, calendar: Calendar) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    at = datetime.fromisoformat(str(value))
    return at if at.tzinfo is not None else calendar.local(at.date(), at.time())


def _cycle(
    number: int,
    silence: Silence,
    body: VolumeRule,
    setting: Setting,
    spells: Sequence[Spell],
    now: datetime,
    ended: datetime | None,
) -> Cycle:
    """``ended`` is when nothing was expected any more, None while something is."""
    receipt = {
        "rule": body.id,
        "rule_version": setting.rule.version,
        "start": silence.since.isoformat(),
        "zone": setting.calendar.spec.zone,
        "quiet": dict(silence.told),
        "due": silence.due.isoformat(),
        "calendar": setting.calendar.name,
        "calendar_version": setting.calendar.version,
    }
    out = excluded(number, silence.since, setting, receipt)
    if out is not None:
        return out
    over = silence.over
    if over is None and ended is not None:
        over = max(ended, silence.due)
    judge = _Proof(setting, spells, now, over)
    standing = [Fact("started", silence.since)]
    breached = judge.proven(silence.due)
    if breached:
        standing.append(Fact("breach", silence.due))
        for name, level in body.levels.items():
            if level.at is not None:
                at = after(silence.due, level.at, setting.calendar)
                if judge.proven(at):
                    standing.append(Fact(name, at))
    elif judge.held_by is not None:
        standing.append(Fact("held", silence.due, {"by": judge.held_by}))
    verdict = Verdict.BREACHED if breached else Verdict.PENDING
    if judge.held_by is not None and not breached:
        verdict = Verdict.UNKNOWN
    if over is not None:
        if ended is not None:
            verdict = Verdict.BREACHED if breached else Verdict.NOT_MEASURED
            standing.append(Fact("end:cancelled", over, {"by": "nothing is expected any more"}))
        else:
            verdict = Verdict.MET_LATE
            standing.append(Fact("end:late", over, {"by": "it speaks again"}))
    return Cycle(
        number=number,
        verdict=verdict,
        open=over is None,
        paused=False,
        started=silence.since,
        due=silence.due,
        facts=tuple(standing),
        next=_look_again(judge, body, now) if over is None else None,
        held_by=judge.held_by if verdict is Verdict.UNKNOWN else None,
        ended=over,
        reason="nothing is expected any more" if verdict is Verdict.NOT_MEASURED else "",
        receipt=receipt,
        rule_version=setting.rule.version,
        calendar_version=setting.calendar.version,
        profile_version=setting.profile_version,
    )


def _look_again(judge: _Proof, body: VolumeRule, now: datetime) -> datetime | None:
    """What is no longer expected is told by events of orders, not of the supplier: asked for."""
    if body.while_ is None:
        return judge.next
    asked = now + ASK_EVERY - (now - _EPOCH) % ASK_EVERY
    return asked if judge.next is None else min(asked, judge.next)


class _Proof:
    """Whether silence up to an instant is the partner's, not our own feeds'."""

    def __init__(
        self, setting: Setting, spells: Sequence[Spell], now: datetime, end: datetime | None
    ) -> None:
        self.next: datetime | None = None
        self.held_by: str | None = None
        self._now, self._end = now, end
        self._settle = setting.rule.rule.settle.length
        pull = [e.tolerance for e in setting.evidence if e.pull]
        self._wait = max([self._settle, *pull])
        sources = {e.source for e in setting.evidence}
        self._spells = [spell for spell in spells if spell.source in sources]

    def proven(self, at: datetime) -> bool:
        if self._end is not None:
            return at < self._end
        blind: list[tuple[datetime, str]] = []
        for spell in self._spells:
            if spell.from_at >= at:
                continue
            over = None if spell.to_at is None else spell.to_at + self._settle
            if spell.known_at > self._now:
                self._look_at(spell.known_at)
            elif over is None or self._now < over:
                blind.append((spell.from_at, spell.source))
            if over is not None:
                self._look_at(over)
        if blind and self._now >= at:
            self.held_by = self.held_by or min(blind)[1]
            return False
        self._look_at(at + self._wait)
        return at + self._wait <= self._now

    def _look_at(self, at: datetime) -> None:
        if at > self._now and (self.next is None or at < self.next):
            self.next = at


def horizon(body: VolumeRule) -> timedelta:
    """How far back the counts must go, before the instant from which on it is judged."""
    if body.at_least.share is not None:
        return timedelta(weeks=body.weeks, days=2 * body.within.days + 7)
    # A business day may be weeks away; the message that time runs from lies before.
    span: Span = body.within
    return timedelta(days=14) + 3 * timedelta(days=span.days) + 2 * span.length
