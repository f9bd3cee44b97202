"""Which keys of a source are stored: what a key sweep compares with what the source still has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine, select

from db.tables import ingest_ledger

AT_ONCE = 10_000


class KnownKeys:
    """The ledger's keys of a source, the oldest first. A long question: once a day per source."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, source: str, since: datetime) -> Iterator[str]:
        ledger = ingest_ledger.c
        query = (
            select(ledger.key)
            .where(ledger.source == source, ledger.received_at >= since)
            .order_by(ledger.received_at, ledger.key)
            .execution_options(yield_per=AT_ONCE)
        )
        with self._engine.connect() as conn:
            yield from conn.execute(query).scalars()
