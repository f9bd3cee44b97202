"""Large messages, stored part by part: the same facts as in one go, whatever interrupts them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from collectors import contract, registry
from db import engine as engines
from db import sources
from db.ingest import Bookmark, LeaseLost, Told, store_retrying
from db.rebuild import rebuild, verify
from tests.db.stories import snapshot
from tower.network import Network, load_network
from tower.raw import Heartbeat, Interpreted, Mark, Raw
from worker import large_messages, pipeline

NOW = datetime(2026, 4, 20, 12, 0, tzinfo=UTC)
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NETWORK = """
version: 1
company: {name: Large, erp: main, zone: Europe/Berlin, calendar: hq, isa: ["ZZ:BUYER"],
          unb: ["4098765000010:14"]}
systems:
  edi: {name: EDI, kind: edi}
sources:
  x12: {kind: drop_folder, format: x12, system: edi, channel: edi, every: 1m, options: {path: x12}}
  edifact: {kind: push, format: edifact, system: edi, channel: edi, every: 1m}
  rows: {kind: push, format: csv, system: edi, mapping: rows, partner: ACME, every: 1m}
  groups: {kind: push, format: csv, system: edi, mapping: groups, partner: ACME, every: 1m}
  lines: {kind: push, format: log, system: edi, mapping: lines, every: 1m}
mappings:
  rows:
    format: csv
    emit: [{event: po.acknowledged, fields: {po: po}, lines: {line: line, qty: qty}}]
  groups:
    format: csv
    group_by: [po]
    emit: [{event: po.acknowledged, fields: {po: po}, lines: {line: line, qty: qty}}]
  lines:
    format: log
    emit:
      - event: po.acknowledged
        id: "{id}"
        fields: {po: po, supplier: by}
partners:
  ACME:
    name: Acme
    zone: America/New_York
    ids: {isa: ["01:123456789"], unb: ["4012345000009:14"], duns: "123456789", gln: "4012345000009"}
warehouses:
  EAST: {name: East, gln: "4098765000027"}
calendars:
  hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}
people:
  desk: {name: Desk, mail: desk@large.example}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""


def edi(folder: str) -> bytes:
    """All fixtures of a format behind each other, twice, and one that is cut."""
    files = [path.read_bytes() for path in sorted((FIXTURES / folder).glob("*.edi"))]
    return b"".join((*files, *files, files[0][:-40]))


def csv() -> bytes:
    rows = [f"45{n % 17:03},{n},{n if n % 9 else 'many'}" for n in range(60)]
    return "\n".join(["po,line,qty", *rows, "one,two", ""]).encode()


def json_lines() -> bytes:
    told = [{"id": f"e{n % 31}", "po": f"45{n % 29:03}", "by": "ACME"} for n in range(60)]
    return b"\n".join([*(json.dumps(one).encode() for one in told), b"no json", b"", b'{"id": 1}'])


BODIES: dict[str, Callable[[], bytes]] = {
    "x12": lambda: edi("x12"),
    "edifact": lambda: edi("edifact"),
    "rows": csv,
    "groups": csv,
    "lines": json_lines,
}
TABLES = {
    "origin": "SELECT source, key, event_id, fields::text FROM origin ORDER BY event_id",
    "dead_letter": "SELECT position, code, cause, byte_offset, partner, state, fingerprint "
    "FROM dead_letter ORDER BY position, code",
    "interpretation": "SELECT interpreter, version, outcome, n_events, findings::text "
    "FROM interpretation",
    "ledger": "SELECT outcome, n_events, n_known, homes, version FROM ingest_ledger",
    "bytes": "SELECT partner_id, size, encoding, body FROM raw_message",
    "control_number": "SELECT * FROM control_number ORDER BY stream, number",
    # Marks for netting have keys of their own, one per part.
    "timer": "SELECT DISTINCT kind, regexp_replace(key, '\"[0-9a-f]{32}\"', '') AS key, due "
    "FROM timer ORDER BY kind, key",
    "partner_count": "SELECT * FROM partner_count ORDER BY home_key, type, at, known_at",
    "checkpoint": "SELECT source, newest_at, complete_to, mark FROM checkpoint ORDER BY source",
}


class PowerCut(Exception):
    pass


@pytest.fixture(scope="module")
def net() -> Network:
    return load_network(NETWORK, "network.yaml")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message counts as large, and has a part for each few events."""
    monkeypatch.setattr(registry, "LARGE", 1)
    monkeypatch.setattr(contract, "PART_EVENTS", 3)


@pytest.fixture
def another(new_database: Callable[[], str]) -> Iterator[Engine]:
    made = engines.create(new_database())
    yield made
    made.dispose()


def kept(engine: Engine) -> dict[str, Any]:
    with engine.begin() as conn:
        assert verify(conn) == []
        found: dict[str, Any] = dict(snapshot(conn))
        for name, query in TABLES.items():
            found[f"{name} rows"] = [tuple(row) for row in conn.execute(text(query))]
    return found


def ledger(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as conn:
        rows = conn.execute(text("SELECT outcome, n_events, n_known FROM ingest_ledger"))
        return [tuple(row) for row in rows]


def cut_at(step: int) -> Callable[[str], None]:
    """Cuts the power behind the step with this number, counted from 1."""
    reached = 0

    def probe(_: str) -> None:
        nonlocal reached
        reached += 1
        if reached == step:
            raise PowerCut

    return probe


def raw_of(source: str) -> Raw:
    return Raw(source, "large", BODIES[source](), NOW, name="large.txt")


def beat(source: str) -> Told:
    return Told(Heartbeat(source, complete_to=NOW, seen_at=NOW))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("source", BODIES)
def test_parts_make_the_same_facts_as_the_whole_however_often_they_are_cut_off(
    database: Engine, another: Engine, net: Network, source: str
) -> None:
    raw = raw_of(source)
    whole = registry.interpret(raw, net)
    assert len(whole.events) > 12
    assert whole.dead_letters
    store_retrying(another, [Interpreted(raw, whole)], net=net, now=NOW, also=[beat(source)])

    steps = 0
    for step in (1, 2, 4, 3):
        with pytest.raises(PowerCut):
            large_messages.store(database, net, raw, now=NOW, told=beat(source), probe=cut_at(step))
        ((outcome, events, _),) = ledger(database)
        assert (outcome, events >= steps) == ("pending", True)
        steps = events
        with database.connect() as conn:
            assert verify(conn) == []  # what others see meanwhile is right by itself
    late = Raw(source, "large", raw.body, NOW + timedelta(minutes=3), name="large.txt")
    item = large_messages.store(database, net, late, now=NOW, told=beat(source))
    assert item is not None
    assert (item.outcome, item.events) == ("accepted", len(whole.events))
    assert item.dead_letters == len(whole.dead_letters)

    assert kept(database) == kept(another)

    again = large_messages.store(database, net, late, now=NOW, told=beat(source))
    assert again is not None
    assert again.outcome == "repeated"
    assert ledger(database) == ledger(another)
    before = kept(database)
    with database.begin() as conn:
        rebuild(conn, net=net)
    assert kept(database) == before


@pytest.mark.usefixtures("small_parts")
def test_events_of_another_message_are_known_and_stay_its_own(
    database: Engine, another: Engine, net: Network
) -> None:
    first = Raw("lines", "first", b'{"id": "e3", "po": "45003", "by": "ACME"}\n', NOW)
    raw = raw_of("lines")
    for engine in (database, another):
        known = Interpreted(first, registry.interpret(first, net))
        store_retrying(engine, [known], net=net, now=NOW)
    store_retrying(another, [Interpreted(raw, registry.interpret(raw, net))], net=net, now=NOW)
    with pytest.raises(PowerCut):
        large_messages.store(database, net, raw, now=NOW, probe=cut_at(4))
    large_messages.store(database, net, raw, now=NOW)
    assert kept(database) == kept(another)


@pytest.mark.usefixtures("small_parts")
def test_a_part_is_not_stored_by_whoever_lost_the_lease(
    database: Engine, another: Engine, net: Network
) -> None:
    """The new holder begins while the former one is at it: nothing is lost, nothing twice."""
    raw = raw_of("x12")
    with database.begin() as conn:
        sources.register(conn, net.sources)
        lease = sources.claim(conn, "x12", "w1", NOW)
    assert lease is not None
    held = 0

    def hold(conn: Connection) -> None:
        nonlocal held
        held += 1
        if held == 3:
            with database.begin() as other:
                later = sources.claim(other, "x12", "w2", NOW + timedelta(minutes=5))
            assert later is not None
            with contextlib.suppress(PowerCut):
                large_messages.store(database, net, raw, now=NOW, probe=cut_at(6))
        if not sources.renew(conn, lease, NOW):
            raise LeaseLost("x12")

    with pytest.raises(LeaseLost):
        large_messages.store(database, net, raw, now=NOW, told=beat("x12"), hold=hold)
    large_messages.store(database, net, raw, now=NOW)
    large_messages.store(another, net, raw, now=NOW)
    found, expected = kept(database), kept(another)
    found.pop("checkpoint rows")
    expected.pop("checkpoint rows")
    assert found == expected


def test_the_bookmark_comes_with_the_last_share_and_large_ones_stand_alone(
    database: Engine, net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "SHARE_BYTES", 10_000)
    monkeypatch.setattr(registry, "LARGE", 10_000)
    monkeypatch.setattr(contract, "PART_EVENTS", 5)
    small = [Raw("x12", f"s{n}", BODIES["edifact"]()[:2000], NOW) for n in range(3)]
    large = raw_of("x12")
    assert len(large.body) > 10_000
    raws = [small[0], large, *small[1:]]
    assert [len(share) for share in pipeline.shares(raws)] == [1, 1, 2]
    assert [[*share] for share in pipeline.shares([])] == [[]]
    with database.begin() as conn:
        sources.register(conn, net.sources)
        lease = sources.claim(conn, "x12", "w1", NOW)
    assert lease is not None
    marks: list[Any] = []
    mark = text("SELECT mark FROM checkpoint WHERE source = 'x12'")

    def hold(conn: Connection) -> None:
        marks.append(conn.execute(mark).scalar())

    outcome = pipeline.ingest_raws(
        database,
        net,
        raws,
        now=NOW,
        hold=hold,
        bookmark=Bookmark("x12", lease.holder, lease.epoch, Mark(1, {"at": 7}), next_at=NOW),
    )
    assert len(marks) > 2
    assert set(marks) == {None}
    assert [item.outcome for item in outcome.items] == ["refused", "accepted", "refused", "refused"]
    assert outcome.events == outcome.items[1].events
    with database.connect() as conn:
        told = conn.execute(text("SELECT mark, holder FROM checkpoint WHERE source = 'x12'")).one()
    assert tuple(told) == ({"version": 1, "value": {"at": 7}}, None)
    fenced = Bookmark("x12", lease.holder, lease.epoch, Mark(1, {"at": 8}))
    late = [Raw("x12", f"l{n}", one.body, NOW) for n, one in enumerate(raws)]
    with pytest.raises(LeaseLost):
        pipeline.ingest_raws(database, net, late, now=NOW, bookmark=fenced)
    assert len(ledger(database)) == 4


@pytest.mark.usefixtures("small_parts")
def test_an_event_that_cannot_be_stored_is_a_dead_letter_and_the_others_are_in(
    database: Engine, owner_url: str, net: Network
) -> None:
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
                "CREATE TRIGGER fail BEFORE INSERT ON event FOR EACH ROW "
                "WHEN (NEW.position = 'line:5') EXECUTE FUNCTION fail()"
            )
        )
    owner.dispose()
    raw = raw_of("lines")
    whole = registry.interpret(raw, net)
    item = large_messages.store(database, net, raw, now=NOW)
    assert item is not None
    assert item.dead_letters == len(whole.dead_letters) + 1
    with database.connect() as conn:
        assert verify(conn) == []
        rows = conn.execute(text("SELECT position, code, cause FROM dead_letter"))
        letters = {row.position: (row.code, row.cause) for row in rows}
        n_events = conn.execute(text("SELECT count(*) FROM event")).scalar_one()
    assert letters["line:5"][0] == "crash"
    assert "the store chokes" in letters["line:5"][1]
    assert n_events == len(whole.events) - 1
