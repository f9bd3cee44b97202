"""docs/connect/sql-view.md, followed on a real MariaDB."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, create_engine

from collectors import registry
from tests.collectors import recipes
from tests.collectors.test_sql_view import MARIADB
from tower.event import Event
from tower.raw import Budget, Mark

NOW = datetime(2026, 4, 2, 12, 0, tzinfo=UTC)
ERP = """
CREATE TABLE purch_header (order_no varchar(20) PRIMARY KEY, vendor_no varchar(20),
  buyer varchar(20), currency char(3), released_on datetime, state varchar(12), change_no int,
  changed_on datetime);
CREATE TABLE purch_line (order_no varchar(20), line_no int, sku varchar(20),
  quantity decimal(12,3), unit varchar(3), unit_price decimal(12,2), wanted_on date);
CREATE TABLE item (sku varchar(20) PRIMARY KEY, item_group varchar(20));
INSERT INTO item VALUES ('B-100', 'FAST');
CREATE TABLE purch_confirmation (order_no varchar(20), line_no int, quantity decimal(12,3),
  delivers_on date, confirmed_on datetime);
INSERT INTO purch_header VALUES
  ('4500001234', '17300001', 'kim', 'USD', '2026-03-02 08:00', 'open', 0, '2026-03-02 08:00'),
  ('4500001235', '17300003', 'kim', 'USD', '2026-03-03 08:00', 'open', 2, '2026-03-04 09:30'),
  ('4500001236', '17300002', 'kim', 'USD', '2026-03-03 08:00', 'cancelled', 0, '2026-03-05 09:00');
INSERT INTO purch_line VALUES
  ('4500001234', 10, 'B-100', 40, 'EA', 12.50, '2026-04-01'),
  ('4500001234', 20, 'B-200', 15, 'EA', 0.80, '2026-04-01'),
  ('4500001235', 10, 'B-100', 5, 'EA', 12.50, '2026-04-09'),
  ('4500001236', 10, 'B-100', 1, 'EA', 12.50, '2026-04-09');
INSERT INTO purch_confirmation VALUES
  ('4500001234', 10, 40, '2026-04-03', '2026-03-06 10:00');
"""

pytestmark = pytest.mark.mariadb


@pytest.fixture
def erp() -> Iterator[tuple[Engine, str]]:
    """An ERP's database in which the page was followed; and the account it made."""
    mark = secrets.token_hex(4)
    server = create_engine(MARIADB, isolation_level="AUTOCOMMIT")
    database = create_engine(MARIADB.set(database=f"erp_{mark}"), isolation_level="AUTOCOMMIT")
    (page,) = recipes.blocks("sql-view", "sql")
    # The account is the server's, not the database's: each run has its own.
    page = page.replace("tower@'%'", f"tower_{mark}@'127.0.0.1'")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE erp_{mark}")
    with database.connect() as connection:
        for statement in (ERP + page).split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    yield database, f"tower_{mark}"
    database.dispose()
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE erp_{mark}")
        connection.exec_driver_sql(f"DROP USER tower_{mark}@'127.0.0.1'")
    server.dispose()


def test_orders_confirmations_and_cancellations_arrive(erp: tuple[Engine, str]) -> None:
    database, user = erp
    net = recipes.network(
        "sql-view",
        erp_orders={"host": "127.0.0.1", "name": database.url.database, "user": user},
    )
    known: list[str] = []
    reader = registry.reader_for(
        "erp_orders",
        net.sources["erp_orders"],
        net,
        {"ERP_PASSWORD": "change-me"},
        known=lambda source, since: known,
    )
    mark: Mark | None = None

    def read(now: datetime) -> list[Event]:
        nonlocal mark
        found: list[Event] = []
        for batch in reader.read(mark, Budget(), now):
            mark = batch.mark
            for raw in batch.raws:
                known.append(raw.key)
                reading = registry.interpret(raw, net)
                assert not reading.dead_letters
                assert not reading.findings
                found += reading.events
            reader.settle(batch)
        return found

    events = read(NOW)
    told = sorted((e.type, e.data["po"]) for e in events)
    assert told == [
        ("po.answer_applied", "4500001234"),
        ("po.cancelled", "4500001236"),
        ("po.released", "4500001234"),
        ("po.released", "4500001235"),
        ("po.released", "4500001236"),
        ("po.revised", "4500001235"),
        ("po.unheld", "4500001234"),  # "open" tells that nothing holds it, held before or not
        ("po.unheld", "4500001235"),
    ]
    released = next(e for e in events if e.type == "po.released" and e.data["po"] == "4500001234")
    assert released.partner == "ACME"
    assert released.occurred_at == datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
    assert [(x["line"], x["qty"], x["price"]) for x in released.data["lines"]] == [
        ("10", "40", "12.5"),
        ("20", "15", "0.8"),
    ]
    assert [x.get("category") for x in released.data["lines"]] == ["FAST", None]
    (applied,) = (e for e in events if e.type == "po.answer_applied")
    assert [(x["line"], x["date"]) for x in applied.data["lines"]] == [("10", "2026-04-03")]
    assert read(NOW + timedelta(minutes=5)) == []
    with database.connect() as connection:
        connection.exec_driver_sql("DELETE FROM purch_header WHERE order_no = '4500001235'")
    (gone,) = read(NOW + timedelta(days=1))
    assert (gone.type, gone.data["po"]) == ("po.cancelled", "4500001235")
