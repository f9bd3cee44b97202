"""Views in another system's database: a real Postgres, a real MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from collectors.key_sweep import living
from collectors.registry import reader_for
from collectors.sql_source import asking, engine_for
from tests.collectors.conformance import PLENTY, START, Tower, collector_conformance
from tests.collectors.sql_worlds import MariaView, PostgresView, SqlWorld
from tests.conftest import Databases
from tower.errors import ConfigError
from tower.network import Source, load_network
from tower.raw import Mark

MARIADB = URL.create("mariadb+pymysql", "root", "", "127.0.0.1", 3306, "test")


@pytest.fixture(autouse=True)
def servers(databases: Databases) -> None:
    PostgresView.server = databases.admin
    MariaView.server = MARIADB


test_view_in_postgres = collector_conformance(PostgresView)
test_view_in_mariadb = pytest.mark.mariadb(collector_conformance(MariaView))

MakeWorld = Callable[[], SqlWorld]


@pytest.fixture(
    params=[
        pytest.param(PostgresView, id="postgres"),
        pytest.param(MariaView, id="mariadb", marks=pytest.mark.mariadb),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlWorld]:
    made: SqlWorld = request.param(tmp_path)
    try:
        yield made
    finally:
        made.close()


class Sweeping(Tower):
    """The worker with a ledger that the reader may ask, from night to night."""

    def __init__(self, world: SqlWorld) -> None:
        self.order: list[str] = []
        world.known = lambda source, since: list(self.order)
        super().__init__(world)

    def _commit(self, batch: object) -> None:
        known = set(self.ledger)
        super()._commit(batch)  # type: ignore[arg-type]
        self.order += [key for key in self.ledger if key not in known]

    def night(self) -> list[dict[str, object]]:
        """The records that the first read of the next day brings."""
        self.now += timedelta(days=1)
        before = set(self.ledger)
        self.read()
        return [orjson.loads(self.ledger[key].body) for key in self.ledger if key not in before]


def test_nothing_can_be_written_through_it(world: SqlWorld) -> None:
    """Even by an account that could."""
    source = world.net.sources["feed"]
    options = source.feed.model_copy(update={"user": world.server.username, "key": ["po"]})
    if world.database == "postgresql":
        world.do(f"GRANT INSERT ON po_rows TO {world.user}")
        options = options.model_copy(update={"user": world.user})
    else:
        world.do(f"GRANT ALL ON {world.name}.* TO {world.user}@'127.0.0.1'")
        options = options.model_copy(update={"user": world.user})
    engine = engine_for("feed", options, world.secret)
    insert = "INSERT INTO po_rows VALUES ('1', 1, 'v', 'i', 1, 1, '2026-01-01', '2026-01-01')"
    with engine.connect() as connection, pytest.raises(DBAPIError, match=r"(?i)read.only"):
        connection.exec_driver_sql(insert)
    with pytest.raises(Exception, match=r"(?i)read.only"), asking(engine, "feed", options) as one:
        one.execute(text(insert))


def test_a_document_that_one_row_changes_comes_whole(world: SqlWorld) -> None:
    for n in range(3):
        world.put(n)
    tower = Tower(world)
    tower.drain()
    world.do(
        "UPDATE po_rows SET qty = 7, changed_at = '2026-03-27 11:00:00' "
        "WHERE po = '4500000001' AND line = 20"
    )
    assert tower.read() == 1
    newest = orjson.loads(list(tower.ledger.values())[-1].body)
    assert [row["qty"] for row in newest["rows"]] == ["1.500", "7.000"]
    assert newest["changed_at"].startswith("2026-03-27T11:00:00")  # the greatest of its rows


def test_a_stamp_that_comes_late_is_still_read(world: SqlWorld) -> None:
    """A long transaction commits a stamp that is older than what was read already."""
    world.put(9)
    tower = Tower(world)
    tower.drain()
    world.put(3)
    assert tower.read() == 1
    assert tower.read() == 0


def test_what_is_deleted_without_a_word_is_found_at_night(world: SqlWorld) -> None:
    for n in range(3):
        world.put(n)
    tower = Sweeping(world)
    tower.drain()
    world.remove(1)
    tower.drain()
    (found,) = tower.night()
    assert found["po"] == "4500000001"
    assert found["@removed"] == {"day": "2026-03-28", "reason": "deleted"}
    assert tower.night() == []
    assert [e[0] for e in tower.events().values()].count("po.cancelled") == 1
    assert tower.beats[-1].complete_to == tower.now


def test_what_was_missed_is_read_at_night(world: SqlWorld) -> None:
    world.put(9)
    tower = Sweeping(world)
    tower.drain()
    world.put(1)
    world.do("UPDATE po_rows SET changed_at = '2025-01-01 00:00:00' WHERE po = '4500000001'")
    tower.drain()
    assert len(tower.ledger) == 1
    (found,) = tower.night()
    assert found["po"] == "4500000001"


def test_a_view_that_lost_most_of_its_rows_deletes_nothing(world: SqlWorld) -> None:
    for n in range(30):
        world.put(n)
    tower = Sweeping(world)
    tower.drain()
    world.do("DELETE FROM po_rows WHERE po > '4500000003'")
    with pytest.raises(ConfigError, match="no longer has 26 of 30 documents"):
        tower.night()
    assert len(tower.ledger) == 30


def test_a_sweep_that_is_killed_is_done_again(world: SqlWorld) -> None:
    for n in range(5):
        world.put(n)
    tower = Sweeping(world)
    tower.drain()
    world.remove(1)
    world.remove(3)
    tower.now += timedelta(days=1)
    for die in ("before commit", "before settle", "in settle"):
        tower.read(die=die)
    tower.drain()
    removed = [key for key in tower.ledger if "@removed" in key]
    assert sorted(removed) == ["4500000001@removed:2026-03-28", "4500000003@removed:2026-03-28"]
    assert living(tower.order) == {"4500000000", "4500000002", "4500000004"}


def test_rows_may_be_records_of_their_own_and_stamps_numbers(world: SqlWorld) -> None:
    world.do("CREATE VIEW tower_lines AS SELECT po, line, line + 0 AS seq, qty FROM po_rows")
    if world.database == "postgresql":
        world.do(f"GRANT SELECT ON tower_lines TO {world.user}")
    else:
        world.do(f"GRANT SELECT ON {world.name}.tower_lines TO {world.user}@'127.0.0.1'")
    for n in range(4):
        world.put(n)
    source = world.net.sources["feed"]
    options = {
        **{k: v for k, v in source.options.items() if k != "lines"},
        "view": "tower_lines",
        "key": ["po", "line"],
        "stamp": "seq",
        "page_size": 3,
    }
    lines = source.model_copy(update={"options": options})
    reader = reader_for("feed", lines, world.net, world.secrets())
    batches = list(reader.read(None, PLENTY, START))
    found = [orjson.loads(raw.body) for batch in batches for raw in batch.raws]
    assert [(row["seq"], row["po"]) for row in found] == [
        (seq, f"450000000{n}") for seq in (10, 20) for n in range(4)
    ]
    assert batches[-1].mark == Mark(1, {"since": ["int", "20"], "swept": "2026-03-27"})


def test_what_its_options_need_is_said() -> None:
    text_ = (
        "version: 1\ncompany: {name: H}\nsystems: {erp: {name: E, kind: erp}}\nsources:\n"
        "  feed: {kind: sql_view, format: json, system: erp, mapping: m, options: {%s}}\n"
    )
    for options, said in (
        ("database: oracle", "database"),
        ("database: mariadb, host: 'a b'", '"a b" is not a host'),
        ("database: mariadb, host: h, view: 'a; drop'", "view"),
        ("database: mariadb, host: h, sweep_at: '25:00'", "is not a time of day"),
    ):
        with pytest.raises(ConfigError, match=said):
            load_network(text_ % options, "network.yaml")


def test_a_source_without_mapping_is_refused() -> None:
    source = Source(
        kind="sql_view",
        format="json",
        system="erp",
        options={
            "database": "postgresql", "host": "/tmp", "name": "n", "user": "u",  # noqa: S108
            "view": "v", "key": ["k"], "stamp": "s",
        },
    )  # fmt: skip
    net = load_network(
        (Path(__file__).parents[2] / "network.yaml").read_text(encoding="utf-8"), "network.yaml"
    )
    with pytest.raises(ConfigError, match="has no mapping"):
        reader_for("feed", source, net, {})


def test_the_address_is_the_one_of_the_options(world: SqlWorld) -> None:
    options = world.net.sources["feed"].feed
    url = engine_for("feed", options, "pw").url
    assert (url.host, url.port, url.database) == ("127.0.0.1", world.wire.port, world.name)
    assert "pw" not in str(make_url(str(url)))
