"""How likely a supplier answers in time, told by how long its former orders waited.

The curve is the estimator of Kaplan and Meier (1958): orders that still wait, or that were
cancelled unanswered, count as long as they waited ("censored"), so that silence does not look like
speed. How good such forecasts were is told by the Brier score (1950): the mean squared difference
between what was forecast and what came, over former orders of which each was forecast from what was
known before it. 0 is perfect, 0.25 is a coin; ``baseline`` is what the plain share of orders in
time would have scored.

All times waited are hours of the supplier's open time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

LEAST_ANSWERS = 20  # fewer answers of its own: the curve of its tier is shown, and said to be
LEAST_FORECASTS = 10  # fewer judged forecasts tell nothing about the next ones
STEP = timedelta(days=7)  # former orders are forecast from what was known at the week's beginning
LONGEST_CURVE = 60  # points that a screen or a picture needs


@dataclass(frozen=True, slots=True)
class Wait:
    """One order that waits, or waited, for an answer.

    waited    open hours from the start of its clock to the answer, or to when it was last seen
    answered  whether the answer ended it; else it was cancelled or still waits
    budget    open hours that it had until due; None = none was set
    in_time   the verdict of its clock; None where it has none yet, or must not be judged
    """

    supplier: str
    started_at: datetime
    ended_at: datetime
    waited: float
    answered: bool
    budget: float | None
    in_time: bool | None


@dataclass(frozen=True, slots=True)
class Curve:
    """A survival curve: ``waiting[i]`` is the share still unanswered from ``hours[i]`` on.

    n, answered   orders behind it, and how many of them were answered
    """

    hours: tuple[float, ...]
    waiting: tuple[float, ...]
    n: int
    answered: int

    def unanswered(self, hours: float) -> float:
        """The share that waits longer than so many open hours."""
        place = bisect_right(self.hours, hours)
        return self.waiting[place - 1] if place else 1.0

    def answered_within(self, budget: float, waited: float | None = None) -> float | None:
        """Chance of an answer within the budget: of a new order, or of one that ``waited`` so long
        without one. None where no former order is known to have waited that long.

        The two differ at 0 hours: orders answered over a weekend waited no open hour at all.
        """
        if waited is None:
            return 1 - self.unanswered(budget)
        if waited > budget:
            return 0.0
        still = self.unanswered(waited)
        return None if still <= 0 else 1 - self.unanswered(budget) / still

    def quantile(self, share: float) -> float | None:
        """Open hours within which this share is answered; None = longer than anything seen."""
        for hours, waiting in zip(self.hours, self.waiting, strict=True):
            if 1 - waiting >= share - 1e-12:
                return hours
        return None

    def points(self, most: int = LONGEST_CURVE) -> tuple[tuple[float, float], ...]:
        """(open hours, share answered) to draw as steps, thinned, the last one kept."""
        steps = [(h, 1 - w) for h, w in zip(self.hours, self.waiting, strict=True)]
        if len(steps) <= most:
            return tuple(steps)
        return tuple(steps[round(n * (len(steps) - 1) / (most - 1))] for n in range(most))


def curve(waits: Iterable[tuple[float, bool]]) -> Curve:
    """The curve of (open hours waited, whether answered). What ends with an answer in the same
    moment as another is cancelled counts as waiting until then."""
    ordered = sorted(waits, key=lambda w: (w[0], not w[1]))
    at_risk = n = len(ordered)
    share, hours, waiting = 1.0, [], []
    place = answered = 0
    while place < n:
        moment, ends, deaths = ordered[place][0], 0, 0
        while place < n and ordered[place][0] == moment:
            deaths += ordered[place][1]
            ends += 1
            place += 1
        if deaths:
            share *= 1 - deaths / at_risk
            answered += deaths
            hours.append(moment)
            waiting.append(share)
        at_risk -= ends
    return Curve(tuple(hours), tuple(waiting), n, answered)


@dataclass(frozen=True, slots=True)
class Forecasts:
    """How former forecasts did.

    brier     0 perfect, 1 always wrong; None = too few, and ``reason`` says so
    baseline  what forecasting the plain share of answers in time, known then, would have scored
    n         forecasts judged; ``suppliers`` whose orders they were about
    """

    brier: float | None
    baseline: float | None
    n: int
    reason: str = ""

    @property
    def skill(self) -> float | None:
        """1 - brier / baseline: above 0 the curve knows more than the plain share."""
        if self.brier is None or not self.baseline:
            return None
        return 1 - self.brier / self.baseline


Hours = Callable[[str, datetime, datetime], float]
"""Open hours between two instants in the calendar of a supplier."""


def backtest(
    history: Sequence[Wait], judged: Sequence[Wait], hours: Hours, least: int = LEAST_ANSWERS
) -> Forecasts:
    """Forecast each of the ``judged`` orders from what ``history`` told when its week began.

    Nothing that came later is used: orders that still waited then count as waiting. Weeks before
    which fewer than ``least`` answers were known are not forecast.
    """
    wanted = sorted(
        (w for w in judged if w.in_time is not None and w.budget is not None),
        key=lambda w: w.started_at,
    )
    known = sorted(history, key=lambda w: w.started_at)
    squares, plain_squares, n, place = 0.0, 0.0, 0, 0
    while place < len(wanted):
        begin = wanted[place].started_at
        week = [w for w in wanted[place:] if w.started_at < begin + STEP]
        place += len(week)
        before = [w for w in known if w.started_at < begin]
        seen = [
            (w.waited, w.answered)
            if w.ended_at <= begin
            else (hours(w.supplier, w.started_at, begin), False)
            for w in before
        ]
        fitted = curve(seen)
        if fitted.answered < least:
            continue
        verdicts = [w.in_time for w in before if w.in_time is not None and w.ended_at <= begin]
        plain = sum(verdicts) / len(verdicts) if verdicts else 0.5
        for wait in week:
            chance = fitted.answered_within(wait.budget or 0.0)
            came = float(bool(wait.in_time))
            squares += ((plain if chance is None else chance) - came) ** 2
            plain_squares += (plain - came) ** 2
            n += 1
    if n < LEAST_FORECASTS:
        return Forecasts(None, None, n, f"no data ({n} of {LEAST_FORECASTS} forecasts)")
    return Forecasts(squares / n, plain_squares / n, n)
