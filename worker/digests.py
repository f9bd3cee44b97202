"""The digest for leaders: five figures with their change, a picture, what needs a decision.

A digest speaks of its whole house: it goes to our own people, whom the rule book names, and never
to a partner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from db.reads import freshness, overview
from db.reads.figures import course, figure
from db.reads.filters import Filter, Period
from tower import briefing, telling
from tower.access import EVERYTHING
from tower.kpis import DEFINITIONS, Figure
from tower.reports import Digest
from tower.telling import SUBJECT_LIMIT, count
from tower.zones import zone
from worker.judging import Judging
from worker.letter import Decision, DigestLetter, Head, Link, Picture, Reading

READINGS = ("orders_affected", "ack_on_time", "asn_on_time", "otif", "open_exceptions")
"""The five figures, in the order of the mail."""
DRAWN = ("ack_on_time", "otif")
WEEKS = 12
MOST_DECISIONS = 5

_OPENS = {"orders_affected": "/orders-at-risk", "open_exceptions": "/exceptions"}
_RHYTHM = {"day": "Daily", "week": "Weekly"}


@dataclass(frozen=True, slots=True)
class Made:
    """A letter, and what it says as numbers."""

    letter: DigestLetter
    values: dict[str, Any]


def digest(
    conn: Connection,
    config: Judging,
    spec: Digest,
    head: Head,
    zone_name: str,
    now: datetime,
    *,
    drawn: bool = True,
) -> Made:
    """The digest as of ``now`` for a reader in a zone; ``drawn``: with its picture."""
    narrowed = Filter(Period.last(spec.days, now))
    figures = {name: figure(conn, EVERYTHING, name, narrowed, now) for name in READINGS}
    risk = figure(conn, EVERYTHING, "value_at_risk", narrowed, now)
    causes = overview.needs_decision(conn, EVERYTHING, narrowed, MOST_DECISIONS + 1)
    moved = overview.changes(
        conn, EVERYTHING, narrowed, now, hours=24 if spec.every == "day" else 168
    )
    came = overview.changes(conn, EVERYTHING, narrowed, now, hours=24 * spec.days).orders_hit
    fresh = freshness.freshness(conn, EVERYTHING, now)
    writer = _Writer(config, zone_name, now, spec)
    readings = tuple(
        writer.at_risk(one, risk, came) if name == "orders_affected" else writer.reading(name, one)
        for name, one in figures.items()
    )
    missed = [r.name for r in readings if r.missed]
    decisions = tuple(writer.decision(cause) for cause in causes[:MOST_DECISIONS])
    day = now.astimezone(zone(zone_name))
    letter = DigestLetter(
        to_name=head.to_name,
        to_address=head.to_address,
        subject=_subject(spec, figures["orders_affected"], len(causes), day),
        date=head.date,
        message_id=head.message_id,
        thread=head.thread,
        list_id=head.list_id,
        company=head.company,
        headline=_headline(missed, len(causes)),
        intro=writer.intro(missed, fresh),
        compared=f"Change against the {count(spec.days, 'day')} before",
        readings=readings,
        picture=_picture(conn, now) if drawn else None,
        caption=f"Share in time by week, the last {WEEKS} weeks",
        decisions=decisions,
        more="More decisions" if len(causes) > MOST_DECISIONS else "",
        more_url=f"{config.base_url}/" if len(causes) > MOST_DECISIONS else "",
        changes=briefing.sentences(moved),
        links=(
            Link("Orders at risk", f"{config.base_url}/orders-at-risk"),
            Link("Suppliers", f"{config.base_url}/suppliers"),
            Link("Exceptions", f"{config.base_url}/exceptions"),
        ),
        button_label="Open the overview",
        button_url=f"{config.base_url}/",
        footer=(
            f"Figures of {telling.moment(now - timedelta(days=spec.days), zone_name)} to "
            f"{telling.moment(now, zone_name)}. You get this mail because digests in "
            "sla_rules.yaml names you. Links lead to the tower; no link changes anything."
        ),
    )
    values = {
        name: {
            "name": one.definition.name,
            "value": _number(one.value),
            "previous": _number(one.previous),
            "target": one.definition.target,
            "n": one.n,
            "missed": one.missed,
            "reason": one.reason,
        }
        for name, one in figures.items()
    }
    return Made(letter, values)


class _Writer:
    """Words for one reader."""

    def __init__(self, config: Judging, zone_name: str, now: datetime, spec: Digest) -> None:
        self._config, self._zone, self._now, self._spec = config, zone_name, now, spec

    def intro(self, missed: list[str], fresh: freshness.Freshness) -> str:
        said = (
            f"{_listed(missed)} {'misses its' if len(missed) == 1 else 'miss their'} target."
            if missed
            else "No figure misses its target."
        )
        if fresh.as_of is None:
            return f"{said} No feed was ever read: there is nothing to count yet."
        said += f" As of {telling.moment(fresh.as_of, self._zone)}"
        if not fresh.silent:
            return f"{said}; no feed is silent."
        names = _listed([feed.source for feed in fresh.silent[:4]])
        feeds = count(len(fresh.silent), "feed is silent", "feeds are silent")
        return f"{said}; {feeds} ({names}): what rests on them is not complete."

    def reading(self, name: str, one: Figure) -> Reading:
        was = None if one.previous is None else float(one.previous)
        change, better = _change(one, was)
        notes = [one.reason] if one.value is None and one.reason else []
        if one.definition.target is not None and one.value is not None:
            notes += [f"target {telling.share(one.definition.target)}", f"{one.n:,} counted"]
        notes += [f"{n} {word}" for word, n in one.parts.items()] if name in _OPENS else []
        return self._row(name, one, change, better, notes)

    def at_risk(self, one: Figure, value: Figure, came: int) -> Reading:
        """Customer orders at risk now; nobody keeps how many they were, but since when each is."""
        notes = [one.reason] if one.value is None and one.reason else []
        if value.value is not None and one.value:
            notes.append(f"{telling.money(Decimal(value.value), value.currency)} at risk")
        change = f"{came:,} new" if came and one.value is not None else ""
        return self._row("orders_affected", one, change, False if change else None, notes)

    def _row(
        self, name: str, one: Figure, change: str, better: bool | None, notes: list[str]
    ) -> Reading:
        return Reading(
            name=one.definition.name,
            value=_value(one, one.value),
            change=change,
            note=", ".join(notes),
            url=f"{self._config.base_url}{_OPENS.get(name) or one.definition.opens}",
            missed=bool(one.missed),
            better=better,
        )

    def decision(self, cause: overview.RootCause) -> Decision:
        hurts = []
        if cause.purchase_orders:
            hurts.append(count(cause.purchase_orders, "purchase order"))
        if cause.customer_orders:
            hurts.append(count(cause.customer_orders, "customer order"))
        if cause.value_at_risk is not None:
            hurts.append(f"{telling.money(cause.value_at_risk, cause.currency)} at risk")
        if not hurts:
            hurts.append(count(cause.cases, "case"))
        local = cause.since.astimezone(zone(self._zone))
        taken = "" if cause.taken < cause.cases else ", taken"
        return Decision(
            title=self._title(cause),
            severity=cause.severity,
            hurts=", ".join(hurts),
            since=f"{local:%a} {local.day} {local:%b} {local:%H:%M}, "
            f"{telling.length(self._now - cause.since)} ago",
            owner=f"{cause.owner_name}{taken}",
            next_step=cause.next_step,
            url=f"{self._config.base_url}/case?id={cause.top_case}",
        )

    def _title(self, cause: overview.RootCause) -> str:
        if cause.cases == 1:
            return cause.title
        whose = cause.supplier_name or cause.feed
        said = f"{telling.headline(cause.category)}, {cause.cases} cases"
        return f"{said}: {whose}" if whose else said


def _picture(conn: Connection, now: datetime) -> Picture | None:
    """Courses by week; None where no week has enough subjects."""
    from worker import pictures

    monday = (now - timedelta(days=now.weekday())).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    period = Period(monday - timedelta(weeks=WEEKS - 1), now)
    lines, days = [], list[date]()
    for name in DRAWN:
        told = course(conn, EVERYTHING, name, "week", Filter(period), now)
        days = [date.fromisoformat(one.key) for one in told]
        values = [_number(one.figure.value) for one in told]
        lines.append(pictures.Line(DEFINITIONS[name].short, values))
    if not any(value is not None for line in lines for value in line.values):
        return None
    target = DEFINITIONS[DRAWN[0]].target
    png = pictures.shares(days, lines, target)
    said = [
        f"{line.name} {telling.share(values[0])} to {telling.share(values[-1])}, "
        f"lowest {telling.share(min(values))}"
        for line in lines
        if (values := [v for v in line.values if v is not None])
    ]
    aim = "" if target is None else f"; the target is {telling.share(target)}"
    return Picture(png, f"By week over {WEEKS} weeks: {'; '.join(said)}{aim}")


# --- words ----------------------------------------------------------------------------------------


def _subject(spec: Digest, at_risk: Figure, causes: int, day: datetime) -> str:
    words = []
    if causes:
        most = f"{MOST_DECISIONS}+" if causes > MOST_DECISIONS else str(causes)
        words.append(f"{most} to decide")
    if at_risk.value:
        words.append(f"{count(int(at_risk.value), 'order')} at risk")
    said = f"[{', '.join(words)}] " if words else ""
    return telling.safe_words(
        f"{said}{_RHYTHM[spec.every]} digest, {day:%a} {day.day} {day:%b}", SUBJECT_LIMIT
    )


def _headline(missed: list[str], causes: int) -> str:
    if not missed and not causes:
        return "Supply is under control"
    said = []
    if causes:
        many = f"More than {MOST_DECISIONS}" if causes > MOST_DECISIONS else str(causes)
        things = "thing needs" if causes == 1 else "things need"
        said.append(f"{many} {things} a decision")
    if missed:
        said.append(f"{count(len(missed), 'figure')} below target")
    return ", ".join(said)


def _value(one: Figure, value: float | Decimal | None) -> str:
    if value is None:
        return "no data"
    if one.definition.unit == "%":
        return telling.share(float(value), 1)
    return f"{float(value):,.0f}"


def _change(one: Figure, was: float | None) -> tuple[str, bool | None]:
    """The change in words, and whether it is for the better."""
    if one.value is None or was is None:
        return "", None
    by = float(one.value) - was
    shown = round(100 * by, 1) if one.definition.unit == "%" else round(by)
    if not shown:
        return "as before", None
    better = (shown > 0) == (one.definition.better == "up")
    if one.definition.unit == "%":
        return f"{shown:+.1f} points", better
    return f"{abs(shown):,} {'more' if shown > 0 else 'fewer'}", better


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _number(value: float | Decimal | None) -> float | None:
    return None if value is None else float(value)
