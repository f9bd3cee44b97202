"""Sentences about scorecards, the same in the command, in mails and on paper."""

from __future__ import annotations

from datetime import datetime, timedelta

from db.reads.answering import Answering
from tower import telling
from tower.scorecards import Drift, Score
from tower.survival import LEAST_FORECASTS
from tower.zones import zone


def points(change: float | None) -> str:
    """ "+3 points", "as before"; "" where there is nothing to compare with."""
    if change is None:
        return ""
    by = round(change)
    return f"{by:+} {'point' if abs(by) == 1 else 'points'}" if by else "as before"


def share_points(change: float | None) -> str:
    """ "+1.3 points", "as before"; "" where there is nothing to compare with."""
    if change is None:
        return ""
    return f"{100 * change:+.1f} points" if abs(change) >= 0.0005 else "as before"


def most_to_gain(score: Score) -> str:
    """Where full marks would add most, in a sentence; "" where half a point is not to be had."""
    worst = sorted((c for c in score.components if c.lost), key=lambda c: -(c.lost or 0))[:2]
    said = [f"{c.name} ({c.lost:.1f} points)" for c in worst if (c.lost or 0) >= 0.5]
    return f"Most is to be gained in {' and '.join(said)}." if said else ""


def month_label(span: tuple[datetime, datetime], zone_name: str) -> str:
    """A period in words: a month by its name, else its first and last day."""
    first = span[0].astimezone(zone(zone_name))
    last = (span[1] - timedelta(seconds=1)).astimezone(zone(zone_name))
    following = span[1].astimezone(zone(zone_name))
    if first.day == 1 and following.day == 1 and (first.month, first.year) == (
        last.month, last.year
    ):  # fmt: skip
        return f"{first:%B %Y}"
    return f"{first.day} {first:%b %Y} to {last.day} {last:%b %Y}"


def forecast_words(told: Answering) -> str:
    """How good former forecasts were, in a sentence."""
    made = told.forecasts
    if made.brier is None:
        return f"Too few former forecasts to judge them ({made.n} of {LEAST_FORECASTS})."
    whose = "" if told.about == "own" else " about the orders of all of these suppliers"
    said = f"Brier score of {made.n} former forecasts{whose}: {made.brier:.3f} (0 is perfect"
    if made.baseline is not None:
        said += f", the plain share in time would have scored {made.baseline:.3f}"
    return f"{said})."


def drift_words(drift: Drift) -> str:
    """Lead time against its plan, in a sentence."""
    if drift.actual is None:
        return f"No data: orders completed {drift.n}, fewer than needed."
    said = f"The median of {drift.n} completed orders is {drift.actual:g} days"
    if drift.plan is None:
        return f"{said}; {drift.reason}."
    whose = "were agreed" if drift.basis == "agreed" else "the orders asked for"
    by = drift.days or 0
    way = (
        "as planned"
        if not by
        else f"{abs(by):g} {'day' if abs(by) == 1 else 'days'} {'longer' if by > 0 else 'shorter'}"
    )
    where = "out of" if drift.drifted else "within"
    return (
        f"{said}, against {drift.plan:g} that {whose}: {way}, {where} the tolerance of "
        f"{telling.share(drift.tolerance)}."
    )
