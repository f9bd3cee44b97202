"""What figures come to, counted once for many readers: by week of release and day."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
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

figure_span = Table(
    # The same added up over all weeks of release, for one day or one calendar week (Monday, UTC):
    # what pages read. The places of the arrays belong together; those of one party are neighbours.
    "figure_span",
    metadata,
    Column("figure", Text, primary_key=True),
    Column("by", Text, primary_key=True),
    Column("days", Integer, primary_key=True, autoincrement=False),  # 1 or 7
    Column("start", Date, primary_key=True),  # the day, or the Monday
    Column("verdict", Text, primary_key=True),
    Column("healed", Boolean, primary_key=True),
    Column("word", Text, primary_key=True),
    Column("suppliers", ARRAY(BigInteger)),  # by supplier
    Column("parties", ARRAY(Text)),  # by buyer or warehouse
    Column("each", ARRAY(Double)),  # what each of them measures, where that is told
    Column("n", ARRAY(Integer), nullable=False),
    Column("amount", ARRAY(Numeric)),
    Column("weight", ARRAY(Numeric)),
    info=LOCAL,
)

figure_shift = Table(
    # Calendar weeks of which a week of release has been counted anew and that are not added up
    # yet; when and by what it was counted.
    "figure_shift",
    metadata,
    Column("week", Date, primary_key=True),
    Column("monday", Date, primary_key=True),
    Column("counted_at", INSTANT, nullable=False),
    Column("config", Text, nullable=False),
    info=LOCAL,
)

figure_line = Table(
    # Lines of purchase orders of which something else came than was announced (db/reads/receipts.py
    # says what): the list of them begins here, the costliest ahead, and asks their documents.
    "figure_line",
    metadata,
    Column("home_key", BigInteger, primary_key=True, autoincrement=False),
    Column("scope", Text, primary_key=True),
    Column("number", Text, primary_key=True),
    Column("line", Text, primary_key=True),
    Column("week", Date, nullable=False),  # of release
    Column("received_at", INSTANT, nullable=False),
    Column("partner_id", BigInteger),
    Column("buyer", Text),
    Column("warehouse", Text),
    Column("worth", Numeric, nullable=False),  # of the difference, at the order's price; -1 = none
    Index("ix_figure_line_received_at", "received_at"),
    Index("ix_figure_line_week", "week"),
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
