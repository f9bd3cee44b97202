"""From raw messages to facts: what breaks is isolated, what is away is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError

from db import engine as engines
from db import ingest, sources
from db.tables import checkpoint, dead_letter, document, event, ingest_ledger, raw_message
from tower.network import Network, load_network
from tower.raw import Heartbeat, Mark, QueueSample, Raw
from worker import pipeline

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
NETWORK = """
version: 1
company: {name: Pipeline, erp: main, zone: UTC, calendar: hq}
systems:
  files: {name: Files, kind: supplier}
sources:
  csv: {kind: push, format: csv, system: files, mapping: answers, partner: ACME, every: 1m}
  json: {kind: push, format: json, system: files, mapping: facts, partner: ACME, every: 1m}
mappings:
  answers:
    format: csv
    group_by: [po]
    emit:
      - event: po.acknowledged
        fields: {po: po}
        lines: {line: line, qty: qty}
  facts:
    format: json
    emit:
      - event: po.acknowledged
        fields: {po: po}
partners:
  ACME: {name: Acme, feeds: [csv, json]}
calendars:
  hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}
people:
  desk: {name: Desk, mail: desk@pipeline.example}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""


@pytest.fixture(scope="module")
def net() -> Network:
    return load_network(NETWORK, "network.yaml")


@pytest.fixture
def known(database: Engine, net: Network) -> Engine:
    """A database that has the sources of the network."""
    with database.begin() as conn:
        sources.register(conn, net.sources)
    return database


@pytest.fixture
def failing_on(owner_url: str) -> Callable[[str, str], None]:
    """Makes the store fail whenever a row of a table speaks of the message ``poison``.

    A trigger of the database raises: the failure is a real one and looks like a bug of ours.
    """

    def make(table: str, column: str) -> None:
        owner = engines.create(owner_url)
        with owner.begin() as conn:
            conn.execute(
                text(
                    "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RAISE EXCEPTION 'the store chokes'; END $$"
                )
            )
            conn.execute(
                text(
                    f"CREATE TRIGGER fails BEFORE INSERT ON {table} FOR EACH ROW "
                    f"WHEN (NEW.{column} = 'poison') EXECUTE FUNCTION fail()"
                )
            )
        owner.dispose()

    return make


def raw(key: str, po: str | None = None, source: str = "csv") -> Raw:
    body = f"po,line,qty\n{po or key},10,5\n" if source == "csv" else f'{{"po": "{po or key}"}}'
    return Raw(source, key, body.encode(), NOW, "text/csv", name=f"{key}.csv")


def rows(engine: Engine, table: Any, *conditions: Any) -> list[Any]:
    with engine.connect() as conn:
        return list(conn.execute(select(table).where(*conditions)))


def orders(engine: Engine) -> set[str]:
    return {d.number for d in rows(engine, document, document.c.kind == "po")}


def test_results_come_in_the_order_of_the_messages(known: Engine, net: Network) -> None:
    pipeline.ingest_raws(known, net, [raw("b")], now=NOW)
    bad = Raw("csv", "c", b"", NOW)
    outcome = pipeline.ingest_raws(known, net, [raw("a"), raw("b"), bad, raw("d")], now=NOW)
    assert [item.outcome for item in outcome.items] == [
        "accepted",
        "repeated",
        "refused",
        "accepted",
    ]
    assert (outcome.accepted, outcome.repeated, outcome.events) == (2, 1, 2)
    ((place, refused),) = outcome.refused
    assert place == 2
    assert refused.cause
    assert refused.advice


def test_a_message_of_a_source_that_nobody_knows_is_kept_and_told(
    known: Engine, net: Network
) -> None:
    stray = Raw("fax", "1", b"hello", NOW)
    outcome = pipeline.ingest_raws(known, net, [stray, raw("a")], now=NOW)
    assert [item.outcome for item in outcome.items] == ["refused", "accepted"]
    assert '"fax" is no source of network.yaml' in outcome.items[0].cause
    assert {r.source for r in rows(known, raw_message)} == {"fax", "csv"}


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_message_that_only_breaks_the_store_becomes_a_dead_letter_and_the_others_go_on(
    known: Engine, net: Network, failing_on: Callable[[str, str], None], place: int
) -> None:
    failing_on("event", "raw_key")
    with known.begin() as conn:
        lease = sources.claim(conn, "csv", "w1", NOW)
    assert lease is not None
    raws = [raw("poison" if n == place else f"m{n}") for n in range(7)]
    outcome = pipeline.ingest_raws(
        known,
        net,
        raws,
        now=NOW,
        samples=[QueueSample("b", "q", NOW, ready=1)],
        heartbeat=Heartbeat("csv", complete_to=NOW, seen_at=NOW),
        bookmark=ingest.Bookmark("csv", "w1", lease.epoch, Mark(1, {"at": 7})),
    )
    words = ["accepted"] * 7
    words[place] = "refused"
    assert [item.outcome for item in outcome.items] == words
    assert orders(known) == {f"m{n}" for n in range(7)} - {f"m{place}"}
    (letter,) = rows(known, dead_letter)
    assert (letter.key, letter.code) == ("poison", "crash")
    assert "the store chokes" in letter.cause
    assert "interpret again" in letter.advice
    # The bytes of all are kept, and the bookmark moved once, behind all of them.
    assert len(rows(known, raw_message)) == 7
    (mark,) = rows(known, checkpoint, checkpoint.c.source == "csv")
    assert mark.mark == {"version": 1, "value": {"at": 7}}
    assert mark.complete_to == NOW


def test_a_message_that_cannot_even_be_kept_holds_the_bookmark_back(
    known: Engine, net: Network, failing_on: Callable[[str, str], None]
) -> None:
    failing_on("ingest_ledger", "key")
    with known.begin() as conn:
        lease = sources.claim(conn, "csv", "w1", NOW)
    assert lease is not None
    with pytest.raises(Exception, match="the store chokes"):
        pipeline.ingest_raws(
            known,
            net,
            [raw("a"), raw("poison"), raw("z")],
            now=NOW,
            bookmark=ingest.Bookmark("csv", "w1", lease.epoch, Mark(1, {"at": 3})),
        )
    # Nobody was told that it is done: the source still has all of it.
    (mark,) = rows(known, checkpoint, checkpoint.c.source == "csv")
    assert mark.mark is None
    assert "poison" not in {row.key for row in rows(known, ingest_ledger)}


def test_a_lost_lease_stores_nothing_and_is_no_bug_of_a_message(
    known: Engine, net: Network
) -> None:
    with known.begin() as conn:
        lease = sources.claim(conn, "csv", "w1", NOW)
        assert sources.claim(conn, "csv", "w2", NOW + timedelta(minutes=5)) is not None
    assert lease is not None
    with pytest.raises(ingest.LeaseLost):
        pipeline.ingest_raws(
            known,
            net,
            [raw("a")],
            now=NOW,
            bookmark=ingest.Bookmark("csv", "w1", lease.epoch, Mark(1, {})),
        )
    assert rows(known, ingest_ledger) == []
    assert rows(known, dead_letter) == []


def test_a_database_that_is_away_is_told_at_once(net: Network) -> None:
    away = engines.create("postgresql+psycopg://tower@127.0.0.1:1/tower")
    with pytest.raises(OperationalError):
        pipeline.ingest_raws(away, net, [raw("a"), raw("b")], now=NOW)
    away.dispose()


def test_samples_alone_are_stored_and_a_failure_with_them_is_raised(
    known: Engine, net: Network, failing_on: Callable[[str, str], None]
) -> None:
    sample = QueueSample("broker", "orders", NOW, ready=3)
    assert pipeline.ingest_raws(known, net, (), now=NOW, samples=[sample]).items == ()
    failing_on("queue_sample", "queue")
    broken = QueueSample("broker", "poison", NOW, ready=3)
    with pytest.raises(Exception, match="the store chokes"):
        pipeline.ingest_raws(known, net, (), now=NOW, samples=[broken])


# --- pushes that share a commit -----------------------------------------------------------------


def test_each_push_gets_its_own_part_of_a_shared_commit(known: Engine, net: Network) -> None:
    intake = pipeline.Intake(known, lambda: net, gather_s=0.05, clock=lambda: NOW)
    told: dict[str, list[str]] = {}
    start = threading.Barrier(6)

    def push(n: int) -> None:
        source = ("csv", "json")[n % 2]
        bad = Raw(source, f"bad{n}", b"", NOW)
        raws = [raw(f"{n}-{m}", source=source) for m in range(n)] + [bad]
        start.wait()
        outcome = intake.accept(source, raws)
        told[str(n)] = [item.outcome for item in outcome.items]

    threads = [threading.Thread(target=push, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {str(n): ["accepted"] * n + ["refused"] for n in range(6)}
    with known.connect() as conn:
        assert conn.execute(select(func.count()).select_from(event)).scalar_one() == 15
    # A push is a beat of its source.
    assert {row.complete_to for row in rows(known, checkpoint)} == {NOW}


def test_an_error_reaches_every_push_of_its_commit(net: Network) -> None:
    away = engines.create("postgresql+psycopg://tower@127.0.0.1:1/tower")
    intake = pipeline.Intake(away, lambda: net, gather_s=0.05)
    failed: list[str] = []
    start = threading.Barrier(3)

    def push(n: int) -> None:
        start.wait()
        try:
            intake.accept("csv", [raw(str(n))])
        except OperationalError:
            failed.append(str(n))

    threads = [threading.Thread(target=push, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(failed) == ["0", "1", "2"]
    away.dispose()


def test_a_beat_says_that_a_push_source_lives(known: Engine, net: Network) -> None:
    pipeline.Intake(known, lambda: net).beat("csv", NOW)
    (mark,) = rows(known, checkpoint, checkpoint.c.source == "csv")
    assert (mark.state, mark.complete_to, mark.last_good_at) == ("up", NOW, NOW)


def test_a_connection_that_breaks_while_storing_makes_no_dead_letter(
    known: Engine, net: Network, owner_url: str
) -> None:
    owner = engines.create(owner_url)
    with owner.begin() as conn:
        conn.execute(
            text(
                "CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM set_config('role', 'none', true); "
                "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
            )
        )
        conn.execute(text("CREATE TRIGGER hangs BEFORE INSERT ON event EXECUTE FUNCTION hang_up()"))
    with pytest.raises(OperationalError):
        pipeline.ingest_raws(known, net, [raw("a"), raw("b")], now=NOW)
    assert rows(known, ingest_ledger) == []
    with owner.begin() as conn:
        conn.execute(text("DROP TRIGGER hangs ON event"))
    owner.dispose()
    pipeline.ingest_raws(known, net, [raw("a"), raw("b")], now=NOW)
    assert orders(known) == {"a", "b"}
    assert rows(known, dead_letter) == []
