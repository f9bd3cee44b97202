"""Figures added up

Revision 0025, after 0026.

What is counted ahead by week of release, added up over all of them by day and by calendar week: a
page reads a few hundred rows, however many documents they stand for; and the lines of which
something else came than was announced. Everything is counted anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "figure_span",
        sa.Column("figure", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("healed", sa.Boolean(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("suppliers", postgresql.ARRAY(sa.BigInteger())),
        sa.Column("parties", postgresql.ARRAY(sa.Text())),
        sa.Column("each", postgresql.ARRAY(sa.Double())),
        sa.Column("n", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("amount", postgresql.ARRAY(sa.Numeric())),
        sa.Column("weight", postgresql.ARRAY(sa.Numeric())),
        sa.PrimaryKeyConstraint(
            "figure", "by", "days", "start", "verdict", "healed", "word", name="pk_figure_span"
        ),
    )
    op.create_table(
        "figure_shift",
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("monday", sa.Date(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("week", "monday", name="pk_figure_shift"),
    )
    op.create_table(
        "figure_line",
        sa.Column("home_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("partner_id", sa.BigInteger()),
        sa.Column("buyer", sa.Text()),
        sa.Column("warehouse", sa.Text()),
        sa.Column("worth", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("home_key", "scope", "number", "line", name="pk_figure_line"),
    )
    op.create_index("ix_figure_line_received_at", "figure_line", ["received_at"])
    op.create_index("ix_figure_line_week", "figure_line", ["week"])
    op.execute(sa.text("DELETE FROM figure_week"))
    op.execute(sa.text("DELETE FROM figure_count"))
