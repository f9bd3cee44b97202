"""What was received never changes, and is known by name and hash when its bytes are gone."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Connection, delete, select

from db.ingest import store
from db.reads.payloads import payload
from db.reads.search import find
from db.tables import ingest_ledger, raw_message, sighting
from tests.db.stories import NET, at, message
from tower.access import EVERYTHING

BODY = b'{"po": "4500012345"}'


def test_other_bytes_under_a_known_key_are_a_sighting_and_change_nothing(
    connection: Connection,
) -> None:
    store(connection, [message("m1", "erp", [], at(1), BODY)], net=NET, now=at(1))
    store(connection, [message("m1", "erp", [], at(2), b"other")], net=NET, now=at(2))
    store(connection, [message("m1", "erp", [], at(3), BODY)], net=NET, now=at(3))
    found = payload(connection, EVERYTHING, "erp", "m1")
    assert found is not None
    assert (found.body, found.sha256) == (BODY, sha256(BODY).hexdigest())
    seen = select(sighting.c.same_bytes).order_by(sighting.c.seen_at)
    assert connection.execute(seen).scalars().all() == [False, True]


def test_a_link_to_a_message_outlives_its_bytes(connection: Connection) -> None:
    store(connection, [message("m1", "erp", [], at(1), BODY)], net=NET, now=at(1))
    connection.execute(delete(raw_message))
    answer = find(connection, EVERYTHING, "erp/m1", at(5))
    assert [one.ref for one in answer.found] == ["raw:erp/m1"]
    assert payload(connection, EVERYTHING, "erp", "m1") is None
    kept = connection.execute(select(ingest_ledger.c.sha256)).scalar_one()
    assert bytes(kept) == sha256(BODY).digest()
    assert "Messages whose bytes have expired." in answer.not_searched
