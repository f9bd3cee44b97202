"""Lanes: several processes store one large batch, and nobody can tell afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from collectors.stories import story
from db import engine as engines
from db import ingest, sources
from tower.network import Network, load_network
from tower.raw import Heartbeat, Mark, Raw
from worker import pipeline
from worker.lanes import LEAST_MESSAGES, Lanes, part

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
NETWORK = """
version: 1
company: {name: Lanes, erp: main, zone: UTC, calendar: hq}
systems:
  shop: {name: Shop, kind: supplier}
sources:
  feed: {kind: drop_folder, format: json, system: shop, mapping: answers, partner: ACME, every: 1m,
         options: {path: in}}
mappings:
  answers:
    format: json
    emit:
      - event: po.acknowledged
        fields: {po: po, revision: revision}
partners:
  ACME: {name: Acme, feeds: [feed]}
calendars:
  hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}
people:
  desk: {name: Desk, mail: desk@lanes.example}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""
TABLES = (
    *("ingest_ledger", "raw_message", "event", "event_object", "flow", "flow_link", "document"),
    *("dead_letter", "sighting", "timer", "checkpoint"),
)
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def net() -> Network:
    return load_network(NETWORK, "network.yaml")


@pytest.fixture
def make_engine(new_database: Callable[[], str], net: Network) -> Iterator[Callable[[], Engine]]:
    made: list[Engine] = []

    def make() -> Engine:
        engine = engines.create(new_database())
        made.append(engine)
        with engine.begin() as conn:
            sources.register(conn, net.sources)
        return engine

    yield make
    for one in made:
        one.dispose()


def message(n: int, orders: int = 40) -> Raw:
    """One of several messages about each order."""
    body = f'{{"po": "45{n % orders:04}", "revision": "{n}"}}'
    return Raw("feed", f"k{n}", body.encode(), NOW + timedelta(seconds=n), "application/json")


def batch(size: int = LEAST_MESSAGES + 40) -> list[Raw]:
    """Many messages, among them one that is there twice, one refused, one that names no order."""
    raws = [message(n) for n in range(size)]
    raws[7] = raws[5]
    raws[11] = Raw("feed", "broken", b'{"po": "45', NOW, "application/json")
    raws[13] = Raw("feed", "vague", b'{"number": 1}', NOW, "application/json")
    return raws


def contents(engine: Engine) -> dict[str, list[str]]:
    """All that was stored, but for how often rows were written."""
    with engine.connect() as conn:
        return {
            table: sorted(
                str(row[0])
                for row in conn.execute(
                    text(f"SELECT to_jsonb(t) - 'rev' - 'generation' FROM {table} AS t")  # noqa: S608
                )
            )
            for table in TABLES
        }


def ready(engine: Engine, count: int = 2) -> Lanes:
    lanes = Lanes(engine, count)
    assert lanes.start(PATIENCE_S) == count - 1
    return lanes


def share(
    lanes: Lanes, engine: Engine, net: Network, raws: Sequence[Raw], **told: Any
) -> pipeline.Outcome:
    return pipeline.ingest_raws(engine, net, raws, lanes=lanes, **told)


def until(holds: Callable[[], Any]) -> None:
    """Look until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_batch_in_lanes_leaves_what_one_process_leaves(
    make_engine: Callable[[], Engine], net: Network
) -> None:
    alone, shared = make_engine(), make_engine()
    told = {
        "now": NOW + timedelta(hours=1),
        "heartbeat": Heartbeat("feed", complete_to=NOW, seen_at=NOW),
    }
    outcome = pipeline.ingest_raws(alone, net, batch(), **told)
    with ready(shared, 3) as lanes:
        assert share(lanes, shared, net, batch(), **told) == outcome
        assert contents(shared) == contents(alone)
        again = share(lanes, shared, net, [message(n) for n in range(300)], **told)
    assert again == pipeline.ingest_raws(alone, net, [message(n) for n in range(300)], **told)
    assert contents(shared) == contents(alone)
    assert outcome.items[7].outcome == "repeated"
    assert outcome.items[11].outcome == "refused"


def test_small_batches_start_nobody(make_engine: Callable[[], Engine], net: Network) -> None:
    with Lanes(make_engine(), 2) as lanes:
        assert lanes.store(net, [message(1), message(2)], NOW) is None
        assert lanes.processes == []


def test_what_a_killed_lane_held_is_stored_all_the_same(
    make_engine: Callable[[], Engine], net: Network, databases: Any
) -> None:
    alone, shared = make_engine(), make_engine()
    pipeline.ingest_raws(alone, net, batch(), now=NOW)
    owner = engines.create(databases.owner_url(shared.url.database))
    found: list[pipeline.Outcome] = []
    with ready(shared) as lanes, owner.connect() as conn:
        (helper,) = lanes.processes
        conn.execute(text("LOCK TABLE event_object IN EXCLUSIVE MODE"))
        storing = threading.Thread(
            target=lambda: found.append(share(lanes, shared, net, batch(), now=NOW))
        )
        storing.start()
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = :table")
        table = conn.execute(text("SELECT 'event_object'::regclass::oid")).scalar_one()
        # Both stand in the middle of their transactions: neither holds up the other by adding
        # the month that is new to both.
        until(lambda: conn.execute(waiting, {"table": table}).scalar_one() == 2)
        os.kill(helper, signal.SIGKILL)
        conn.rollback()
        storing.join(PATIENCE_S)
        assert [one.outcome for one in found[0].items].count("refused") == 2
        assert contents(shared) == contents(alone)
        assert helper not in lanes.processes
    owner.dispose()


def test_the_bookmark_is_written_when_all_is_stored_and_not_for_who_lost_the_source(
    make_engine: Callable[[], Engine], net: Network
) -> None:
    engine = make_engine()
    with engine.begin() as conn:
        lost = sources.claim(conn, "feed", "w1", NOW)
        later = NOW + timedelta(minutes=5)
        held = sources.claim(conn, "feed", "w2", later)
    assert lost is not None
    assert held is not None

    def mark(lease: sources.Lease) -> ingest.Bookmark:
        return ingest.Bookmark("feed", lease.holder, lease.epoch, Mark(1, {"at": lease.holder}))

    raws = [message(n) for n in range(LEAST_MESSAGES)]
    with ready(engine) as lanes:
        with pytest.raises(ingest.LeaseLost):
            share(lanes, engine, net, raws, now=NOW, bookmark=mark(lost))
        with engine.connect() as conn:
            state = conn.execute(text("SELECT mark, newest_at FROM checkpoint")).one()
        assert state == (None, None)
        # Who reads on finds the facts there, and tells the same of the source.
        outcome = share(lanes, engine, net, raws, now=later, bookmark=mark(held))
    assert outcome.repeated == len(raws)
    with engine.connect() as conn:
        state = conn.execute(text("SELECT mark, newest_at FROM checkpoint")).one()
    assert state[0] == {"version": 1, "value": {"at": "w2"}}
    assert state[1] is not None


_PARENT = """
import signal, sys, threading
from db import engine
from worker.lanes import Lanes
lanes = Lanes(engine.create(sys.argv[1]), 2)
assert lanes.start(60) == 1
print(lanes.processes[0], flush=True)
signal.pause()
"""


def test_lanes_end_when_their_process_is_killed(make_engine: Callable[[], Engine]) -> None:
    url = make_engine().url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as parent:
        assert parent.stdout is not None
        helper = int(parent.stdout.readline())
        parent.kill()

    def gone() -> bool:
        with suppress(FileNotFoundError, ProcessLookupError):
            # Without anybody who asks for its end a process stays as a name: state Z.
            stat = Path(f"/proc/{helper}/stat").read_text(encoding="ascii")
            return stat.rpartition(")")[2].split()[0] == "Z"
        return True

    until(gone)


def test_messages_of_one_story_or_one_key_go_to_one_lane() -> None:
    raws = batch()
    raws.append(Raw("feed", raws[20].key, b'{"po": "999"}', NOW))
    parts = part(raws, 3)
    assert sorted(n for one in parts for n in one) == list(range(len(raws)))
    assert all(one == sorted(one) for one in parts)
    for n in range(40):
        about = {n, n + 40, n + 80} - {7, 11, 13}
        assert sum(bool(about & set(one)) for one in parts) == 1
    assert sum(20 in one and len(raws) - 1 in one for one in parts) == 1
    assert 13 in parts[0]
    sizes = [sum(len(raws[n].body) for n in one) for one in parts]
    assert max(sizes) < 2 * min(sizes)


@pytest.mark.parametrize(
    ("body", "guess"),
    [
        (b'{"id": 1, "data": {"po": "45001", "lines": [{"po": "45002"}]}}', b"45001"),
        (b'{"order":77}', b"77"),
        (b'{"correlationid": "a-b", "data": {}}', b"a-b"),
        (
            b"ISA*00*          *00*          *ZZ*HOUSE          *01*ACME           *260101*1200*U*",
            b"ACME HOUSE",
        ),
        (
            b"ISA|00|          |00|          |01|ACME           |ZZ|HOUSE          |260101|1200|U|",
            b"ACME HOUSE",
        ),
        (b"UNA:+.? '\r\nUNB+UNOC:3+HOUSE:14+ACME:14+260302:1000+885'", b"ACME:14 HOUSE:14"),
        (b"UNB+UNOC:3+ACME:14+HOUSE:14+260302:1000+885'", b"ACME:14 HOUSE:14"),
        (b"po,line\n1,2\n", None),
        (b'{"po": "45001"' + b" " * 70_000 + b"}", None),
        (b"", None),
    ],
)
def test_the_story_of_a_message_is_guessed_from_its_bytes(body: bytes, guess: bytes | None) -> None:
    assert story(Raw("feed", "k", body, NOW)) == guess


def test_what_is_no_order_goes_by_its_partner() -> None:
    assert story(Raw("feed", "k", b"a,b\n", NOW, headers={"partner": "ACME"})) == b"ACME"
