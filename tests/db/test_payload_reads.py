"""A message tells how it was read and where its fields stand, however little of that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, text

from db.ingest import store
from db.reads.payloads import FieldOrigin, Payload, payload
from db.reinterpret import reinterpret
from tests.db.stories import NET, Teller, at, message, released
from tower.access import EVERYTHING
from tower.raw import Finding, Interpretation, Interpreted, Origin

NOW, LATER = at(500), at(600)
BELOW_DATA = Origin("*", "$.data.*", None, None)


def read(item: Interpreted, origins: Mapping[int, tuple[Origin, ...]], **more: Any) -> Interpreted:
    reading = Interpretation("json", 1, events=item.reading.events, origins=origins, **more)
    return Interpreted(item.raw, reading)


def seen(conn: Connection, item: Interpreted) -> Payload:
    found = payload(conn, EVERYTHING, item.raw.source, item.raw.key)
    assert found is not None
    return found


def rows(conn: Connection, table: str) -> int:
    return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608


def test_an_event_whose_fields_stand_as_sent_needs_no_row(connection: Connection) -> None:
    item = read(Teller().tell("po.released", released("1"), hours=0), {0: (BELOW_DATA,)})
    store(connection, [item], net=NET, now=NOW)
    assert rows(connection, "origin") == rows(connection, "interpretation") == 0
    found = seen(connection, item)
    event_id = item.reading.events[0].id
    assert found.origins == (FieldOrigin(event_id, "*", "$.data.*", None, None, "copied", ""),)
    (reading,) = found.readings
    assert (reading["interpreter"], reading["version"], reading["at"]) == ("json", 1, NOW)
    assert (reading["outcome"], reading["n_events"]) == ("interpreted", 1)
    assert reading["findings"] == []


def test_a_field_that_was_converted_is_kept_with_the_others(connection: Connection) -> None:
    own = Origin("po", "$.data.po", None, None, "converted")
    item = read(Teller().tell("po.released", released("1"), hours=0), {0: (own, BELOW_DATA)})
    store(connection, [item], net=NET, now=NOW)
    assert rows(connection, "origin") == 1
    assert [(o.field, o.how) for o in seen(connection, item).origins] == [
        ("po", "converted"),
        ("*", "copied"),
    ]


def test_two_events_below_two_elements_are_kept(connection: Connection) -> None:
    t = Teller()
    events = [
        replace(t.tell("po.released", released(n), hours=0).reading.events[0], raw_key="both")
        for n in ("1", "2")
    ]
    item = message("both", "erp", events, at(1))
    below = [Origin("*", f"$[{n}].data.*", None, None) for n in range(2)]
    item = read(item, {n: (one,) for n, one in enumerate(below)})
    store(connection, [item], net=NET, now=NOW)
    assert {(o.event_id, o.element) for o in seen(connection, item).origins} == {
        (event.id, one.element) for event, one in zip(events, below, strict=True)
    }


def test_what_another_message_told_keeps_its_own_origins(connection: Connection) -> None:
    t = Teller()
    first, second = (
        read(t.tell("po.released", released("1"), hours=0, own_id="e1"), {0: (BELOW_DATA,)})
        for _ in range(2)
    )
    store(connection, [first], net=NET, now=NOW)
    store(connection, [second], net=NET, now=NOW)
    for item in (first, second):
        assert [o.event_id for o in seen(connection, item).origins] == [first.reading.events[0].id]


def test_a_reading_with_findings_is_kept_once(connection: Connection) -> None:
    item = Teller().tell("po.released", released("1"), hours=0)
    item = read(item, {0: (BELOW_DATA,)}, findings=(Finding("odd", "A count is wrong."),))
    store(connection, [item], net=NET, now=NOW)
    (reading,) = seen(connection, item).readings
    assert [one["code"] for one in reading["findings"]] == ["odd"]


def test_both_readings_of_a_message_that_was_read_again_are_told(connection: Connection) -> None:
    item = read(Teller().tell("po.released", released("1"), hours=0), {0: (BELOW_DATA,)})
    store(connection, [item], net=NET, now=NOW)
    own = Origin("po", "$.po", 3, 4)
    newer = replace(item.reading, version=2, origins={0: (own,)})
    reinterpret(connection, [Interpreted(item.raw, newer)], net=NET, now=LATER)
    found = seen(connection, item)
    assert [(one["version"], one["at"]) for one in found.readings] == [(1, NOW), (2, LATER)]
    assert [(o.field, o.offset) for o in found.origins] == [("po", 3)]
    again = replace(item.reading, version=3)
    reinterpret(connection, [Interpreted(item.raw, again)], net=NET, now=LATER)
    assert [o.element for o in seen(connection, item).origins] == ["$.data.*"]
    assert rows(connection, "origin") == 0
