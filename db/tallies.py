"""Counts of what partners send and what becomes of it: how rules of kind ratio and volume see them.

An event counts once, in the transaction that keeps it, by the five minutes in which it occurred and
the minute by whose end we knew it: neither order nor repeats change a count. Judging waits for that
minute to end, so that it does not matter in how many batches the minute came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor
from sqlalchemy import BigInteger, Connection, any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from db import records, staging, trips
from db.clocks import UnitRows
from db.families import partner_id
from db.tables import clock, judged_unit, measured_unit
from db.trips import Statement
from tower.cycles import Cycle
from tower.event import Event
from tower.registers import microseconds
from tower.rule_parts import STEP
from tower.signs import Sign, Subject
from tower.timelines import stamp

_HOMES = bindparam("homes", type_=ARRAY(BigInteger))
_NEVER = 1 << 62
_MINUTE, _STEP = 60_000_000, STEP // timedelta(microseconds=1)

Place = tuple[int, str, int, int]
"""(home, type, five minutes, minute by whose end it was known); instants in microseconds since 1970
UTC."""


def place(home: int, event_type: str, occurred: int, received: int) -> Place:
    """Where an event of a partner counts; a full minute is its own end."""
    return home, event_type, occurred - occurred % _STEP, received + -received % _MINUTE


# --- ingest -------------------------------------------------------------------------------------

_TIMERS = """
    INSERT INTO timer (kind, key, due, generation)
    SELECT 'partner', g.home::text, g.due, 1
    FROM json_to_recordset(%s::json) AS g(home bigint, due timestamptz)
    ORDER BY g.home::text
    ON CONFLICT (kind, key) DO UPDATE SET
        due = least(timer.due, excluded.due), generation = timer.generation + 1
"""
_NOTE = """
    INSERT INTO measured_unit (home_key, kind, scope, number, line, new_from)
    SELECT g.home, 'partner', '', g.partner, '', g.new_from
    FROM json_to_recordset(%s::json) AS g(home bigint, partner text, new_from timestamptz)
    ORDER BY g.home
    ON CONFLICT (home_key, kind, scope, number, line)
    DO UPDATE SET new_from = least(measured_unit.new_from, excluded.new_from)
"""
_COLUMNS = "home_key, type, at, known_at, n"
_FIELDS = staging.fields(_COLUMNS)
_ADD = staging.Upsert("partner_count", _COLUMNS, "DO UPDATE SET n = partner_count.n + EXCLUDED.n")
_EMPTY = """
    DELETE FROM partner_count c
    USING json_to_recordset(%s::json)
        AS g(home bigint, type text, at timestamptz, known_at timestamptz)
    WHERE c.home_key = g.home AND c.type = g.type AND c.at = g.at AND c.known_at = g.known_at
      AND c.n <= 0
"""


_MARK = """
    UPDATE measured_unit m SET new_from = least(m.new_from, g.new_from)
    FROM json_to_recordset(%s::json) AS g(home bigint, new_from timestamptz)
    WHERE m.home_key = g.home AND m.kind = 'partner'
"""


class Tally:
    """What a transaction adds to the counts and takes from them.

    Written last, after all that other writers wait for in another order.
    """

    def __init__(self) -> None:
        self._changes: dict[Place, int] = {}
        self._names: dict[int, str] = {}

    def take(self, event: Event, at: int, received: int) -> None:
        """An event that is new; instants in microseconds since 1970 UTC."""
        if event.partner is not None:
            home = partner_id(event.partner)
            self._names[home] = event.partner
            self._change(place(home, event.type, at, received), 1)

    def drop(self, event: Event, received: datetime, partner: int | None) -> None:
        """An event that is taken back."""
        if partner is not None:
            at = microseconds(event.occurred_at)
            self._change(place(partner, event.type, at, microseconds(received)), -1)

    def _change(self, here: Place, by: int) -> None:
        self._changes[here] = self._changes.get(here, 0) + by

    def write(self, cursor: Cursor[Any]) -> None:
        """Add up, and have the partners judged once the minutes in question are over."""
        changes = {here: by for here, by in self._changes.items() if by}
        if not changes:
            return
        due: dict[int, int] = {}
        since: dict[int, int] = {}
        for home, _, at, known in changes:
            if known < due.get(home, _NEVER):
                due[home] = known
            if at < since.get(home, _NEVER):
                since[home] = at
        cursor.execute(_TIMERS, (_json([{"home": h, "due": stamp(at)} for h, at in due.items()]),))
        new = [
            {"home": home, "partner": self._names[home], "new_from": stamp(at)}
            for home, at in since.items()
            if home in self._names
        ]
        cursor.execute(_NOTE, (_json(new),))
        old = [
            {"home": h, "new_from": stamp(at)} for h, at in since.items() if h not in self._names
        ]
        if old:
            cursor.execute(_MARK, (_json(old),))
        rows = [_row(here, by) for here, by in changes.items()]
        _ADD.by_columns(cursor, {_COLUMNS: rows})
        gone = [
            {"home": home, "type": type_, "at": stamp(at), "known_at": stamp(known)}
            for (home, type_, at, known), by in changes.items()
            if by < 0
        ]
        if gone:
            cursor.execute(_EMPTY, (_json(gone),))


def _row(here: Place, n: int) -> bytes:
    home, type_, at, known = here
    return b"".join(
        (
            _FIELDS,
            staging.bigint(home),
            staging.word(type_),
            staging.timestamp(at),
            staging.timestamp(known),
            staging.integer(n),
        )
    )


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows).decode()


# --- judging ------------------------------------------------------------------------------------


@dataclass(slots=True)
class PartnerRow:
    """One partner between two visits.

    new_from  earliest step in which something is new, None if nothing is
    unit      cycles of its rules that are open or ended late enough to change, last instant
    last      (rule, subject) -> number of its latest cycle
    """

    key: str
    new_from: datetime | None
    unit: UnitRows
    last: dict[tuple[str, Subject], int]


def load(conn: Connection, partners: Mapping[int, str]) -> list[PartnerRow]:
    """Partners (home -> key) with the cycles that may still change: open ones, and those that ended
    no earlier than what is new began."""
    homes = sorted(partners)
    found = {home: PartnerRow(partners[home], None, UnitRows(home), {}) for home in homes}
    if not found:
        return []
    given = {"homes": records.numbers(homes)}
    news, judged, numbers, cycles = trips.ask(
        conn, (_news, given), (_judged, given), (_numbers, given), (_cycles, given)
    )
    for home, new_from in news:
        found[home].new_from = new_from
    for home, instant, failed_at in judged:
        found[home].unit.instant, found[home].unit.failed_at = instant, failed_at
    for home, rule, *subject, cycle in numbers:
        found[home].last[rule, Subject(*subject)] = cycle
    for home, rule, *subject, state in cycles:
        clocks = found[home].unit.clocks
        key = (rule, Subject(*subject))
        clocks[key] = (*clocks.get(key, ()), Cycle.from_json(state))
    return list(found.values())


_m, _j, _c = measured_unit.c, judged_unit.c, clock.c
_NAMED = (_c.home_key, _c.rule, _c.kind, _c.scope, _c.number, _c.line)
_news = Statement(
    select(_m.home_key, _m.new_from).where(_m.home_key == any_(_HOMES), _m.kind == "partner")
)
_judged = Statement(
    select(_j.home_key, _j.instant, _j.failed_at).where(_j.home_key == any_(_HOMES))
)
_numbers = Statement(
    select(*_NAMED, func.max(_c.cycle)).where(_c.home_key == any_(_HOMES)).group_by(*_NAMED)
)
_cycles = Statement(
    select(*_NAMED, _c.state)
    .where(
        _c.home_key == any_(_HOMES),
        or_(
            _c.open,
            _c.ended_at
            >= select(_m.new_from)
            .where(_m.home_key == _c.home_key, _m.kind == "partner")
            .scalar_subquery(),
        ),
    )
    .order_by(_c.home_key, _c.rule, _c.cycle)
)
_COUNTS = Statement(
    """
    SELECT c.home_key, c.type, c.at, c.known_at, c.n
    FROM json_to_recordset(%(rows)s::json) AS g(home bigint, since timestamptz)
    JOIN partner_count c
        ON c.home_key = g.home AND c.type = ANY(%(types)s::text[]) AND c.at >= g.since
    WHERE c.n > 0
    ORDER BY c.home_key, c.at, c.known_at, c.type
    """
)


def signs(
    conn: Connection, since: Mapping[int, datetime], types: Iterable[str]
) -> dict[int, list[Sign]]:
    """Counts of these partners from an instant each, as signs; those not known yet too."""
    found: dict[int, list[Sign]] = {home: [] for home in since}
    rows = [{"home": home, "since": at} for home, at in sorted(since.items())]
    given = {"rows": records.as_json(rows), "types": sorted(set(types))}
    counts = trips.ask_one(conn, _COUNTS, given) if rows else []
    for number, (home, type_, at, known_at, n) in enumerate(counts, 1):
        found[home].append(Sign(type_, at, known_at, UUID(int=number), {"n": n}))
    return found


@dataclass(frozen=True, slots=True)
class Orders:
    """What a supplier owes us at an instant.

    open   number of its open orders; ``since``: release of the oldest of them
    idle   when the last order was done with, None if none ever was
    """

    open: int = 0
    since: datetime | None = None
    idle: datetime | None = None


_ORDERS = Statement(
    """
    SELECT d.partner_id, count(*) FILTER (WHERE d.over IS NULL) AS open,
           min(d.released_at) FILTER (WHERE d.over IS NULL) AS since, max(d.over) AS idle
    FROM (
        SELECT partner_id, released_at,
               CASE WHEN closed THEN coalesce(closed_at, cancelled_at, last_event_at) END AS over
        FROM document
        WHERE kind = 'po' AND known AND partner_id = ANY(%(homes)s::bigint[])
          AND released_at IS NOT NULL
    ) AS d
    GROUP BY d.partner_id
    """
)


def orders(conn: Connection, homes: Iterable[int]) -> dict[int, Orders]:
    """What these suppliers owe us now."""
    wanted = sorted(set(homes))
    if not wanted:
        return {}
    found = trips.ask_one(conn, _ORDERS, {"homes": records.numbers(wanted)})
    return {partner: Orders(*its) for partner, *its in found}


def save(conn: Connection, rows: Mapping[int, tuple[str, datetime | None]]) -> None:
    """These partners were judged: home -> (key, earliest step that is not known yet)."""
    records.put(
        conn,
        measured_unit,
        [
            {
                "home_key": home,
                "kind": "partner",
                "scope": "",
                "number": key,
                "line": "",
                "new_from": ahead,
            }
            for home, (key, ahead) in sorted(rows.items())
        ],
        conflict=("home_key", "kind", "scope", "number", "line"),
        changed=("new_from",),
    )
