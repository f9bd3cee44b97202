"""Lead times of suppliers as they were found once a day: kept where what is said of them changed.

The readings of each rule lie with what else is measured (``measured_unit``), the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Connection, any_, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from db import records, timers, trips
from db.tables import measured_unit
from db.timers import PARTNER, Timer
from db.trips import Statement
from tower.agreement import LeadTime
from tower.identity import partner_id
from tower.signs import LEAD_TIME, Sign

KIND = "supplier"
MOST_KEPT = 100  # readings of one supplier: each begins or ends a stretch outside of the plan

_HOMES = bindparam("homes", type_=ARRAY(BigInteger))


@dataclass(frozen=True, slots=True)
class Reading:
    """A lead time as of the begin of a day, and when that was found."""

    at: datetime
    found_at: datetime
    lead_time: LeadTime

    def to_json(self) -> list[Any]:
        told = self.lead_time
        return [
            self.at.isoformat(), self.found_at.isoformat(), told.actual, told.planned, told.basis,
            told.n,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, body: list[Any]) -> Reading:
        at, found_at, *told = body
        return cls(datetime.fromisoformat(at), datetime.fromisoformat(found_at), LeadTime(*told))


Readings = dict[str, list[Reading]]
"""By rule, the oldest first."""


def readings(conn: Connection, homes: Iterable[int] | None = None) -> dict[int, Readings]:
    """What was read of these suppliers; without ``homes`` of all."""
    if homes is None:
        found = trips.ask_one(conn, _ALL, {})
    else:
        found = trips.ask_one(conn, _OF_HOMES, {"homes": records.numbers(sorted(set(homes)))})
    return {
        home: {rule: [Reading.from_json(one) for one in its] for rule, (_, its) in footings.items()}
        for home, footings in found
    }


_every = select(measured_unit.c.home_key, measured_unit.c.footings).where(
    measured_unit.c.kind == KIND
)
_ALL, _OF_HOMES = (
    Statement(_every),
    Statement(_every.where(measured_unit.c.home_key == any_(_HOMES))),
)


def signs(conn: Connection, homes: Iterable[int]) -> dict[int, list[Sign]]:
    """The same as the clocks of suppliers hear it; each rule hears what was kept for any."""
    found: dict[int, list[Sign]] = {}
    for home, its in readings(conn, homes).items():
        by_day = {one.at: one for _, some in sorted(its.items()) for one in some}
        found[home] = [
            Sign(LEAD_TIME, at, one.found_at, _name(home, at), one.lead_time.facts())
            for at, one in sorted(by_day.items())
        ]
    return found


def _name(home: int, at: datetime) -> UUID:
    return UUID(int=(home & (1 << 64) - 1) << 64 | int(at.timestamp()))


_NEWS = text(
    """
    INSERT INTO measured_unit (home_key, kind, scope, number, line, new_from)
    SELECT g.home_key, 'partner', '', g.number, '', g.new_from
    FROM json_to_recordset(CAST(:rows AS json))
        AS g(home_key bigint, number text, new_from timestamptz)
    ORDER BY g.home_key
    ON CONFLICT (home_key, kind, scope, number, line)
    DO UPDATE SET new_from = least(measured_unit.new_from, excluded.new_from)
    """
)


def keep(conn: Connection, found: Mapping[str, Readings], since: datetime, now: datetime) -> None:
    """Keep all readings of these suppliers (by key), the newest of which are of ``since``, and have
    them judged."""
    if not found:
        return
    homes = {partner_id(key): key for key in found}
    timers.sooner(conn, [Timer(PARTNER, str(home), now) for home in sorted(homes)])
    news = [{"home_key": h, "number": key, "new_from": since} for h, key in sorted(homes.items())]
    conn.execute(_NEWS, {"rows": records.as_json(news)})
    records.put(
        conn,
        measured_unit,
        [
            {
                "home_key": home,
                "kind": KIND,
                "scope": "",
                "number": key,
                "line": "",
                "footings": {
                    rule: ["", [one.to_json() for one in its[-MOST_KEPT:]]]
                    for rule, its in found[key].items()
                },
            }
            for home, key in sorted(homes.items())
        ],
        conflict=("home_key", "kind", "scope", "number", "line"),
        changed=("footings",),
    )
