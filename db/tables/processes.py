"""The tower about itself."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from db.tables.ground import INSTANT, LOCAL, metadata

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("process", Text, primary_key=True),
    Column("node", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", INSTANT, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("detail", JSONB, nullable=False, server_default="{}"),
    info=LOCAL,
)

job_run = Table(
    "job_run",
    metadata,
    Column("job", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("lease_until", INSTANT, nullable=False),
    Column("state", Text, nullable=False),  # running, done
    info=LOCAL,
)
