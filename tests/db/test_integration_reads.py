"""Load, failures and latency by system and partner; order lines on which systems differ."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from db.ingest import store
from db.reads.filters import Filter, Period
from db.reads.integrations import HopLoad, integrations
from tests.db.stories import NET, Teller, at, message, po, released
from tower.access import EVERYTHING, Scope
from tower.raw import DeadLetter, Interpretation, Interpreted

NOW = at(200)
EVER = Filter(Period(at(0) - timedelta(days=1), at(400)))


def fill(conn: Connection) -> None:
    t = Teller()
    told = [
        t.tell("po.released", released("1"), hours=0, received=0.001),
        t.tell("po.released", released("2"), hours=1, received=3),
        t.tell("po.released", released("3"), hours=5, received=4.9),  # a clock that is ahead
        t.tell("message.retried", {**po("1"), "step": "send"}, hours=30, system="middleware"),
        t.tell("message.failed", {**po("1"), "step": "send"}, hours=31, system="middleware"),
    ]
    bad = message("bad", "erp", [], at(6))
    letter = DeadLetter("unknown_partner", "Nobody has this id.", "Add it.", partner="ACME")
    reading = Interpretation("test", 1, dead_letters=(letter,), partner="ACME")
    store(conn, [*told, Interpreted(bad.raw, reading)], net=NET, now=NOW)


def hop(conn: Connection, system: str, scope: Scope = EVERYTHING) -> HopLoad:
    found = integrations(conn, scope, EVER)
    return next(one for one in found.hops if one.system == system)


def test_failures_retries_and_latency_are_counted(connection: Connection) -> None:
    fill(connection)
    erp = hop(connection, "erp")
    assert (erp.events, erp.failed, erp.dead_letters, erp.ahead) == (3, 0, 1, 1)
    assert erp.error_rate == 0.25  # one of four messages: never above the whole
    assert erp.p95_s is not None
    assert 7200 <= erp.p95_s < 2 * 7200  # two hours late, told by its bucket's upper bound
    middleware = hop(connection, "middleware")
    assert (middleware.events, middleware.failed, middleware.retried) == (2, 1, 1)
    assert middleware.error_rate == 0.5


def test_days_and_fingerprints(connection: Connection) -> None:
    fill(connection)
    found = integrations(connection, EVERYTHING, EVER)
    assert sum(day.events for day in found.days) == 5
    assert {day.system for day in found.days} == {"erp", "middleware"}
    (failure,) = found.failures
    assert (failure.code, failure.count, failure.open) == ("unknown_partner", 1, 1)
    assert (failure.partners, failure.message) == (("ACME",), "erp/bad")


def test_a_period_and_a_scope_narrow_it(connection: Connection) -> None:
    fill(connection)
    early = Filter(Period(at(-1), at(1)))
    assert sum(h.events for h in integrations(connection, EVERYTHING, early).hops) == 1
    stranger = integrations(connection, Scope(frozenset({"BOLT"})), EVER)
    assert (stranger.hops, stranger.failures) == ((), ())
