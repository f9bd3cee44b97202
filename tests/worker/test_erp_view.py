"""An ERP's view from its rows to documents, and its deletions by night."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from collectors import registry
from db import configuration, sources
from db.known_keys import KnownKeys
from db.tables import document, ingest_ledger
from tests.collectors.conformance import START
from tests.collectors.sql_worlds import PostgresView
from tests.conftest import Databases
from worker import reading


@pytest.fixture
def view(databases: Databases, tmp_path: Path) -> Iterator[PostgresView]:
    PostgresView.server = databases.admin
    made = PostgresView(tmp_path)
    yield made
    made.close()


def test_what_the_erp_deletes_is_cancelled_by_the_next_morning(
    database: Engine, view: PostgresView
) -> None:
    with database.begin() as conn:
        configuration.store_partners(conn, view.net)
        sources.register(conn, view.net.sources)
    reader = registry.reader_for(
        "feed", view.net.sources["feed"], view.net, view.secrets(), known=KnownKeys(database)
    )

    def read(hours: int) -> reading.ReadResult:
        now = START + timedelta(hours=hours)
        return reading.read_source(database, view.net, "feed", reader, holder="w", now=now)

    def cancelled() -> dict[str, bool]:
        columns = (document.c.number, document.c.cancelled_at)
        with database.connect() as conn:
            rows = conn.execute(select(*columns).where(document.c.kind == "po"))
            return {row.number: row.cancelled_at is not None for row in rows}

    for n in range(3):
        view.put(n)
    result = read(0)
    while result.more:
        result = read(0)
    assert result.state == "up"
    assert cancelled() == {f"450000000{n}": False for n in range(3)}
    view.remove(1)
    read(1)
    assert not any(cancelled().values())
    assert read(24).events == 1
    assert cancelled() == {f"450000000{n}": n == 1 for n in range(3)}
    assert read(48).messages == 0
    with database.connect() as conn:
        keys = conn.execute(select(ingest_ledger.c.key)).scalars().all()
    assert sorted(KnownKeys(database)("feed", START)) == sorted(keys)
    later = START + timedelta(hours=2)
    assert list(KnownKeys(database)("feed", later)) == ["4500000001@removed:2026-03-28"]
