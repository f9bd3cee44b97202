"""What goes over each system and partner: how much, how often it fails, how late it reaches us."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Integer, case, cast, func, select, tuple_

from db.reads import names
from db.reads.filters import Filter, of_supplier, within_scope
from db.tables import dead_letter, event, partner
from tower.access import Scope

FAILED = ("message.failed", "message.dead_lettered", "asn.rejected")
RETRIED = ("message.retried",)
BUCKETS_PER_DOUBLING = 2
_PER_NATURAL = BUCKETS_PER_DOUBLING / math.log(2)
AHEAD_S = 60
MOST_ROWS = 500
MOST_FAILURES = 50


@dataclass(frozen=True, slots=True)
class HopLoad:
    """One system and partner over a time; ``partner`` None = no partner is named.

    events        told in the period, failed and retried among them
    dead_letters  that came in the period; open now
    p50_s, p95_s  seconds from happening (as told, exact times only) to reaching the tower, upper
                  bounds of a logarithmic histogram; None = no exact time was told
    ahead         events that were told to happen more than a minute after they reached us
    """

    system: str
    partner: str | None
    partner_name: str | None
    events: int
    failed: int
    retried: int
    dead_letters: int
    dead_letters_open: int
    error_rate: float
    p50_s: float | None
    p95_s: float | None
    ahead: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class DayLoad:
    """One system on one day (UTC)."""

    system: str
    day: date
    events: int
    failed: int
    retried: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Dead letters of one fingerprint in the period."""

    fingerprint: str
    kind: str
    code: str
    cause: str
    source: str
    partners: tuple[str, ...]
    count: int
    open: int
    first_at: datetime
    last_at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Integrations:
    """All of it; hops with most errors first."""

    hops: tuple[HopLoad, ...]
    days: tuple[DayLoad, ...]
    failures: tuple[Failure, ...]


def integrations(conn: Connection, scope: Scope, narrowed: Filter) -> Integrations:
    """What reached us in the period, by system and partner, by day, and what fails most."""
    loads, days = _events(conn, scope, narrowed)
    letters = _letters(conn, scope, narrowed)
    names = {
        row.partner_id: (row.key, row.name)
        for row in conn.execute(select(partner.c.partner_id, partner.c.key, partner.c.name))
    }
    hops = []
    for key in loads.keys() | letters.keys():
        system, partner_id = key
        load = loads.get(key, _Load())
        came, open_ = letters.get(key, (0, 0))
        # A letter that could not be read has no event.
        told = load.events + came
        named = names.get(partner_id) if partner_id is not None else None
        hops.append(
            HopLoad(
                system=system,
                partner=None if named is None else named[0],
                partner_name=None if named is None else named[1],
                events=load.events,
                failed=load.failed,
                retried=load.retried,
                dead_letters=came,
                dead_letters_open=open_,
                error_rate=(load.failed + came) / told if told else 0.0,
                p50_s=load.quantile(0.5),
                p95_s=load.quantile(0.95),
                ahead=load.ahead,
                last_at=load.last_at,
            )
        )
    hops.sort(key=lambda hop: (-(hop.failed + hop.dead_letters), -hop.events, hop.system))
    return Integrations(tuple(hops[:MOST_ROWS]), days, _failures(conn, scope, narrowed))


class _Load:
    """Sums of one system and partner while they are gathered."""

    def __init__(self) -> None:
        self.events = self.failed = self.retried = self.ahead = 0
        self.last_at: datetime | None = None
        self.buckets: dict[int, int] = {}

    def add(self, row: Any) -> None:
        self.events += row.n
        self.failed += row.failed
        self.retried += row.retried
        self.ahead += row.ahead
        if self.last_at is None or row.last_at > self.last_at:
            self.last_at = row.last_at
        if row.bucket is not None:
            self.buckets[row.bucket] = self.buckets.get(row.bucket, 0) + row.n

    def quantile(self, share: float) -> float | None:
        """Upper bound in seconds of the bucket in which this share is reached."""
        whole = sum(self.buckets.values())
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= share * whole:
                return float(2.0 ** ((bucket + 1) / BUCKETS_PER_DOUBLING))
        return None


_Key = tuple[str, int | None]


def _events(
    conn: Connection, scope: Scope, narrowed: Filter
) -> tuple[Mapping[_Key, _Load], tuple[DayLoad, ...]]:
    """One pass over the events of the period: by system, partner and bucket of latency; by day."""
    e = event.c
    late = func.extract("epoch", e.received_at - e.occurred_at)
    # Times of which only the day is known say nothing of minutes.
    bucket = case(
        (
            e.time_quality == "exact",
            cast(func.floor(func.ln(func.greatest(late, 1)) * _PER_NATURAL), Integer),
        )
    )
    inner = (
        select(
            e.system,
            e.partner_id,
            func.date_trunc("day", e.received_at, "UTC").label("day"),
            bucket.label("bucket"),
            (late < -AHEAD_S).label("ahead"),
            e.type,
            e.received_at,
        )
        .where(
            e.received_at >= narrowed.period.start,
            e.received_at < narrowed.period.end,
            *within_scope(e, scope),
            *of_supplier(e, narrowed.supplier),
        )
        .subquery()
    )
    i = inner.c
    # Days beside partners and buckets would make too many groups: two sets in one pass.
    rows = conn.execute(
        select(
            i.system,
            i.partner_id,
            i.day,
            i.bucket,
            func.grouping(i.day).label("by_partner"),
            func.count().label("n"),
            func.count().filter(i.type.in_(FAILED)).label("failed"),
            func.count().filter(i.type.in_(RETRIED)).label("retried"),
            func.count().filter(i.ahead).label("ahead"),
            func.max(i.received_at).label("last_at"),
        ).group_by(
            func.grouping_sets(tuple_(i.system, i.partner_id, i.bucket), tuple_(i.system, i.day))
        )
    )
    loads: dict[_Key, _Load] = {}
    days = []
    for row in rows:
        if row.by_partner:
            loads.setdefault((row.system, row.partner_id), _Load()).add(row)
        else:
            days.append(DayLoad(row.system, row.day.date(), row.n, row.failed, row.retried))
    return loads, tuple(sorted(days, key=lambda one: (one.day, one.system)))


def _letters(conn: Connection, scope: Scope, narrowed: Filter) -> Mapping[_Key, tuple[int, int]]:
    """Dead letters by system of their source and partner: (came in the period, open of them)."""
    d = dead_letter.c
    systems = _systems(conn)
    rows = conn.execute(
        select(
            d.source,
            d.partner_id,
            func.count().label("n"),
            func.count().filter(d.state.in_(("open", "in_replay"))).label("open"),
        )
        .where(*_of_period(narrowed, scope))
        .group_by(d.source, d.partner_id)
    )
    found: dict[_Key, tuple[int, int]] = {}
    for row in rows:
        key = (systems.get(row.source, row.source), row.partner_id)
        n, open_ = found.get(key, (0, 0))
        found[key] = (n + row.n, open_ + row.open)
    return found


def _of_period(narrowed: Filter, scope: Scope) -> list[Any]:
    d = dead_letter.c
    return [
        d.received_at >= narrowed.period.start,
        d.received_at < narrowed.period.end,
        *within_scope(d, scope),
        *of_supplier(d, narrowed.supplier),
    ]


def _systems(conn: Connection) -> dict[str, str]:
    """Source -> its system, by the network in force."""
    net = names.network(conn)
    return {} if net is None else {name: source.system for name, source in net.sources.items()}


def _failures(conn: Connection, scope: Scope, narrowed: Filter) -> tuple[Failure, ...]:
    d = dead_letter.c
    rows = conn.execute(
        select(
            d.fingerprint,
            func.min(d.kind).label("kind"),
            func.min(d.code).label("code"),
            func.min(d.cause).label("cause"),
            func.min(d.source).label("source"),
            func.array_agg(d.partner.distinct()).label("partners"),
            func.count().label("n"),
            func.count().filter(d.state.in_(("open", "in_replay"))).label("open"),
            func.min(d.received_at).label("first_at"),
            func.max(d.received_at).label("last_at"),
            func.max(d.source + "/" + d.key).label("message"),
        )
        .where(*_of_period(narrowed, scope))
        .group_by(d.fingerprint)
        .order_by(func.count().desc(), d.fingerprint)
        .limit(MOST_FAILURES)
    )
    return tuple(
        Failure(
            fingerprint=row.fingerprint,
            kind=row.kind,
            code=row.code,
            cause=row.cause,
            source=row.source,
            partners=tuple(sorted(p for p in row.partners if p)),
            count=row.n,
            open=row.open,
            first_at=row.first_at,
            last_at=row.last_at,
            message=row.message,
        )
        for row in rows
    )
