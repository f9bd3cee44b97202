"""What rules judge by measuring it: queues with their samples, and where each fold goes on from.

Ingest notes the earliest reading that is new and sets the timer; whoever holds that timer judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Connection, any_, bindparam, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from db import records, timers
from db.clocks import UnitRows
from db.tables import clock, judged_unit, measured_unit
from db.timers import QUEUE, Timer
from tower.cycles import Cycle
from tower.identity import queue_key
from tower.raw import QueueSample
from tower.signs import SAMPLE, Sign, Subject

_HOMES = bindparam("homes", type_=ARRAY(BigInteger))

_NOTE = text(
    """
    INSERT INTO measured_unit (home_key, kind, scope, number, line, new_from)
    SELECT g.home_key, g.kind, g.scope, g.number, '', g.new_from
    FROM json_to_recordset(CAST(:rows AS json))
        AS g(home_key bigint, kind text, scope text, number text, new_from timestamptz)
    ON CONFLICT (home_key, kind, scope, number, line)
    DO UPDATE SET new_from = least(measured_unit.new_from, excluded.new_from)
    """
)


def arrived(conn: Connection, samples: Sequence[QueueSample], now: datetime) -> None:
    """Have the queues of these samples judged. Call it before the samples are written."""
    earliest: dict[tuple[int, str, str], datetime] = {}
    for sample in samples:
        key = (queue_key(sample.broker, sample.queue), sample.broker, sample.queue)
        earliest[key] = min(sample.at, earliest.get(key, sample.at))
    if not earliest:
        return
    timers.sooner(conn, [Timer(QUEUE, str(home), now) for home, _, _ in earliest])
    rows = [
        {"home_key": home, "kind": "queue", "scope": broker, "number": queue, "new_from": at}
        for (home, broker, queue), at in sorted(earliest.items())
    ]
    conn.execute(_NOTE, {"rows": records.as_json(rows)})


@dataclass(slots=True)
class MeasuredRow:
    """One measured thing between two visits.

    new_from   earliest reading that is new, None if none is
    footings   rule -> (version, states of its fold, oldest first)
    unit       its recent cycles, last instant, last crash; no signs yet
    last       rule -> number of its latest cycle
    """

    subject: Subject
    new_from: datetime | None
    footings: dict[str, tuple[str, list[Mapping[str, Any]]]]
    unit: UnitRows
    last: dict[str, int] = field(default_factory=dict)


def load(conn: Connection, homes: Sequence[int], closed_after: datetime) -> list[MeasuredRow]:
    """What is measured at these homes, with cycles that are open or ended after an instant."""
    given = {"homes": sorted(set(homes))}
    m, j, c = measured_unit.c, judged_unit.c, clock.c
    judged = {
        row.home_key: row
        for row in conn.execute(
            select(j.home_key, j.instant, j.failed_at).where(j.home_key == any_(_HOMES)), given
        )
    }
    found: dict[tuple[int, Subject], MeasuredRow] = {}
    for row in conn.execute(
        select(m.home_key, m.kind, m.scope, m.number, m.line, m.new_from, m.footings)
        .where(m.home_key == any_(_HOMES))
        .order_by(m.home_key, m.kind, m.scope, m.number, m.line),
        given,
    ):
        home, subject = row.home_key, Subject(*row[1:5])
        unit = UnitRows(home)
        if home in judged:
            unit.instant, unit.failed_at = judged[home].instant, judged[home].failed_at
        states = {rule: (version, its) for rule, (version, its) in row.footings.items()}
        found[home, subject] = MeasuredRow(subject, row.new_from, states, unit)
    named = (c.home_key, c.kind, c.scope, c.number, c.line, c.rule)
    for row in conn.execute(
        select(*named, func.max(c.cycle)).where(c.home_key == any_(_HOMES)).group_by(*named), given
    ):
        measured = found.get((row[0], Subject(*row[1:5])))
        if measured is not None:
            measured.last[row.rule] = row[6]
    for row in conn.execute(
        select(*named, c.state)
        .where(c.home_key == any_(_HOMES), or_(c.open, c.ended_at > closed_after))
        .order_by(c.cycle),
        given,
    ):
        measured = found.get((row[0], Subject(*row[1:5])))
        if measured is not None:
            key = (row.rule, measured.subject)
            clocks = measured.unit.clocks
            clocks[key] = (*clocks.get(key, ()), Cycle.from_json(row.state))
    return list(found.values())


_SAMPLES = text(
    """
    SELECT s.queue_key, s.broker, s.queue, s.at, s.arrived_at, s.ready, s.total, s.oldest_age_s,
           s.dlq_of
    FROM json_to_recordset(CAST(:rows AS json))
        AS g(home_key bigint, scope text, number text, since timestamptz)
    JOIN queue_sample s
        ON s.queue_key = g.home_key AND s.broker = g.scope AND s.queue = g.number
       AND s.at > g.since
    WHERE s.at > :earliest AND coalesce(s.arrived_at, s.at) <= :now
    ORDER BY s.at
    """
)


def samples(
    conn: Connection, since: Mapping[tuple[int, Subject], datetime], now: datetime
) -> dict[tuple[int, Subject], list[Sign]]:
    """Samples of these queues after an instant each, known at ``now``, in order of time.

    Depth counts all messages of the queue, those on their way too; where the broker only told the
    waiting ones, these.
    """
    if not since:
        return {}
    rows = [
        {"home_key": home, "scope": subject.scope, "number": subject.number, "since": at}
        for (home, subject), at in sorted(since.items())
    ]
    found: dict[tuple[int, Subject], list[Sign]] = {key: [] for key in since}
    given = {"rows": records.as_json(rows), "earliest": min(since.values()), "now": now}
    for row in conn.execute(_SAMPLES, given):
        depth = row.total if row.total is not None else row.ready
        told = {"depth": depth, "oldest_age": row.oldest_age_s, "dead_letters_of": row.dlq_of}
        found[row.queue_key, Subject("queue", row.broker, row.queue)].append(
            Sign(
                SAMPLE,
                row.at,
                row.arrived_at or row.at,
                UUID(int=int(row.at.timestamp() * 1_000_000)),
                {name: value for name, value in told.items() if value is not None},
            )
        )
    return found


def save(conn: Connection, rows: Sequence[MeasuredRow]) -> None:
    """All that is measured was judged: keep where to go on from."""
    records.change(
        conn,
        measured_unit,
        [
            {
                "home_key": row.unit.home,
                **row.subject._asdict(),
                "new_from": None,
                "footings": {rule: [version, its] for rule, (version, its) in row.footings.items()},
            }
            for row in rows
        ],
        keys=("home_key", "kind", "scope", "number", "line"),
    )
