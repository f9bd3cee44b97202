"""Wishes of people about cases: who may, what they change, and what the worker is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from db import audit, cases, records, switches, timers
from db.tables import case_note, timer
from tower.access import EVERYTHING, Scope
from tower.cases import Brief, Case, Happening, Level, NotPossible, fold
from tower.errors import AccessDenied
from tower.identity import partner_id
from tower.signs import Subject

NOW = datetime(2026, 3, 30, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SUPPLIER_A, SUPPLIER_B = Scope(frozenset({"ACME"})), Scope(frozenset({"BOLT"}))


def opened(conn: Connection, number: str = "4711", supplier: str | None = "ACME") -> Case:
    brief = Brief(
        subject=Subject("po", "main", number),
        home_key=int(number),
        rule="po.unacknowledged",
        category="ACK_OVERDUE",
        levels={"breach": Level("breach", "medium", "business")},
        title=f"PO {number} not acknowledged",
        advice="Call.",
        owner="anna",
        letter="D",
        partner_id=None if supplier is None else partner_id(supplier),
        supplier=supplier,
    )
    [changed] = fold(None, [Happening("breach", 1, NOW, NOW, NOW, {"due": "x"})], brief)
    [stored] = cases.write(conn, [changed])
    return stored.case


def notes(conn: Connection, case: Case) -> list[tuple[str, str, str]]:
    n = case_note.c
    rows = conn.execute(select(n.kind, n.author, n.text).where(n.case_id == case.id).order_by(n.id))
    return [tuple(row) for row in rows]  # type: ignore[misc]


def waiting(conn: Connection, case: Case) -> datetime | None:
    return conn.execute(
        select(timer.c.due).where(timer.c.kind == timers.CASE, timer.c.key == str(case.id))
    ).scalar_one_or_none()


def test_a_stored_case_reads_back_equal(connection: Connection) -> None:
    case = opened(connection)
    assert cases.by_ids(connection, [case.id or 0]) == [case]
    assert cases.latest_locked(connection, [case.fingerprint]) == {case.fingerprint: case}
    assert notes(connection, case) == [("opened", "tower", "PO 4711 not acknowledged")]


def test_taking_notes_it_and_wakes_the_worker_in_four_hours(connection: Connection) -> None:
    case = opened(connection)
    taken = cases.take(connection, EVERYTHING, case.id or 0, "anna", NOW)
    assert (taken.state, taken.first_taken_at) == ("taken", NOW)
    assert waiting(connection, case) == NOW + 4 * HOUR
    assert notes(connection, case)[-1][:2] == ("taken", "anna")


def test_snoozing_resolving_and_passing_on(connection: Connection) -> None:
    case = opened(connection)
    number = case.id or 0
    cases.snooze(connection, EVERYTHING, number, "anna", NOW + HOUR, NOW)
    assert waiting(connection, case) == NOW + HOUR
    cases.assign(connection, EVERYTHING, number, "anna", "ben", NOW)
    assert waiting(connection, case) == NOW
    closed = cases.resolve(
        connection, EVERYTHING, number, "ben", "repaired", "called", NOW, "partner"
    )
    assert (closed.state, closed.resolution, closed.cause) == ("resolved", "repaired", "partner")
    assert [kind for kind, _, _ in notes(connection, case)] == [
        "opened", "snoozed", "assigned", "resolved",
    ]  # fmt: skip
    with pytest.raises(NotPossible, match="cannot be taken"):
        cases.take(connection, EVERYTHING, number, "anna", NOW)


def test_a_note_changes_nothing_else(connection: Connection) -> None:
    case = opened(connection)
    cases.note(connection, EVERYTHING, case.id or 0, "ben", " they call back ", NOW)
    assert notes(connection, case)[-1] == ("note", "ben", "they call back")
    assert cases.by_ids(connection, [case.id or 0]) == [case]
    assert waiting(connection, case) is None
    with pytest.raises(NotPossible, match="empty"):
        cases.note(connection, EVERYTHING, case.id or 0, "ben", "  ", NOW)


@pytest.mark.parametrize(
    "wish",
    [
        lambda c, scope, n: cases.take(c, scope, n, "x", NOW),
        lambda c, scope, n: cases.snooze(c, scope, n, "x", NOW + HOUR, NOW),
        lambda c, scope, n: cases.resolve(c, scope, n, "x", "accepted", "", NOW),
        lambda c, scope, n: cases.assign(c, scope, n, "x", "ben", NOW),
        lambda c, scope, n: cases.note(c, scope, n, "x", "hello", NOW),
    ],
)
def test_nobody_touches_a_case_outside_of_their_area(connection: Connection, wish: Any) -> None:
    case, ours = opened(connection), opened(connection, "4712", supplier=None)
    for scope, number in ((SUPPLIER_B, case.id), (SUPPLIER_A, ours.id), (EVERYTHING, 999_999)):
        with pytest.raises(AccessDenied, match=f"no case {number} in your area"):
            wish(connection, scope, number)
    assert cases.by_ids(connection, [case.id or 0, ours.id or 0]) == [case, ours]
    wish(connection, SUPPLIER_A, case.id)
    wish(connection, EVERYTHING, ours.id)


def test_a_round_sees_open_cases_of_its_homes_and_its_own_of_any_state(
    connection: Connection,
) -> None:
    case, other = opened(connection), opened(connection, "4712")
    closed = cases.resolve(connection, EVERYTHING, other.id or 0, "anna", "accepted", "", NOW)
    assert [c.id for c, _ in cases.for_round(connection, [], [4711, 4712])[0]] == [case.id]
    found, _ = cases.for_round(connection, [closed.fingerprint], [4711])
    assert [c.id for c, _ in found] == [case.id, other.id]
    assert found[0][1] == cases.Figures()


def test_figures_are_written_with_their_factors(connection: Connection) -> None:
    case = opened(connection)
    figures = cases.Figures(orders_affected=2, lines_affected=3, currency="EUR", urgency=0.5)
    cases.set_figures(connection, [(case.id or 0, figures, {"priority": {"urgency": 0.5}})])
    [(again, stored)], _ = cases.for_round(connection, [case.fingerprint], [])
    assert stored == figures
    assert again == replace(case, why={"priority": {"urgency": 0.5}})


def test_rows_of_records_lose_only_what_postgres_cannot_hold(connection: Connection) -> None:
    rows = [{"case_id": 1, "at": NOW, "author": "a\0b", "kind": "note", "text": 'x\\u0000"\u2028'}]
    records.put(connection, case_note, rows)
    kept = connection.execute(select(case_note.c.author, case_note.c.text)).one()
    assert tuple(kept) == ("ab", 'x\\u0000"\u2028')


def test_what_people_do_is_in_the_audit_and_nothing_is_done_while_read_only(
    database: Engine,
) -> None:
    with database.begin() as conn:
        case_id = opened(conn).id or 0
    with database.begin() as conn:
        cases.take(conn, EVERYTHING, case_id, "kim", NOW)
        cases.note(conn, EVERYTHING, case_id, "kim", "called them", NOW)
    with database.connect() as conn:
        told = [(e.act.actor, e.act.action, e.act.subject) for e in audit.entries(conn)]
    assert told == [
        ("kim", "case.note", f"case:{case_id}"), ("kim", "case.taken", f"case:{case_id}"),
    ]  # fmt: skip
    with database.begin() as conn:
        switches.set_read_only(conn, "lee", "inventory", NOW)
    with pytest.raises(switches.ReadOnly, match="inventory"), database.begin() as conn:
        cases.note(conn, EVERYTHING, case_id, "kim", "once more", NOW)
    with pytest.raises(switches.ReadOnly), database.begin() as conn:
        cases.assign(conn, EVERYTHING, case_id, "kim", "anna", NOW)
    with database.connect() as conn:
        assert cases.by_ids(conn, [case_id])[0].state == "taken"
