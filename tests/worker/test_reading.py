"""Reading a source: the lease, the mark, and what each kind of failure does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, select

from collectors import contract, registry
from collectors.drop_folder import DropFolder
from db import sources
from db.tables import checkpoint, event, ingest_ledger
from tower.errors import AccessDenied, SourceThrottled, SourceUnavailable
from tower.network import Network, load_network
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw
from worker import reading

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
NETWORK = """
version: 1
company: {name: Reading, erp: main, zone: UTC, calendar: hq, isa: ["ZZ:US"]}
systems:
  suppliers: {name: Suppliers, kind: supplier}
sources:
  files:
    kind: drop_folder
    format: csv
    system: suppliers
    channel: file
    every: 1m
    mapping: answers
    options: {path: in, ready: renamed}
mappings:
  answers:
    format: csv
    group_by: [po]
    emit:
      - event: po.acknowledged
        when: {po: "*"}
        fields: {po: po, supplier: "=ACME"}
        lines: {line: line, qty: qty, answer: status}
        codes: {answer: {OK: accepted}}
partners:
  ACME: {name: Acme, tier: A, feeds: [files], calendar: hq}
calendars:
  hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}
people:
  desk: {name: Desk, mail: desk@reading.example}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""


@pytest.fixture
def net(database: Engine) -> Network:
    network = load_network(NETWORK, "network.yaml")
    with database.begin() as conn:
        sources.register(conn, network.sources)
    return network


@pytest.fixture
def drop(tmp_path: Path) -> Callable[[str, str], None]:
    folder = tmp_path / "in"
    folder.mkdir()

    def put(name: str, text: str) -> None:
        (folder / (name + ".tmp")).write_text(text)
        (folder / (name + ".tmp")).rename(folder / name)

    return put


def reader(net: Network, tmp_path: Path) -> DropFolder:
    made = registry.reader_for("files", net.sources["files"], net, base=tmp_path)
    assert isinstance(made, DropFolder)
    return made


def count(engine: Engine) -> tuple[int, int]:
    with engine.connect() as conn:
        return (
            conn.execute(select(func.count()).select_from(ingest_ledger)).scalar_one(),
            conn.execute(select(func.count()).select_from(event)).scalar_one(),
        )


def test_a_file_is_read_stored_and_put_away(
    database: Engine, net: Network, tmp_path: Path, drop: Callable[[str, str], None]
) -> None:
    drop("a.csv", "po,line,qty,status\n4500000001,10,5,OK\n")
    result = reading.read_source(
        database, net, "files", reader(net, tmp_path), holder="w1", now=NOW
    )
    assert (result.state, result.messages, result.events) == ("up", 1, 1)
    assert not (tmp_path / "in" / "a.csv").exists()
    assert list((tmp_path / "in" / "done").rglob("a.csv*"))
    with database.connect() as conn:
        state = sources.states(conn)[0]
    assert state.complete_to == NOW
    assert state.next_at == NOW + timedelta(minutes=1)


def test_nobody_reads_what_somebody_else_holds(
    database: Engine, net: Network, tmp_path: Path
) -> None:
    with database.begin() as conn:
        assert sources.claim(conn, "files", "w1", NOW) is not None
    result = reading.read_source(
        database, net, "files", reader(net, tmp_path), holder="w2", now=NOW
    )
    assert result.state is None


def test_a_lease_that_ran_out_is_taken_over_and_its_writes_are_void(
    database: Engine, net: Network, tmp_path: Path, drop: Callable[[str, str], None]
) -> None:
    drop("a.csv", "po,line,qty,status\n4500000001,10,5,OK\n")

    def usurp(step: str) -> None:
        if step == "read":
            with database.begin() as conn:
                assert sources.claim(conn, "files", "w2", NOW + timedelta(minutes=5)) is not None

    result = reading.read_source(
        database, net, "files", reader(net, tmp_path), holder="w1", now=NOW, probe=usurp
    )
    assert result.state is None
    assert count(database) == (0, 0)


@pytest.mark.parametrize("step", ["read", "stored", "settled"])
def test_a_reader_killed_at_any_step_loses_and_doubles_nothing(
    database: Engine,
    net: Network,
    tmp_path: Path,
    drop: Callable[[str, str], None],
    step: str,
) -> None:
    drop("a.csv", "po,line,qty,status\n4500000001,10,5,OK\n4500000002,10,7,OK\n")

    class PowerCut(BaseException):
        pass

    def cut(at: str) -> None:
        if at == step:
            raise PowerCut

    with pytest.raises(PowerCut):
        reading.read_source(
            database, net, "files", reader(net, tmp_path), holder="w1", now=NOW, probe=cut
        )
    later = NOW + timedelta(minutes=10)
    reading.read_source(database, net, "files", reader(net, tmp_path), holder="w2", now=later)
    assert count(database) == (1, 2)
    assert not (tmp_path / "in" / "a.csv").exists()


def test_a_large_file_is_stored_in_parts_while_its_lease_is_renewed(
    database: Engine,
    net: Network,
    tmp_path: Path,
    drop: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "LARGE", 1)
    monkeypatch.setattr(contract, "PART_EVENTS", 1)
    rows = "".join(f"45{n:08},10,5,OK\n" for n in range(4))
    drop("a.csv", f"po,line,qty,status\n{rows}")
    renewals: list[datetime] = []
    renew = sources.renew

    def noted(conn: Connection, lease: sources.Lease, now: datetime) -> bool:
        renewals.append(now)
        return renew(conn, lease, now)

    monkeypatch.setattr(sources, "renew", noted)
    result = reading.read_source(
        database, net, "files", reader(net, tmp_path), holder="w1", now=NOW
    )
    assert (result.state, result.messages, result.events) == ("up", 1, 4)
    assert len(renewals) == 4
    assert NOW < renewals[0] < renewals[-1]  # a lease that lasts longer with each part
    assert count(database) == (1, 4)
    assert list((tmp_path / "in" / "done").rglob("a.csv*"))


class Failing:
    """A source that fails in a given way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        yield Batch("files", heartbeat=None, mark=Mark(1, {"at": 1}))
        raise self.error

    def settle(self, batch: Batch) -> None:
        """Nothing to put away."""


@pytest.mark.parametrize(
    ("error", "state", "wait"),
    [
        (SourceUnavailable("refused"), "down", timedelta(seconds=7.5)),
        (SourceThrottled("slow down", 90), "throttled", timedelta(seconds=90)),
        (AccessDenied("401"), "stopped", timedelta(seconds=7.5)),
    ],
)
def test_each_kind_of_failure_keeps_the_mark_and_says_why(
    database: Engine, net: Network, error: Exception, state: str, wait: timedelta
) -> None:
    result = reading.read_source(database, net, "files", Failing(error), holder="w1", now=NOW)
    assert result.state == state
    with database.connect() as conn:
        found = sources.states(conn)[0]
        mark = conn.execute(select(checkpoint.c.mark)).scalar_one()
    assert found.message == str(error)
    assert found.next_at is not None
    assert NOW < found.next_at <= NOW + wait
    assert mark == {"version": 1, "value": {"at": 1}}
    with database.connect() as conn:
        assert sources.due(conn, ["files"], NOW + timedelta(hours=1)) == (
            [] if state == "stopped" else ["files"]
        )


class Poisoned:
    """A source whose second message breaks the store: a NUL cannot stand in a text column."""

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        body = b"po,line,qty,status\n45%d,10,5,OK\n"
        raws = tuple(
            Raw("files", f"k{n}", body % n, now, "text/csv", name="bad\x00name" if n == 1 else "a")
            for n in range(3)
        )
        yield Batch("files", raws, heartbeat=Heartbeat("files", now, now), mark=Mark(1, {"at": 3}))

    def settle(self, batch: Batch) -> None:
        """Nothing to put away."""


def test_one_message_that_breaks_the_store_does_not_hold_up_the_others(
    database: Engine, net: Network
) -> None:
    result = reading.read_source(database, net, "files", Poisoned(), holder="w1", now=NOW)
    assert result.state == "up"
    with database.connect() as conn:
        keys = conn.execute(select(ingest_ledger.c.key).order_by("key")).scalars().all()
    assert {"k0", "k2"} <= set(keys)
