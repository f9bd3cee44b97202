"""Counts of partners are those of the events that are kept, however these came and went."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from db.ingest import store
from db.reinterpret import reinterpret
from tests.db.stories import NET, Teller, at
from tower.raw import Interpretation, Interpreted

NOW = at(12)
_KEPT = """
    SELECT partner_id, type,
           date_bin('5 minutes', occurred_at, timestamptz '2000-01-01 00:00:00+00'),
           date_bin('1 minute', received_at + interval '59.999999 seconds',
                    timestamptz '2000-01-01 00:00:00+00'), count(*)
    FROM event WHERE partner_id IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
_COUNTED = "SELECT home_key, type, at, known_at, n FROM partner_count ORDER BY 1, 2, 3, 4"


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(query))]


def answers(t: Teller, rng: random.Random, n: int) -> list[Interpreted]:
    found = []
    for k in range(n):
        data = {"po": str(k % 7), "erp": "main", "supplier": rng.choice(("ACME", "BOLT"))}
        one = t.tell("po.acknowledged", data, hours=rng.randrange(4))
        at = NOW + timedelta(seconds=rng.randrange(400))
        found.append(Interpreted(replace(one.raw, received_at=at), one.reading))
    return found


def test_counts_are_those_of_the_events_kept_in_whatever_batches_they_came(
    connection: Connection,
) -> None:
    rng = random.Random(3)
    items = answers(Teller(), rng, 60)
    told = items + rng.sample(items, 20)  # some messages come twice
    rng.shuffle(told)
    while told:
        n = rng.randrange(1, 12)
        store(connection, told[:n], net=NET, now=NOW)
        told = told[n:]
    assert len(rows(connection, _KEPT)) > 10
    assert rows(connection, _COUNTED) == rows(connection, _KEPT)


def test_an_event_that_is_read_otherwise_is_counted_otherwise(connection: Connection) -> None:
    rng = random.Random(4)
    items = answers(Teller(), rng, 12)
    store(connection, items, net=NET, now=NOW)
    before = rows(connection, _COUNTED)
    for n, item in enumerate(items):
        [event] = item.reading.events
        later = replace(event, occurred_at=event.occurred_at + timedelta(hours=1))
        events = () if n % 3 == 0 else (later,) if n % 3 == 1 else (event,)
        again = Interpreted(item.raw, Interpretation("test", 2, events))
        reinterpret(connection, [again], net=NET, now=NOW + timedelta(days=1))
    assert rows(connection, _COUNTED) == rows(connection, _KEPT)
    assert rows(connection, _COUNTED) != before
