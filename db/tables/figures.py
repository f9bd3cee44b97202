"""What figures come to, counted once for many readers: by week of release and day."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
)

from db.tables.ground import INSTANT, LOCAL, metadata

figure_count = Table(
    # Subjects of a figure that are alike, from documents of one week. Only db/rollups.py writes it.
    "figure_count",
    metadata,
    Column("figure", Text, primary_key=True),
    Column("by", Text, primary_key=True),  # "" = all of the house; supplier, buyer, warehouse
    Column("day", Date, primary_key=True),  # on which they count, UTC
    Column("supplier", BigInteger, primary_key=True, autoincrement=False),  # partner_id, else 0
    Column("party", Text, primary_key=True),  # the buyer or warehouse, else ""
    Column("verdict", Text, primary_key=True),
    Column("healed", Boolean, primary_key=True),
    Column("word", Text, primary_key=True),  # unit of measure, currency, parts that passed
    Column("each", Numeric, primary_key=True),  # what each of them measures, where that is told
    Column("week", Date, primary_key=True),
    Column("n", Integer, nullable=False),
    Column("amount", Numeric),
    Column("weight", Numeric),
    Index("ix_figure_count_week", "week"),
    info=LOCAL,
)

figure_week = Table(
    # Weeks (Monday, UTC) whose documents are counted; 0001-01-01 for those without a release.
    "figure_week",
    metadata,
    Column("week", Date, primary_key=True),
    Column("counted_at", INSTANT, nullable=False),
    Column("config", Text, nullable=False),  # network and rule book that it was counted by
    info=LOCAL,
)

figure_mark = Table(
    # Something of a week has changed since it was counted. Who marks never waits: each mark is a
    # row of its own, without an index but its number.
    "figure_mark",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("week", Date, nullable=False),
    info=LOCAL,
)
